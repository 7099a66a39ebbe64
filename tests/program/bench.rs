//! `folkmoot bench` against a server that runs the demo, whose announcements it has to tell from its own messages.

use serde_json::Value;

use crate::process::{Program, Workplace, eventually};

/// A server with the demo, and the password of its first user in the environment.
fn demo() -> (Workplace, Program) {
    let workplace = Workplace::demo().env("PASSWORD", "password-1");
    let server = workplace.serve(&[]);
    (workplace, server)
}

fn url(server: &Program) -> String {
    format!("ws://{}/ws", server.address)
}

/// Runs a scenario as user-1; its report, when it succeeded.
fn measure(workplace: &Workplace, server: &Program, arguments: &[&str]) -> Value {
    let url = url(server);
    let login = ["--login", "user-1", "--password-env", "PASSWORD", "--json", &url];
    let printed = workplace.ok(&[&["bench"], arguments, &login].concat(), "");
    assert_eq!(printed.lines().count(), 1, "one object and nothing else: {printed}");
    serde_json::from_str(&printed).unwrap()
}

fn number(report: &Value, name: &str) -> f64 {
    report[name].as_f64().unwrap_or_else(|| panic!("no number '{name}' in {report}"))
}

/// What was delivered is what was published times those it was for, and nothing is wrong with it.
fn assert_coherent(report: &Value, hearers: u64) {
    let count = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("no count '{name}' in {report}"));
    assert!(count("published") > 0, "{report}");
    assert_eq!(count("deliveries"), count("published") * hearers, "{report}");
    assert_eq!([count("missing"), count("order_errors"), count("lost_connections")], [0; 3], "{report}");
    let latency = &report["latency_ms"];
    let quantiles = ["p50", "p90", "p99", "max"].map(|name| number(latency, name));
    assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{report}");
    let rate = count("deliveries") as f64 / number(report, "seconds");
    assert!((rate - number(report, "deliveries_per_second")).abs() <= rate / 100.0 + 1.0, "{report}");
}

#[test]
fn fanout_delivers_each_message_to_each_member_and_counts_no_announcement() {
    let (workplace, server) = demo();
    let report = measure(&workplace, &server, &["fanout", "-m", "20", "--seconds", "1", "--warmup", "0.2"]);
    assert_coherent(&report, 20);
    assert_eq!((report["scenario"].as_str(), report["members"].as_u64()), (Some("fanout"), Some(20)));
}

#[test]
fn a_rate_sends_as_many_messages_as_it_says() {
    let (workplace, server) = demo();
    let arguments = ["fanout", "-m", "5", "--rate", "50", "--seconds", "1", "--warmup", "0"];
    let report = measure(&workplace, &server, &arguments);
    assert_coherent(&report, 5);
    assert_eq!(report["published"], 50);
}

#[test]
fn groups_deliver_to_everybody_in_them_but_the_sender() {
    let (workplace, server) = demo();
    let arguments = ["groups", "-m", "24", "--groups", "6", "--seconds", "1", "--warmup", "0"];
    let report = measure(&workplace, &server, &arguments);
    assert_coherent(&report, 3);
    assert_eq!(report["groups"], 6);
}

#[test]
fn connect_tells_how_fast_connections_came_and_what_they_cost_the_server() {
    let (workplace, server) = demo();
    let pid = server.id().to_string();
    let report = measure(&workplace, &server, &["connect", "-m", "40", "--pid", &pid]);
    let rate = 40.0 / number(&report, "seconds");
    assert!((rate - number(&report, "connects_per_second")).abs() <= rate / 100.0 + 1.0, "{report}");
    assert!(number(&report["connect_ms"], "p50") > 0.0, "{report}");
    assert!(number(&report, "server_cpu_seconds") >= 0.0, "{report}");
    assert_eq!(report["lost_connections"], 0);
}

#[test]
fn idle_tells_the_servers_memory_before_and_after_traffic() {
    let (workplace, server) = demo();
    let pid = server.id().to_string();
    let arguments = ["idle", "-m", "50", "--seconds", "0.5", "--broadcasts", "3", "--pid", &pid];
    let report = measure(&workplace, &server, &arguments);
    assert_coherent(&report, 50);
    assert_eq!(report["published"], 3);
    assert!(number(&report, "server_bytes_before") > 1_000_000.0, "{report}");
    for name in ["server_bytes_idle", "bytes_per_connection", "bytes_per_connection_after_traffic", "idle_cpu_percent"]
    {
        assert!(number(&report, name) >= 0.0, "{report}");
    }
}

#[test]
fn masks_and_everybody_tell_what_a_mask_costs_beside_a_group() {
    let (workplace, server) = demo();
    let arguments = ["masks", "-m", "4", "--groups", "200", "--seconds", "0.3"];
    let report = measure(&workplace, &server, &arguments);
    assert_coherent(&report, 3);
    for name in ["mask_cost_ratio", "unmatched_cost_ratio", "others_ack_p99_ms", "others_ack_max_ms"] {
        assert!(number(&report, name) > 0.0, "{report}");
    }
    let report = measure(&workplace, &server, &["everybody", "-m", "20", "--groups", "5", "--seconds", "0.3"]);
    assert_coherent(&report, 20);
    assert!(number(&report, "everybody_cost_ratio") > 0.0, "{report}");
}

#[test]
fn ending_tells_how_long_acks_took_before_and_after() {
    let (workplace, server) = demo();
    let report = measure(&workplace, &server, &["ending", "--groups", "50", "--seconds", "0.3"]);
    for name in ["ack_p99_before_ms", "ack_max_before_ms", "ack_p99_after_ms", "ack_max_after_ms"] {
        assert!(number(&report, name) > 0.0, "{report}");
    }
    assert_eq!(report["lost_connections"], 0);
}

#[test]
fn churn_tells_the_memory_of_each_round() {
    let (workplace, server) = demo();
    let pid = server.id().to_string();
    let arguments = ["churn", "-m", "30", "--rounds", "2", "--broadcasts", "2", "--seconds", "0.2", "--pid", &pid];
    let report = measure(&workplace, &server, &arguments);
    assert_coherent(&report, 30);
    assert_eq!((report["published"].as_u64(), report["payload_bytes"].as_u64()), (Some(4), Some(60_000)));
    for name in ["server_bytes_peaks", "server_bytes_after"] {
        assert_eq!(report[name].as_array().map(Vec::len), Some(2), "{report}");
    }
}

#[test]
fn flood_gets_an_ack_and_a_delivery_for_every_message() {
    let (workplace, server) = demo();
    let arguments = ["flood", "-m", "40", "--publishers", "4", "--seconds", "0.5"];
    let report = measure(&workplace, &server, &arguments);
    assert_coherent(&report, 40);
    assert!(number(&report, "ack_max_ms") >= number(&report, "ack_p50_ms"), "{report}");
}

#[test]
fn the_summary_for_people_says_what_was_found() {
    let (workplace, server) = demo();
    let url = url(&server).replace("ws://", "http://user-1:password-1@");
    let printed = workplace.ok(&["bench", "fanout", &url, "-m", "3", "--seconds", "0.3", "--warmup", "0"], "");
    for said in ["fanout: 3 members in 1 group at ws://", "deliveries", "latency", "p99", "no connection lost"] {
        assert!(printed.contains(said), "{said}: {printed}");
    }
}

#[test]
fn what_hinders_a_run_is_said_with_what_to_do_and_never_with_the_password() {
    let (workplace, server) = demo();
    let workplace = workplace.env("WRONG", "s3cret");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody_there = format!("ws://{free}/ws");
    let elsewhere = format!("ws://{}/nowhere", server.address);
    let closed = format!("ws://{}/client/hubs/secret", server.address);
    let login = ["--login", "user-1", "--password-env"];
    for (url, credential, said) in [
        (url(&server), &[][..], "401"),
        (url(&server), &[&login[..], &["WRONG"]].concat(), "the password is wrong"),
        (nobody_there, &[], "start the server"),
        (elsewhere, &[&login[..], &["PASSWORD"]].concat(), "client/hubs/NAME"),
        (closed, &[&login[..], &["PASSWORD"]].concat(), "403"),
        (url(&server), &[&login[..], &["PASSWORD", "--pid", "4294967295"]].concat(), "--pid"),
        (url(&server), &["--token-env", "MISSING"], "MISSING"),
    ] {
        let output = workplace.run(&[&["bench", "fanout", &url, "-m", "2", "--seconds", "0.1"], credential].concat());
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(printed.contains(said), "{said}: {printed}");
        assert!(!printed.contains("s3cret") && !printed.contains("password-1"), "{printed}");
        assert!(output.stdout.is_empty(), "nothing was measured");
    }
}

#[test]
fn more_members_than_one_user_may_have_are_refused_with_the_limits_name() {
    let (workplace, server) = demo();
    let arguments = ["bench", "connect", &url(&server), "-m", "150", "--login", "user-1", "--password-env", "PASSWORD"];
    let output = workplace.run(&arguments);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("429") && printed.contains("limits.connections_per_user"), "{printed}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_user_without_roles_is_told_which_ones_it_takes() {
    let workplace = Workplace::empty().env("PASSWORD", "correct horse battery");
    workplace.add_user("mark", "correct horse battery", &[]);
    let server = workplace.serve(&[]);
    let output = workplace.run(&["bench", "connect", &url(&server), "--login", "mark", "--password-env", "PASSWORD"]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("Forbidden") && printed.contains("webpubsub.joinLeaveGroup"), "{printed}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_interrupt_ends_the_run_with_a_summary_of_what_there_was() {
    let (workplace, server) = demo();
    let url = url(&server);
    let arguments = ["bench", "fanout", &url, "-m", "5", "--login", "user-1", "--password-env", "PASSWORD"];
    let bench = workplace.start(&[&arguments[..], &["--seconds", "600", "--warmup", "0"]].concat());
    eventually("messages", || bench.printed().contains("publishing, "));
    bench.signal("INT");
    let output = bench.wait_with_output();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("interrupted") && printed.contains("no connection lost"), "{printed}");
}

#[test]
fn a_server_that_dies_is_a_failure_with_a_summary() {
    let (workplace, server) = demo();
    let url = url(&server);
    let arguments = ["bench", "fanout", &url, "-m", "5", "--login", "user-1", "--password-env", "PASSWORD"];
    let bench = workplace.start(&[&arguments[..], &["--seconds", "600", "--warmup", "0", "--rate", "100"]].concat());
    eventually("messages", || bench.printed().contains("publishing, "));
    drop(server);
    let output = bench.wait_with_output();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("FAILED") && printed.contains("21 connections were lost"), "{output:?}");
}

#[test]
fn reliable_clients_acknowledge_what_they_hear_and_stay_however_much_that_is() {
    let workplace = Workplace::demo().env("PASSWORD", "password-1").env("FOLKMOOT__RELIABLE__BUFFER_MESSAGES", "400");
    let server = workplace.serve(&[]);
    let arguments = ["fanout", "--subprotocol", "reliable", "-m", "5", "--seconds", "1", "--warmup", "0"];
    let report = measure(&workplace, &server, &arguments);
    assert_coherent(&report, 5);
    // More than anybody may leave unacknowledged.
    assert!(report["published"].as_u64() > Some(400), "{report}");
}
