//! The WebSocket handshake itself.

use crate::support::{SUBPROTOCOL, Setup, Wire, basic, client_frame, handshake_of, on_both_transports};

on_both_transports! {
    the_first_supported_subprotocol_is_chosen,
    a_client_that_offers_only_unknown_subprotocols_is_a_raw_one,
    a_request_that_asks_for_no_websocket_is_told_what_is_missing,
}

async fn the_first_supported_subprotocol_is_chosen(setup: Setup) {
    let server = setup.start().await;
    for (offered, chosen) in [
        (vec![SUBPROTOCOL], SUBPROTOCOL),
        (vec!["soap", SUBPROTOCOL], SUBPROTOCOL),
        (vec!["JSON.webpubsub.AZURE.v1"], "JSON.webpubsub.AZURE.v1"),
    ] {
        let client = server.handshake().subprotocols(&offered).basic("user-1", "password-1").connect().await.unwrap();
        assert_eq!(client.subprotocol.as_deref(), Some(chosen));
    }
}

async fn a_client_that_offers_only_unknown_subprotocols_is_a_raw_one(setup: Setup) {
    let server = setup.start().await;
    // A client library fails such a handshake by itself, so this one is done by hand.
    let text = handshake_of(server.address).replace(SUBPROTOCOL, "soap, mqtt");
    let (answer, mut wire) = Wire::upgrade(server.address, &text, &client_frame(0x81, b"bare")).await;
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, None), "{}", answer.head);
    // Its own message, and no greeting before it.
    assert_eq!(wire.next_text().await, "bare");
}

async fn a_request_that_asks_for_no_websocket_is_told_what_is_missing(setup: Setup) {
    let server = setup.start().await;
    for path in ["/ws", "/client?hub=chat", "/client/?hub=chat", "/client/hubs/chat"] {
        let answer = server.http("GET", path, &[], "").await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("Upgrade"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_request_that_is_no_valid_handshake_is_refused() {
    let server = Setup::new().start().await;
    let valid = handshake_of(server.address);
    for (from, to, status) in [
        ("GET ", "POST ", 405),
        ("GET ", "PUT ", 405),
        ("HTTP/1.1", "HTTP/1.0", 400),
        ("Version: 13", "Version: 8", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "not base64 of 16 bytes!!", 400),
        ("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: ", 400),
        ("Connection: Upgrade", "Connection: close", 400),
        ("/ws", "/nowhere", 404),
    ] {
        let request = valid.replacen(from, to, 1);
        let answer = Wire::refused(server.address, &request).await;
        assert_eq!(answer.status, status, "{from:?} -> {to:?}: {}", answer.head);
        if status == 426 {
            assert_eq!(answer.header("sec-websocket-version"), Some("13"));
        }
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("GET"));
        }
    }
}

#[tokio::test]
async fn this_is_no_proxy() {
    let server = Setup::new().start().await;
    let connect = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", server.address);
    assert_eq!(Wire::refused(server.address, &connect).await.status, 400);
    // And it is as well afterwards as it was before.
    server.demo(1).await;
}

#[tokio::test]
async fn frames_in_the_same_segment_as_the_handshake_are_not_lost() {
    let server = Setup::new().start().await;
    let frame = |ack_id: usize| {
        let text = format!(r#"{{"type":"joinGroup","group":"g{ack_id}","ackId":{ack_id}}}"#);
        client_frame(0x81, text.as_bytes())
    };
    let early: Vec<u8> = (0..50).flat_map(frame).collect();
    // The last frame comes in two parts.
    let (early, late) = early.split_at(early.len() - 10);
    let mut wire = Wire::connect(server.address, early).await;
    wire.send(late).await;
    for ack_id in 0..50 {
        assert_eq!(wire.next_text().await, format!(r#"{{"type":"ack","ackId":{ack_id},"success":true}}"#));
    }
}

#[tokio::test]
async fn the_answer_is_the_one_of_the_rfc() {
    let server = Setup::new().start().await;
    let (answer, _wire) = Wire::upgrade(server.address, &handshake_of(server.address), b"").await;
    let head = answer.head.to_lowercase();
    for line in [
        "http/1.1 101 switching protocols",
        "upgrade: websocket",
        // The example of RFC 6455, 1.3.
        &"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_lowercase(),
        &format!("sec-websocket-protocol: {SUBPROTOCOL}"),
    ] {
        assert!(head.lines().any(|found| found == line), "{line} is not in {head}");
    }
}

#[tokio::test]
async fn more_connections_than_allowed_are_refused_until_one_ends() {
    let server = Setup::new().config(|config| config.limits.connections = 2).start().await;
    let (_mark, anna) = (server.demo(1).await, server.demo(2).await);
    let refused = server.handshake().basic("user-3", "password-3").refused(503).await;
    assert!(refused.headers.contains_key("retry-after"));
    let kenji = ("Authorization", basic("user-3", "password-3"));
    assert_eq!(server.http("POST", "/auth/token", &[(kenji.0, &kenji.1)], "").await.status, 200);
    anna.abort();
    let ended = async { while server.run(|running| running.connections()).await > 1 {} };
    tokio::time::timeout(crate::support::DEADLINE, ended).await.unwrap();
    server.demo(3).await;
}

#[tokio::test]
async fn a_connection_may_have_been_used_for_something_else_before() {
    let server = Setup::new().start().await;
    let health = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let both = health + &handshake_of(server.address);
    let (answer, mut wire) = Wire::upgrade(server.address, &both, &client_frame(0x89, b"early")).await;
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("3")));
    let mut rest = wire.read(3).await;
    assert_eq!(rest, b"ok\n");
    rest.clear();
    while !rest.ends_with(b"\r\n\r\n") {
        rest.extend(wire.read(1).await);
    }
    assert!(rest.starts_with(b"HTTP/1.1 101 "));
    let frames = [wire.next().await.unwrap(), wire.next().await.unwrap()];
    let pong = frames.iter().find(|frame| frame.first == 0x8a).expect("the early ping is not answered");
    assert_eq!(pong.payload, b"early");
}

#[tokio::test]
async fn a_handshake_with_a_body_does_not_smuggle_frames_into_a_session() {
    let server = Setup::new().start().await;
    let frame = client_frame(0x89, b"smuggled");
    for line in [format!("Content-Length: {}", frame.len()), "Transfer-Encoding: chunked".to_owned()] {
        let text =
            handshake_of(server.address).replacen("Upgrade: websocket", &format!("Upgrade: websocket\r\n{line}"), 1);
        let (answer, _wire) = Wire::upgrade(server.address, &text, &frame).await;
        assert_eq!(answer.status, 400, "{line}: {}", answer.head);
    }
}
