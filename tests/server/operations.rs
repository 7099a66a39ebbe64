//! What operators ask a server, and how it ends.

use serde_json::json;

use crate::support::{DEADLINE, Setup, basic, on_both_transports};

on_both_transports! {
    metrics_count_what_happens,
}

async fn metrics_count_what_happens(setup: Setup) {
    let server = setup.announcing().start().await;
    let mut mark = server.demo(1).await;
    mark.expect_message("Sales", "Mark has logged in.").await;
    let mut anna = server.demo(2).await;
    anna.join("Sales").await;
    for group in ["sales/europe", "Sales"] {
        anna.expect_message(group, "Anna has logged in.").await;
    }
    mark.expect_message("Sales", "Anna has logged in.").await;
    server.metric_becomes("folkmoot_messages_out_total", 4.0).await;
    mark.publish("Sales", "Hello").await;
    mark.ask_refused(json!({"type": "event", "event": "x", "data": 1}), "NotFound").await;
    for client in [&mut mark, &mut anna] {
        client.expect_message("Sales", "Hello").await;
    }
    for (name, value) in [
        ("folkmoot_connections", 2.0),
        ("folkmoot_connections_opened_total", 2.0),
        ("folkmoot_connections_closed_total", 0.0),
        ("folkmoot_groups", 2.0),
        ("folkmoot_joins_total", 3.0),
        ("folkmoot_leaves_total", 0.0),
        // Anna's join, Mark's publish and his event.
        ("folkmoot_messages_in_total", 3.0),
        ("folkmoot_requests_refused_total", 1.0),
        ("folkmoot_slow_consumers_total", 0.0),
    ] {
        assert_eq!(server.metric(name).await, value, "{name}");
    }
    // One for each member; acks are no messages.
    server.metric_becomes("folkmoot_messages_out_total", 6.0).await;
    assert!(server.metric("folkmoot_bytes_in_total").await > 100.0);
    assert!(server.metric("folkmoot_bytes_out_total").await > 300.0);
    anna.close(Some(1000)).await;
    mark.expect_message("Sales", "Anna has disconnected.").await;
    for (name, value) in [
        ("folkmoot_connections", 1.0),
        ("folkmoot_connections_closed_total", 1.0),
        ("folkmoot_groups", 1.0),
        ("folkmoot_leaves_total", 2.0),
    ] {
        server.metric_becomes(name, value).await;
    }
}

#[tokio::test]
async fn health_ready_and_metrics_answer() {
    let server = Setup::new().start().await;
    let health = server.http("GET", "/health", &[], "").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    assert_eq!(server.http("HEAD", "/health", &[], "").await.status, 200);
    let ready = server.http("GET", "/ready", &[], "").await;
    assert_eq!((ready.status, ready.json()), (200, json!({"ready": true, "draining": false, "store": true})));
    let metrics = server.http("GET", "/metrics", &[], "").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert_eq!(server.http("GET", "/nowhere", &[], "").await.status, 404);
}

#[tokio::test]
async fn behind_a_proxy_only_those_with_the_role_see_what_operators_see() {
    let setup = Setup::new().user_with_roles("guest", &[]).user_with_roles("watcher", &["folkmoot.admin.read"]);
    let server = setup.start().await;
    let proxied = ("X-Forwarded-For", "203.0.113.9");
    assert_eq!(server.http("GET", "/ready", &[proxied], "").await.json(), json!({"ready": true}));
    assert_eq!(server.http("GET", "/metrics", &[proxied], "").await.status, 401);
    let with = async |token: String| {
        let bearer = format!("Bearer {token}");
        server.http("GET", "/metrics", &[proxied, ("Authorization", &bearer)], "").await.status
    };
    let token = server.token().claim("aud", format!("http://{}/metrics", server.address));
    assert_eq!(with(token.to_string()).await, 200);
    for (login, status) in [("watcher", 200), ("guest", 403), ("nobody", 401)] {
        assert_eq!(with(token.clone().claim("sub", login).claim("folkmoot.user", true).to_string()).await, status);
    }
    // A client's token opens nothing, and neither does a password.
    assert_eq!(with(server.token().to_string()).await, 401);
    let basic = basic("watcher", crate::support::PASSWORD);
    assert_eq!(server.http("GET", "/metrics", &[proxied, ("Authorization", &basic)], "").await.status, 401);
}

#[tokio::test]
async fn a_server_that_ends_says_so_to_everybody() {
    let server = Setup::new().start().await;
    let (mut mark, mut anna, mut raw) = (server.demo(1).await, server.demo(2).await, server.raw(3).await);
    let address = server.address;
    let stopped = tokio::task::spawn_blocking(move || drop(server));
    for client in [&mut mark, &mut anna, &mut raw] {
        let reason = client.expect_close(1001, "going away").await;
        assert!(reason.contains("retry_after_ms="), "{reason}");
    }
    drop((mark, anna, raw));
    tokio::time::timeout(DEADLINE, stopped).await.expect("the server does not end").unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
