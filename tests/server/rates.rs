//! How fast one client may send.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Setup, Wire, client_frame, on_both_transports};

on_both_transports! {
    who_sends_more_messages_than_allowed_is_closed_and_the_rest_is_not_handled,
    pings_and_refused_frames_are_messages_too,
    who_sends_more_bytes_than_allowed_is_closed_but_one_large_message_passes,
}

const MESSAGES: &str = "folkmoot_limits_reached_total{limit=\"messages_per_second\"}";
const BYTES: &str = "folkmoot_limits_reached_total{limit=\"bytes_per_second\"}";

/// Reads to the close frame; gives its reason and what came before.
async fn to_the_close(wire: &mut Wire) -> (String, Vec<String>) {
    let mut before = Vec::new();
    loop {
        let frame = wire.next().await.expect("there was no close frame");
        if frame.first == 0x88 {
            assert_eq!(frame.close().0, 1008, "{frame:?}");
            return (frame.close().1.to_owned(), before);
        }
        before.push(String::from_utf8(frame.payload).unwrap());
    }
}

async fn who_sends_more_messages_than_allowed_is_closed_and_the_rest_is_not_handled(setup: Setup) {
    let server = setup.config(|config| config.limits.messages_per_second = 50).start().await;
    let mut mark = Wire::connect(server.address, b"").await;
    mark.send(&client_frame(0x81, br#"{"type":"ping"}"#).repeat(200)).await;
    let (reason, before) = to_the_close(&mut mark).await;
    assert_eq!(reason, "rate limit: too many frames");
    let pongs = before.iter().filter(|text| text.contains("pong")).count();
    // A second's worth, one that makes it full, and what a busy machine lets trickle in.
    assert!((50..150).contains(&pongs), "{pongs} of 200 were answered");
    assert_eq!(server.metric(MESSAGES).await, 1.0);
    assert_eq!(server.metric("folkmoot_protocol_errors_total").await, 0.0);
}

async fn pings_and_refused_frames_are_messages_too(setup: Setup) {
    let server = setup.config(|config| config.limits.messages_per_second = 50).start().await;
    let refused = client_frame(0x81, br#"{"type":"dance","ackId":1}"#);
    for (number, frame) in [client_frame(0x89, b"?"), client_frame(0x8a, b""), refused].iter().enumerate() {
        let mut mark = Wire::connect(server.address, b"").await;
        mark.send(&frame.repeat(200)).await;
        to_the_close(&mut mark).await;
        assert_eq!(server.metric(MESSAGES).await, (number + 1) as f64);
    }
}

async fn who_sends_more_bytes_than_allowed_is_closed_but_one_large_message_passes(setup: Setup) {
    let server = setup.config(|config| config.limits.bytes_per_second = 1024).start().await;
    let (mut mark, mut monica) = (server.raw(1).await, server.raw(2).await);
    // A hundred seconds' worth.
    let text = "x".repeat(100 * 1024);
    mark.send(Message::text(&text)).await;
    assert_eq!(mark.next_text().await, text);
    mark.send(Message::text("y")).await;
    mark.expect_close(1008, "rate limit: too many bytes").await;
    assert_eq!(server.metric(BYTES).await, 1.0);
    // It is a limit of each connection.
    monica.send(Message::text("z")).await;
    assert_eq!(monica.next_text().await, "z");
}

#[tokio::test]
async fn a_client_that_waits_for_its_answers_is_left_alone() {
    let server = Setup::new().start().await;
    let mut mark = server.demo(1).await;
    for _ in 0..500 {
        mark.ask_ok(json!({"type": "listGroups"})).await;
    }
    assert_eq!(server.metric(MESSAGES).await, 0.0);
}
