//! The WebSocket handshake itself.

use crate::support::{SUBPROTOCOL, Setup, TestServer, Wire, basic, client_frame, handshake_of, on_both_transports};

on_both_transports! {
    the_first_supported_subprotocol_is_chosen,
    a_client_that_offers_only_unknown_subprotocols_is_a_raw_one,
    a_request_that_asks_for_no_websocket_is_told_what_is_missing,
    a_request_that_is_no_valid_handshake_is_refused,
    a_key_is_the_base64_of_sixteen_bytes_and_stands_there_once,
    a_handshake_may_be_written_in_every_valid_way,
    nothing_stands_beside_websocket_in_upgrade,
    extensions_are_declined_without_a_word,
    the_answer_is_the_one_of_the_rfc,
    a_handshake_with_a_body_does_not_smuggle_frames_into_a_session,
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

/// A handshake with one of its texts replaced.
fn with(server: &TestServer, from: &str, to: &str) -> String {
    let valid = handshake_of(server.address);
    assert!(valid.contains(from), "{from:?} is not in {valid}");
    valid.replacen(from, to, 1)
}

/// Expects a status, and what goes with it.
async fn expect_refused(server: &TestServer, request: &str, status: u16) {
    let answer = Wire::refused(server.address, request).await;
    assert_eq!(answer.status, status, "{request}\n{}", answer.head);
    if status == 426 {
        assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    }
    if status == 405 {
        assert_eq!(answer.header("allow"), Some("GET"));
    }
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

async fn a_request_that_is_no_valid_handshake_is_refused(setup: Setup) {
    let server = setup.start().await;
    let host = format!("Host: {}\r\n", server.address);
    let two_hosts = format!("{host}Host: other.example\r\n");
    for (from, to, status) in [
        // RFC 6455, 4.2.1: a GET of HTTP/1.1 or higher, which higher ones are not done here, ...
        ("GET ", "POST ", 405),
        ("GET ", "PUT ", 405),
        ("GET ", "OPTIONS ", 405),
        ("GET ", "get ", 405),
        ("HTTP/1.1", "HTTP/1.0", 400),
        ("HTTP/1.1", "HTTP/2.0", 400),
        ("/ws", "/nowhere", 404),
        // ... a Host, once, ...
        (host.as_str(), "", 400),
        (host.as_str(), "Host: \r\n", 400),
        (host.as_str(), two_hosts.as_str(), 400),
        // ... Upgrade and Connection, each with its token, ...
        ("Upgrade: websocket\r\n", "", 400),
        ("Upgrade: websocket", "Upgrade: h2c", 400),
        ("Upgrade: websocket", "Upgrade: websockets", 400),
        ("Connection: Upgrade\r\n", "", 400),
        ("Connection: Upgrade", "Connection: close", 400),
        ("Connection: Upgrade", "Connection: keep-alive", 400),
        ("Connection: Upgrade", "Connection: Upgrades", 400),
        // ... and a version, which is 13 and stands there once (11.3.5).
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("Version: 13", "Version: 8", 426),
        ("Version: 13", "Version: 14", 426),
        ("Version: 13", "Version: 013", 426),
        ("Version: 13", "Version: 13, 8", 426),
        ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13", 426),
        ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 8", 426),
    ] {
        expect_refused(&server, &with(&server, from, to), status).await;
    }
}

async fn a_key_is_the_base64_of_sixteen_bytes_and_stands_there_once(setup: Setup) {
    let server = setup.start().await;
    let line = format!("Sec-WebSocket-Key: {KEY}\r\n");
    expect_refused(&server, &with(&server, &line, ""), 400).await;
    expect_refused(&server, &with(&server, &line, &line.repeat(2)), 400).await;
    for (key, why) in [
        ("", "nothing"),
        ("dGhlIHNhbXBsZSBub25j", "15 bytes"),
        ("dGhlIHNhbXBsZSBub25jZWQ=", "17 bytes, as long as 16 when encoded"),
        ("dGhlIHNhbXBsZSBub25jZWRk", "18 bytes, as long as 16 when encoded"),
        ("dGhlIHNhbXBsZSBub25jZQ", "no padding"),
        ("dGhlIHNhbXBsZSBub25jZR==", "bits where there are none"),
        ("__________-----------Q==", "the alphabet of URLs"),
        ("dGhlIHNhbXBs ZSBub25jZQ==", "a space inside"),
        ("not base64 of 16 bytes!!", "no base64"),
        ("dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==", "two in one line"),
    ] {
        let request = with(&server, KEY, key);
        assert_eq!(Wire::refused(server.address, &request).await.status, 400, "{why}");
    }
}

async fn a_handshake_may_be_written_in_every_valid_way(setup: Setup) {
    let server = setup.start().await;
    for (from, to) in [
        ("Upgrade: websocket", "upgrade:WEBSOCKET"),
        ("Upgrade: websocket", "UPGRADE: \t WebSocket  "),
        ("Connection: Upgrade", "Connection: upgrade"),
        ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        ("Connection: Upgrade", "connection: keep-alive\r\nconnection: ,UPGRADE ,"),
        ("Sec-WebSocket-Version: 13", "sec-websocket-version:13"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version:   13  "),
        ("Sec-WebSocket-Key: ", "SEC-WEBSOCKET-KEY:"),
        ("Connection: Upgrade", "Connection: Upgrade\r\nContent-Length: 0"),
        ("GET /ws ", "GET /ws? "),
        ("Connection: Upgrade", "Connection: Upgrade\r\nX-Whatever: \u{e9}"),
    ] {
        let request = with(&server, from, to);
        let (answer, mut wire) = Wire::upgrade(server.address, &request, b"").await;
        assert_eq!(answer.status, 101, "{from:?} -> {to:?}: {}", answer.head);
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(wire.next_text().await.contains("connected"), "{to:?}");
    }
}

async fn nothing_stands_beside_websocket_in_upgrade(setup: Setup) {
    let server = setup.start().await;
    for value in
        ["websocket, h2c", "h2c, websocket", "h2c\r\nUpgrade: websocket", "websocket\r\nUpgrade: h2c", "websocket/13"]
    {
        let request = with(&server, "Upgrade: websocket", &format!("Upgrade: {value}"));
        // A server that mounts us keeps such a connection open.
        let (answer, _wire) = Wire::upgrade(server.address, &request, b"").await;
        assert_eq!(answer.status, 400, "{value:?}");
    }
}

async fn extensions_are_declined_without_a_word(setup: Setup) {
    let server = setup.start().await;
    let offer = "Connection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
    let (answer, mut wire) = Wire::upgrade(server.address, &with(&server, "Connection: Upgrade", offer), b"").await;
    assert_eq!((answer.status, answer.header("sec-websocket-extensions")), (101, None));
    assert!(wire.next_text().await.contains("connected"));
    // Compressed all the same.
    wire.send(&client_frame(0xc1, b"x")).await;
    wire.expect_close(1002).await;
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

async fn the_answer_is_the_one_of_the_rfc(setup: Setup) {
    let server = setup.start().await;
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

async fn a_handshake_with_a_body_does_not_smuggle_frames_into_a_session(setup: Setup) {
    let server = setup.start().await;
    let frame = client_frame(0x89, b"smuggled");
    for line in [format!("Content-Length: {}", frame.len()), "Transfer-Encoding: chunked".to_owned()] {
        let text =
            handshake_of(server.address).replacen("Upgrade: websocket", &format!("Upgrade: websocket\r\n{line}"), 1);
        let (answer, _wire) = Wire::upgrade(server.address, &text, &frame).await;
        assert_eq!(answer.status, 400, "{line}: {}", answer.head);
    }
}
