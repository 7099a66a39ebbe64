//! How many connections one user, and one address, may have.

use crate::support::{Client, Setup, on_both_transports};

on_both_transports! {
    a_user_has_so_many_connections_in_all_hubs_together,
    an_address_has_so_many_connections,
    a_refused_connection_leaves_no_trace_in_the_limits,
}

const OF_USER: &str = "folkmoot_limits_reached_total{limit=\"connections_per_user\"}";
const OF_ADDRESS: &str = "folkmoot_limits_reached_total{limit=\"connections_per_address\"}";

async fn a_user_has_so_many_connections_in_all_hubs_together(setup: Setup) {
    let server = setup.config(|config| config.limits.connections_per_user = 2).start().await;
    let first = server.demo(1).await;
    let other_hub =
        server.handshake().path("/client/hubs/other").token(server.token_for("other").claim("sub", "user-1"));
    let _other_hub = other_hub.connect().await.unwrap();
    let refused = server.handshake().basic("user-1", "password-1").refused(429).await;
    assert!(refused.body.contains("limits.connections_per_user"), "{}", refused.body);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(server.metric(OF_USER).await, 1.0);
    // Others have places of their own.
    let _monica = server.demo(2).await;
    first.abort();
    server.metric_becomes("folkmoot_connections", 2.0).await;
    connect_when_free(&server).await;
}

/// The socket is closed a moment after its connection is counted out.
async fn connect_when_free(server: &crate::support::TestServer) -> Client {
    for _ in 0..1000 {
        if let Ok(client) = server.handshake().basic("user-1", "password-1").connect().await {
            return client;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the place was not given back");
}

async fn an_address_has_so_many_connections(setup: Setup) {
    let setup = setup.config(|config| {
        config.limits.connections_per_address = 2;
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let server = setup.user("anna", |_| {}).start().await;
    let from = |address: &str| {
        let password = crate::support::PASSWORD;
        server.handshake().basic("anna", password).header("x-forwarded-for", address)
    };
    // One network of IPv6 is one customer; the proxy's word counts, not its address.
    let first = from("2001:db8:0:1::1").connect().await.unwrap();
    let _second = from("2001:db8:0:1:ffff::2").connect().await.unwrap();
    let refused = from("2001:db8:0:1::3").refused(429).await;
    assert!(refused.body.contains("limits.connections_per_address"), "{}", refused.body);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(server.metric(OF_ADDRESS).await, 1.0);
    let _elsewhere = from("2001:db8:0:2::1").connect().await.unwrap();
    let _old_world = from("192.0.2.1").connect().await.unwrap();
    drop(first);
    server.metric_becomes("folkmoot_connections", 3.0).await;
    for _ in 0..1000 {
        if from("2001:db8:0:1::3").connect().await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the place was not given back");
}

async fn a_refused_connection_leaves_no_trace_in_the_limits(setup: Setup) {
    let setup = setup.config(|config| {
        config.limits.connections_per_user = 1;
        config.limits.connections_per_address = 1;
    });
    let server = setup.start().await;
    for _ in 0..3 {
        server.handshake().basic("user-1", "wrong").refused(401).await;
    }
    let _mark = server.demo(1).await;
    for _ in 0..3 {
        server.handshake().basic("user-1", "password-1").refused(429).await;
    }
    assert_eq!(server.metric(OF_ADDRESS).await, 3.0);
    assert_eq!(server.metric(OF_USER).await, 0.0);
}
