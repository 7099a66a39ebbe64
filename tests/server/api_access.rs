//! Who may use the HTTP API, and who may not.

use folkmoot::config::Config;
use folkmoot::{Server, UserId};
use serde_json::json;

use crate::support::{PASSWORD, Setup, TEXT, TestServer, basic, on_both_transports};

on_both_transports! {
    the_api_is_opened_by_a_token_for_the_request_and_by_nothing_else,
    a_user_may_do_in_the_api_what_their_roles_say_now,
    a_user_with_every_other_role_is_not_let_in,
    pages_of_other_sites_do_not_reach_the_api,
    what_is_for_operators_is_open_to_their_tokens,
}

const HUBS: &str = "/api/hubs";
const SEND: &str = "/api/hubs/chat/groups/a/:send";

async fn the_api_is_opened_by_a_token_for_the_request_and_by_nothing_else(setup: Setup) {
    let server = setup.user_with_roles("root", &["folkmoot.admin"]).start().await;
    let ask = async |token: String| server.api_as(&token, "GET", HUBS, &[], "").await;
    for good in [
        server.api_token("/api/hubs"),
        server.api_token("/api/hubs?api-version=2024-12-01"),
        server.api_token("/api/%68ubs"),
        server.api_token(HUBS).claim("aud", format!("wss://{}/api/hubs", server.address)),
        server.api_token(HUBS).claim("aud", json!(["x", format!("http://{}/api/hubs", server.address)])),
    ] {
        assert_eq!(ask(good.to_string()).await.status, 200, "{}", good.claims);
    }
    let mut unsigned = server.api_token(HUBS);
    unsigned.header = json!({"alg": "none", "typ": "JWT"});
    let none = unsigned.to_string();
    let mut other_algorithm = server.api_token(HUBS);
    other_algorithm.header = json!({"alg": "HS512", "typ": "JWT"});
    for bad in [
        unsigned.to_string(),
        format!("{}.", none.rsplit_once('.').unwrap().0),
        other_algorithm.to_string(),
        server.api_token(HUBS).expires_in(-60).to_string(),
        server.api_token(HUBS).signed_with("a key that the server has never heard of").to_string(),
        server.api_token("/api/hubs/chat/groups").to_string(),
        server.api_token("/api").to_string(),
        server.api_token("/client/hubs/chat").to_string(),
        // One that names both is a client's.
        server
            .api_token(HUBS)
            .claim(
                "aud",
                json!([
                    format!("http://{0}/api/hubs", server.address),
                    format!("http://{0}/client/hubs/chat", server.address)
                ]),
            )
            .to_string(),
        server.api_token(HUBS).claim("aud", "http://evil.example/api/hubs").to_string(),
        server
            .api_token(HUBS)
            .claim("iss", "https://login.example")
            .signed_with("another issuer's key, long enough")
            .to_string(),
        "x".to_owned(),
        String::new(),
    ] {
        let answer = ask(bad.clone()).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{bad}");
        assert_eq!(answer.header("x-ms-error-code"), Some("Error.Unauthorized"));
        assert_eq!(answer.json()["code"], "Error.Unauthorized");
        assert!(answer.json()["message"].is_string());
    }
    for credential in [basic("root", PASSWORD), "Digest x".to_owned()] {
        let answer = server.http("GET", HUBS, &[("Authorization", &credential)], "").await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{credential}");
    }
    assert_eq!(server.http("GET", HUBS, &[], "").await.status, 401);
    // Nor does a token count that stands in a URL.
    let path = format!("/api/hubs?access_token={}", server.api_token(HUBS));
    assert_eq!(server.http("GET", &path, &[], "").await.status, 401);
}

async fn a_user_may_do_in_the_api_what_their_roles_say_now(setup: Setup) {
    let setup = setup.user_with_roles("root", &["folkmoot.admin"]);
    let server = setup.user_with_roles("reader", &["folkmoot.admin.read"]).start().await;
    let (root, reader) = (server.operator("root").await, server.operator("reader").await);
    let get = async |token: &str| server.api_as(token, "GET", HUBS, &[], "").await.status;
    let send = async |token: &str| server.api_as(token, "POST", SEND, &[TEXT], "x").await;
    assert_eq!((get(&root).await, send(&root).await.status), (200, 202));
    assert_eq!(get(&reader).await, 200);
    let refused = send(&reader).await;
    assert_eq!((refused.status, refused.header("x-ms-error-code")), (403, Some("Error.Forbidden")));
    for (method, path) in [
        ("DELETE", "/api/hubs/chat/connections/x"),
        ("PUT", "/api/hubs/chat/users/u/groups/g"),
        ("POST", "/api/hubs/chat/:closeConnections"),
    ] {
        assert_eq!(server.api_as(&reader, method, path, &[], "").await.status, 403, "{method} {path}");
    }
    assert_eq!(server.api_as(&reader, "HEAD", "/api/hubs/chat/users/u", &[], "").await.status, 404);

    let (admin, other) = (UserId::parse("root").unwrap(), UserId::parse("reader").unwrap());
    server.store.set_disabled(&other, true).await.unwrap();
    assert_eq!(get(&reader).await, 401);
    let mut record = server.store.find(&admin).await.unwrap().unwrap().record;
    record.roles = vec!["folkmoot.admin.read".parse().unwrap()];
    server.store.update(&record).await.unwrap();
    assert_eq!((get(&root).await, send(&root).await.status), (200, 403));
    record.roles = vec!["chat:folkmoot.admin".parse().unwrap()];
    server.store.update(&record).await.unwrap();
    assert_eq!(get(&root).await, 403);
}

async fn a_user_with_every_other_role_is_not_let_in(setup: Setup) {
    let roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup", "folkmoot.listMembers", "folkmoot.listGroups"];
    let server = setup.user_with_roles("member", &roles).user("nobody", |_| {}).start().await;
    for login in ["member", "nobody"] {
        // Only the key signs such a token, as the server gives it to nobody without the role.
        let token = server.api_token("/api").claim("sub", login).claim("folkmoot.user", true).to_string();
        for (method, path) in
            [("GET", HUBS), ("GET", "/api/server/overview"), ("GET", "/api/server/config"), ("POST", SEND)]
        {
            let answer = server.api_as(&token, method, path, &[], "").await;
            assert_eq!((answer.status, answer.header("x-ms-error-code")), (403, Some("Error.Forbidden")), "{path}");
        }
        let login = basic(login, PASSWORD);
        let answer = server.http("POST", "/auth/token?audience=api", &[("Authorization", &login)], "").await;
        assert_eq!(answer.status, 403);
    }
}

async fn pages_of_other_sites_do_not_reach_the_api(setup: Setup) {
    let setup = setup.config(|config| config.server.origins = vec!["https://ops.example".parse().unwrap()]);
    let server = setup.start().await;
    let ask = async |headers: &[(&str, &str)]| {
        let token = server.api_token(HUBS).to_string();
        server.api_as(&token, "GET", HUBS, headers, "").await
    };
    let own = format!("http://{}", server.address);
    assert_eq!(ask(&[("Origin", &own)]).await.status, 200);
    for foreign in ["https://evil.example", "null"] {
        let answer = ask(&[("Origin", foreign)]).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{foreign}");
    }
    let listed = ask(&[("Origin", "https://ops.example")]).await;
    assert_eq!((listed.status, listed.header("access-control-allow-origin")), (200, Some("https://ops.example")));
    let preflight = server.http("OPTIONS", HUBS, &[("Origin", "https://ops.example")], "").await;
    assert_eq!(preflight.status, 204);
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("DELETE"));
    let preflight = server.http("OPTIONS", HUBS, &[("Origin", "https://evil.example")], "").await;
    assert_eq!(preflight.header("access-control-allow-methods"), None);
    // A name of an attacker that means this machine.
    let token = format!("Bearer {}", server.api_token(HUBS).claim("aud", "http://evil.example/api/hubs"));
    let headers = [("Host", "evil.example"), ("Authorization", token.as_str())];
    assert_eq!(crate::support::http(server.address, "GET", HUBS, &headers, "").await.status, 403);
}

async fn what_is_for_operators_is_open_to_their_tokens(setup: Setup) {
    let setup = setup.user_with_roles("reader", &["folkmoot.admin.read"]);
    let server = setup.user_with_roles("member", &["webpubsub.sendToGroup"]).start().await;
    let reader = server.operator("reader").await;
    let member = server.api_token("/api").claim("sub", "member").claim("folkmoot.user", true).to_string();
    // Behind a proxy nobody is local.
    let far = ("X-Forwarded-For", "192.0.2.1");
    let metrics = async |token: &str| server.api_as(token, "GET", "/metrics", &[far], "").await;
    assert_eq!(metrics(&reader).await.status, 200);
    assert_eq!(metrics(&server.api_token("/metrics").to_string()).await.status, 200);
    assert_eq!(metrics(&member).await.status, 403);
    let refused = metrics(&server.token().to_string()).await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(server.http("GET", "/metrics", &[far], "").await.status, 401);
    let ready = async |token: &str| server.api_as(token, "GET", "/ready", &[far], "").await.json();
    assert_eq!(ready(&reader).await["store"], true);
    assert_eq!(ready(&member).await, json!({"ready": true}));
}

#[tokio::test]
async fn without_a_store_only_the_access_key_opens_the_api() {
    let setup = Setup::new();
    let server: TestServer = setup.start_with(|config: Config| Server::new(config).without_store()).await;
    assert_eq!(server.api("GET", HUBS, &[], "").await.status, 200);
    let user = server.api_token("/api").claim("sub", "root").claim("folkmoot.user", true).to_string();
    assert_eq!(server.api_as(&user, "GET", HUBS, &[], "").await.status, 401);
}
