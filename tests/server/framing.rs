//! WebSocket frames: what RFC 6455 allows, and what our limits do.

use tokio_tungstenite::tungstenite::Message;

use crate::support::{Setup, Wire, client_frame, client_header, on_both_transports};

on_both_transports! {
    the_close_handshake_echoes_the_code,
    a_binary_message_on_the_json_subprotocol_ends_the_connection,
    a_websocket_ping_is_answered_with_its_payload,
    what_is_against_the_protocol_ends_the_connection,
    an_oversize_frame_is_refused_by_its_header,
    a_message_may_have_so_many_fragments_and_bytes,
    a_fragmented_message_is_put_together,
}

async fn the_close_handshake_echoes_the_code(setup: Setup) {
    let server = setup.start().await;
    for code in [Some(1000), Some(1001), Some(3000), Some(4999), None] {
        assert_eq!(server.demo(1).await.close(code).await, code);
        assert_eq!(server.raw(1).await.close(code).await, code);
    }
}

async fn a_binary_message_on_the_json_subprotocol_ends_the_connection(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.send(Message::binary(br#"{"type":"ping"}"#.as_slice())).await;
    mark.expect_close(1003, "binary").await;
}

async fn a_websocket_ping_is_answered_with_its_payload(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.send(Message::Ping("are you there?".into())).await;
    assert_eq!(mark.next().await, Message::Pong("are you there?".into()));
}

async fn what_is_against_the_protocol_ends_the_connection(setup: Setup) {
    let server = setup.start().await;
    let unmasked = b"\x81\x02hi".to_vec();
    let long_ping = client_frame(0x89, &[0; 126]);
    for (frame, code) in [
        (unmasked, 1002),
        (client_frame(0xc1, b"{}"), 1002),
        (client_frame(0x83, b""), 1002),
        (client_frame(0x80, b"no message to continue"), 1002),
        ([client_frame(0x01, b"{"), client_frame(0x81, b"}")].concat(), 1002),
        (client_frame(0x09, b"a fragment of a ping"), 1002),
        (long_ping, 1002),
        (client_frame(0x88, b"x"), 1002),
        (client_frame(0x88, &1005_u16.to_be_bytes()), 1002),
        (client_frame(0x88, b"\x03\xe8\xff"), 1007),
        (client_frame(0x81, b"\"\xff\""), 1007),
        // The half of a character, told before the message is complete.
        (client_frame(0x01, b"\xe2\x28"), 1007),
        (client_frame(0x81, b"\xf0\x9f\xa6"), 1007),
    ] {
        let mut wire = Wire::connect(server.address, b"").await;
        wire.send(&frame).await;
        let reason = wire.expect_close(code).await;
        assert!(!reason.is_empty(), "{frame:x?}");
    }
    assert!(server.metric("folkmoot_protocol_errors_total").await >= 13.0);
}

async fn an_oversize_frame_is_refused_by_its_header(setup: Setup) {
    let server = setup.config(|config| config.limits.max_frame_bytes = 1000).start().await;
    let mut wire = Wire::connect(server.address, b"").await;
    wire.send(&client_frame(0x81, padded(1000).as_bytes())).await;
    wire.next_text().await;
    // Of the next frame nothing is sent but its header.
    wire.send(&client_header(0x81, 1001)).await;
    wire.expect_close(1009).await;
    for len in [usize::MAX / 2, 1 << 40] {
        let mut wire = Wire::connect(server.address, b"").await;
        wire.send(&client_header(0x81, len)).await;
        wire.expect_close(1009).await;
    }
}

/// A ping of so many bytes.
fn padded(len: usize) -> String {
    format!("{:len$}", r#"{"type":"ping"}"#)
}

async fn a_message_may_have_so_many_fragments_and_bytes(setup: Setup) {
    let setup = setup.config(|config| {
        config.limits.max_fragments = 4;
        config.limits.max_message_bytes = 1000;
        config.limits.max_frame_bytes = 1000;
    });
    let server = setup.start().await;
    let fragments = |parts: &[&str]| -> Vec<u8> {
        let last = parts.len() - 1;
        let frame = |(place, part): (usize, &&str)| {
            let first = if place == 0 { 0x01 } else { 0x00 } | if place == last { 0x80 } else { 0x00 };
            client_frame(first, part.as_bytes())
        };
        parts.iter().enumerate().flat_map(frame).collect()
    };
    let spaces = " ".repeat(985);
    for (parts, accepted) in [
        (vec![r#"{"type""#, "", ":", r#""ping"}"#], true),
        (vec![r#"{"type""#, "", "", ":", r#""ping"}"#], false),
        (vec![r#"{"type":"ping"}"#, &spaces], true),
        (vec![r#"{"type":"ping"}"#, &spaces, " "], false),
    ] {
        let mut wire = Wire::connect(server.address, b"").await;
        wire.send(&fragments(&parts)).await;
        if accepted {
            assert_eq!(wire.next_text().await, r#"{"type":"pong"}"#);
        } else {
            wire.expect_close(1009).await;
        }
    }
}

async fn a_fragmented_message_is_put_together(setup: Setup) {
    let server = setup.start().await;
    let mut wire = Wire::connect(server.address, b"").await;
    let text = r#"{"type":"sendToGroup","group":"Sales","dataType":"text","data":"é🦀","ackId":1}"#;
    // Byte by byte, through the middle of characters, with a ping between all of them.
    let (first, rest) = text.as_bytes().split_at(1);
    wire.send(&client_frame(0x01, first)).await;
    for byte in rest {
        wire.send(&[client_frame(0x89, b"!"), client_frame(0x00, &[*byte])].concat()).await;
        let pong = wire.next().await.unwrap();
        assert_eq!((pong.first, pong.payload.as_slice()), (0x8a, &b"!"[..]));
    }
    wire.send(&client_frame(0x80, b"")).await;
    assert!(wire.next_text().await.contains(r#""data":"é🦀""#));
    assert_eq!(wire.next_text().await, r#"{"type":"ack","ackId":1,"success":true}"#);
}
