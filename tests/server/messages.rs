//! What members hear of a publish, and what its publisher is told.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Setup, on_every_transport, text_to};

on_every_transport! {
    a_message_to_a_group_reaches_its_members_and_nobody_else,
    data_and_metadata_pass_through_byte_for_byte,
    with_no_echo_the_sender_does_not_hear_itself_but_its_other_connections_do,
    the_echo_stands_before_the_ack,
    an_ack_id_that_succeeded_is_a_duplicate_and_one_that_failed_is_not,
    an_event_that_nobody_handles_is_not_found,
    a_ping_is_answered_by_a_pong,
    the_largest_messages_arrive_whatever_is_added_to_them,
}

async fn a_message_to_a_group_reaches_its_members_and_nobody_else(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna, mut ines) = (server.demo(1).await, server.demo(2).await, server.demo(4).await);
    anna.join("Sales").await;
    mark.publish("Sales", "Hello").await;
    let message = json!({"type": "message", "from": "group", "group": "Sales", "fromUserId": "user-1",
        "dataType": "text", "data": "Hello"});
    mark.expect(message.clone()).await;
    anna.expect(message).await;
    // Whoever may send need not be a member.
    ines.publish("Sales", "from outside").await;
    anna.expect_message("Sales", "from outside").await;
    ines.expect_silence().await;
}

async fn data_and_metadata_pass_through_byte_for_byte(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    let mut raw = server.raw(1).await;
    for (kind, data, bare) in [
        ("text", r#""caf\u00e9 \ud83e\udd80 \"q\" \/ é""#, "café 🦀 \"q\" / é"),
        ("text", r#""""#, ""),
        ("json", r#"{"b":1.0, "a":[1e2,-0,null],"b":"\u00e9"}"#, r#"{"b":1.0, "a":[1e2,-0,null],"b":"\u00e9"}"#),
        ("json", "12345678901234567890123", "12345678901234567890123"),
    ] {
        let metadata = r#"{"trace-id":"\u0061 b", "x":""}"#;
        let tail = format!(r#""dataType":"{kind}","data":{data},"metadata":{metadata}}}"#);
        mark.send_text(&format!(r#"{{"type":"sendToGroup","group":"Sales",{tail}"#)).await;
        let expected = format!(r#"{{"type":"message","from":"group","group":"Sales","fromUserId":"user-1",{tail}"#);
        assert_eq!(mark.next_text().await, expected);
        assert_eq!(raw.next_text().await, bare);
    }
    for kind in ["binary", "protobuf"] {
        mark.ask_ok(json!({"type": "sendToGroup", "group": "Sales", "dataType": kind, "data": "AAEC/w=="})).await;
        let message = mark.expect_message("Sales", "AAEC/w==").await;
        assert_eq!(message["dataType"], kind);
        assert_eq!(raw.next().await.into_data().as_ref(), [0, 1, 2, 255]);
    }
    // `json` is what stands without a `dataType`, and `type` is read without regard to case.
    mark.send_json(json!({"TYPE": 1, "type": "SENDTOGROUP", "group": "Sales", "data": {"a": 1}})).await;
    assert_eq!(mark.expect_message("Sales", json!({"a": 1})).await["dataType"], "json");
}

async fn with_no_echo_the_sender_does_not_hear_itself_but_its_other_connections_do(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut phone) = (server.demo(1).await, server.demo(1).await);
    for target in ["Sales", "S*"] {
        let mut frame = text_to(target, "Hello");
        frame["noEcho"] = true.into();
        mark.ask_ok(frame).await;
        phone.expect_message("Sales", "Hello").await;
    }
    mark.expect_silence().await;
    phone.expect_silence().await;
}

async fn the_echo_stands_before_the_ack(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    for ack_id in 0..100 {
        let mut frame = text_to(if ack_id % 2 == 0 { "Sales" } else { "*" }, "Hello");
        frame["ackId"] = ack_id.into();
        mark.send_json(frame).await;
    }
    for ack_id in 0..100 {
        mark.expect_message("Sales", "Hello").await;
        mark.expect(json!({"type": "ack", "ackId": ack_id, "success": true})).await;
    }
}

async fn an_ack_id_that_succeeded_is_a_duplicate_and_one_that_failed_is_not(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    let frame = |group: &str| json!({"type": "sendToGroup", "group": group, "data": 1, "ackId": u64::MAX, "mustExist": true, "noEcho": true});
    mark.send_json(frame("missing")).await;
    assert_eq!(mark.ack_of(u64::MAX).await["error"]["name"], "NotFound");
    mark.send_json(frame("sales/europe")).await;
    assert_eq!(mark.ack_of(u64::MAX).await["success"], true);
    anna.expect_message("sales/europe", 1).await;
    for again in [frame("sales/europe"), json!({"type": "joinGroup", "group": "x", "ackId": u64::MAX})] {
        mark.send_json(again).await;
        let ack = mark.ack_of(u64::MAX).await;
        assert_eq!((&ack["success"], &ack["error"]["name"]), (&json!(false), &json!("Duplicate")), "{ack}");
        assert_ne!(ack["error"]["message"], Value::Null);
    }
    anna.expect_silence().await;
    assert_eq!(mark.ask_ok(json!({"type": "listGroups"})).await["groups"].as_array().unwrap().len(), 1);
    // An ackId belongs to its connection.
    anna.send_json(frame("Sales")).await;
    assert_eq!(anna.ack_of(u64::MAX).await["success"], true);
}

async fn an_event_that_nobody_handles_is_not_found(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.ask_refused(json!({"type": "event", "event": "order", "data": {"pizza": 1}}), "NotFound").await;
    // Without an ackId nothing is said, and the connection stays.
    mark.send_json(json!({"type": "event", "event": "order", "dataType": "text", "data": "pizza"})).await;
    mark.expect_silence().await;
}

async fn a_ping_is_answered_by_a_pong(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.send_json(json!({"type": "ping"})).await;
    mark.expect(json!({"type": "pong"})).await;
}

async fn the_largest_messages_arrive_whatever_is_added_to_them(setup: Setup) {
    let limit = 64 * 1024;
    let server = setup
        .config(|config| {
            config.limits.max_frame_bytes = limit;
            config.limits.max_message_bytes = limit;
            config.limits.outbound_bytes = 2 * limit;
            config.fanout.window_bytes = limit;
        })
        .start()
        .await;
    let (mut mark, mut raw) = (server.demo(1).await, server.raw(1).await);
    let overhead = text_to("Sales", "").to_string().len();
    let text = "x".repeat(limit - overhead);
    for _ in 0..3 {
        mark.send_json(text_to("Sales", &text)).await;
        mark.expect_message("Sales", text.as_str()).await;
        assert_eq!(raw.next_text().await, text);
        // In base64 it is a third larger.
        raw.send(Message::binary(vec![0; limit])).await;
        assert_eq!(raw.next().await, Message::binary(vec![0; limit]));
        assert_eq!(mark.next_json().await["data"].as_str().unwrap().len(), limit.div_ceil(3) * 4);
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_a_bad_request_and_without_an_ack_id_the_end() {
    let server = Setup::new().start().await;
    let mut mark = server.demo(1).await;
    for frame in [
        json!({"type": "dance"}),
        json!({"group": "Sales"}),
        json!({"type": "sendToGroup", "group": "Sales"}),
        json!({"type": "sendToGroup", "group": "Sales", "data": null}),
        json!({"type": "sendToGroup", "group": "Sales", "dataType": "text", "data": 1}),
        json!({"type": "sendToGroup", "group": "Sales", "dataType": "binary", "data": "?"}),
        json!({"type": "sendToGroup", "group": "Sales", "dataType": "image", "data": "x"}),
        json!({"type": "sendToGroup", "group": "Sales", "data": 1, "noEcho": "yes"}),
        json!({"type": "sendToGroup", "group": "Sales", "data": 1, "metadata": {"a": 1}}),
        json!({"type": "sendToGroup", "group": 7, "data": 1}),
        json!({"type": "sendToGroup", "group": "Sales", "data": 1, "ttlSeconds": 301}),
        json!({"type": "event", "event": "1st", "data": 1}),
        json!({"type": "joinGroup"}),
    ] {
        mark.ask_refused(frame.clone(), "BadRequest").await;
        let mut other = server.demo(1).await;
        other.send_json(frame).await;
        other.expect_close(1007, "").await;
    }
    mark.expect_silence().await;
    for text in ["", "not JSON", "[]", "{", r#"{"type":"ping"} x"#, r#"{"type":"joinGroup","group":"a","ackId":-1}"#] {
        let mut other = server.demo(1).await;
        other.send_text(text).await;
        other.expect_close(1007, "").await;
    }
}

#[tokio::test]
async fn json_that_is_nested_too_deep_is_refused() {
    let server = Setup::new().config(|config| config.limits.json_depth = 8).start().await;
    let mut mark = server.demo(1).await;
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    mark.ask_ok(json!({"type": "sendToGroup", "group": "Sales", "data": nested(8)})).await;
    mark.ask_refused(json!({"type": "sendToGroup", "group": "Sales", "data": nested(9)}), "BadRequest").await;
}
