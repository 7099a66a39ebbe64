//! Logging in with HTTP Basic, and those who cannot.

use std::time::Duration;

use folkmoot::config::Config;
use folkmoot::users::hash_password;
use folkmoot::{Authentication, Hooks, Identity, LoginAttempt, Server, User, UserId};
use serde_json::json;

use crate::support::{PASSWORD, Setup, Wire, basic, group, handshake_of, on_both_transports};

on_both_transports! {
    a_wrong_password_and_an_unknown_user_are_answered_alike,
    a_disabled_user_cannot_log_in,
    a_connection_of_a_user_who_is_disabled_is_closed,
    a_connection_of_a_user_who_is_removed_is_closed,
    passwords_with_colons_and_other_scripts_work,
    a_malformed_authorization_is_refused_even_where_anybody_may_enter,
    an_anonymous_client_enters_only_where_the_hub_allows_it,
    an_authenticate_hook_decides_before_the_store,
}

async fn a_wrong_password_and_an_unknown_user_are_answered_alike(setup: Setup) {
    let server = setup.start().await;
    let valid = basic("user-1", "password-1");
    let ask = async |login: &str, password: &str| {
        let request = handshake_of(server.address).replace(&valid, &basic(login, password));
        Wire::refused(server.address, &request).await
    };
    let (wrong, unknown) = (ask("user-1", "password-x").await, ask("nobody", "password-1").await);
    assert_eq!((wrong.status, unknown.status), (401, 401));
    assert_eq!(wrong.json(), unknown.json());
    assert_eq!(wrong.header("www-authenticate"), unknown.header("www-authenticate"));
    let none = server.handshake().refused(401).await;
    assert!(none.headers.contains_key("www-authenticate"));
    assert_eq!(server.metric("folkmoot_auth_failures_total").await, 2.0);
}

async fn a_disabled_user_cannot_log_in(setup: Setup) {
    let server = setup.user("gone", |user| user.disabled = true).start().await;
    server.handshake().basic("gone", PASSWORD).refused(401).await;
    server.store.set_disabled(&UserId::parse("gone").unwrap(), false).await.unwrap();
    server.user("gone").await;
}

fn looking_often(config: &mut Config) {
    config.users.revision_interval = Duration::from_millis(20);
}

async fn a_connection_of_a_user_who_is_disabled_is_closed(setup: Setup) {
    let server = setup.announcing().config(looking_often).start().await;
    let mut anna = server.demo(2).await;
    anna.join("Sales").await;
    for group in ["sales/europe", "Sales"] {
        anna.expect_message(group, "Anna has logged in.").await;
    }
    let (mut mark, mut phone) = (server.demo(1).await, server.raw(1).await);
    for _ in 0..2 {
        anna.expect_message("Sales", "Mark has logged in.").await;
    }
    mark.drain().await;
    server.store.set_disabled(&UserId::parse("user-1").unwrap(), true).await.unwrap();
    mark.expect_close(1008, "disabled").await;
    // A raw client hears the announcements, too.
    while !phone.hears_close(1008).await {}
    for _ in 0..2 {
        let left = anna.expect_message("Sales", "Mark has disconnected.").await;
        assert_eq!(left["announcement"]["reason"], "kicked");
    }
    server.handshake().basic("user-1", "password-1").refused(401).await;
    anna.expect_silence().await;
}

async fn a_connection_of_a_user_who_is_removed_is_closed(setup: Setup) {
    let server = setup.config(looking_often).start().await;
    let mut mark = server.demo(1).await;
    server.store.remove(&UserId::parse("user-1").unwrap()).await.unwrap();
    mark.expect_close(1008, "removed").await;
    server.handshake().basic("user-1", "password-1").refused(401).await;
}

async fn passwords_with_colons_and_other_scripts_work(setup: Setup) {
    let server = setup.user("zoé", |_| {}).start().await;
    let login = UserId::parse("zoé").unwrap();
    for password in ["with: colons: in it", "пароль 密码 🦀"] {
        server.store.set_password(&login, &hash_password(password).unwrap()).await.unwrap();
        let zoe = server.connect("zoé", password).await;
        assert_eq!(zoe.greeting["userId"], "zoé");
    }
}

async fn a_malformed_authorization_is_refused_even_where_anybody_may_enter(setup: Setup) {
    let server = setup.hub("chat", |hub| hub.anonymous = true).start().await;
    for value in ["Basic", "Basic ", "Basic ?", "Basic dXNlcg==", "Basic /w==", "Digest x", "", "Bearer", "Bearer x"] {
        server.handshake().header("authorization", value).refused(401).await;
    }
    server.handshake().basic("user-1", "wrong").refused(401).await;
    server.handshake().connect().await.unwrap();
}

async fn an_anonymous_client_enters_only_where_the_hub_allows_it(setup: Setup) {
    let server = setup.hub("lobby", |hub| hub.anonymous = true).start().await;
    server.handshake().refused(401).await;
    let mut guest = server.handshake().path("/client/hubs/lobby").connect().await.unwrap();
    assert_eq!(guest.greeting["userId"], json!(null));
    assert_eq!(guest.greeting.get("user"), None);
    guest.ask_refused(json!({"type": "joinGroup", "group": "a"}), "Forbidden").await;
}

/// Knows one user of its own, bars another, and leaves the rest to the store.
struct Doorman;

impl Hooks<User> for Doorman {
    async fn authenticate(&self, attempt: &LoginAttempt) -> Authentication<User> {
        match (attempt.login.as_str(), attempt.password.as_str()) {
            ("visitor", "open sesame") => Authentication::Accepted(Identity {
                user_id: UserId::parse("visitor").ok(),
                user: Some(User { department: Some("guests".into()), ..User::default() }.into()),
                roles: vec!["webpubsub.sendToGroup".parse().unwrap()],
                groups: vec![group("tour")],
            }),
            ("user-2", _) => Authentication::Denied,
            _ => Authentication::Undecided,
        }
    }
}

async fn an_authenticate_hook_decides_before_the_store(setup: Setup) {
    let server = setup.start_with(|config| Server::new(config).hooks(Doorman)).await;
    let mut visitor = server.connect("visitor", "open sesame").await;
    assert_eq!(visitor.greeting["groups"], json!(["guests", "tour"]));
    visitor.publish("tour", "hello").await;
    server.handshake().basic("visitor", "password-1").refused(401).await;
    server.handshake().basic("user-2", "password-2").refused(401).await;
    server.demo(1).await;
}

#[tokio::test]
async fn who_guesses_at_an_authenticate_hook_is_limited_too() {
    let setup = Setup::new().config(|config| config.auth.failures.login_address_per_minute = 2);
    let server = setup.start_with(|config| Server::new(config).hooks(Doorman)).await;
    for _ in 0..2 {
        server.handshake().basic("user-2", "password-2").refused(401).await;
    }
    server.handshake().basic("user-2", "password-2").refused(429).await;
    assert_eq!(server.metric("folkmoot_auth_throttled_total").await, 1.0);
    server.connect("visitor", "open sesame").await;
}

#[tokio::test]
async fn too_many_failed_logins_from_one_address_are_answered_429() {
    let setup = Setup::new().config(|config| {
        config.server.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.auth.failures.address_per_minute = 3;
        config.auth.allow_demo_users = true;
    });
    let server = setup.start().await;
    let from = |address: &str| server.handshake().header("x-forwarded-for", address);
    for attempt in 0..3 {
        from("203.0.113.9").basic(&format!("nobody-{attempt}"), "password").refused(401).await;
    }
    let refused = from("203.0.113.9").basic("user-1", "password-1").refused(429).await;
    assert!(refused.headers.contains_key("retry-after"));
    let login = [("Authorization", &*basic("user-1", "password-1")), ("X-Forwarded-For", "203.0.113.9")];
    assert_eq!(server.http("POST", "/auth/token", &login, "").await.status, 429);
    // Others are not locked out.
    from("203.0.113.10").basic("user-1", "password-1").connect().await.unwrap();
    assert!(server.metric("folkmoot_auth_throttled_total").await >= 2.0);
}

#[tokio::test]
async fn too_many_failed_logins_of_one_user_are_answered_429_at_that_address_only() {
    let setup = Setup::new().config(|config| config.auth.failures.login_address_per_minute = 2);
    let server = setup.start().await;
    for _ in 0..2 {
        server.handshake().basic("user-1", "wrong password").refused(401).await;
    }
    server.handshake().basic("user-1", "password-1").refused(429).await;
    server.demo(2).await;
}

#[tokio::test]
async fn demo_users_log_in_from_this_machine_only() {
    let setup = || Setup::new().user("employee", |_| {});
    let server = setup().start().await;
    for header in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
        server.handshake().header(header, "for=127.0.0.1").basic("user-1", "password-1").refused(401).await;
        server.handshake().header(header, "for=127.0.0.1").basic("employee", PASSWORD).connect().await.unwrap();
    }
    let login = [("Authorization", &*basic("user-1", "password-1")), ("X-Forwarded-For", "127.0.0.1")];
    assert_eq!(server.http("POST", "/auth/token", &login, "").await.status, 401);
    drop(server);
    let server = setup().config(|config| config.auth.allow_demo_users = true).start().await;
    server.handshake().header("x-forwarded-for", "203.0.113.9").basic("user-1", "password-1").connect().await.unwrap();
}

#[tokio::test]
async fn demo_users_are_seeded_into_an_embedded_database_that_was_just_made() {
    let server = Setup::empty().config(|config| config.users.demo = true).start().await;
    for (number, name) in [(1, "Mark"), (2, "Anna"), (3, "Kenji"), (4, "Ines")] {
        assert_eq!(server.demo(number).await.greeting["user"]["username"], name);
    }
    drop(server);
    let server = Setup::empty().start().await;
    server.handshake().basic("user-1", "password-1").refused(401).await;
}

#[tokio::test]
async fn of_two_passwords_none_counts_and_of_two_tokens_the_last() {
    let server = Setup::new().start().await;
    let (mark, anna) = (basic("user-1", "password-1"), basic("user-2", "password-2"));
    let request = handshake_of(server.address).replace(&mark, &format!("{mark}\r\nAuthorization: {anna}"));
    assert_eq!(Wire::refused(server.address, &request).await.status, 401);
    let token = || server.token();
    server.handshake().token("wrong").token(token()).connect().await.unwrap();
    server.handshake().token(token()).token("wrong").refused(401).await;
}
