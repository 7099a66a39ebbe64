//! When a reliable connection ends, and what it keeps until then.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::support::reliable::{Reliable, texts};
use super::support::{Setup, TEXT, on_both_transports, text_to};

on_both_transports! {
    nobody_is_told_of_a_loss_and_a_return,
    when_nobody_has_come_back_in_time_it_is_announced_and_over,
    closing_with_1000_or_without_a_code_or_breaking_the_protocol_is_final,
    going_away_with_another_code_is_a_loss,
    who_is_closed_or_kicked_while_away_is_gone_at_once_and_cannot_come_back,
    who_comes_back_while_being_kicked_is_kicked,
    who_acknowledges_nothing_is_closed_and_cannot_come_back,
    who_is_sent_too_much_while_away_is_gone_at_once,
    a_frame_that_was_done_is_not_done_again_on_the_next_socket,
    groups_masks_and_permissions_are_kept,
    a_connection_that_is_away_counts_as_connected,
    more_than_an_outbound_queue_holds_can_be_missed,
    what_has_expired_is_not_sent_to_who_was_away,
    a_peer_that_falls_silent_can_come_back,
    an_undeclared_hub_stays_open_for_who_may_come_back,
}

/// A short window, for those who are not to come back.
fn short(setup: Setup) -> Setup {
    setup.config(|config| config.reliable.recovery_window = Duration::from_millis(200))
}

async fn nobody_is_told_of_a_loss_and_a_return(setup: Setup) {
    let server = setup.announcing().user("anna", |_| {}).start().await;
    let mut anna = server.user("anna").await;
    anna.join("Sales").await;
    // Announcements take their time; this one must not come when Mark is there.
    anna.expect_message("Sales", "anna has logged in.").await;
    let mut mark = Reliable::connect(&server, 1).await;
    anna.expect_message("Sales", "Mark has logged in.").await;
    mark.read(1).await;
    mark.cut(&server).await;
    anna.expect_silence().await;
    let mut mark = mark.recover(&server).await;
    mark.read(1).await;
    mark.client.expect_silence().await;
    anna.expect_silence().await;
    mark.client.close(Some(1000)).await;
    let left = anna.expect_message("Sales", "Mark has disconnected.").await;
    assert_eq!(left["announcement"]["reason"], "disconnected");
}

async fn when_nobody_has_come_back_in_time_it_is_announced_and_over(setup: Setup) {
    let server = short(setup).announcing().user("anna", |_| {}).start().await;
    let mut anna = server.user("anna").await;
    anna.join("Sales").await;
    anna.expect_message("Sales", "anna has logged in.").await;
    let mut mark = Reliable::connect(&server, 1).await;
    anna.expect_message("Sales", "Mark has logged in.").await;
    mark.client.reset();
    let left = anna.expect_message("Sales", "Mark has disconnected.").await;
    assert_eq!(left["announcement"]["reason"], "disconnected");
    server.metric_becomes("folkmoot_connections", 1.0).await;
    server.metric_becomes("folkmoot_connections_suspended", 0.0).await;
    let reason = mark.handshake(&server).expect_refusal().await;
    assert!(reason.contains("cannot be recovered"), "{reason}");
    assert_eq!(server.metric("folkmoot_connections_closed_total").await, 1.0);
}

async fn closing_with_1000_or_without_a_code_or_breaking_the_protocol_is_final(setup: Setup) {
    let server = setup.start().await;
    for end in 0..4 {
        let mut mark = Reliable::connect(&server, 1).await;
        match end {
            0 => drop(mark.client.close(Some(1000)).await),
            1 => drop(mark.client.close(None).await),
            2 => {
                mark.client.send_text("no JSON").await;
                mark.client.expect_close(1007, "").await;
            }
            _ => {
                mark.client.send(Message::binary(vec![1])).await;
                mark.client.expect_close(1003, "").await;
            }
        }
        server.metric_becomes("folkmoot_connections", 0.0).await;
        mark.handshake(&server).expect_refusal().await;
    }
    assert_eq!(server.metric("folkmoot_connections_suspended").await, 0.0);
}

async fn going_away_with_another_code_is_a_loss(setup: Setup) {
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    for code in [1001, 4000] {
        assert_eq!(mark.client.close(Some(code)).await, Some(code));
        server.metric_becomes("folkmoot_connections_suspended", 1.0).await;
        mark = mark.recover(&server).await;
        mark.client.expect_silence().await;
    }
    assert_eq!(server.metric("folkmoot_connections").await, 1.0);
}

async fn who_is_closed_or_kicked_while_away_is_gone_at_once_and_cannot_come_back(setup: Setup) {
    let server = setup.start().await;
    for query in ["", "?kick=true"] {
        let mut mark = Reliable::connect(&server, 1).await;
        mark.cut(&server).await;
        let path = format!("/api/hubs/chat/connections/{}{query}", mark.id);
        assert_eq!(server.api("DELETE", &path, &[], "").await.status, 204);
        server.metric_becomes("folkmoot_connections", 0.0).await;
        server.metric_becomes("folkmoot_connections_suspended", 0.0).await;
        mark.handshake(&server).expect_refusal().await;
        // Neither can one who has a socket: SDKs try it after 1000.
        let mut mark = Reliable::connect(&server, 1).await;
        let path = format!("/api/hubs/chat/connections/{}{query}", mark.id);
        assert_eq!(server.api("DELETE", &path, &[], "").await.status, 204);
        mark.client.expect_close(if query.is_empty() { 1000 } else { 1008 }, "").await;
        mark.handshake(&server).expect_refusal().await;
        server.metric_becomes("folkmoot_connections", 0.0).await;
    }
}

async fn who_comes_back_while_being_kicked_is_kicked(setup: Setup) {
    let server = setup.start().await;
    for _ in 0..60 {
        let mark = Reliable::connect(&server, 1).await;
        let path = format!("/api/hubs/chat/connections/{}", mark.id);
        // Whichever the server hears of first.
        let path = format!("{path}?kick=true");
        let kick = server.api("DELETE", &path, &[], "");
        let (_, mut back) = tokio::join!(kick, mark.handshake(&server).into_handshake().connect_ungreeted());
        while !back.hears_close(1008).await {}
        assert_eq!(server.api("HEAD", &path, &[], "").await.status, 404);
    }
}

async fn who_acknowledges_nothing_is_closed_and_cannot_come_back(setup: Setup) {
    let server = setup.config(|config| config.reliable.buffer_messages = 10).start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    let mut sender = server.demo(2).await;
    for number in 1..=11 {
        sender.publish("a", &number.to_string()).await;
    }
    assert_eq!(mark.read(10).await.len(), 10);
    mark.client.expect_close(1008, "The reliable message buffer is full.").await;
    mark.handshake(&server).expect_refusal().await;
    assert_eq!(server.metric("folkmoot_limits_reached_total{limit=\"reliable_buffer\"}").await, 1.0);
    // Who does is not, however many there are.
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    for number in 1..=30 {
        sender.publish("a", &number.to_string()).await;
        mark.read(1).await;
        mark.acknowledge(number).await;
        mark.client.send_json(json!({"type": "ping"})).await;
        mark.client.expect(json!({"type": "pong"})).await;
    }
}

async fn who_is_sent_too_much_while_away_is_gone_at_once(setup: Setup) {
    let server = setup.config(|config| config.reliable.buffer_messages = 10).start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    let mut sender = server.demo(2).await;
    mark.cut(&server).await;
    for number in 1..=11 {
        sender.publish("a", &number.to_string()).await;
    }
    server.metric_becomes("folkmoot_connections", 1.0).await;
    server.metric_becomes("folkmoot_connections_suspended", 0.0).await;
    mark.handshake(&server).expect_refusal().await;
}

async fn a_frame_that_was_done_is_not_done_again_on_the_next_socket(setup: Setup) {
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    let mut anna = server.demo(2).await;
    anna.join("a").await;
    let mut publish = text_to("a", "once");
    publish["ackId"] = 7.into();
    mark.client.send_json(publish.clone()).await;
    anna.expect_message("a", "once").await;
    // Whether or not the ack has come.
    let mut mark = mark.cut_and_recover(&server).await;
    mark.client.send_json(publish).await;
    let ack = mark.client.ack_of(7).await;
    assert_eq!((&ack["success"], &ack["error"]["name"]), (&json!(false), &json!("Duplicate")), "{ack}");
    anna.expect_silence().await;
}

async fn groups_masks_and_permissions_are_kept(setup: Setup) {
    let roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup.mine"];
    let server = setup.without_default_roles().user_with_roles("anna", &roles).start().await;
    // A group exists only while somebody is in it.
    let _monica = server.demo(2).await;
    let anna = server.handshake().basic("anna", super::support::PASSWORD);
    let mut anna = Reliable::over(anna).await;
    anna.client.join("mine").await;
    anna.client.join("sales/*").await;
    for _ in 0..3 {
        anna = anna.cut_and_recover(&server).await;
        anna.client.ask_refused(text_to("theirs", "x"), "Forbidden").await;
        anna.client.publish("mine", "x").await;
        let answer = server.api("POST", "/api/hubs/chat/groups/sales%2Feurope/:send", &[TEXT], "y").await;
        assert_eq!(answer.status, 202);
        let listed = anna.client.ask_ok(json!({"type": "listGroups"})).await;
        assert_eq!(listed["groups"], json!([{"group": "mine", "members": 1}]));
        let frames = anna.read(2).await;
        let number = frames[1]["sequenceId"].as_u64().unwrap();
        anna.acknowledge(number).await;
        anna.client.expect_silence().await;
    }
}

async fn a_connection_that_is_away_counts_as_connected(setup: Setup) {
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    mark.cut(&server).await;
    let exists = format!("/api/hubs/chat/connections/{}", mark.id);
    assert_eq!(server.api("HEAD", &exists, &[], "").await.status, 200);
    assert_eq!(server.api("HEAD", "/api/hubs/chat/groups/a", &[], "").await.status, 200);
    assert_eq!(server.metric("folkmoot_connections").await, 1.0);
    // It can be sent to directly, put into groups, and is asked for by nobody.
    assert_eq!(server.api("POST", &format!("{exists}/:send"), &[TEXT], "direct").await.status, 202);
    assert_eq!(
        server.api("PUT", &format!("/api/hubs/chat/groups/b/connections/{}", mark.id), &[], "").await.status,
        200
    );
    assert_eq!(server.api("POST", "/api/hubs/chat/groups/b/:send", &[TEXT], "in b").await.status, 202);
    let mut mark = mark.recover(&server).await;
    assert_eq!(texts(&mark.read(2).await), ["direct", "in b"]);
}

async fn more_than_an_outbound_queue_holds_can_be_missed(setup: Setup) {
    let setup = setup.config(|config| config.limits.outbound_bytes = 2 << 20);
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    let mut sender = server.demo(2).await;
    mark.cut(&server).await;
    let text = "x".repeat(500_000);
    for _ in 0..20 {
        sender.publish("a", &text).await;
    }
    let mut mark = mark.recover(&server).await;
    // Others come while it reads.
    for _ in 0..3 {
        sender.publish("a", &text).await;
    }
    for number in 1..=23 {
        let frame = mark.client.next_json().await;
        assert_eq!((frame["sequenceId"].as_u64(), frame["data"].as_str().unwrap().len()), (Some(number), text.len()));
    }
}

async fn what_has_expired_is_not_sent_to_who_was_away(setup: Setup) {
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    let mut sender = server.demo(2).await;
    mark.cut(&server).await;
    for (text, ttl) in [("for long", 300), ("for a second", 1), ("for ever", 0)] {
        let mut frame = text_to("a", text);
        frame["ttlSeconds"] = ttl.into();
        sender.ask_ok(frame).await;
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut mark = mark.recover(&server).await;
    let frames = mark.read(2).await;
    assert_eq!(texts(&frames), ["for long", "for ever"]);
    assert_eq!((&frames[0]["sequenceId"], &frames[1]["sequenceId"]), (&json!(1), &json!(3)));
}

async fn a_peer_that_falls_silent_can_come_back(setup: Setup) {
    let setup = setup.config(|config| {
        config.heartbeat.ping_interval = Duration::from_millis(300);
        config.heartbeat.pong_timeout = Duration::from_millis(300);
    });
    let server = setup.start().await;
    // It answers pings only while it is read from.
    let mark = Reliable::connect(&server, 1).await;
    server.metric_becomes("folkmoot_connections_suspended", 1.0).await;
    let mut mark = mark.recover(&server).await;
    mark.client.expect_silence().await;
}

async fn an_undeclared_hub_stays_open_for_who_may_come_back(setup: Setup) {
    let server = setup.start().await;
    let token =
        server.token_for("elsewhere").claim("role", json!(["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]));
    let mut mark = Reliable::over(server.handshake().path("/client/hubs/elsewhere").token(token)).await;
    mark.client.join("a").await;
    mark.cut(&server).await;
    for _ in 0..3 {
        let mut back = mark.handshake(&server).at_path("/client/hubs/elsewhere").connect_again().await;
        back.client.publish("a", "x").await;
        mark = back;
    }
    mark.client.close(Some(1000)).await;
    server.metric_becomes("folkmoot_connections", 0.0).await;
    mark.handshake(&server).at_path("/client/hubs/elsewhere").expect_refusal().await;
}

/// The drain ends those who are away as well, and does not wait for them.
#[tokio::test]
async fn a_server_that_ends_does_not_wait_for_who_is_away() {
    let setup = Setup::new().config(|config| config.shutdown.timeout = Duration::from_secs(600));
    let server = setup.start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.cut(&server).await;
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        drop(server);
        let _ = ended.send(());
    });
    // Far less than the shutdown's timeout and longer than it takes: the first is sent away at once.
    tokio::time::timeout(super::support::DEADLINE, end).await.expect("it waits for who is away").unwrap();
}
