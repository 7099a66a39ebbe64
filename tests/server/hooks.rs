//! The caller's hooks at the points of a connection's life.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use folkmoot::{Authentication, Connecting, Disconnected, Hooks, Hub, Incoming, LoginAttempt, Server, User, Verdict};
use serde_json::json;

use crate::support::{Setup, Wire, client_frame, group, on_both_transports};

on_both_transports! {
    a_connect_hook_refuses_with_its_sentence,
    a_connect_hook_changes_user_data_roles_and_groups,
    a_hook_that_panics_refuses_and_harms_nobody_else,
    duplicates_are_not_shown_to_hooks,
    nor_are_those_of_what_was_asked_in_the_same_breath,
    a_server_that_stops_tells_its_hooks_of_every_end_first,
    a_login_that_a_hook_denies_gets_no_token_either,
}

/// Takes its time over each end, and counts them.
struct Mourner(Arc<AtomicUsize>);

impl Hooks<User> for Mourner {
    async fn authenticate(&self, attempt: &LoginAttempt) -> Authentication<User> {
        if attempt.login == "user-4" { Authentication::Denied } else { Authentication::Undecided }
    }

    async fn disconnect(&self, _: &Hub<User>, _: &Disconnected<User>) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

async fn a_server_that_stops_tells_its_hooks_of_every_end_first(setup: Setup) {
    let ends = Arc::new(AtomicUsize::new(0));
    let mourner = Mourner(ends.clone());
    // Everybody is gone long before the hook has been told of everybody.
    let setup = setup.config(|config| config.shutdown.timeout = Duration::from_millis(200));
    let server = setup.start_with(|config| Server::new(config).hooks(mourner)).await;
    let mut people = Vec::new();
    for _ in 0..10 {
        people.push(server.demo(1).await);
    }
    // Stops the server and waits for it.
    drop(server);
    assert_eq!(ends.load(Ordering::Relaxed), people.len());
}

async fn a_login_that_a_hook_denies_gets_no_token_either(setup: Setup) {
    let server = setup.start_with(|config| Server::new(config).hooks(Mourner(Arc::default()))).await;
    server.handshake().basic("user-4", "password-4").refused(401).await;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let denied = server.http("POST", "/auth/token", &form, "login=user-4&password=password-4").await;
    assert_eq!(denied.status, 401, "{}", denied.body);
    let granted = server.http("POST", "/auth/token", &form, "login=user-1&password=password-1").await;
    assert_eq!(granted.status, 200, "{}", granted.body);
}

/// Lets people in as it likes.
struct Gate;

impl Hooks<User> for Gate {
    async fn connect(&self, connecting: &mut Connecting<User>) -> Result<(), String> {
        match connecting.connection.user_id.as_ref().map(|id| id.as_str()) {
            Some("user-2") => Err("Not on Mondays.".into()),
            Some("user-3") => panic!("a hook of somebody else's"),
            Some("user-4") => {
                let nickname = User { username: Some("Inesita".into()), ..User::default() };
                connecting.connection.user = Some(Arc::new(nickname));
                connecting.roles.clear();
                connecting.groups = vec![group("b"), group("a"), group("b")];
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn message(&self, _: &Hub<User>, incoming: &Incoming<User>) -> Verdict {
        assert_ne!(incoming.data.payload().as_ref(), b"boom");
        Verdict::Handled
    }
}

async fn a_connect_hook_refuses_with_its_sentence(setup: Setup) {
    let server = setup.start_with(|config| Server::new(config).hooks(Gate)).await;
    let refused = server.handshake().basic("user-2", "password-2").refused(403).await;
    assert!(refused.body.contains("Not on Mondays."), "{}", refused.body);
    server.demo(1).await;
}

async fn a_connect_hook_changes_user_data_roles_and_groups(setup: Setup) {
    let server = setup.start_with(|config| Server::new(config).hooks(Gate)).await;
    let mut ines = server.demo(4).await;
    assert_eq!(ines.greeting["user"], json!({"username": "Inesita"}));
    assert_eq!(ines.greeting["groups"], json!(["b", "a"]));
    ines.ask_refused(json!({"type": "joinGroup", "group": "c"}), "Forbidden").await;
    let listed = ines.ask_ok(json!({"type": "listMembers", "group": "a"})).await;
    assert_eq!(listed["members"][0]["user"], json!({"username": "Inesita"}));
}

async fn a_hook_that_panics_refuses_and_harms_nobody_else(setup: Setup) {
    let server = setup.start_with(|config| Server::new(config).hooks(Gate)).await;
    let mut mark = server.demo(1).await;
    server.handshake().basic("user-3", "password-3").refused(503).await;
    let boom = json!({"type": "event", "event": "x", "dataType": "text", "data": "boom"});
    mark.ask_refused(boom, "InternalServerError").await;
    mark.ask_ok(json!({"type": "event", "event": "x", "dataType": "text", "data": "fine"})).await;
    assert_eq!(server.metric("folkmoot_hook_failures_total").await, 2.0);
}

/// Counts what it sees.
struct Counter(Arc<AtomicUsize>);

impl Hooks<User> for Counter {
    async fn message(&self, _: &Hub<User>, _: &Incoming<User>) -> Verdict {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Verdict::Allow
    }
}

async fn duplicates_are_not_shown_to_hooks(setup: Setup) {
    let seen = Arc::default();
    let counter = Counter(Arc::clone(&seen));
    let server = setup.start_with(|config| Server::new(config).hooks(counter)).await;
    let mut mark = server.demo(1).await;
    for (success, count) in [(true, 1), (false, 1), (false, 1)] {
        mark.send_json(json!({"type": "sendToGroup", "group": "Sales", "data": 1, "ackId": 7, "noEcho": true})).await;
        assert_eq!(mark.ack_of(7).await["success"], success);
        assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), count);
    }
    mark.expect_silence().await;
}

async fn nor_are_those_of_what_was_asked_in_the_same_breath(setup: Setup) {
    let seen = Arc::default();
    let counter = Counter(Arc::clone(&seen));
    let server = setup.start_with(|config| Server::new(config).hooks(counter)).await;
    let join = client_frame(0x81, br#"{"type":"joinGroup","group":"a","ackId":7}"#);
    let event = client_frame(0x81, br#"{"type":"event","event":"x","dataType":"text","data":"y","ackId":7}"#);
    let mut wire = Wire::connect(server.address, b"").await;
    wire.send(&[join, event].concat()).await;
    assert!(wire.next_text().await.contains(r#""success":true"#));
    assert!(wire.next_text().await.contains("Duplicate"));
    assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 0);
}
