//! What `/auth/token` does with those who ask too much of it.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Answer, Setup, basic, on_both_transports};

on_both_transports! {
    a_form_that_is_too_big_is_a_problem_document,
    a_form_that_does_not_come_is_not_waited_for,
    a_malformed_credential_is_a_failure_too,
    logins_that_are_slowed_are_bounded,
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

async fn a_form_that_is_too_big_is_a_problem_document(setup: Setup) {
    let server = setup.start().await;
    let form = format!("login=user-1&password=password-1&note={}", "x".repeat(5000));
    let answer = server.http("POST", "/auth/token", &[FORM], &form).await;
    assert_eq!((answer.status, answer.header("content-type")), (413, Some("application/problem+json")));
    assert!(answer.json()["detail"].as_str().unwrap().contains("4096"), "{}", answer.body);
}

async fn a_form_that_does_not_come_is_not_waited_for(setup: Setup) {
    let setup = setup.config(|config| {
        config.limits.handshake_timeout = Duration::from_secs(1);
        config.hooks.timeout = Duration::from_secs(1);
    });
    let server = setup.start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /auth/token HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}: {}\r\nContent-Length: 100\r\n\r\nlogin=",
        server.address, FORM.0, FORM.1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut stream).await.status, 408);
    assert_eq!(server.metric("folkmoot_limits_reached_total{limit=\"handshake_timeout\"}").await, 1.0);
}

async fn a_malformed_credential_is_a_failure_too(setup: Setup) {
    let server = setup.start().await;
    let answer = server.http("POST", "/auth/token", &[("Authorization", "Basic ?")], "").await;
    assert_eq!(answer.status, 401);
    assert_eq!(server.metric("folkmoot_auth_failures_total").await, 1.0);
}

async fn logins_that_are_slowed_are_bounded(setup: Setup) {
    let setup = setup.config(|config| {
        config.auth.failures.login_per_minute = 1;
        config.auth.failures.login_address_per_minute = 1000;
        config.auth.failures.address_per_minute = 1000;
        config.auth.failures.login_delay = Duration::from_secs(600);
        config.auth.hashing.waiting = 2;
        config.limits.handshake_timeout = Duration::from_secs(600);
    });
    let server = setup.start().await;
    let wrong = basic("user-1", "wrong");
    for _ in 0..2 {
        assert_eq!(server.http("POST", "/auth/token", &[("Authorization", &wrong)], "").await.status, 401);
    }
    // From now on an attempt at this login waits for ten minutes, and two may wait.
    let mut waiting = Vec::new();
    let head = format!(
        "POST /auth/token HTTP/1.1\r\nHost: {}\r\nAuthorization: {wrong}\r\nContent-Length: 0\r\n\r\n",
        server.address
    );
    let busy = "folkmoot_limits_reached_total{limit=\"logins_waiting\"}";
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    server.metric_becomes(busy, 1.0).await;
    let answer = server.http("POST", "/auth/token", &[("Authorization", &wrong)], "").await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    // Nobody else waits.
    let other = basic("user-2", "password-2");
    assert_eq!(server.http("POST", "/auth/token", &[("Authorization", &other)], "").await.status, 200);
}
