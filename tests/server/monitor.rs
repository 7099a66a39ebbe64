//! The server watched on its own hub `folkmoot.admin`, and asked for its history and configuration.

use std::collections::BTreeSet;
use std::time::Duration;

use folkmoot::UserId;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::support::{Client, DEADLINE, PASSWORD, Setup, TestServer, basic, on_both_transports};

on_both_transports! {
    a_watcher_sees_the_figures_move,
    what_a_watcher_sees_is_what_the_metrics_say,
    a_watcher_sees_who_comes_goes_and_is_refused,
    a_watcher_can_do_nothing_else_and_is_not_among_what_is_watched,
    what_happens_too_often_is_counted_instead_of_told,
    a_watcher_whose_role_is_taken_away_is_sent_away,
    every_role_for_messages_opens_nothing_of_it,
    the_history_and_the_configuration_are_for_operators,
}

const HUB: &str = "/client/hubs/folkmoot.admin";

fn with_operators(setup: Setup) -> Setup {
    // Their list of hubs has not this one in it.
    setup.user_with_roles("root", &["folkmoot.admin"]).user_with_roles("reader", &["folkmoot.admin.read"])
}

async fn token(server: &TestServer, login: &str, query: &str) -> String {
    let by_password = [("Authorization", basic(login, PASSWORD))];
    let headers = by_password.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = server.http("POST", &format!("/auth/token?{query}"), &headers, "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn watch(server: &TestServer, login: &str) -> Client {
    let token = token(server, login, "hub=folkmoot.admin").await;
    server.handshake().path(HUB).token(token).connect().await.unwrap()
}

/// The data of the next message to a group.
async fn next_of(watcher: &mut Client, group: &str) -> Value {
    let next = timeout(DEADLINE, async {
        loop {
            let mut frame = watcher.next_json().await;
            assert_eq!((&frame["type"], &frame["dataType"]), (&json!("message"), &json!("json")), "{frame}");
            if frame["group"] == group {
                return frame["data"].take();
            }
        }
    });
    next.await.unwrap_or_else(|_| panic!("nothing comes to {group}"))
}

/// Waits for a sample of which something is true.
async fn sample_where(watcher: &mut Client, is_it: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..30 {
        let sample = next_of(watcher, "overview").await;
        if is_it(&sample) {
            return sample;
        }
    }
    panic!("there is no such sample");
}

/// Reads the tail until something has happened that the last one is.
async fn events_until(watcher: &mut Client, is_last: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let batch = next_of(watcher, "tail").await;
        events.extend(batch["events"].as_array().unwrap().iter().cloned());
        if events.iter().any(&is_last) {
            return events;
        }
    }
}

async fn a_watcher_sees_the_figures_move(setup: Setup) {
    let server = with_operators(setup).start().await;
    let mut watcher = watch(&server, "reader").await;
    let sample = next_of(&mut watcher, "overview").await;
    let keys: BTreeSet<_> = sample.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "t",
        "connections",
        "users",
        "groups",
        "messages_in",
        "messages_out",
        "bytes_in",
        "bytes_out",
        "delivery_p50_ms",
        "delivery_p99_ms",
        "slow_consumers",
        "auth_failures",
        "queue_bytes_high",
    ];
    assert_eq!(keys, expected.into_iter().collect());
    assert_eq!((&sample["connections"], &sample["delivery_p50_ms"]), (&json!(0), &Value::Null));

    let mut mark = server.demo(1).await;
    mark.publish("Sales", "Hello").await;
    let moved = sample_where(&mut watcher, |sample| sample["messages_out"] != 0).await;
    assert_eq!((&moved["connections"], &moved["users"]), (&json!(1), &json!(1)), "{moved}");
    assert!(moved["t"].as_u64() > sample["t"].as_u64() && moved["bytes_in"].as_u64() > Some(0), "{moved}");
    assert!(moved["groups"].as_u64() > Some(0) && moved["delivery_p99_ms"].as_f64() > Some(0.0), "{moved}");
    server.handshake().basic("user-1", "wrong").refused(401).await;
    sample_where(&mut watcher, |sample| sample["auth_failures"] == 1).await;
}

async fn what_a_watcher_sees_is_what_the_metrics_say(setup: Setup) {
    const GAUGES: [&str; 3] = ["connections", "users", "groups"];
    const COUNTERS: [&str; 2] = ["auth_failures", "slow_consumers"];
    const RATES: [&str; 4] = ["messages_in", "messages_out", "bytes_in", "bytes_out"];
    let setup = setup.config(|config| {
        config.limits.write_timeout = Duration::from_secs(60);
        config.limits.max_frame_bytes = 1 << 18;
        config.limits.max_message_bytes = 1 << 18;
        config.limits.outbound_bytes = 1 << 20;
        config.limits.bytes_per_second = 1 << 34;
        config.limits.messages_per_second = 1 << 20;
    });
    let server = with_operators(setup).start().await;
    let mut watcher = watch(&server, "reader").await;
    let mut mark = server.demo(1).await;
    let _second = server.demo(1).await;
    mark.join("chess").await;
    server.handshake().basic("user-2", "wrong").refused(401).await;
    // Who never reads.
    let mut slow = server.demo(3).await;
    slow.join("flood").await;
    let large = json!({"type": "sendToGroup", "group": "flood", "dataType": "text", "data": "x".repeat(60_000)});
    let (mut seen, mut rates) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
    let mut sample = Value::Null;
    for _ in 0..60 {
        if server.metric("folkmoot_slow_consumers_total").await == 0.0 {
            for _ in 0..100 {
                mark.send_json(large.clone()).await;
            }
        }
        sample = next_of(&mut watcher, "overview").await;
        for name in COUNTERS {
            *seen.entry(name).or_insert(0) += sample[name].as_u64().unwrap();
        }
        for name in RATES {
            *rates.entry(name).or_insert(0) += sample[name].as_u64().unwrap();
        }
        if seen["slow_consumers"] > 0 && sample["messages_in"] == 0 && sample["bytes_out"] == 0 {
            break;
        }
    }
    assert_eq!((seen["slow_consumers"], seen["auth_failures"]), (1, 1), "{sample}");
    for name in COUNTERS {
        assert_eq!(server.metric(&format!("folkmoot_{name}_total")).await, seen[name] as f64, "{name}");
    }
    for name in GAUGES {
        assert_eq!(server.metric(&format!("folkmoot_{name}")).await, sample[name].as_f64().unwrap(), "{name}");
    }
    assert_eq!((&sample["connections"], &sample["users"]), (&json!(2), &json!(1)));
    // Per second, of seconds that are not exactly one on a busy machine.
    for name in RATES {
        let (total, told) = (server.metric(&format!("folkmoot_{name}_total")).await, rates[name] as f64);
        assert!(total > 0.0 && told > total / 4.0 && told < total * 1.5, "{name}: {told} of {total}");
    }
    // What took time was deliveries to people, and no longer than it did.
    let deliveries = server.metric("folkmoot_delivery_seconds_count").await;
    assert!(deliveries >= 1.0 && deliveries <= 2.0 * server.metric("folkmoot_messages_in_total").await, "{deliveries}");
}

async fn a_watcher_sees_who_comes_goes_and_is_refused(setup: Setup) {
    let server = with_operators(setup).start().await;
    let mut watcher = watch(&server, "reader").await;
    let mut mark = server.demo(1).await;
    mark.join("news").await;
    mark.leave("news").await;
    let id = mark.id().to_owned();
    mark.close(Some(1000)).await;
    let events = events_until(&mut watcher, |event| event["event"] == "disconnected").await;
    let about_mark = events.iter().map(|event| {
        assert_eq!((&event["hub"], &event["userId"]), (&json!("chat"), &json!("user-1")), "{event}");
        assert!(event["connectionId"] == id.as_str() && event["t"].is_u64(), "{event}");
        (event["event"].as_str().unwrap(), event["group"].as_str().unwrap_or_default())
    });
    let about_mark: Vec<_> = about_mark.collect();
    assert_eq!(about_mark[0], ("connected", ""));
    for wanted in [("joined", "Sales"), ("joined", "news"), ("left", "news"), ("left", "Sales")] {
        assert!(about_mark.contains(&wanted), "{wanted:?} is not in {about_mark:?}");
    }
    let reason = |what: &str, group: Value| {
        let event = events.iter().find(|event| event["event"] == what && event["group"] == group).unwrap();
        event["reason"].clone()
    };
    assert_eq!(reason("left", json!("news")), "left");
    assert_eq!(reason("left", json!("Sales")), "disconnected");
    assert_eq!(reason("disconnected", Value::Null), "closed by client");

    server.handshake().basic("user-2", "wrong").refused(401).await;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(server.http("POST", "/auth/token", &form, "login=<b>&password=wrong").await.status, 401);
    server.handshake().path("/client/hubs/elsewhere").basic("user-3", "password-3").refused(403).await;
    let events = events_until(&mut watcher, |event| event["hub"] == "elsewhere").await;
    let refused: Vec<_> = events.iter().map(|event| (&event["event"], &event["userId"], &event["hub"])).collect();
    let who = |login: &str| json!(login);
    for (login, hub) in [("user-2", "chat"), ("<b>", "chat"), ("user-3", "elsewhere")] {
        let wanted = (&json!("refused"), &who(login), &json!(hub));
        assert!(refused.contains(&wanted), "{wanted:?} is not in {refused:?}");
    }
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(events.iter().all(|event| event["address"] == "127.0.0.1" && event["reason"].is_string()), "{events:?}");
}

async fn a_watcher_can_do_nothing_else_and_is_not_among_what_is_watched(setup: Setup) {
    let all = ["folkmoot.admin", "webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
    let server = with_operators(setup).user_with_roles("almighty", &all).start().await;
    let mut watcher = watch(&server, "reader").await;
    let mut almighty = watch(&server, "almighty").await;
    for frame in [
        json!({"type": "joinGroup", "group": "elsewhere"}),
        json!({"type": "joinGroup", "group": "*"}),
        json!({"type": "leaveGroup", "group": "tail"}),
        json!({"type": "sendToGroup", "group": "overview", "data": "I am the server"}),
        json!({"type": "sendToGroup", "group": "*", "data": "I am the server"}),
    ] {
        almighty.ask_refused(frame, "Forbidden").await;
    }
    // In the second at the earliest stands what the first one caused.
    for _ in 0..2 {
        next_of(&mut watcher, "overview").await;
    }
    let sample = next_of(&mut watcher, "overview").await;
    for figure in ["connections", "users", "groups", "messages_in", "messages_out", "bytes_in", "bytes_out"] {
        assert_eq!(sample[figure], 0, "{figure}: {sample}");
    }
    for name in ["folkmoot_connections", "folkmoot_connections_opened_total", "folkmoot_joins_total"] {
        assert_eq!(server.metric(name).await, 0.0, "{name}");
    }
    assert_eq!(server.metric("folkmoot_delivery_seconds_count").await, 0.0);
    almighty.close(Some(1000)).await;
    let mut mark = server.demo(1).await;
    let events = events_until(&mut watcher, |event| event["userId"] == "user-1").await;
    assert!(events.iter().all(|event| event["hub"] == "chat"), "{events:?}");
    mark.close(Some(1000)).await;
}

async fn what_happens_too_often_is_counted_instead_of_told(setup: Setup) {
    const JOINS: u64 = 700;
    let setup = setup.config(|config| config.limits.groups_per_connection = 1000);
    let server = with_operators(setup).start().await;
    let mut watcher = watch(&server, "root").await;
    let mut mark = server.demo(2).await;
    for number in 0..JOINS {
        mark.send_json(json!({"type": "joinGroup", "group": format!("group-{number}")})).await;
    }
    mark.ask_ok(json!({"type": "listGroups"})).await;
    // One for the connection, and one for each membership.
    let (mut told, expected) = (0, 1 + server.metric("folkmoot_joins_total").await as u64);
    assert!(expected > JOINS);
    while told < expected {
        let batch = next_of(&mut watcher, "tail").await;
        let events = batch["events"].as_array().unwrap().len() as u64;
        assert!(events <= 200, "{events} events in one message");
        told += events + batch["skipped"].as_u64().unwrap();
    }
    assert_eq!(told, expected);
}

async fn a_watcher_whose_role_is_taken_away_is_sent_away(setup: Setup) {
    let setup = setup.config(|config| config.users.revision_interval = Duration::from_millis(50));
    let server = with_operators(setup).start().await;
    let mut watcher = watch(&server, "reader").await;
    let mut other = watch(&server, "root").await;
    let login = UserId::parse("reader").unwrap();
    let mut record = server.store.find(&login).await.unwrap().unwrap().record;
    record.roles.clear();
    server.store.update(&record).await.unwrap();
    let last = timeout(DEADLINE, async {
        loop {
            let frame = watcher.next_json().await;
            if frame["type"] == "system" {
                return frame;
            }
        }
    });
    let last = last.await.expect("the watcher stays");
    assert!(last["message"].as_str().unwrap().contains("role"), "{last}");
    next_of(&mut other, "overview").await;
}

async fn every_role_for_messages_opens_nothing_of_it(setup: Setup) {
    let roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup", "folkmoot.listMembers", "folkmoot.listGroups"];
    let setup = with_operators(setup).user_with_roles("local", &["chat:folkmoot.admin"]);
    let setup = setup.user("almost", |user| {
        user.roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        user.hubs = crate::support::all_hubs();
    });
    let server = setup.start().await;
    for login in ["almost", "local"] {
        server.handshake().path(HUB).basic(login, PASSWORD).refused(403).await;
        let by_password = basic(login, PASSWORD);
        let asked = server.http("POST", "/auth/token?hub=folkmoot.admin", &[("Authorization", &by_password)], "").await;
        assert_eq!(asked.status, 403, "{}", asked.body);
        // Also with a token that an access key signed for that user and this very request.
        for path in ["/api/server/overview", "/api/server/config"] {
            let token = server.token().claim("aud", format!("http://{}{path}", server.address));
            let bearer = format!("Bearer {}", token.claim("sub", login).claim("folkmoot.user", true));
            assert_eq!(server.http("GET", path, &[("Authorization", &bearer)], "").await.status, 403, "{login} {path}");
        }
    }
}

async fn the_history_and_the_configuration_are_for_operators(setup: Setup) {
    let server = with_operators(setup).config(|config| config.limits.connections = 777).start().await;
    let bearer = format!("Bearer {}", token(&server, "reader", "audience=api").await);
    let ask = async |path: &str| server.http("GET", path, &[("Authorization", &bearer)], "").await;
    let overview = timeout(DEADLINE, async {
        loop {
            let overview = ask("/api/server/overview").await;
            assert_eq!((overview.status, overview.header("cache-control")), (200, Some("no-store")));
            let overview = overview.json();
            if overview["samples"].as_array().unwrap().len() >= 2 {
                return overview;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    let overview = overview.await.expect("no samples are taken");
    assert_eq!(overview["interval_ms"], 1000);
    let times: Vec<_> = overview["samples"].as_array().unwrap().iter().map(|sample| sample["t"].as_u64()).collect();
    assert!(times.is_sorted() && *times.last().unwrap() <= overview["now"].as_u64(), "{overview}");

    let config = ask("/api/server/config").await;
    assert_eq!(config.status, 200);
    assert!(!config.body.contains("only the tests of Folkmoot"), "the access key is shown");
    let config = config.json();
    let key = |key: &str| config["value"].as_array().unwrap().iter().find(|listed| listed["key"] == key).unwrap();
    assert_eq!(key("auth.access_keys")["value"], json!(["***"]));
    assert_eq!(
        (&key("limits.connections")["value"], &key("limits.connections")["origin"]),
        (&json!(777), &json!("program"))
    );
    assert_eq!(key("limits.list_page")["origin"], "default");

    for path in ["/api/server/overview", "/api/server/config"] {
        let asked = server.http("GET", path, &[], "").await;
        assert_eq!(asked.status, 401, "{path}");
        assert!(asked.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")), "{}", asked.head);
        let client = format!("Bearer {}", token(&server, "root", "hub=folkmoot.admin").await);
        assert_eq!(server.http("GET", path, &[("Authorization", &client)], "").await.status, 401, "{path}");
    }
}
