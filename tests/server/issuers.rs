//! Tokens of other issuers: which are accepted, what they mean, and how their keys are had.

use std::time::Duration;

use folkmoot::HubName;
use folkmoot::config::{Config, IssuerConfig, SigningAlgorithm};
use serde_json::{Value, json};

use crate::support::issuer::{AUDIENCE, Behaviour, Issuer, Key, key_set, token_of};
use crate::support::{Setup, TestServer, all_hubs, on_both_transports, text_to};

on_both_transports! {
    a_token_of_another_issuer_opens_a_hub_under_each_algorithm,
    a_token_that_proves_nothing_is_refused,
    a_public_key_is_no_shared_secret,
    the_configuration_says_what_the_claims_mean,
    a_token_of_another_issuer_opens_no_api_and_no_reserved_hub,
}

fn with_issuer(setup: Setup, issuer: IssuerConfig) -> Setup {
    setup.config(|config| config.auth.jwt.issuers.push(issuer))
}

/// The configuration of a server that runs, with a change.
async fn reload(server: &TestServer, config: Config) {
    let reloaded = server.run(|running| running.reload(config).map(drop)).await;
    reloaded.unwrap();
}

async fn a_token_of_another_issuer_opens_a_hub_under_each_algorithm(setup: Setup) {
    use SigningAlgorithm::*;
    let keys = [Key::rsa("rsa"), Key::p256("p256"), Key::p384("p384"), Key::ed25519("ed")];
    let issuer = Issuer::start(&keys.each_ref()).await;
    let mut config = issuer.config();
    config.algorithms = vec![RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDsa];
    let server = with_issuer(setup, config).start().await;
    let [rsa, p256, p384, ed] = &keys;
    for (key, algorithms) in [
        (rsa, &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        (p256, &["ES256"]),
        (p384, &["ES384"]),
        (ed, &["EdDSA"]),
    ] {
        for algorithm in algorithms {
            let token = issuer.token(key, algorithm);
            let mark = server.handshake().token(token).connect().await.unwrap();
            assert_eq!(mark.greeting["userId"], "mark", "{algorithm}");
            let unnamed = issuer.token(key, algorithm).header("kid", json!(null));
            server.handshake().token(unnamed).connect().await.unwrap();
        }
    }
    let bearer = format!("Bearer {}", issuer.token(ed, "EdDSA"));
    server.handshake().header("authorization", bearer).connect().await.unwrap();
    assert_eq!(issuer.times_asked(), 1);
}

async fn a_token_that_proves_nothing_is_refused(setup: Setup) {
    let (key, rsa, stranger) = (Key::ed25519("one"), Key::rsa("rsa"), Key::ed25519("one"));
    let issuer = Issuer::start(&[&key, &rsa]).await;
    // Where anybody may enter, too: a credential that is there and wrong never falls through.
    let server = with_issuer(setup, issuer.config()).hub("chat", |hub| hub.anonymous = true).start().await;
    let token = || issuer.token(&key, "EdDSA");
    server.handshake().token(token()).connect().await.unwrap();
    let unsigned = token().to_string();
    let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
    for (refused, status) in [
        (token().claim("iss", "https://login.example").to_string(), 401),
        (token().claim("iss", format!("{}/", issuer.name())).to_string(), 401),
        (token().claim("iss", json!(null)).to_string(), 401),
        (token().claim("aud", "another service").to_string(), 401),
        (token().claim("aud", format!("http://{}/client/hubs/chat", server.address)).to_string(), 401),
        (token().claim("aud", json!(null)).to_string(), 401),
        (token().claim("exp", json!(null)).to_string(), 401),
        (token().expires_in(-60).to_string(), 401),
        (token().claim("nbf", 4_000_000_000_u32).to_string(), 401),
        (token().claim("sub", json!(null)).to_string(), 400),
        (issuer.token(&stranger, "EdDSA").to_string(), 401),
        (token().header("kid", "two").to_string(), 401),
        // Its key cannot sign that way, and the issuer is not to.
        (token().header("alg", "ES256").to_string(), 401),
        (issuer.token(&rsa, "PS256").to_string(), 401),
        (token().header("crit", json!(["exp"])).to_string(), 401),
        (format!("{unsigned}."), 401),
        (unsigned.to_owned(), 401),
    ] {
        server.handshake().token(refused).refused(status).await;
    }
    // A clock may be somewhat off, and an audience may name one of several.
    let token = token().expires_in(-5).claim("aud", json!(["another service", AUDIENCE]));
    server.handshake().token(token).connect().await.unwrap();
}

async fn a_public_key_is_no_shared_secret(setup: Setup) {
    let (ed, rsa) = (Key::ed25519("ed"), Key::rsa("rsa"));
    let issuer = Issuer::start(&[&ed, &rsa]).await;
    let server = with_issuer(setup, issuer.config()).start().await;
    for key in [&ed, &rsa] {
        // Every form of the key that an attacker may try.
        for secret in [key.public_bytes().to_vec(), key.public().to_string().into_bytes()] {
            for algorithm in ["HS256", "HS384", "HS512"] {
                let mut token = server.token().signed_with_bytes(&secret);
                token.header = json!({"alg": algorithm, "kid": key.id});
                let foreign = token.clone().claim("iss", issuer.name()).claim("aud", AUDIENCE).claim("sub", "mark");
                server.handshake().token(token).refused(401).await;
                server.handshake().token(foreign).refused(401).await;
            }
        }
        let mut unsigned = issuer.token(key, if key.id == "ed" { "EdDSA" } else { "RS256" });
        unsigned.header["alg"] = "none".into();
        let unsigned = unsigned.to_string();
        let (without, _) = unsigned.rsplit_once('.').unwrap();
        server.handshake().token(format!("{without}.")).refused(401).await;
        server.handshake().token(&unsigned).refused(401).await;
    }
    // Ours go on beside them, whatever their `kid` and `iss` say.
    let mut ours = server.token().claim("iss", issuer.name());
    ours.header["kid"] = "ed".into();
    server.handshake().token(ours).connect().await.unwrap();
}

async fn the_configuration_says_what_the_claims_mean(setup: Setup) {
    let key = Key::ed25519("one");
    let issuer = Issuer::start(&[&key]).await;
    let mut config = issuer.config();
    config.user_claim = "preferred_username".into();
    config.user_prefix = "staff/".into();
    config.role_claim = Some("realm_access.roles".into());
    config.role_map.insert("writer".into(), vec!["webpubsub.sendToGroup".parse().unwrap()]);
    config.role_prefix = Some("folkmoot:".into());
    config.group_claim = Some("groups".into());
    for (field, claim) in [("username", "name"), ("department", "org.unit"), ("badge", "badge")] {
        config.data.insert(field.into(), claim.into());
    }
    let setup = setup.user("mark", |_| {}).hub("chat", |hub| hub.default_roles.clear());
    let server = with_issuer(setup, config).start().await;
    let token = issuer
        .token(&key, "EdDSA")
        .claim("preferred_username", "mark")
        .claim("name", "Mark")
        .claim("org", json!({"unit": "Sales"}))
        .claim("badge", json!({"no": 7}))
        .claim("salary", 70_000)
        .claim("groups", json!(["floor 2", ""]))
        .claim("role", "webpubsub.joinLeaveGroup")
        .claim("folkmoot.user", true)
        .claim("webpubsub.group", "not this one");
    let roles = |roles: Value| json!({"roles": roles});
    let token = token.claim("realm_access", roles(json!(["writer", "offline", "folkmoot:webpubsub.joinLeaveGroup.x"])));
    let mut mark = server.handshake().token(token).connect().await.unwrap();
    assert_eq!(mark.greeting["userId"], "staff/mark");
    assert_eq!(mark.greeting["groups"], json!(["Sales", "floor 2"]));
    let user = json!({"login": "staff/mark", "username": "Mark", "department": "Sales", "data": {"badge": {"no": 7}}});
    assert_eq!(mark.greeting["user"], user);
    mark.publish("anywhere", "hello").await;
    mark.join("x").await;
    let join = json!({"type": "joinGroup", "group": "y"});
    mark.ask_refused(join, "Forbidden").await;

    for (claim, value) in
        [("groups", json!("sales/*")), ("org", json!({"unit": "a*"})), ("realm_access", roles(json!(7)))]
    {
        let token = issuer.token(&key, "EdDSA").claim("preferred_username", "mark").claim(claim, value);
        server.handshake().token(token).refused(400).await;
    }
}

async fn a_token_of_another_issuer_opens_no_api_and_no_reserved_hub(setup: Setup) {
    let key = Key::ed25519("one");
    let issuer = Issuer::start(&[&key]).await;
    let mut config = issuer.config();
    config.hubs = all_hubs();
    config.role_claim = Some("roles".into());
    config.role_prefix = Some(String::new());
    let server = with_issuer(setup, config).user_with_roles("mark", &["folkmoot.admin"]).start().await;
    let own = |path: &str| format!("http://{}{path}", server.address);
    let token = || issuer.token(&key, "EdDSA").claim("roles", "folkmoot.admin").claim("folkmoot.user", true);
    for path in ["/api/hubs", "/api/hubs/chat/groups", "/metrics", "/auth/token"] {
        let audiences = json!([AUDIENCE, own(path), own("/api"), own("/auth/token")]);
        let bearer = format!("Bearer {}", token().claim("aud", audiences).claim("folkmoot.password", "x"));
        let far = ("X-Forwarded-For", "192.0.2.1");
        let method = if path == "/auth/token" { "POST" } else { "GET" };
        let answer = server.http(method, path, &[("Authorization", &bearer), far], "").await;
        assert_eq!(answer.status, 401, "{path}: {}", answer.body);
    }
    let reserved = server.handshake().path("/client/hubs/folkmoot.admin");
    reserved.token(token()).refused(403).await;
    server.handshake().path("/client/hubs/other").token(token()).connect().await.unwrap();
}

#[tokio::test]
async fn tokens_of_an_issuer_open_the_hubs_that_it_is_for() {
    let key = Key::ed25519("one");
    let (default, other) = (Issuer::start(&[&key]).await, Issuer::start(&[&key]).await);
    let mut for_other = other.config();
    for_other.hubs = folkmoot::users::HubAccess::Only(vec![HubName::parse("other").unwrap()]);
    let server = with_issuer(with_issuer(Setup::new(), default.config()), for_other).start().await;
    for (issuer, hub, enters) in
        [(&default, "chat", true), (&default, "other", false), (&other, "chat", false), (&other, "other", true)]
    {
        let handshake = server.handshake().path(format!("/client/hubs/{hub}")).token(issuer.token(&key, "EdDSA"));
        match enters {
            true => drop(handshake.connect().await.unwrap()),
            false => drop(handshake.refused(403).await),
        }
    }
    // The key of one is none of the other's.
    let stranger = Key::ed25519("one");
    default.tells(&[&stranger]);
    let forged = token_of(&other.name(), &stranger, "EdDSA");
    server.handshake().path("/client/hubs/other").token(forged).refused(401).await;
}

#[tokio::test]
async fn a_token_of_another_issuer_ends_its_connection_where_expiry_is_enforced() {
    let key = Key::ed25519("one");
    let issuer = Issuer::start(&[&key]).await;
    let server = with_issuer(Setup::new().hub("chat", |hub| hub.enforce_expiry = true), issuer.config()).start().await;
    let token = issuer.token(&key, "EdDSA").expires_in(1);
    let mut mark = server.handshake().token(token).connect().await.unwrap();
    mark.expect_close(1008, "expired").await;
}

#[tokio::test]
async fn a_new_key_works_with_the_first_token_that_names_it() {
    let (old, new) = (Key::ed25519("old"), Key::p256("new"));
    let issuer = Issuer::start(&[&old]).await;
    let mut config = issuer.config();
    config.cooldown = Duration::from_millis(100);
    let server = with_issuer(Setup::new(), config).start().await;
    server.handshake().token(issuer.token(&old, "EdDSA")).connect().await.unwrap();
    issuer.tells(&[&old, &new]);
    // Until the cooldown has passed since the start, the key is not asked for.
    let deadline = tokio::time::Instant::now() + crate::support::DEADLINE;
    while server.handshake().token(issuer.token(&new, "ES256")).connect().await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the new key is never asked for");
    }
    assert_eq!(issuer.times_asked(), 2);
    // One that is withdrawn counts until the next look.
    issuer.tells(&[&new]);
    server.handshake().token(issuer.token(&old, "EdDSA")).connect().await.unwrap();
    let third = Key::ed25519("third");
    while issuer.times_asked() < 3 {
        server.handshake().token(issuer.token(&third, "EdDSA")).refused(401).await;
        assert!(tokio::time::Instant::now() < deadline, "an unknown key is never asked for");
    }
    server.handshake().token(issuer.token(&old, "EdDSA")).refused(401).await;
    server.handshake().token(issuer.token(&new, "ES256")).connect().await.unwrap();
}

#[tokio::test]
async fn keys_are_asked_for_again_by_themselves() {
    let (old, new) = (Key::ed25519("old"), Key::ed25519("new"));
    let issuer = Issuer::start(&[&old]).await;
    let mut config = issuer.config();
    config.refresh = Duration::from_secs(1);
    let server = with_issuer(Setup::new(), config).start().await;
    issuer.asked_times(1).await;
    issuer.tells(&[&new]);
    issuer.asked_times(3).await;
    server.handshake().token(issuer.token(&new, "EdDSA")).connect().await.unwrap();
    server.handshake().token(issuer.token(&old, "EdDSA")).refused(401).await;
}

#[tokio::test]
async fn known_keys_count_while_their_issuer_is_down() {
    let (key, other) = (Key::ed25519("one"), Key::ed25519("two"));
    for behaviour in [
        Behaviour::Fails("500 Internal Server Error"),
        Behaviour::Fails("302 Found\r\nLocation: http://127.0.0.1:1/"),
        Behaviour::Answers("<html>".to_owned()),
        Behaviour::Answers(format!("{{\"keys\":[], \"x\": \"{}\"}}", "x".repeat(300 * 1024))),
    ] {
        let issuer = Issuer::start(&[&key]).await;
        let mut config = issuer.config();
        config.cooldown = Duration::from_millis(100);
        let server = with_issuer(Setup::new(), config).start().await;
        server.handshake().token(issuer.token(&key, "EdDSA")).connect().await.unwrap();
        issuer.behaves(behaviour.clone());
        let deadline = tokio::time::Instant::now() + crate::support::DEADLINE;
        while server.metric("folkmoot_key_sets_stale").await < 1.0 {
            server.handshake().token(issuer.token(&other, "EdDSA")).refused(401).await;
            assert!(tokio::time::Instant::now() < deadline, "{behaviour:?} is no failure");
        }
        assert!(server.metric("folkmoot_key_set_refresh_failures_total").await >= 1.0);
        server.handshake().token(issuer.token(&key, "EdDSA")).connect().await.unwrap();
        // It is asked again and again, and found to be well.
        issuer.tells(&[&key, &other]);
        server.metric_becomes("folkmoot_key_sets_stale", 0.0).await;
        server.handshake().token(issuer.token(&other, "EdDSA")).connect().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_starts_without_an_issuer_and_knows_it_when_it_comes() {
    let key = Key::ed25519("one");
    let issuer = Issuer::start(&[&key]).await;
    issuer.behaves(Behaviour::Fails("503 Service Unavailable"));
    let server = with_issuer(Setup::new(), issuer.config()).start().await;
    server.demo(1).await;
    let refused = server.handshake().token(issuer.token(&key, "EdDSA")).refused(503).await;
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    issuer.tells(&[&key]);
    server.metric_becomes("folkmoot_key_sets_stale", 0.0).await;
    server.handshake().token(issuer.token(&key, "EdDSA")).connect().await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_is_silent_holds_up_nobody_for_long() {
    let key = Key::ed25519("one");
    let issuer = Issuer::start(&[&key]).await;
    issuer.behaves(Behaviour::IsSilent);
    let server = with_issuer(Setup::new(), issuer.config()).start().await;
    let waiting = server.handshake().token(issuer.token(&key, "EdDSA")).refused(503);
    let others = async {
        issuer.asked_times(1).await;
        server.demo(1).await;
        server.handshake().token(server.token()).connect().await.unwrap();
    };
    tokio::join!(waiting, others);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_makes_one_request() {
    let key = Key::ed25519("one");
    let issuer = Issuer::start(&[&key]).await;
    let mut config = issuer.config();
    config.cooldown = Duration::from_secs(3600);
    let server = with_issuer(Setup::new(), config).start().await;
    server.handshake().token(issuer.token(&key, "EdDSA")).connect().await.unwrap();
    let forged = (0..50).map(|number| {
        let token = issuer.token(&key, "EdDSA").header("kid", format!("forged {number}"));
        server.handshake().token(token.to_string().replace(' ', "%20")).refused(401)
    });
    futures_util::future::join_all(forged).await;
    assert_eq!(issuer.times_asked(), 1);
}

#[tokio::test]
async fn handshakes_that_wait_for_a_key_share_one_request() {
    let key = Key::ed25519("one");
    let issuer = Issuer::start(&[&key]).await;
    let mut config = issuer.config();
    config.cooldown = Duration::from_millis(100);
    let server = with_issuer(Setup::new(), config).start().await;
    server.handshake().token(issuer.token(&key, "EdDSA")).connect().await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    issuer.behaves(Behaviour::IsSilent);
    let forged = (0..20).map(|number| {
        server.handshake().token(issuer.token(&key, "EdDSA").header("kid", number.to_string())).refused(401)
    });
    let genuine = async {
        issuer.asked_times(2).await;
        server.handshake().token(issuer.token(&key, "EdDSA")).connect().await.unwrap();
    };
    tokio::join!(futures_util::future::join_all(forged), genuine);
    // The one that was silent, and perhaps the one after it.
    assert!(issuer.times_asked() <= 3, "{}", issuer.times_asked());
}

#[tokio::test]
async fn keys_may_lie_in_a_file_which_a_reload_reads_again() {
    let (old, new) = (Key::ed25519("old"), Key::ed25519("new"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    std::fs::write(&file, key_set(&[&old])).unwrap();
    let mut issuer = IssuerConfig::new("https://login.example", file.to_str().unwrap().parse().unwrap(), AUDIENCE);
    issuer.cooldown = Duration::from_secs(3600);
    let mut config = None;
    let server = with_issuer(Setup::new(), issuer).config(|all| config = Some(all.clone())).start().await;
    let config = config.unwrap();
    let token = |key| token_of("https://login.example", key, "EdDSA");
    server.handshake().token(token(&old)).connect().await.unwrap();
    server.handshake().token(token(&new)).refused(401).await;

    std::fs::write(&file, key_set(&[&new])).unwrap();
    reload(&server, config.clone()).await;
    server.metric_becomes("folkmoot_key_set_refreshes_total", 1.0).await;
    server.handshake().token(token(&new)).connect().await.unwrap();
    server.handshake().token(token(&old)).refused(401).await;

    // One that is broken meanwhile takes nothing away.
    std::fs::write(&file, "broken").unwrap();
    reload(&server, config.clone()).await;
    server.metric_becomes("folkmoot_key_sets_stale", 1.0).await;
    server.handshake().token(token(&new)).connect().await.unwrap();

    // An issuer that is listed no more is believed no more.
    let mut without = config;
    without.auth.jwt.issuers.clear();
    reload(&server, without).await;
    server.handshake().token(token(&new)).refused(401).await;
    server.metric_becomes("folkmoot_key_sets_stale", 0.0).await;
}

#[tokio::test]
async fn an_issuer_is_added_to_a_server_that_runs() {
    let key = Key::ed25519("one");
    let issuer = Issuer::start(&[&key]).await;
    let mut config = None;
    let server = Setup::new().config(|all| config = Some(all.clone())).start().await;
    server.handshake().token(issuer.token(&key, "EdDSA")).refused(401).await;
    let mut config = config.unwrap();
    config.auth.jwt.issuers.push(issuer.config());
    reload(&server, config).await;
    let mut mark = server.handshake().token(issuer.token(&key, "EdDSA")).connect().await.unwrap();
    // The hub's default roles are for users of the store.
    mark.ask_refused(text_to("Sales", "hello"), "Forbidden").await;
}
