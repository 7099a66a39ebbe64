//! The commands that ask a running server: publish, groups, members, connections, close.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::thread;

use serde_json::{Value, json};

use crate::authority::Authority;
use crate::client::{Client, Heard, publish};
use crate::notes::not_done;
use crate::process::{Program, Workplace};

const PASSWORD: &str = "correct horse battery";

/// Pages of two entries, so that every listing here has several.
fn workplace() -> Workplace {
    let workplace = Workplace::with_config(
        "hubs: { default: chat, settings: { default_roles: [webpubsub.joinLeaveGroup, webpubsub.sendToGroup] } }\n\
         limits: { list_page: 2 }\n",
    );
    workplace.add_user("mark", PASSWORD, &["--username", "Mark", "--department", "Sales"]);
    workplace.add_user("anna", PASSWORD, &["--username", "Anna", "--hub", "*"]);
    workplace
}

fn at(server: &Program) -> String {
    format!("http://{}", server.address)
}

fn ask(workplace: &Workplace, server: &Program, arguments: &[&str], input: &str) -> Output {
    let (command, rest) = arguments.split_first().unwrap();
    workplace.run_with_input(&[&[*command, "--url", &at(server)], rest].concat(), input)
}

fn ok(workplace: &Workplace, server: &Program, arguments: &[&str], input: &str) -> String {
    let output = ask(workplace, server, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Status and what was said, in one line.
fn failed(output: &Output) -> (i32, String) {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(output.stdout.is_empty() && said.lines().count() == 1, "{said}");
    (output.status.code().unwrap(), said)
}

fn entries(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the next message says.
fn heard(client: &mut Client) -> (String, Value) {
    let frame = client.frame();
    (frame["dataType"].as_str().unwrap_or_default().to_owned(), frame["data"].clone())
}

#[test]
fn a_message_reaches_a_group_a_mask_a_user_a_connection_or_everybody() {
    let workplace = workplace();
    let server = workplace.serve(&[]);
    let mut mark = Client::connect(server.address, "mark", PASSWORD);
    let mut anna = Client::connect(server.address, "anna", PASSWORD);
    anna.join("sales/europe", 1);
    let send = |arguments: &[&str], input: &str| ok(&workplace, &server, &[&["publish"], arguments].concat(), input);
    let text = |text: &str| ("text".to_owned(), json!(text));
    send(&["Sales", "to the group"], "");
    send(&["sales/*", "to the mask"], "");
    send(&["--user", "anna", "to the user"], "");
    send(&["--connection", &mark.id, "-"], "to the connection\n");
    send(&["--all"], "to all\r\n");
    send(&["--all", "not to Mark", "--exclude", &mark.id], "");
    send(&["*", "--json-data", r#"{"b": 1,  "a": 2}"#], "");
    send(&["*", "--binary"], "bytes\n");
    assert_eq!(heard(&mut mark), text("to the group"));
    assert_eq!(heard(&mut mark), text("to the connection"));
    assert_eq!(heard(&mut mark), text("to all"));
    assert_eq!(heard(&mut mark), ("json".to_owned(), json!({ "a": 2, "b": 1 })));
    assert_eq!(heard(&mut mark), ("binary".to_owned(), json!("Ynl0ZXMK")));
    for expected in ["to the mask", "to the user", "to all", "not to Mark"] {
        assert_eq!(heard(&mut anna), text(expected));
    }
}

#[test]
fn a_group_that_must_exist_and_does_not_is_status_1() {
    let workplace = workplace();
    let server = workplace.serve(&[]);
    let send =
        |target: &str, more: &[&str]| ask(&workplace, &server, &[&["publish", target, "hello"], more].concat(), "");
    assert!(send("nobody", &[]).status.success());
    let (status, said) = failed(&send("nobody", &["--must-exist"]));
    assert!(status == 1 && said.contains("nobody"), "{said}");
    let (status, said) = failed(&send("no/*", &["--must-exist"]));
    assert!(status == 1 && said.contains("no/*"), "{said}");
    let _mark = Client::connect(server.address, "mark", PASSWORD);
    assert!(send("Sales", &["--must-exist"]).status.success());
}

#[test]
fn names_of_any_characters_find_their_group() {
    let workplace = workplace();
    let server = workplace.serve(&[]);
    let mut mark = Client::connect(server.address, "mark", PASSWORD);
    let names = ["a/b c", "..", ".", "%2F", "ünï#&+=;", ":send", "-x", "a\\b"];
    for (ack, name) in (1..).zip(names) {
        mark.join(name, ack);
        ok(&workplace, &server, &["publish", "--must-exist", "--", name, name], "");
        assert_eq!(heard(&mut mark).1, name);
        let members = ok(&workplace, &server, &["members", "--json", "--", name], "");
        assert_eq!(entries(&members)[0]["userId"], "mark", "{name}");
    }
}

#[test]
fn groups_are_listed_over_several_pages_as_lines_or_json() {
    let workplace = workplace();
    let server = workplace.serve(&[]);
    let mut mark = Client::connect(server.address, "mark", PASSWORD);
    let mut anna = Client::connect(server.address, "anna", PASSWORD);
    for (ack, group) in (1..).zip(["sales/a", "sales/b", "sales/c", "sales/d", "board"]) {
        mark.join(group, ack);
    }
    anna.join("sales/b", 1);
    let groups = |arguments: &[&str]| ok(&workplace, &server, &[&["groups"], arguments].concat(), "");
    assert_eq!(groups(&[]), "Sales\t1\nboard\t1\nsales/a\t1\nsales/b\t2\nsales/c\t1\nsales/d\t1\n");
    assert_eq!(groups(&["sales/*"]).lines().count(), 4);
    assert_eq!(groups(&["sales/*", "--limit", "3"]), "sales/a\t1\nsales/b\t2\nsales/c\t1\n");
    assert_eq!(groups(&["--limit", "0"]), "");
    assert_eq!(groups(&["nobody/*"]), "");
    let listed = entries(&groups(&["--json"]));
    assert_eq!(listed.len(), 6);
    assert_eq!((&listed[3]["group"], &listed[3]["members"]), (&json!("sales/b"), &json!(2)));
    // Another hub has other groups.
    assert_eq!(groups(&["--hub", "other"]), "");
}

#[test]
fn members_and_connections_are_listed_with_their_users() {
    let workplace = workplace();
    let server = workplace.serve(&[]);
    let marks: Vec<_> = (0..3).map(|_| Client::connect(server.address, "mark", PASSWORD)).collect();
    let anna = Client::connect(server.address, "anna", PASSWORD);
    let list = |arguments: &[&str]| ok(&workplace, &server, arguments, "");
    let members = list(&["members", "Sales"]);
    assert_eq!(members.lines().count(), 3, "{members}");
    for mark in &marks {
        assert!(members.contains(&format!("{}\tmark\tMark\tSales\n", mark.id)), "{members}");
    }
    assert_eq!(list(&["members", "nobody"]), "");

    assert_eq!(list(&["connections"]).lines().count(), 4);
    let of_anna = entries(&list(&["connections", "--user", "anna", "--json"]));
    assert_eq!((of_anna.len(), &of_anna[0]["connectionId"]), (1, &json!(anna.id)));
    assert_eq!(of_anna[0]["user"]["username"], "Anna");
    let line = list(&["connections", "--user", "anna"]);
    let cells: Vec<_> = line.trim_end().split('\t').collect();
    assert_eq!(
        (cells.len(), cells[0], cells[1], cells[2], cells[3]),
        (7, &*anna.id, "anna", "127.0.0.1", "0"),
        "{line}"
    );
    assert_eq!(list(&["connections", "--group", "Sales"]).lines().count(), 3);
    assert_eq!(list(&["connections", "--group", "Sales", "--limit", "1"]).lines().count(), 1);
    assert_eq!(list(&["connections", "--address", "10.1.2.3"]), "");
}

#[test]
fn connections_are_closed_one_by_one_by_user_and_by_group() {
    let workplace = workplace();
    let server = workplace.serve(&[]);
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(server.address, "mark", PASSWORD)).collect();
    let mut anna = Client::connect(server.address, "anna", PASSWORD);
    let close = |arguments: &[&str]| ok(&workplace, &server, &[&["close"], arguments].concat(), "");
    let first = clients.remove(0);
    close(&[&first.id, "--reason", "bye"]);
    let end = |mut client: Client| client.rest().1;
    assert_eq!(end(first), Heard::Closed(1000, "bye".into()));
    close(&["--user", "mark", "--kick", "--reason", "out"]);
    for client in clients {
        assert_eq!(end(client), Heard::Closed(1008, "out".into()));
    }
    anna.join("sales/europe", 1);
    close(&["--group", "Sales"]);
    assert_eq!(anna.ask(publish("x", "still here"), 2)["success"], true);
    close(&["--group", "sales/*"]);
    assert!(matches!(end(anna), Heard::Closed(1000, _)));

    let gone = ask(&workplace, &server, &["close", "nobody"], "");
    let (status, said) = failed(&gone);
    assert!(status == 1 && said.contains("no such connection"), "{said}");
    for wrong in [&["close"][..], &["close", "x", "--user", "mark"], &["publish"], &["publish", "x", "y", "--all"]] {
        assert_eq!(ask(&workplace, &server, wrong, "").status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_with_what_to_do() {
    let workplace = workplace();
    drop(workplace.serve(&[]));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = format!("server.port={}", nobody.port());
    for command in [&["groups"][..], &["members", "a"], &["connections"], &["publish", "a", "x"], &["close", "x"]] {
        let (status, said) = failed(&workplace.run(&[&["--set", &port], command].concat()));
        assert_eq!(status, 69, "{said}");
        for part in [&format!("nothing listens at http://{nobody}"), "folkmoot serve", "--url"] {
            assert!(said.contains(part), "{said}");
        }
    }
    let (status, said) = failed(&workplace.run(&["groups", "--url", "http://no-such-host.invalid"]));
    assert!(status == 69 && said.contains("no-such-host.invalid cannot be reached"), "{said}");
    let (status, said) = failed(&workplace.run(&["--set", "server.port=0", "groups"]));
    assert!(status == 1 && said.contains("--url"), "{said}");
}

#[test]
fn a_server_with_another_key_is_told_with_what_to_do() {
    let workplace = workplace();
    let server = workplace.serve(&[]);
    let elsewhere = Workplace::empty().env("FOLKMOOT__AUTH__ACCESS_KEYS", &"f".repeat(40));
    let (status, said) = failed(&ask(&elsewhere, &server, &["groups"], ""));
    assert_eq!(status, 77, "{said}");
    for part in ["does not take this access key", "data folder", "auth.access_keys", "not signed"] {
        assert!(said.contains(part), "'{part}' is not in {said}");
    }
    let (status, said) = failed(&ask(&Workplace::empty(), &server, &["groups"], ""));
    assert!(status == 1 && said.contains("there is no access key"), "{said}");
}

/// Something that is no Folkmoot: it answers everybody the same.
fn impostor(answer: &'static [u8], repeated: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _: std::io::Result<usize> = stream.read(&mut [0; 4096]);
            // Whoever has enough of it goes away.
            let _: std::io::Result<()> = (0..repeated).try_for_each(|_| stream.write_all(answer));
        }
    });
    address
}

#[test]
fn what_is_no_folkmoot_is_not_believed() {
    let workplace = workplace().env("FOLKMOOT__AUTH__ACCESS_KEYS", &"k".repeat(40));
    let cases: [(&'static [u8], usize, i32, &str); 6] = [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 1, 69, "no HTTP API"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n", 1, 69, "302"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 1, 69, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 1, 1, "no listing"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            500_000,
            1,
            "cannot be read",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 35\r\n\r\n{\"message\":\"\\u001b[2J wrong\",\"x\":1}",
            1,
            1,
            "\\u{1b}[2J wrong",
        ),
    ];
    for (answer, repeated, expected, reason) in cases {
        let url = format!("http://{}", impostor(answer, repeated));
        let (status, said) = failed(&workplace.run(&["groups", "--url", &url]));
        assert!(status == expected && said.contains(reason), "{reason}: {status} {said}");
    }
}

#[test]
fn a_listing_ends_with_its_first_empty_page() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let workplace = workplace().env("FOLKMOOT__AUTH__ACCESS_KEYS", &"k".repeat(40));
    let asked = thread::spawn(move || {
        let mut asked = 0;
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap();
            if head[..length].starts_with(b"enough") {
                break;
            }
            asked += 1;
            let page = json!({ "value": [], "continuationToken": (asked < 50).then(|| asked.to_string()) }).to_string();
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", page.len());
            stream.write_all((head + &page).as_bytes()).unwrap();
        }
        asked
    });
    assert_eq!(workplace.ok(&["groups", "--url", &url], ""), "");
    std::net::TcpStream::connect(url.trim_start_matches("http://")).unwrap().write_all(b"enough").unwrap();
    assert_eq!(asked.join().unwrap(), 1);
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_for_ever() {
    let workplace = workplace().env("FOLKMOOT__AUTH__ACCESS_KEYS", &"k".repeat(40));
    // Connections are taken by the kernel, and nobody reads them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (status, said) = failed(&workplace.run(&["groups", "--url", &url, "--timeout", "300ms"]));
    assert!(status == 69 && said.contains("--timeout"), "{said}");
}

#[test]
fn a_server_on_ipv6_is_reached_as_the_configuration_says() {
    let Ok(free) = TcpListener::bind("[::1]:0") else {
        return not_done("a_server_on_ipv6_is_reached_as_the_configuration_says", "this machine has no IPv6");
    };
    let port = format!("server.port={}", free.local_addr().unwrap().port());
    drop(free);
    let workplace = workplace();
    let here = ["--set", "server.bind=::1", "--set", &port];
    let _server = workplace.serve_plainly(&here);
    assert_eq!(workplace.ok(&[&here[..], &["groups"]].concat(), ""), "");
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn under_tls_the_server_is_believed_by_its_authority_alone() {
    let workplace = workplace();
    let authority = Authority::new();
    authority.issue_into(workplace.path());
    std::fs::write(workplace.path().join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(workplace.path().join("other.pem"), Authority::new().pem()).unwrap();
    let port = format!("server.port={}", free_port());
    let sets = ["--set", "server.tls.cert=cert.pem", "--set", "server.tls.key=key.pem", "--set", &port];
    let server = workplace.serve_plainly(&sets);
    let groups = |workplace: &Workplace, more: &[&str]| workplace.run(&[&sets[..], &["groups"], more].concat());
    assert!(groups(&workplace, &["--ca", "ca.pem"]).status.success());
    let (status, said) = failed(&groups(&workplace, &["--ca", "other.pem"]));
    assert!(status == 69 && said.contains("--ca FILE") && said.contains("https://127.0.0.1"), "{said}");
    let (status, said) = failed(&groups(&workplace, &["--ca", "config.yaml"]));
    assert!(status == 1 && said.contains("no certificate"), "{said}");
    let (status, said) = failed(&groups(&workplace, &["--ca", "nowhere.pem"]));
    assert!(status == 1 && said.contains("nowhere.pem"), "{said}");
    // Whoever forgets the "s".
    let (status, said) = failed(&groups(&workplace, &["--url", &at(&server)]));
    assert!(status == 69 && said.contains(&at(&server)) && said.contains("https?"), "{said}");
    // The authorities of the machine, which OpenSSL's variable names too.
    let file = workplace.path().join("ca.pem");
    let trusting = workplace.env("SSL_CERT_FILE", file.to_str().unwrap());
    assert!(groups(&trusting, &[]).status.success());
}

#[test]
fn the_internal_listener_is_asked_where_there_is_one() {
    let workplace = workplace();
    let internal = format!("server.internal.port={}", free_port());
    let server = workplace.serve(&["--set", &internal]);
    let _mark = Client::connect(server.address, "mark", PASSWORD);
    let sets = ["--set", "server.port=0", "--set", &internal, "groups"];
    assert_eq!(workplace.ok(&sets, ""), "Sales\t1\n");
    let (status, said) = failed(&ask(&workplace, &server, &["groups"], ""));
    assert!(status == 69 && said.contains("internal listener"), "{said}");
}

#[test]
fn what_is_sent_is_checked_before_it_is_sent() {
    let workplace = workplace().env("FOLKMOOT__AUTH__ACCESS_KEYS", &"k".repeat(40));
    let cases: [(&[&str], i32, &str); 6] = [
        (&["publish"], 2, "to whom"),
        (&["publish", "--user", "mark", "a", "b"], 2, "one of them at a time"),
        (&["publish", "a", "{", "--json-data"], 1, "not JSON"),
        (&["publish", "", "x"], 2, ""),
        (&["publish", "a", "x", "--json-data", "--binary"], 2, ""),
        (&["groups", "--url", "ftp://x"], 2, ""),
    ];
    for (arguments, expected, reason) in cases {
        let output = workplace.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(expected) && said.contains(reason), "{arguments:?}: {said}");
    }
}

#[test]
fn each_command_has_examples_in_its_help() {
    let workplace = Workplace::empty();
    for command in [
        &["publish"][..],
        &["groups"],
        &["members"],
        &["connections"],
        &["close"],
        &["token", "new"],
        &["token", "check"],
        &["token", "connection-string"],
        &["user", "import"],
        &["config", "show"],
        &["config", "init"],
        &["completions"],
    ] {
        let help = workplace.ok(&[command, &["--help"]].concat(), "");
        let example = format!("folkmoot {}", command.join(" "));
        assert!(help.contains("Examples:") && help.matches(&example).count() > 1, "{help}");
        if matches!(command[0], "publish" | "groups" | "members" | "connections" | "close") {
            assert!(help.contains("Exit status: 0"), "{help}");
        }
    }
}
