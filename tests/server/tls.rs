//! HTTPS and WSS on one port: what is the same as without, what is refused, and what a peer may cost.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::authority::certificate_in;
use crate::support::notes::skipped;
use crate::support::{DEADLINE, Setup, Started, Stream, TestServer, basic, client_frame, handshake_of, http};

const FAILURES: &str = "folkmoot_tls_handshake_failures_total";

#[tokio::test]
async fn requests_and_web_sockets_come_in_on_one_port_and_urls_are_those_of_tls() {
    let server = Setup::new().under_tls().start().await;
    assert_eq!(server.http("GET", "/health", &[], "").await.body, "ok\n");
    let login = [("Authorization", basic("user-1", "password-1"))];
    let login = login.each_ref().map(|(name, value)| (*name, value.as_str()));
    let token = server.http("POST", "/auth/token", &login, "").await.json();
    let url = token["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("wss://{}/client/hubs/chat?access_token=", server.address)), "{url}");
    let path = url.strip_prefix(&format!("wss://{}", server.address)).unwrap();
    let mut mark = server.handshake().path(path).connect().await.unwrap();
    mark.join("Sales").await;
    mark.publish("Sales", "Hello").await;
    mark.expect_message("Sales", "Hello").await;
}

#[tokio::test]
async fn a_page_of_the_server_itself_is_one_that_came_by_https() {
    let server = Setup::new().under_tls().start().await;
    let from = |origin: String| server.handshake().basic("user-1", "password-1").header("origin", origin);
    from(format!("https://{}", server.address)).connect().await.unwrap();
    from("https://evil.example".to_owned()).refused(403).await;
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_with_http_1_1_and_nothing_else() {
    let server = Setup::new().under_tls().start().await;
    let authority = server.authority.as_ref().unwrap();
    for version in [&TLS12, &TLS13] {
        let mut client = authority.client(&[version]);
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = Stream::connect(server.address, Some(Arc::new(client))).await;
        assert_eq!(stream.tls().protocol_version(), Some(version.version));
        assert_eq!(stream.tls().alpn_protocol(), Some(&b"http/1.1"[..]));
        let client = server.handshake().basic("user-1", "password-1").connect_over(stream).await;
        client.unwrap().publish("Sales", "Hello").await;
    }
    let mut client = authority.client(&[&TLS13]);
    client.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let refused = Stream::over(tcp, Some(Arc::new(client))).await.err().expect("there is no HTTP/2");
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    server.metric_becomes(FAILURES, 1.0).await;
}

#[tokio::test]
async fn tls_1_1_is_refused_and_openssl_is_served() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skipped("tls_1_1_is_refused_and_openssl_is_served", "there is no openssl");
    }
    let server = Setup::new().under_tls().start().await;
    let address = server.address.to_string();
    let say = async |options: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &address, "-cipher", "DEFAULT@SECLEVEL=0"]).args(options);
        let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().unwrap()).await.unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let old = say(&["-tls1_1"]).await;
    assert!(old.contains("SSL alert number") && old.contains("Cipher is (NONE)"), "{old}");
    let new = say(&["-tls1_2", "-alpn", "http/1.1"]).await;
    assert!(new.contains("ALPN protocol: http/1.1") && new.contains("Protocol  : TLSv1.2"), "{new}");
}

#[tokio::test]
async fn a_client_that_comes_back_resumes_its_session() {
    let server = Setup::new().under_tls().start().await;
    let client = server.authority.as_ref().unwrap().client_config();
    for wanted in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut stream = Stream::connect(server.address, Some(client.clone())).await;
        assert_eq!(stream.tls().handshake_kind(), Some(wanted));
        // The ticket comes with the answer.
        let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    }
}

#[tokio::test]
async fn a_request_in_plain_text_is_answered_in_plain_text() {
    let server = Setup::new().under_tls().start().await;
    let answer = http(server.address, "GET", "/health", &[("Host", "localhost")], "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("https://"), "{}", answer.body);
    server.metric_becomes(FAILURES, 1.0).await;
}

#[tokio::test]
async fn what_is_neither_is_closed() {
    let server = Setup::new().under_tls().start().await;
    for bytes in [&b"\x00\x01\x02"[..], b"\x16\x03\x01\xff\xff\x01", b"\x16\x03\x01\x00\x05hello", b""] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        // At most an alert, then the end or a reset.
        let mut answer = Vec::new();
        let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("it is not closed");
        assert!(answer.len() < 20, "{answer:?}");
    }
    server.metric_becomes(FAILURES, 4.0).await;
    server.demo(1).await;
}

#[tokio::test]
async fn handshakes_that_stall_are_bounded_and_time_out_while_others_get_in() {
    let setup = Setup::new().under_tls().config(|config| {
        config.limits.pending_handshakes = 3;
        config.limits.handshake_timeout = Duration::from_secs(3);
        config.hooks.timeout = Duration::from_secs(3);
    });
    let server = setup.start().await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let start = Instant::now();
    server.metric_becomes(FAILURES, 7.0).await;
    let mut mark = server.demo(1).await;
    mark.publish("Sales", "Hello").await;
    for stream in &mut silent {
        assert_eq!(timeout(DEADLINE, stream.read(&mut [0; 8])).await.expect("it is kept").unwrap_or(0), 0);
    }
    assert!(start.elapsed() >= Duration::from_secs(2), "the last three have their time");
    server.metric_becomes(FAILURES, 10.0).await;
    mark.publish("Sales", "still here").await;
}

#[tokio::test]
async fn the_end_is_told_within_tls() {
    let server = Setup::new().under_tls().start().await;
    let tls = server.authority.as_ref().unwrap().client_config();
    let mut stream = Stream::connect(server.address, Some(tls)).await;
    // The close stands in one record with the handshake, so it comes early.
    let close = client_frame(0x88, &1000u16.to_be_bytes());
    let bytes = [handshake_of(server.address).as_bytes(), close.as_slice()].concat();
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    // Without `close_notify` this is an error.
    timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("it does not end").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert!(answer.ends_with(&[0x88, 2, 0x03, 0xe8]), "the close frame is answered: {answer:?}");
}

/// A member of `Sales` whose socket holds little of what it does not read.
async fn member_with_a_small_buffer(server: &TestServer, number: usize) -> crate::support::Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let tcp = socket.connect(server.address).await.unwrap();
    let tls = server.authority.as_ref().unwrap().client_config();
    let stream = Stream::over(tcp, Some(tls)).await.unwrap();
    let handshake = server.handshake().basic(&format!("user-{number}"), &format!("password-{number}"));
    let mut member = handshake.connect_over(stream).await.unwrap();
    member.join("Sales").await;
    member
}

#[tokio::test]
async fn what_waits_for_a_slow_reader_all_reaches_it_though_nothing_follows() {
    let setup = Setup::new().under_tls().config(|config| {
        config.limits.outbound_bytes = 64 << 20;
        config.limits.write_timeout = Duration::from_secs(60);
    });
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    let mut slow = member_with_a_small_buffer(&server, 2).await;
    let text = "x".repeat(300_000);
    for number in 0..40 {
        mark.publish("Sales", &format!("{number} {text}")).await;
        mark.next_json().await;
    }
    for number in 0..40 {
        slow.expect_message("Sales", format!("{number} {text}")).await;
    }
    slow.expect_silence().await;
}

#[tokio::test]
async fn a_member_that_does_not_read_is_closed_and_others_still_receive() {
    let setup = Setup::new().under_tls().config(|config| {
        config.limits.outbound_bytes = 2 << 20;
        config.limits.write_timeout = Duration::from_secs(60);
    });
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    let _slow = member_with_a_small_buffer(&server, 2).await;
    let text = "x".repeat(500_000);
    let mut sent = 0;
    while server.metric("folkmoot_slow_consumers_total").await == 0.0 {
        mark.publish("Sales", &text).await;
        mark.expect_message("Sales", text.as_str()).await;
        sent += 1;
        assert!(sent < 100, "what waits for one has no bound");
    }
    server.metric_becomes("folkmoot_connections", 1.0).await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_those_who_come_and_others_stay() {
    let server = Setup::new().under_tls().start().await;
    let authority = server.authority.as_ref().unwrap();
    let reload = || {
        server.run(|running| match running {
            Started::Own(running) => running.reload_certificate().map_err(|error| error.to_string()),
            #[cfg(feature = "mount")]
            Started::Mounted { .. } => panic!("this server has a listener of its own"),
        })
    };
    let shown = async || {
        let stream = Stream::connect(server.address, Some(authority.client_config())).await;
        stream.tls().peer_certificates().unwrap()[0].clone()
    };
    let cert = server.folder().join("cert.pem");
    let first = certificate_in(&cert);
    assert_eq!(shown().await, first);
    let mut mark = server.demo(1).await;
    assert_eq!(reload().await, Ok(false));

    authority.issue_into(server.folder());
    assert_eq!(reload().await, Ok(true));
    let second = certificate_in(&cert);
    assert_ne!(second, first);
    assert_eq!(shown().await, second);

    std::fs::write(&cert, "nonsense").unwrap();
    let error = reload().await.unwrap_err();
    assert!(error.contains("server.tls.cert") && error.contains("cert.pem"), "{error}");
    assert_eq!(shown().await, second);

    let mut anna = server.demo(2).await;
    anna.join("Sales").await;
    mark.join("Sales").await;
    anna.publish("Sales", "Hello").await;
    mark.expect_message("Sales", "Hello").await;
}

#[tokio::test]
async fn members_under_tls_and_in_plain_text_hear_the_same() {
    let setup = Setup::new().under_tls().user_with_roles("boss", &["folkmoot.admin"]).config(|config| {
        config.server.internal.port = Some(0);
        config.server.internal.exclusive = false;
    });
    let server = setup.start().await;
    let inside = crate::internal::address(&server).await;
    let boss = || server.handshake().basic("boss", crate::support::PASSWORD).path("/client/hubs/folkmoot.admin");
    let (mut under_tls, mut plain) = (boss().connect().await.unwrap(), boss().at(inside).connect().await.unwrap());
    for client in [&mut under_tls, &mut plain] {
        // Once a second there is a sample.
        while client.next_json().await["group"] != "overview" {}
    }
}
