//! Clients without a subprotocol: bare payloads in both directions.

use folkmoot::config::RawClients;
use folkmoot::{Data, Hooks, Hub, Incoming, Said, Server, User, Verdict};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, Setup, TestServer, group, on_both_transports};

on_both_transports! {
    a_raw_client_gets_bare_payloads_and_nothing_else,
    what_a_raw_client_sends_goes_to_its_own_groups_once_per_connection,
    a_raw_client_may_go_without_its_echo,
    a_raw_client_may_send_to_one_group,
    a_raw_event_that_nobody_handles_ends_the_connection,
    a_raw_event_is_answered_by_a_hook,
    a_bad_query_is_refused_before_the_upgrade,
}

async fn raw(server: &TestServer, query: &str) -> Client {
    let handshake = server.handshake().path(format!("/ws{query}")).subprotocols(&[]);
    handshake.basic("user-1", "password-1").connect().await.unwrap()
}

async fn a_raw_client_gets_bare_payloads_and_nothing_else(setup: Setup) {
    let server = setup.announcing().start().await;
    let mut mark = raw(&server, "").await;
    assert_eq!(mark.subprotocol, None);
    // Announcements are bare text, too.
    assert_eq!(mark.next_text().await, "Mark has logged in.");
    let mut anna = server.demo(2).await;
    anna.publish("Sales", "Hello").await;
    assert_eq!(mark.next_text().await, "Hello");
    anna.ask_ok(json!({"type": "sendToGroup", "group": "S*", "data": {"message": "Hello world!"}})).await;
    assert_eq!(mark.next_text().await, r#"{"message":"Hello world!"}"#);
    anna.ask_ok(json!({"type": "sendToGroup", "group": "Sales", "dataType": "binary", "data": "AP8="})).await;
    assert_eq!(mark.next().await, Message::binary(vec![0, 255]));
    assert_eq!(mark.close(Some(1000)).await, Some(1000));
}

async fn what_a_raw_client_sends_goes_to_its_own_groups_once_per_connection(setup: Setup) {
    let setup = setup.user("double", |user| user.groups = vec![group("b"), group("a"), group("c")]);
    let server = setup.start().await;
    let mut member = server.user("double").await;
    let mut raw =
        server.handshake().basic("double", crate::support::PASSWORD).subprotocols(&[]).connect().await.unwrap();
    let mut mark = server.demo(1).await;
    mark.join("c").await;
    raw.send_text("{not JSON").await;
    raw.send(Message::binary(vec![0, 255])).await;
    // It hears itself.
    assert_eq!(raw.next_text().await, "{not JSON");
    assert_eq!(raw.next().await, Message::binary(vec![0, 255]));
    let heard = member.expect_message("a", "{not JSON").await;
    assert_eq!((&heard["dataType"], &heard["fromUserId"]), (&json!("text"), &json!("double")));
    assert_eq!(member.expect_message("a", "AP8=").await["dataType"], "binary");
    mark.expect_message("c", "{not JSON").await;
    mark.expect_message("c", "AP8=").await;
    member.expect_silence().await;
    mark.expect_silence().await;
}

async fn a_raw_client_may_go_without_its_echo(setup: Setup) {
    let server = setup.start().await;
    let mut phone = server.demo(1).await;
    for query in ["?noEcho=true", "?noEcho=false&noEcho=TRUE"] {
        let mut mark = raw(&server, query).await;
        mark.send_text("quietly").await;
        phone.expect_message("Sales", "quietly").await;
        phone.publish("Sales", "aloud").await;
        phone.expect_message("Sales", "aloud").await;
        assert_eq!(mark.next_text().await, "aloud");
    }
}

async fn a_raw_client_may_send_to_one_group(setup: Setup) {
    let server = setup.start().await;
    let (mut anna, mut kenji) = (server.demo(2).await, server.demo(3).await);
    let mut mark = raw(&server, "?webpubsub_mode=sendToGroup&group=sales%2Feurope").await;
    mark.send_text("to one").await;
    anna.expect_message("sales/europe", "to one").await;
    let mut mark = raw(&server, "?webpubsub_mode=SENDTOGROUP&group=x&group=sales/*&noEcho=true").await;
    mark.send_text("to a mask").await;
    anna.expect_message("sales/europe", "to a mask").await;
    kenji.expect_message("sales/asia", "to a mask").await;
    kenji.expect_silence().await;
}

async fn a_raw_event_that_nobody_handles_ends_the_connection(setup: Setup) {
    let server = setup.hub("events", |hub| hub.raw_clients = RawClients::Event).user("clerk", |user| {
        user.hubs = crate::support::all_hubs();
    });
    let server = server.start().await;
    let by_query = raw(&server, "?webpubsub_mode=sendEvent").await;
    let handshake = server.handshake().path("/client/hubs/events").subprotocols(&[]);
    let by_hub = handshake.basic("clerk", crate::support::PASSWORD).connect().await.unwrap();
    for mut client in [by_query, by_hub] {
        client.send_text("anybody?").await;
        client.expect_close(1011, "nobody handles").await;
    }
}

/// Answers the event of raw clients, and one event of JSON clients.
struct Echo;

impl Hooks<User> for Echo {
    async fn message(&self, _: &Hub<User>, incoming: &Incoming<User>) -> Verdict {
        match &incoming.said {
            Said::Event(name) if name == "message" => Verdict::Reply(incoming.data.clone()),
            Said::Event(name) if name == "quiet" => Verdict::Handled,
            Said::Event(name) if name == "forbidden" => Verdict::Deny("not you".into()),
            Said::Event(_) => Verdict::Allow,
            Said::SendToGroup(_) => Verdict::Replace(Data::text("[censored]")),
        }
    }
}

async fn a_raw_event_is_answered_by_a_hook(setup: Setup) {
    let server = setup.start_with(|config| Server::new(config).hooks(Echo)).await;
    let mut raw = raw(&server, "?webpubsub_mode=sendEvent").await;
    raw.send_text("hello?").await;
    assert_eq!(raw.next_text().await, "hello?");
    raw.send(Message::binary(vec![1])).await;
    assert_eq!(raw.next().await, Message::binary(vec![1]));

    let mut mark = server.demo(1).await;
    mark.send_json(json!({"type": "event", "event": "message", "data": [1], "ackId": 1})).await;
    // The reply stands before the ack.
    mark.expect(json!({"type": "message", "from": "server", "dataType": "json", "data": [1]})).await;
    mark.expect(json!({"type": "ack", "ackId": 1, "success": true})).await;
    mark.ask_ok(json!({"type": "event", "event": "quiet", "data": 1})).await;
    let said = mark.ask_refused(json!({"type": "event", "event": "forbidden", "data": 1}), "Forbidden").await;
    assert_eq!(said, "not you");
    mark.ask_refused(json!({"type": "event", "event": "unknown", "data": 1}), "NotFound").await;
    mark.publish("Sales", "something bad").await;
    mark.expect_message("Sales", "[censored]").await;
    mark.expect_silence().await;
}

async fn a_bad_query_is_refused_before_the_upgrade(setup: Setup) {
    let server = setup.start().await;
    for query in [
        "webpubsub_mode=shout",
        "webpubsub_mode=",
        "webpubsub_mode=sendToGroup",
        "webpubsub_mode=sendToGroup&group=",
        "webpubsub_mode=sendToGroup&group=a%0Ab",
        "webpubsub_mode=sendToGroup&group=unclosed%5B",
        "noEcho=yes",
        "noEcho=true&noEcho=",
    ] {
        let handshake = server.handshake().path(format!("/ws?{query}")).subprotocols(&[]);
        handshake.basic("user-1", "password-1").refused(400).await;
    }
}

/// On the own socket; a mounted server's answer is written by actix-http, as soon as it likes.
#[tokio::test]
async fn a_raw_client_whose_handshake_is_answered_hears_what_is_published_next() {
    let server = Setup::new().start().await;
    let mut anna = server.demo(2).await;
    for number in 0..50 {
        let mut mark = raw(&server, "").await;
        anna.publish("Sales", &number.to_string()).await;
        assert_eq!(mark.next_text().await, number.to_string());
        mark.close(Some(1000)).await;
    }
}
