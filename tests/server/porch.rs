//! Connections to the server's own port that never become WebSockets. A mounted server has no port of its own.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{DEADLINE, Setup, TestServer};

const SHOWN_OUT: &str = "folkmoot_limits_reached_total{limit=\"http_connections\"}";

/// Connects, and sends less than a request.
async fn loris(server: &TestServer) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: ").await.unwrap();
    stream
}

/// Waits until the server has closed a connection; gives what it said.
async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // An abort is an end too.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut said)).await.expect("the connection is still open");
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_request_that_does_not_come_is_not_waited_for() {
    let setup = Setup::new().config(|config| config.limits.http_head_timeout = Duration::from_secs(1));
    let server = setup.start().await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut slow = loris(&server).await;
    to_the_end(&mut silent).await;
    to_the_end(&mut slow).await;
}

#[tokio::test]
async fn neither_is_a_second_request() {
    let setup = Setup::new().config(|config| {
        config.limits.http_keep_alive = Duration::from_secs(1);
        config.limits.http_head_timeout = Duration::from_secs(1);
    });
    let server = setup.start().await;
    for second in ["", "GET /health HT"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n{second}", server.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let said = to_the_end(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }
}

#[tokio::test]
async fn nor_the_rest_of_a_body_that_nobody_reads() {
    let setup = Setup::new().config(|config| {
        config.limits.handshake_timeout = Duration::from_secs(1);
        config.hooks.timeout = Duration::from_secs(1);
    });
    let server = setup.start().await;
    for path in ["/health", "/nowhere", "/api/hubs", "/auth/token"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let host = server.address;
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let said = to_the_end(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 4"), "{path}: {said}");
    }
    // One that comes to its end leaves the connection open for the next request.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("POST /nowhere HTTP/1.1\r\nHost: {}\r\n", server.address);
    let whole = format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    stream.write_all(format!("{whole}{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(to_the_end(&mut stream).await.matches("HTTP/1.1 404").count(), 2);
}

#[tokio::test]
async fn many_that_say_nothing_keep_neither_members_nor_probes_out() {
    let setup = Setup::new().config(|config| {
        config.limits.http_connections = 20;
        config.limits.http_head_timeout = Duration::from_secs(600);
    });
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    let mut crowd = Vec::new();
    for number in 0..100 {
        crowd.push(loris(&server).await);
        if number % 20 == 19 {
            assert_eq!(server.http("GET", "/health", &[], "").await.status, 200);
            mark.publish("Sales", "still here").await;
            mark.expect_message("Sales", "still here").await;
        }
    }
    let mut monica = server.demo(2).await;
    monica.expect_silence().await;
    // Those that came first are gone, and only as many as had to make room.
    for stream in &mut crowd[..80] {
        assert_eq!(to_the_end(stream).await, "");
    }
    assert!(server.metric(SHOWN_OUT).await >= 80.0);
    assert!(timeout(Duration::from_millis(50), crowd[99].read_u8()).await.is_err(), "the last one was closed");
    mark.expect_silence().await;
}
