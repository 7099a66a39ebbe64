//! An application that is slow, dead or too busy: only those who wait for its answer are concerned.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::{DEADLINE, Receiver, Reply, Seen, Setup, on_both_transports, welcome};

on_both_transports! {
    an_event_that_an_application_fails_to_handle_is_refused_and_the_connection_stays,
    an_application_that_does_not_answer_refuses_in_time,
    an_application_that_is_not_there_refuses_at_once,
}

fn event(name: &str) -> serde_json::Value {
    json!({"type": "event", "event": name, "dataType": "text", "data": "hello"})
}

async fn an_event_that_an_application_fails_to_handle_is_refused_and_the_connection_stays(setup: Setup) {
    let app = Receiver::answering(|seen| match seen.event() {
        "broken" => Reply::status(500),
        "forbidden" => Reply::status(403),
        "elsewhere" => Reply::status(307).with("Location", "/chat/fine"),
        "html" => Reply::ok("text/html", "<p>Hello</p>"),
        "no.json" => Reply::ok("application/json", "Hello"),
        "large" => Reply::ok("text/plain", "x".repeat(2000)),
        "state" => Reply::status(204).with("ce-connectionState", &"x".repeat(101)),
        _ => Reply::status(204),
    })
    .await;
    let setup = setup.webhook(&app.url(), &[], &["*"]).config(|config| {
        (config.webhooks.max_answer_bytes, config.webhooks.max_state_bytes) = (1999, 100);
    });
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    for name in ["broken", "forbidden", "elsewhere", "html", "no.json", "large", "state"] {
        let said = mark.ask_refused(event(name), "InternalServerError").await;
        assert_eq!(said, "The application could not handle this event.", "{name}");
    }
    mark.ask_ok(event("fine")).await;
    mark.expect_silence().await;
}

async fn an_application_that_does_not_answer_refuses_in_time(setup: Setup) {
    let hold = Arc::new(Semaphore::new(0));
    let held = hold.clone();
    let mut app = Receiver::answering(move |seen| match seen.event() {
        "connect" if seen.header("ce-userid") == "user-1" => Reply::status(204),
        _ => Reply::status(204).held(&held),
    })
    .await;
    let setup = setup.webhook(&app.url(), &["connect", "disconnected"], &["*"]);
    let setup = setup.config(|config| {
        config.webhooks.timeout = Duration::from_millis(300);
        config.webhooks.retries = 0;
    });
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.ask_refused(event("slow"), "InternalServerError").await;
    let refused = server.handshake().basic("user-2", "password-2").refused(503).await;
    assert!(refused.headers.contains_key("retry-after"));
    for event in ["connect", "slow", "connect"] {
        app.expect(event).await;
    }
    hold.add_permits(100);
}

async fn an_application_that_is_not_there_refuses_at_once(setup: Setup) {
    // The port of a service that no machine has any more.
    let nobody = "127.0.0.1:1";
    let setup = setup.webhook(&format!("http://{nobody}/"), &["connected"], &["*"]);
    let mut webhook = folkmoot::config::WebhookConfig::new(format!("http://{nobody}/").parse().unwrap());
    webhook.system_events = vec!["connect".parse().unwrap()];
    let setup = setup.hub("strict", |hub| hub.webhooks = vec![webhook]);
    let setup = setup.user("all", |user| user.hubs = crate::support::all_hubs());
    let setup = setup.config(|config| config.webhooks.retries = 0);
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.ask_refused(event("any"), "InternalServerError").await;
    mark.publish("Sales", "all else goes on").await;
    mark.expect_message("Sales", "all else goes on").await;
    let strict = server.handshake().path("/client/hubs/strict");
    strict.basic("all", crate::support::PASSWORD).refused(503).await;
}

#[tokio::test]
async fn what_a_webhook_fails_to_take_is_tried_again_in_its_order() {
    let mut failures = 2;
    let mut app = Receiver::answering(move |seen| match seen.event() {
        "connected" if failures > 0 => {
            failures -= 1;
            Reply::status(if failures == 1 { 503 } else { 408 })
        }
        _ => Reply::status(204),
    })
    .await;
    let server = Setup::new().webhook(&app.url(), &["connected", "joined"], &[]).start().await;
    server.demo(1).await;
    let tries = [app.expect("connected").await, app.expect("connected").await, app.expect("connected").await];
    assert!(tries.windows(2).all(|pair| pair[0].header("ce-id") == pair[1].header("ce-id")), "{tries:?}");
    app.expect("joined").await;
    assert_eq!(server.metric("folkmoot_webhook_retries_total").await, 2.0);
    assert_eq!(server.metric("folkmoot_webhook_dropped_total").await, 0.0);
}

#[tokio::test]
async fn what_a_webhook_does_not_want_is_not_tried_again() {
    let mut app = Receiver::answering(|seen| Reply::status(if seen.event() == "connected" { 400 } else { 204 })).await;
    let server = Setup::new().webhook(&app.url(), &["connected", "joined"], &[]).start().await;
    server.demo(1).await;
    app.expect("connected").await;
    app.expect("joined").await;
    server.metric_becomes("folkmoot_webhook_dropped_total", 1.0).await;
    assert_eq!(server.metric("folkmoot_webhook_retries_total").await, 0.0);
}

#[tokio::test]
async fn a_dead_webhook_has_a_bounded_backlog_and_is_told_again_when_it_is_back() {
    // Bound and never accepted from: a webhook that is there and dead.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = dead.local_addr().unwrap();
    let url = format!("http://{address}/{{event}}");
    let setup = Setup::new().webhook(&url, &["joined"], &[]).config(|config| {
        config.webhooks.timeout = Duration::from_secs(1);
        config.webhooks.backlog = 10;
        // Long enough for the application to come back.
        config.webhooks.retries = 100;
    });
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    for number in 0..50 {
        mark.join(&format!("g{number}")).await;
    }
    // With that of the join rule.
    server.metric_becomes("folkmoot_webhook_dropped_total", 41.0).await;
    assert_eq!(server.metric("folkmoot_webhook_backlog_events").await, 10.0);

    let answer = |seen: &Seen| if seen.method == Method::OPTIONS { welcome() } else { Reply::status(204) };
    let mut app = Receiver::at(dead, answer).await;
    assert_eq!(app.expect("joined").await.json()["group"], "Sales");
    for number in 0..9 {
        assert_eq!(app.expect("joined").await.json()["group"], format!("g{number}"));
    }
    server.metric_becomes("folkmoot_webhook_backlog_events", 0.0).await;
    mark.join("later").await;
    assert_eq!(app.expect("joined").await.json()["group"], "later");
}

#[tokio::test]
async fn a_webhook_that_starts_after_the_server_is_told_soon() {
    let mut asked = 0;
    let app = Receiver::of_all(move |seen| {
        if seen.method != Method::OPTIONS {
            return Reply::status(204);
        }
        asked += 1;
        // What a proxy says whose application is not there yet.
        if asked == 1 { Reply::status(502) } else { welcome() }
    });
    let mut app = app.await;
    let server = Setup::new().webhook(&app.url(), &["connect"], &[]).start().await;
    server.handshake().basic("user-1", "password-1").refused(503).await;
    let mark = tokio::time::timeout(DEADLINE, async {
        loop {
            match server.handshake().basic("user-1", "password-1").connect().await {
                Ok(client) => return client,
                Err(refused) => assert_eq!(refused.status.as_u16(), 503, "{}", refused.body),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mark = mark.await.expect("it is not asked again");
    assert_eq!(app.expect("connect").await.header("ce-connectionid"), mark.id());
}

#[tokio::test]
async fn more_questions_than_an_application_may_be_asked_at_a_time_have_failed() {
    let hold = Arc::new(Semaphore::new(0));
    let held = hold.clone();
    let mut app = Receiver::answering(move |_| Reply::status(204).held(&held)).await;
    let setup = Setup::new().webhook(&app.url(), &[], &["*"]).config(|config| {
        config.webhooks.concurrency = 1;
        config.webhooks.timeout = config.limits.handshake_timeout;
    });
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    mark.send_json(json!({"type": "event", "event": "first", "data": 1, "ackId": 1})).await;
    app.expect("first").await;
    anna.ask_refused(event("second"), "InternalServerError").await;
    hold.add_permits(2);
    assert_eq!(mark.ack_of(1).await["success"], true);
    anna.ask_ok(event("third")).await;
}
