//! The application behind the server decides: who may connect and as whom, and what becomes of a client's events.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use folkmoot::{Hooks, Hub, Incoming, Said, Server, User, UserId, Verdict};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;

use crate::support::reliable::Reliable;
use crate::support::{Client, Receiver, Reply, Setup, TestServer, on_both_transports};

const JSON: &str = "application/json";

on_both_transports! {
    an_application_is_told_who_wants_to_connect,
    an_application_makes_somebody_else_of_a_connection,
    an_application_that_says_nothing_changes_nothing,
    an_application_refuses_with_a_status_of_its_own,
    an_application_chooses_the_subprotocol,
    whoever_is_let_in_and_never_comes_is_told_of,
    an_event_is_answered_before_its_ack,
    an_event_that_is_answered_with_nothing_is_acked,
    raw_clients_are_answered_too,
    a_state_is_kept_with_its_connection,
    a_hook_is_asked_before_the_application,
    an_event_that_was_handled_is_not_told_again,
    an_answer_reaches_a_client_that_has_lost_its_socket_meanwhile,
}

async fn an_application_is_told_who_wants_to_connect(setup: Setup) {
    let mut app = Receiver::start().await;
    let server = setup.webhook(&app.url(), &["connect"], &[]).start().await;
    let token = server.token().claim("sub", "mark").claim("team", "red").claim("role", json!(["a", "b"]));
    let handshake = server.handshake().path("/client/hubs/chat?x=1&x=2").token(&token).header("cookie", "secret=1");
    let client = handshake.subprotocols(&["other", "json.webpubsub.azure.v1"]).connect().await.unwrap();
    let connect = app.expect("connect").await;
    assert_eq!(connect.header("ce-type"), "azure.webpubsub.sys.connect");
    assert_eq!((connect.header("ce-userid"), connect.header("ce-connectionid")), ("mark", client.id()));
    let body = connect.json();
    assert_eq!(body["claims"]["sub"], json!(["mark"]));
    assert_eq!(body["claims"]["team"], json!(["red"]));
    assert_eq!(body["claims"]["role"], json!(["a", "b"]));
    assert_eq!(body["query"], json!({"x": ["1", "2"]}));
    assert_eq!(body["subprotocols"], json!(["other", "json.webpubsub.azure.v1"]));
    assert_eq!(body["headers"]["host"], json!([server.address.to_string()]));
    assert_eq!(body["clientCertificates"], json!([]));
    assert!(body["headers"].get("cookie").is_none() && !connect.body.contains(&token.to_string()), "{body}");
    server.demo(1).await;
    let connect = app.expect("connect").await;
    assert!(connect.json()["headers"].get("authorization").is_none(), "{connect:?}");
}

async fn an_application_makes_somebody_else_of_a_connection(setup: Setup) {
    let mut app = Receiver::answering(|seen| match seen.event() {
        "connect" if seen.header("ce-userid") == "user-1" => {
            Reply::ok(JSON, r#"{"userId":"ann","groups":["a","b"],"roles":["webpubsub.sendToGroup.a"]}"#)
        }
        _ => Reply::status(204),
    })
    .await;
    let setup = setup.config(|config| config.users.revision_interval = Duration::from_millis(50));
    let server = setup.webhook(&app.url(), &["connect", "connected", "joined"], &[]).start().await;
    let mut ann = server.demo(1).await;
    assert_eq!((&ann.greeting["userId"], &ann.greeting["groups"]), (&json!("ann"), &json!(["a", "b"])));
    ann.publish("a", "mine").await;
    assert_eq!(ann.expect_message("a", "mine").await["fromUserId"], "ann");
    ann.ask_refused(json!({"type": "sendToGroup", "group": "b", "data": 1}), "Forbidden").await;
    ann.ask_refused(json!({"type": "joinGroup", "group": "c"}), "Forbidden").await;
    assert_eq!(app.expect("connect").await.header("ce-userid"), "user-1");
    for event in ["connected", "joined", "joined"] {
        assert_eq!(app.expect(event).await.header("ce-userid"), "ann");
    }
    // The user store does not know Ann, and does not put her out for it, as it does those whom it knows.
    let mut anna = server.demo(2).await;
    server.store.set_disabled(&UserId::parse("user-2").unwrap(), true).await.unwrap();
    anna.expect_close(1008, "disabled").await;
    ann.publish("a", "still here").await;
    ann.expect_message("a", "still here").await;
    // But whoever has logged in as somebody who may not any more, is out by whichever name.
    server.store.set_disabled(&UserId::parse("user-1").unwrap(), true).await.unwrap();
    ann.expect_close(1008, "disabled").await;
}

async fn an_application_that_says_nothing_changes_nothing(setup: Setup) {
    let answers = [Reply::status(204), Reply::status(200), Reply::ok(JSON, r#"{"groups":[],"userId":null}"#)];
    let mut answers = answers.into_iter();
    let app = Receiver::answering(move |_| answers.next().unwrap()).await;
    let server = setup.webhook(&app.url(), &["connect"], &[]).start().await;
    for _ in 0..3 {
        let mark = server.demo(1).await;
        assert_eq!((&mark.greeting["userId"], &mark.greeting["groups"]), (&json!("user-1"), &json!(["Sales"])));
    }
}

async fn an_application_refuses_with_a_status_of_its_own(setup: Setup) {
    let answers = [
        (401, Reply::status(401)),
        (403, Reply::ok("text/plain", "a secret of the application").but(403)),
        (500, Reply::status(500)),
        (503, Reply::status(302).with("Location", "/elsewhere")),
        (500, Reply::ok(JSON, "not JSON")),
        (500, Reply::ok(JSON, r#"{"subprotocol":"not.offered"}"#)),
        (500, Reply::status(204).with("ce-connectionState", &"x".repeat(8193))),
    ];
    let statuses = answers.each_ref().map(|(status, _)| *status);
    let mut replies = answers.into_iter().map(|(_, reply)| reply);
    let mut app = Receiver::answering(move |_| replies.next().unwrap_or(Reply::status(204))).await;
    let server = setup.webhook(&app.url(), &["connect"], &[]).start().await;
    for status in statuses {
        let refused = server.handshake().basic("user-1", "password-1").refused(status).await;
        assert!(!refused.body.contains("secret"), "{}", refused.body);
        app.expect("connect").await;
    }
    server.demo(1).await;
}

async fn an_application_chooses_the_subprotocol(setup: Setup) {
    let app = Receiver::answering(|seen| {
        let query = &seen.json()["query"]["want"];
        Reply::ok(JSON, json!({"subprotocol": query[0]}).to_string())
    })
    .await;
    let server = setup.webhook(&app.url(), &["connect"], &[]).start().await;
    let connect = async |offered: &[&str], want: &str| {
        let handshake = server.handshake().path(format!("/ws?want={want}")).basic("user-1", "password-1");
        handshake.subprotocols(offered).connect().await.unwrap()
    };
    let own = connect(&["json.webpubsub.azure.v1", "Chat.v1"], "chat.v1").await;
    assert_eq!(own.subprotocol.as_deref(), Some("Chat.v1"));
    let json = connect(&["chat.v1", "json.webpubsub.azure.v1"], "json.webpubsub.azure.v1").await;
    assert_eq!(json.subprotocol.as_deref(), Some("json.webpubsub.azure.v1"));
}

async fn whoever_is_let_in_and_never_comes_is_told_of(setup: Setup) {
    let mut app = Receiver::answering(|seen| match seen.event() {
        "connect" => Reply::ok(JSON, r#"{"userId":"ann"}"#),
        _ => Reply::status(204),
    })
    .await;
    let setup = setup.webhook(&app.url(), &["connect", "connected", "disconnected"], &[]);
    let server = setup.config(|config| config.limits.connections_per_user = 1).start().await;
    let ann = server.demo(1).await;
    // The second is too many for Ann, who the application has said it is.
    server.handshake().basic("user-1", "password-1").refused(429).await;
    let mut told = [app.next().await, app.next().await, app.next().await, app.next().await];
    told.sort_by_key(|seen| seen.header("ce-connectionid") != ann.id());
    let [_, _, asked, gone] = &told;
    assert_eq!((asked.event(), gone.event()), ("connect", "disconnected"), "{told:?}");
    assert_eq!(asked.header("ce-connectionid"), gone.header("ce-connectionid"));
    assert!(gone.body.contains("not opened"), "{gone:?}");
}

fn event(name: &str) -> serde_json::Value {
    json!({"type": "event", "event": name, "dataType": "text", "data": "hello"})
}

async fn an_event_is_answered_before_its_ack(setup: Setup) {
    let mut app = Receiver::answering(|seen| match seen.event() {
        "json" => Reply::ok("application/json; charset=utf-8", r#"{"a": [1]}"#),
        "binary" => Reply::ok("application/octet-stream", "\u{1}\u{2}"),
        "unnamed" => Reply::status(200).saying("\u{1}\u{2}"),
        _ => Reply::ok("text/plain", format!("Hey {}", seen.body)),
    })
    .await;
    let server = setup.webhook(&app.url(), &[], &["text", "Json", "binary", "unnamed"]).start().await;
    let mut mark = server.demo(1).await;
    let with_metadata = json!({"type": "event", "event": "TEXT", "dataType": "text", "data": "hello", "ackId": 1,
        "metadata": {"Trace-Id": "7"}});
    mark.send_json(with_metadata).await;
    mark.expect(json!({"type": "message", "from": "server", "dataType": "text", "data": "Hey hello"})).await;
    mark.expect(json!({"type": "ack", "ackId": 1, "success": true})).await;
    let seen = app.expect("TEXT").await;
    assert_eq!(seen.header("ce-type"), "azure.webpubsub.user.TEXT");
    assert_eq!(seen.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(seen.header("x-webpubsub-metadata-trace-id"), "7");
    assert_eq!((seen.uri.as_str(), seen.body.as_str()), ("/chat/TEXT", "hello"));
    for (name, reply) in [
        ("json", json!({"type": "message", "from": "server", "dataType": "json", "data": {"a": [1]}})),
        ("binary", json!({"type": "message", "from": "server", "dataType": "binary", "data": "AQI="})),
        ("unnamed", json!({"type": "message", "from": "server", "dataType": "binary", "data": "AQI="})),
    ] {
        mark.ask_ok(event(name)).await;
        mark.expect(reply).await;
    }
    mark.ask_refused(event("other"), "NotFound").await;
    mark.expect_silence().await;
}

async fn an_event_that_is_answered_with_nothing_is_acked(setup: Setup) {
    let mut answers = [Reply::status(204), Reply::status(200), Reply::ok("text/html", "")].into_iter();
    let app = Receiver::answering(move |_| answers.next().unwrap()).await;
    let server = setup.webhook(&app.url(), &[], &["*"]).start().await;
    let mut mark = server.demo(1).await;
    for _ in 0..3 {
        mark.ask_ok(event("anything")).await;
    }
    mark.expect_silence().await;
}

async fn raw(server: &TestServer) -> Client {
    let handshake = server.handshake().path("/ws?webpubsub_mode=sendEvent").subprotocols(&[]);
    handshake.basic("user-1", "password-1").connect().await.unwrap()
}

async fn raw_clients_are_answered_too(setup: Setup) {
    let app = Receiver::answering(|seen| match (seen.event(), seen.body.as_str()) {
        ("message", "break") => Reply::status(500),
        ("message", body) => Reply::ok(seen.header("content-type"), format!("Hey {body}")),
        _ => Reply::status(204),
    })
    .await;
    let server = setup.webhook(&app.url(), &[], &["message"]).start().await;
    let mut raw = raw(&server).await;
    raw.send_text("you").await;
    assert_eq!(raw.next_text().await, "Hey you");
    raw.send(Message::binary(b"two".to_vec())).await;
    assert_eq!(raw.next().await, Message::binary(b"Hey two".to_vec()));
    raw.send_text("break").await;
    raw.expect_close(1011, "could not handle").await;
}

async fn a_state_is_kept_with_its_connection(setup: Setup) {
    let state = |count: u32| BASE64_STANDARD.encode(json!({ "count": count }).to_string());
    let mut app = Receiver::answering(move |seen| match seen.event() {
        "connect" => Reply::status(204).with("ce-connectionState", &state(0)),
        "count" => Reply::status(200).with("ce-connectionState", &state(1)),
        _ => Reply::status(204),
    })
    .await;
    let server = setup.webhook(&app.url(), &["connect", "connected", "disconnected"], &["*"]).start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    mark.ask_ok(event("count")).await;
    mark.ask_ok(event("look")).await;
    anna.ask_ok(event("look")).await;
    mark.close(None).await;
    let mut of_mark = Vec::new();
    loop {
        let seen = app.next().await;
        let found = (seen.event().to_owned(), seen.get("ce-connectionstate").map(str::to_owned));
        match (seen.header("ce-userid"), seen.event()) {
            ("user-1", "disconnected") => {
                of_mark.push(found);
                break;
            }
            ("user-1", "connected") => assert_eq!(found.1, Some(state(0))),
            ("user-1", _) => of_mark.push(found),
            (_, "look") => assert_eq!(found.1, Some(state(0)), "each connection has its own"),
            _ => {}
        }
    }
    let expected = [("connect", None), ("count", Some(0)), ("look", Some(1)), ("disconnected", Some(1))];
    assert_eq!(of_mark, expected.map(|(event, count)| (event.to_owned(), count.map(state))));
}

/// Handles one event itself, and changes another.
struct First;

impl Hooks<User> for First {
    async fn message(&self, _: &Hub<User>, incoming: &Incoming<User>) -> Verdict {
        match &incoming.said {
            Said::Event(name) if name == "mine" => Verdict::Handled,
            Said::Event(name) if name == "changed" => Verdict::Replace(folkmoot::Data::text("better")),
            _ => Verdict::Allow,
        }
    }
}

async fn a_hook_is_asked_before_the_application(setup: Setup) {
    let mut app = Receiver::start().await;
    let setup = setup.webhook(&app.url(), &[], &["*"]);
    let server = setup.start_with(|config| Server::new(config).hooks(First)).await;
    let mut mark = server.demo(1).await;
    mark.ask_ok(event("mine")).await;
    mark.ask_ok(event("changed")).await;
    mark.ask_ok(event("other")).await;
    mark.publish("Sales", "not its business").await;
    assert_eq!(app.expect("changed").await.body, "better");
    assert_eq!(app.expect("other").await.body, "hello");
}

async fn an_event_that_was_handled_is_not_told_again(setup: Setup) {
    let hold = Arc::new(Semaphore::new(0));
    let held = hold.clone();
    let mut app = Receiver::answering(move |_| Reply::status(204).held(&held)).await;
    let server = setup.webhook(&app.url(), &[], &["*"]).start().await;
    let mut mark = server.demo(1).await;
    let pay = json!({"type": "event", "event": "pay", "data": 1, "ackId": 7});
    mark.send_json(pay.clone()).await;
    mark.send_json(pay).await;
    app.expect("pay").await;
    hold.add_permits(1);
    assert_eq!(mark.ack_of(7).await["success"], true);
    assert_eq!(mark.ack_of(7).await["error"]["name"], "Duplicate");
    drop(server);
    assert!(app.is_silent());
}

async fn an_answer_reaches_a_client_that_has_lost_its_socket_meanwhile(setup: Setup) {
    let hold = Arc::new(Semaphore::new(0));
    let held = hold.clone();
    let mut app = Receiver::answering(move |_| Reply::ok("text/plain", "late").held(&held)).await;
    let server = setup.webhook(&app.url(), &[], &["*"]).start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.send_json(event("slow")).await;
    app.expect("slow").await;
    // While the answer is waited for, nothing is read, and a cut not noticed before the next socket is there.
    let mut back = mark.cut_and_recover(&server).await;
    hold.add_permits(1);
    let message = back.client.next_json().await;
    assert_eq!((&message["from"], &message["data"]), (&json!("server"), &json!("late")));
}
