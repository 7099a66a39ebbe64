//! Which web pages may connect, and under which name this server is reached.

use crate::support::{Setup, basic, on_both_transports};

on_both_transports! {
    a_foreign_page_cannot_use_the_credentials_that_a_browser_adds,
    a_page_that_has_a_token_may_come_from_anywhere,
    with_origins_set_a_token_is_accepted_from_those_only,
    on_a_loopback_bind_a_foreign_host_is_refused,
}

async fn a_foreign_page_cannot_use_the_credentials_that_a_browser_adds(setup: Setup) {
    let server = setup.hub("lobby", |hub| hub.anonymous = true).start().await;
    let own = format!("http://{}", server.address);
    for foreign in ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1", "file://"] {
        server.handshake().header("origin", foreign).basic("user-1", "password-1").refused(403).await;
        server.handshake().header("origin", foreign).path("/client/hubs/lobby").refused(403).await;
        let login = [("Authorization", &*basic("user-1", "password-1")), ("Origin", foreign)];
        assert_eq!(server.http("POST", "/auth/token", &login, "").await.status, 403, "{foreign}");
    }
    server.handshake().header("origin", "no origin").basic("user-1", "password-1").refused(400).await;
    server.handshake().header("origin", &own).basic("user-1", "password-1").connect().await.unwrap();
    server.handshake().header("origin", &own).path("/client/hubs/lobby").connect().await.unwrap();
}

async fn a_page_that_has_a_token_may_come_from_anywhere(setup: Setup) {
    let server = setup.start().await;
    for origin in ["https://app.example", "null", "capacitor://localhost"] {
        let token = server.token().claim("sub", "bob");
        server.handshake().header("origin", origin).token(token).connect().await.unwrap();
        // A wrong one is no reason to look at the next credential.
        server.handshake().header("origin", origin).token("wrong").basic("user-1", "password-1").refused(401).await;
    }
}

async fn with_origins_set_a_token_is_accepted_from_those_only(setup: Setup) {
    let set = |config: &mut folkmoot::config::Config| {
        config.server.origins = vec!["https://app.example".parse().unwrap()];
    };
    let server = setup.config(set).start().await;
    let from = |origin: &str| server.handshake().header("origin", origin);
    from("https://app.example").token(server.token()).connect().await.unwrap();
    from("https://app.example").basic("user-1", "password-1").connect().await.unwrap();
    from("https://other.example").token(server.token()).refused(403).await;
    from("null").token(server.token()).refused(403).await;
    // No browser: no origin to be checked.
    server.handshake().token(server.token()).connect().await.unwrap();
}

async fn on_a_loopback_bind_a_foreign_host_is_refused(setup: Setup) {
    let set = |config: &mut folkmoot::config::Config| {
        config.server.public_urls = vec!["https://chat.example.com".parse().unwrap()];
    };
    let server = setup.config(set).start().await;
    let port = server.address.port();
    for (host, entered, logged_in) in [
        (format!("localhost:{port}"), 101, 200),
        (format!("[::1]:{port}"), 101, 200),
        // A proxy that tells nothing of its clients asks by this name, so a demo user and an operator it is not.
        ("chat.example.com".to_owned(), 401, 401),
        (format!("rebound.example:{port}"), 403, 403),
        ("10.0.0.1".to_owned(), 403, 403),
    ] {
        let handshake = server.handshake().header("host", &host).basic("user-1", "password-1");
        let entrance = handshake.connect().await.map_or_else(|refused| refused.status.as_u16(), |_| 101);
        let login = [("Host", host.as_str()), ("Authorization", &basic("user-1", "password-1"))];
        let token = crate::support::http(server.address, "POST", "/auth/token", &login, "").await;
        assert_eq!((entrance, token.status), (entered, logged_in), "{host}");
        let metrics = crate::support::http(server.address, "GET", "/metrics", &login[..1], "").await;
        let ready = crate::support::http(server.address, "GET", "/ready", &login[..1], "").await;
        let seen = (metrics.status == 200, ready.json().get("store").is_some());
        assert_eq!(seen, (logged_in == 200, logged_in == 200), "{host}");
    }
}
