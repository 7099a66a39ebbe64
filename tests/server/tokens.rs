//! Tokens: signed by a back end, or given by `/auth/token`.

use folkmoot::UserId;
use serde_json::json;

use crate::support::{PASSWORD, Setup, all_hubs, basic, on_both_transports, text_to};

on_both_transports! {
    a_tokens_claims_are_the_connections_user_data,
    a_token_may_come_as_a_bearer_header_and_the_query_wins,
    a_token_that_proves_nothing_is_refused,
    a_token_is_made_out_to_any_name_that_the_server_goes_by,
    a_name_that_nobody_vouches_for_is_no_audience,
    a_join_rule_whose_value_is_a_mask_is_refused,
    a_token_never_touches_the_store_even_when_its_subject_is_a_login,
    a_connection_is_closed_when_its_token_expires_in_a_hub_that_enforces_it,
    a_login_is_exchanged_for_a_token_of_the_store_user,
    a_token_of_a_store_user_who_is_disabled_is_refused,
}

async fn a_tokens_claims_are_the_connections_user_data(setup: Setup) {
    let server = setup.start().await;
    let token = server.token().claim("sub", "bob").claim("username", "Bob").claim("department", "workshop");
    let token = token.claim("age", 30).claim("badge", json!({"no": 7})).claim("webpubsub.group", json!(["b", "", "a"]));
    let bob = server.handshake().token(token).connect().await.unwrap();
    assert_eq!(bob.greeting["userId"], "bob");
    assert_eq!(bob.greeting["groups"], json!(["workshop", "b", "a"]));
    let user = json!({"login": "bob", "username": "Bob", "department": "workshop", "age": 30,
        "data": {"badge": {"no": 7}}});
    assert_eq!(bob.greeting["user"], user);
    let nobody = server.handshake().token(server.token()).connect().await.unwrap();
    assert_eq!(nobody.greeting["userId"], json!(null));
}

async fn a_token_may_come_as_a_bearer_header_and_the_query_wins(setup: Setup) {
    let server = setup.start().await;
    let bearer = |sub: &str| format!("Bearer {}", server.token().claim("sub", sub));
    let bob = server.handshake().header("authorization", bearer("bob")).connect().await.unwrap();
    assert_eq!(bob.greeting["userId"], "bob");
    let eve = server.handshake().header("authorization", bearer("bob")).token(server.token().claim("sub", "eve"));
    assert_eq!(eve.connect().await.unwrap().greeting["userId"], "eve");
    server.handshake().header("authorization", bearer("bob")).token("wrong").refused(401).await;
    server.handshake().basic("user-1", "password-1").token("wrong").refused(401).await;
}

async fn a_token_that_proves_nothing_is_refused(setup: Setup) {
    // Where anybody may enter, too: a credential that is there and wrong never falls through.
    let server = setup.hub("chat", |hub| hub.anonymous = true).start().await;
    let token = || server.token();
    let mut unsigned = token();
    unsigned.header["alg"] = "none".into();
    let unsigned = unsigned.to_string();
    let mut other_algorithm = token();
    other_algorithm.header["alg"] = "HS512".into();
    for refused in [
        token().expires_in(-60).to_string(),
        token().claim("exp", json!(null)).to_string(),
        token().claim("nbf", 4_000_000_000_u32).to_string(),
        token().claim("aud", "http://elsewhere.example/client/hubs/chat").to_string(),
        token().claim("aud", json!(null)).to_string(),
        server.token_for("other").to_string(),
        token().signed_with("another key, which is as long as the real one").to_string(),
        other_algorithm.to_string(),
        format!("{}.", unsigned.rsplit_once('.').unwrap().0),
        unsigned,
        "".into(),
        "x".into(),
        "..".into(),
    ] {
        server.handshake().token(refused).refused(401).await;
    }
    // A clock may be somewhat off, and an audience may name one of several.
    let token = token().expires_in(-5).claim("aud", json!(["urn:other", token().claims["aud"]]));
    server.handshake().token(token).connect().await.unwrap();
}

async fn a_token_is_made_out_to_any_name_that_the_server_goes_by(setup: Setup) {
    let setup = setup.config(|config| {
        config.server.public_urls = vec!["https://chat.example.com/base".parse().unwrap()];
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let server = setup.start().await;
    let made_out_to = |aud: &str| server.handshake().token(server.token().claim("aud", aud));
    // SDKs make tokens out to the endpoint of their connection string, in its own spelling.
    for aud in [
        "https://chat.example.com/base/client/hubs/chat",
        "http://chat.example.com:80/base/client/hubs/chat",
        "wss://CHAT.example.com/base/client/hubs/Chat",
        &format!("https://{}/client/hubs/chat", server.address),
    ] {
        made_out_to(aud).connect().await.unwrap();
    }
    let proxied = made_out_to("https://outside.example/client/hubs/chat");
    proxied.clone().header("x-forwarded-host", "outside.example").connect().await.unwrap();
    proxied.clone().header("forwarded", "for=192.0.2.1;host=outside.example;proto=https").connect().await.unwrap();
    proxied.refused(401).await;
    made_out_to("https://chat.example.com/client/hubs/chat").refused(401).await;
}

async fn a_name_that_nobody_vouches_for_is_no_audience(setup: Setup) {
    let server = setup.start().await;
    for header in [("x-forwarded-host", "outside.example"), ("forwarded", "host=outside.example")] {
        let token = server.token().claim("aud", "https://outside.example/client/hubs/chat");
        server.handshake().token(token).header(header.0, header.1).refused(401).await;
    }
}

async fn a_join_rule_whose_value_is_a_mask_is_refused(setup: Setup) {
    let server = setup.start().await;
    for claim in ["department", "webpubsub.group"] {
        for value in ["sales/*", "a?", "[ab]", "line\nbreak"] {
            server.handshake().token(server.token().claim(claim, value)).refused(400).await;
        }
        let empty = server.handshake().token(server.token().claim(claim, "")).connect().await.unwrap();
        assert_eq!(empty.greeting["groups"], json!([]));
    }
    let ill_typed = server.token().claim("webpubsub.group", json!([7]));
    server.handshake().token(ill_typed).refused(400).await;
}

async fn a_token_never_touches_the_store_even_when_its_subject_is_a_login(setup: Setup) {
    let server = setup.user("gone", |user| user.disabled = true).start().await;
    let mut mark = server.handshake().token(server.token().claim("sub", "user-1")).connect().await.unwrap();
    assert_eq!(mark.greeting["user"], json!({"login": "user-1"}));
    assert_eq!(mark.greeting["groups"], json!([]));
    mark.ask_refused(text_to("Sales", "hello"), "Forbidden").await;
    server.handshake().token(server.token().claim("sub", "gone")).connect().await.unwrap();
}

async fn a_connection_is_closed_when_its_token_expires_in_a_hub_that_enforces_it(setup: Setup) {
    let server = setup.hub("strict", |hub| hub.enforce_expiry = true).start().await;
    let connect = |hub: &str| {
        let token = server.token_for(hub).expires_in(1).claim("role", "webpubsub.sendToGroup");
        server.handshake().path(format!("/client/hubs/{hub}")).token(token).connect()
    };
    let (mut lax, mut strict) = (connect("chat").await.unwrap(), connect("strict").await.unwrap());
    strict.expect_close(1008, "expired").await;
    lax.publish("still", "here").await;
}

async fn a_login_is_exchanged_for_a_token_of_the_store_user(setup: Setup) {
    let server = setup.start().await;
    let login = ("Authorization", basic("user-1", "password-1"));
    let by_header = server.http("POST", "/auth/token", &[(login.0, &login.1)], "").await;
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let by_form = server.http("POST", "/auth/token", &[form], "login=user-1&password=password-1").await;
    for answer in [by_header, by_form] {
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", answer.body);
        let answer = answer.json();
        assert!(answer["expiresAt"].as_u64().is_some());
        let prefix = format!("ws://{}", server.address);
        let path = answer["url"].as_str().unwrap().strip_prefix(&prefix).unwrap();
        let mut mark = server.handshake().path(path).connect().await.unwrap();
        // All of it comes from the store: who he is, his groups, the hub's default roles.
        assert_eq!(mark.greeting["user"]["phone"], "+55431588744134");
        assert_eq!(mark.greeting["groups"], json!(["Sales"]));
        mark.join("anywhere").await;
        let token = answer["token"].as_str().unwrap();
        server.handshake().header("authorization", format!("Bearer {token}")).connect().await.unwrap();
        // It is for that hub, and for nothing else.
        server.handshake().path("/client/hubs/other").token(token).refused(401).await;
    }
    for (headers, body) in [
        (vec![("Authorization", basic("user-1", "wrong"))], ""),
        (vec![(form.0, form.1.to_owned())], "login=user-1&password=wrong"),
        (vec![(form.0, form.1.to_owned())], "login=user-1"),
        (vec![], "login=user-1&password=password-1"),
        (vec![], ""),
        // A wrong credential is no reason to look at the next one.
        (
            vec![("Authorization", "Bearer x".to_owned()), (form.0, form.1.to_owned())],
            "login=user-1&password=password-1",
        ),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = server.http("POST", "/auth/token", &headers, body).await;
        assert_eq!(answer.status, 401, "{headers:?} {body}");
        assert!(answer.header("www-authenticate").is_some());
    }
}

async fn a_token_of_a_store_user_who_is_disabled_is_refused(setup: Setup) {
    let server = setup.start().await;
    let answer = server.http("POST", "/auth/token", &[("Authorization", &basic("user-1", "password-1"))], "").await;
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    server.handshake().token(&token).connect().await.unwrap();
    let mark = UserId::parse("user-1").unwrap();
    server.store.set_disabled(&mark, true).await.unwrap();
    server.handshake().token(&token).refused(401).await;
    server.store.remove(&mark).await.unwrap();
    server.handshake().token(&token).refused(401).await;
}

#[tokio::test]
async fn a_login_asks_for_the_token_of_a_hub_that_it_may_enter() {
    let setup = Setup::new().user("insider", |user| user.hubs = all_hubs());
    let server = setup.hub("other", |_| {}).start().await;
    let ask = async |login: &str, password: &str, hub: &str| {
        let login = basic(login, password);
        server.http("POST", &format!("/auth/token?hub={hub}"), &[("Authorization", &login)], "").await
    };
    let answer = ask("insider", PASSWORD, "Other").await.json();
    let token = answer["token"].as_str().unwrap();
    server.handshake().path("/client/hubs/other").token(token).connect().await.unwrap();
    server.handshake().token(token).refused(401).await;
    assert_eq!(ask("user-1", "password-1", "other").await.status, 403);
    assert_eq!(ask("insider", PASSWORD, "no%20hub").await.status, 400);
}

#[tokio::test]
async fn while_keys_rotate_tokens_under_both_are_accepted_and_the_first_signs() {
    let new_key = "the key that comes after the one before it";
    let setup = Setup::new().config(|config| config.auth.access_keys.insert(0, new_key.parse().unwrap()));
    let server = setup.start().await;
    server.handshake().token(server.token()).connect().await.unwrap();
    server.handshake().token(server.token().signed_with(new_key)).connect().await.unwrap();
    let answer = server.http("POST", "/auth/token", &[("Authorization", &basic("user-1", "password-1"))], "").await;
    let issued = answer.json()["token"].as_str().unwrap().to_owned();
    drop(server);
    let only_new = Setup::new().config(|config| config.auth.access_keys = vec![new_key.parse().unwrap()]);
    let server = only_new.start().await;
    server.handshake().token(server.token()).refused(401).await;
    // Made for another port, so only the audience is wrong: the signature is looked at first.
    let refused = server.handshake().token(issued).refused(401).await;
    assert!(!refused.body.contains("signed"), "{}", refused.body);
}

#[tokio::test]
async fn samples_of_sdks_get_their_token_from_negotiate() {
    let server = Setup::new().start().await;
    let login = basic("user-1", "password-1");
    let (login, form) = (("Authorization", &*login), ("Content-Type", "application/x-www-form-urlencoded"));
    let fields = "login=user-1&password=password-1";
    for (method, header, body) in [("GET", login, ""), ("POST", login, ""), ("POST", form, fields)] {
        let answer = server.http(method, "/negotiate?hub=chat", &[header], body).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", answer.body);
        let answer = answer.json();
        let token = answer["token"].as_str().unwrap();
        let url = format!("ws://{}/client/hubs/chat?access_token={token}", server.address);
        assert_eq!(answer["url"], url);
        assert!(answer["expiresAt"].is_u64());
        server.handshake().path("/client/hubs/chat").token(token).connect().await.unwrap();
    }

    // A password in a URL ends in logs, and the body of a GET means nothing.
    for (method, path, headers, body) in [
        ("GET", format!("/negotiate?hub=chat&{fields}"), vec![], ""),
        ("GET", "/negotiate".to_owned(), vec![form], fields),
        ("GET", "/negotiate".to_owned(), vec![("Authorization", "Bearer x")], ""),
        ("POST", format!("/negotiate?hub=chat&{fields}"), vec![], ""),
    ] {
        assert_eq!(server.http(method, &path, &headers, body).await.status, 401, "{method} {path}");
    }
    assert_eq!(server.http("DELETE", "/negotiate", &[login], "").await.status, 405);
}

#[tokio::test]
async fn a_session_is_renewed_at_negotiate() {
    let server = Setup::new().start().await;
    let login = basic("user-1", "password-1");
    let begun = server.http("POST", "/negotiate?refresh=true", &[("Authorization", &login)], "").await.json();
    let bearer = format!("Bearer {}", begun["refreshToken"].as_str().unwrap());
    let renewed = server.http("GET", "/negotiate?hub=chat", &[("Authorization", &bearer)], "").await;
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    server.handshake().token(renewed.json()["token"].as_str().unwrap()).connect().await.unwrap();
}

#[tokio::test]
async fn negotiate_has_the_rules_of_a_login_on_origin_host_and_failures() {
    let server = Setup::new()
        .config(|config| {
            config.server.origins = vec!["https://app.example.com".parse().unwrap()];
            config.auth.failures.address_per_minute = 2;
        })
        .start()
        .await;
    let login = ("Authorization", &*basic("user-1", "password-1"));
    let from = |origin| [login, ("Origin", origin)];
    let own = server.http("GET", "/negotiate", &from("https://app.example.com"), "").await;
    assert_eq!(own.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(server.http("GET", "/negotiate", &from("https://evil.example"), "").await.status, 403);
    let asked = server.http("OPTIONS", "/negotiate", &[("Origin", "https://app.example.com")], "").await;
    assert_eq!((asked.status, asked.header("access-control-allow-methods")), (204, Some("GET, POST")));
    let wrong = basic("user-1", "wrong");
    for status in [401, 401, 429] {
        assert_eq!(server.http("GET", "/negotiate", &[("Authorization", &wrong)], "").await.status, status);
    }
}
