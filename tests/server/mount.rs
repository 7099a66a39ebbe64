//! What is particular to a server inside a foreign `HttpServer`; the behaviours that it shares with the server's own
//! listener are tested where they belong, on both.
#![cfg(feature = "mount")]

use std::time::Duration;

use actix_http::ConnectionType;
use actix_http::test::TestRequest;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use folkmoot::config::Config;
use folkmoot::{HubName, Server};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Setup, Wire, client_frame, client_header, handshake_of};

#[tokio::test]
async fn the_app_around_it_goes_on_with_its_own_routes() {
    let server = Setup::new().mounted().start().await;
    let own = server.http("GET", "/own", &[], "").await;
    assert_eq!((own.status, own.body.as_str()), (200, "own"));
    assert_eq!(server.http("GET", "/health", &[], "").await.status, 200);
    assert_eq!(server.http("GET", "/ready", &[], "").await.json()["ready"], true);
    assert!(server.http("GET", "/metrics", &[], "").await.body.contains("folkmoot_"));
    assert_eq!(server.http("GET", "/elsewhere", &[], "").await.status, 404);
}

#[tokio::test]
async fn every_path_works_at_the_root_and_below_a_scope_and_decodes_hub_names_once() {
    let server = Setup::new().mounted().start().await;
    for scope in ["", "/nested"] {
        for path in ["/ws", "/client?hub=chat", "/client/?hub=chat", "/client/hubs/chat", "/client/hubs/%63hat"] {
            let handshake = server.handshake().path(format!("{scope}{path}")).basic("user-1", "password-1");
            assert!(handshake.connect().await.is_ok(), "{scope}{path}");
        }
        let path = |name: &str| format!("{scope}/client/hubs/{name}");
        let handshake = |name: &str| server.handshake().path(path(name)).basic("user-1", "password-1");
        handshake("a%2Fb").refused(400).await;
        handshake("%2563hat").refused(400).await;
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_answered_with_a_problem() {
    let server = Setup::new().mounted().start().await;
    let refused = server.handshake().refused(401).await;
    assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    server.handshake().basic("user-1", "wrong").refused(401).await;
    server.handshake().header("origin", "https://evil.example").basic("user-1", "password-1").refused(403).await;
    server.handshake().header("host", "rebound.example").basic("user-1", "password-1").refused(403).await;
    server.handshake().path("/client/hubs/chat/").refused(404).await;
    assert_eq!(server.http("GET", "/ws", &[], "").await.status, 400);
    assert_eq!(server.http("POST", "/ws", &[], "").await.status, 405);
}

#[tokio::test]
async fn a_handshake_with_a_body_or_a_list_of_upgrades_is_refused() {
    let server = Setup::new().mounted().start().await;
    let valid = handshake_of(server.address);
    // The end of the chunks, so that nothing is left to be read.
    for (from, to, end) in [
        ("Upgrade: websocket\r\n", "Upgrade: websocket, h2c\r\n", ""),
        ("Upgrade: websocket\r\n", "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ] {
        let answer = Wire::refused(server.address, &(valid.replace(from, to) + end)).await;
        assert_eq!(answer.status, 400, "{to}");
    }
    server.metric_becomes("folkmoot_connections", 0.0).await;
}

#[tokio::test]
async fn frames_that_come_with_the_handshake_are_read() {
    let server = Setup::new().mounted().start().await;
    let early = client_frame(0x81, br#"{"type":"ping"}"#);
    let mut wire = Wire::connect(server.address, &early).await;
    assert_eq!(wire.next_text().await, r#"{"type":"pong"}"#);
}

#[tokio::test]
async fn an_oversize_frame_is_refused_by_its_header() {
    let server = Setup::new().config(|config| config.limits.max_frame_bytes = 1000).mounted().start().await;
    let mut wire = Wire::connect(server.address, &[]).await;
    wire.send(&client_header(0x81, 1001)).await;
    wire.expect_close(1009).await;
}

#[tokio::test]
async fn a_message_larger_than_all_buffers_arrives_whole() {
    let server = Setup::new().mounted().start().await;
    let mut mark = server.demo(1).await;
    // Base64 and JSON around it stay below the limit of 1 MiB.
    let text: String = (0..900_000).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    mark.send_json(text_to("Sales", &text)).await;
    mark.expect_message("Sales", text.as_str()).await;
    assert_eq!(mark.close(Some(1000)).await, Some(1000));
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_let_go_and_nobody_else_notices() {
    let server = Setup::new()
        .announcing()
        .user("stalled", |user| user.department = Some("Sales".into()))
        .config(|config| config.limits.write_timeout = Duration::from_secs(60))
        .mounted()
        .start()
        .await;
    let mut mark = server.demo(1).await;
    mark.expect_message("Sales", "Mark has logged in.").await;
    let stalled = server.user("stalled").await;
    mark.expect_message("Sales", "stalled has logged in.").await;
    // More than the socket, actix-http, the pipe and the queue hold together.
    let text = "x".repeat(500_000);
    let mut gone = false;
    for _ in 0..200 {
        mark.send_json(text_to("Sales", &text)).await;
        let frame = mark.next_json().await;
        if frame["data"] == "stalled has disconnected." {
            gone = true;
            mark.expect_message("Sales", text.as_str()).await;
            break;
        }
        assert_eq!(frame["data"], text.as_str());
    }
    if !gone {
        mark.expect_message("Sales", "stalled has disconnected.").await;
    }
    assert_eq!(server.metric("folkmoot_slow_consumers_total").await, 1.0);
    server.metric_becomes("folkmoot_connections", 1.0).await;
    drop(stalled);
}

#[tokio::test]
async fn a_lost_connection_leaves_its_groups() {
    let server = Setup::new().announcing().mounted().start().await;
    let mut mark = server.demo(1).await;
    mark.expect_message("Sales", "Mark has logged in.").await;
    let again = server.demo(1).await;
    mark.expect_message("Sales", "Mark has logged in.").await;
    again.abort();
    mark.expect_message("Sales", "Mark has disconnected.").await;
    server.metric_becomes("folkmoot_connections", 1.0).await;
}

#[tokio::test]
async fn a_mounted_server_says_goodbye_before_it_ends() {
    let server = Setup::new().mounted().start().await;
    let (mut mark, mut raw) = (server.demo(1).await, server.raw(2).await);
    let address = server.address;
    let ended = tokio::task::spawn_blocking(move || drop(server));
    mark.expect_close(1001, "").await;
    raw.expect_close(1001, "").await;
    drop((mark, raw));
    ended.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// No socket: the request goes straight into an `App` that is told that its listener is under TLS.
#[actix_web::test]
async fn under_tls_a_page_of_the_same_host_without_tls_is_foreign() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.data_dir = folder.path().into();
    config.hubs.settings.anonymous = true;
    let mount = Server::new(config).without_store().mount().await.unwrap();
    for (tls, origin, status) in
        [(true, "https://localhost", 101), (true, "http://localhost", 403), (false, "http://localhost", 101)]
    {
        let mounted = mount.clone();
        let app = App::new().configure(move |config| mounted.configure(config)).into_factory();
        let address = ([127, 0, 0, 1], 443).into();
        let listener = AppConfig::__priv_test_new(tls, "localhost".into(), address);
        let app = map_config(app, move |_| listener.clone()).new_service(()).await.unwrap();
        let mut request = TestRequest::with_uri("/ws")
            .insert_header(("host", "localhost"))
            .insert_header(("origin", origin))
            .insert_header(("upgrade", "websocket"))
            .insert_header(("connection", "upgrade"))
            .insert_header(("sec-websocket-version", "13"))
            .insert_header(("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="))
            .finish();
        request.head_mut().set_connection_type(ConnectionType::Upgrade);
        let response = app.call(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{tls} {origin}");
    }
    mount.stop().await;
}

#[tokio::test]
async fn the_program_around_it_broadcasts() {
    let server = Setup::new().mounted().start().await;
    let mut mark = server.demo(1).await;
    let lease = server.run(|server| server.hub(&HubName::parse("chat").unwrap()).unwrap()).await;
    let target = folkmoot::Target::parse("Sal*", true).unwrap();
    let reached = lease.hub().broadcast(target, folkmoot::Data::text("Hello")).await.unwrap();
    assert_eq!(reached.groups, 1);
    let frame = mark.expect_message("Sales", "Hello").await;
    assert_eq!(frame["mask"], json!("Sal*"));
    mark.send(Message::Ping(vec![7].into())).await;
    assert_eq!(mark.next().await, Message::Pong(vec![7].into()));
}

fn text_to(group: &str, text: &str) -> Value {
    json!({"type": "sendToGroup", "group": group, "dataType": "text", "data": text})
}
