//! How much data one user may have, whoever it comes from.

use folkmoot::config::Config;
use folkmoot::{Authentication, Hooks, Identity, LoginAttempt, Server, User, UserId};

use crate::support::{Setup, on_both_transports};

on_both_transports! {
    data_beyond_the_limit_keeps_a_user_out,
    neither_a_token_nor_a_hook_brings_more,
}

const REFUSED: &str = "folkmoot_limits_reached_total{limit=\"max_record_bytes\"}";

async fn data_beyond_the_limit_keeps_a_user_out(setup: Setup) {
    let big = |user: &mut folkmoot::users::UserRecord| drop(user.data.insert("note".into(), "x".repeat(1000).into()));
    let setup = setup.user("anna", big).config(|config| config.users.max_record_bytes = 500);
    let server = setup.start().await;
    let refused = server.handshake().basic("anna", crate::support::PASSWORD).refused(403).await;
    assert!(refused.body.contains("users.max_record_bytes (500)"), "{}", refused.body);
    assert_eq!(server.metric(REFUSED).await, 1.0);
    server.demo(1).await;
}

struct Generous;

impl Hooks<User> for Generous {
    async fn authenticate(&self, attempt: &LoginAttempt) -> Authentication<User> {
        let user = User { username: Some("x".repeat(1000)), ..User::default() };
        match attempt.login.as_str() {
            "anna" => Authentication::Accepted(Identity::new(UserId::parse("anna").unwrap(), user)),
            _ => Authentication::Undecided,
        }
    }
}

async fn neither_a_token_nor_a_hook_brings_more(setup: Setup) {
    let setup = setup.config(|config| config.users.max_record_bytes = 500);
    let server = setup.start_with(|config: Config| Server::new(config).hooks(Generous)).await;
    server.handshake().basic("anna", "any").refused(403).await;
    let token = server.token().claim("username", "x".repeat(1000));
    server.handshake().path("/client/hubs/chat").token(token).refused(403).await;
    assert_eq!(server.metric(REFUSED).await, 2.0);
}
