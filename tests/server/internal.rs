//! The second listener, for operators: what is open there, what is there alone, and what is not.

use std::net::SocketAddr;

use folkmoot::config::Config;
use serde_json::json;

use crate::support::{DEADLINE, PASSWORD, Setup, Started, TestServer, http};

/// A listener for operators that keeps what they ask to itself.
fn alone(config: &mut Config) {
    config.server.internal.port = Some(0);
}

/// One that serves it as well.
fn beside(config: &mut Config) {
    config.server.internal.port = Some(0);
    config.server.internal.exclusive = false;
}

/// Where operators reach the server.
pub async fn address(server: &TestServer) -> SocketAddr {
    let address = server.run(|running| match running {
        Started::Own(running) => running.internal_address(),
        #[cfg(feature = "mount")]
        Started::Mounted { .. } => None,
    });
    address.await.expect("there is no internal listener")
}

async fn statuses(server: &TestServer, address: SocketAddr, paths: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for path in paths {
        statuses.push(server.http_at(address, "GET", path, &[], "").await.status);
    }
    statuses
}

const FOR_OPERATORS: [&str; 8] =
    ["/metrics", "/admin", "/admin/", "/api", "/api/hubs", "/%61pi/hubs", "/docs", "/openapi.json"];

#[tokio::test]
async fn what_operators_ask_is_there_alone() {
    let server = Setup::new().config(alone).start().await;
    let inside = address(&server).await;
    assert_eq!(statuses(&server, server.address, &FOR_OPERATORS).await, [404; 8]);
    assert_eq!(statuses(&server, server.address, &["/health", "/ready"]).await, [200; 2]);
    assert_eq!(
        statuses(&server, inside, &["/health", "/ready", "/metrics", "/admin", "/docs", "/openapi.json"]).await,
        [200; 6]
    );
    let login = server.http_at(inside, "POST", "/auth/token", &[], "").await;
    assert_eq!(login.status, 401);
}

#[tokio::test]
async fn it_can_be_on_both() {
    let server = Setup::new().config(beside).start().await;
    let inside = address(&server).await;
    for address in [server.address, inside] {
        assert_eq!(statuses(&server, address, &["/health", "/metrics", "/admin"]).await, [200; 3]);
    }
}

#[tokio::test]
async fn metrics_and_details_ask_for_no_credential_there() {
    let server = Setup::new().config(beside).start().await;
    let inside = address(&server).await;
    // As a request looks that does not come from this machine itself.
    let proxied = [("X-Forwarded-For", "203.0.113.9")];
    assert_eq!(server.http("GET", "/metrics", &proxied, "").await.status, 401);
    let metrics = server.http_at(inside, "GET", "/metrics", &proxied, "").await;
    assert!(metrics.body.contains("folkmoot_connections 0"), "{}", metrics.body);
    let details = json!({"ready": true, "draining": false, "store": true});
    assert_eq!(server.http("GET", "/ready", &proxied, "").await.json(), json!({"ready": true}));
    let ready = server.http_at(inside, "GET", "/ready", &proxied, "").await.json();
    for (name, value) in details.as_object().unwrap() {
        assert_eq!(ready[name], *value, "{ready}");
    }
}

#[tokio::test]
async fn no_page_reaches_it_by_a_name_of_its_own() {
    let server = Setup::new().config(alone).start().await;
    let inside = address(&server).await;
    assert_eq!(http(inside, "GET", "/metrics", &[("Host", "evil.example")], "").await.status, 403);
}

#[tokio::test]
async fn clients_connect_to_the_other_and_the_dashboard_to_this_one() {
    let server = Setup::new().user_with_roles("boss", &["folkmoot.admin"]).config(alone).start().await;
    let inside = address(&server).await;
    let boss = || server.handshake().basic("boss", PASSWORD);
    let refused = boss().at(inside).refused(404).await;
    assert!(refused.body.contains("internal listener"), "{}", refused.body);
    boss().connect().await.unwrap();
    let dashboard = || boss().path("/client/hubs/folkmoot.admin");
    dashboard().refused(404).await;
    let inside_only = dashboard().at(inside).connect().await;
    assert!(inside_only.is_ok_and(|client| client.greeting["event"] == "connected"));
    // The role is asked for there too.
    let client = server.handshake().basic("user-1", "password-1").path("/client/hubs/folkmoot.admin");
    client.at(inside).refused(403).await;
}

#[tokio::test]
async fn it_ends_with_the_server() {
    let server = Setup::new().config(alone).start().await;
    let inside = address(&server).await;
    tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(move || drop(server))).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(inside).await.is_err());
}
