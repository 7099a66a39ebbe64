//! A server that people come to and go from all the time stays as big as it was.
//!
//! Ten seconds of it in an ordinary run. `CHURN_MINUTES=30` makes it the long one of `.ci/nightly`, at
//! `CHURN_PER_SECOND` connections a second, which tells the memory of every minute and judges its slope.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Client, basic, http, publish};
use crate::process::{Program, Workplace};

/// Connections that are open at a time.
const POPULATION: usize = 60;
/// What a long run may grow by in a minute, once it is warm.
const SLOPE: f64 = 1.0;
/// What the short run may grow by in all, which the allocator takes by steps; the long run is the one that is exact.
const SHORT_GROWTH: f64 = 6.0;

#[test]
fn memory_is_flat_while_connections_come_and_go() {
    let minutes = from_environment("CHURN_MINUTES", 0);
    let rate = from_environment("CHURN_PER_SECOND", 150);
    let (spans, span) = match minutes {
        0 => (10, Duration::from_secs(1)),
        minutes => (minutes, Duration::from_secs(60)),
    };
    let workplace = Workplace::demo().env("RUST_LOG", "warn");
    let server = workplace.serve(&[]);
    let (mut crowd, mut memory, mut number) = (VecDeque::new(), Vec::new(), 0_u64);
    let start = Instant::now();
    for ended in 1..=spans {
        let mut samples = Vec::new();
        while start.elapsed() < span * ended {
            come_and_go(&server, &mut crowd, number);
            number += 1;
            if number.is_multiple_of(10) {
                samples.push(server.resident_bytes() as f64 / f64::from(1 << 20));
            }
            // A machine that is too busy for the rate has fewer of them, which is no failure.
            thread::sleep((Duration::from_secs(number) / rate).saturating_sub(start.elapsed()));
        }
        samples.sort_by(f64::total_cmp);
        let Some(median) = samples.get(samples.len() / 2) else { continue };
        println!("{ended:3} of {spans}: {median:.2} MiB after {number} connections");
        memory.push(*median);
    }
    let warm = &memory[memory.len() / 3..];
    let slope = slope(warm);
    println!("{slope:+.3} MiB in each of the last {}", warm.len());
    match minutes {
        0..5 => assert!(slope * (warm.len() as f64) < SHORT_GROWTH, "it grows: {memory:.2?} MiB"),
        _ => assert!(slope < SLOPE, "it grows by {slope:.2} MiB a minute: {memory:.2?} MiB"),
    }
    assert!(number > POPULATION as u64 * 2, "only {number} connections came and went");
}

fn from_environment(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Somebody comes and does a little of everything; the one who was there longest goes.
fn come_and_go(server: &Program, crowd: &mut VecDeque<Client>, number: u64) {
    let user = number % 4 + 1;
    let (login, password) = (format!("user-{user}"), format!("password-{user}"));
    let mut client = match number % 5 {
        0 => with_token(server, &login, &password),
        _ => Client::connect(server.address, &login, &password),
    };
    // A name that was never used before, and one that others use too.
    client.join(&format!("once/{number}"), 1);
    client.join(&format!("often/{}", number % 7), 2);
    let payload = "x".repeat(if number.is_multiple_of(50) { 60_000 } else { 200 });
    client.ask(publish(&format!("often/{}", number % 7), &payload), 3);
    client.ask(publish(&format!("once/{number}*"), "to a mask"), 4);
    client.ask(json!({ "type": "leaveGroup", "group": format!("often/{}", number % 7) }), 5);
    crowd.push_back(client);
    if crowd.len() > POPULATION {
        leave(crowd.pop_front().unwrap(), number);
    }
    if number.is_multiple_of(100) {
        http(server.address, "GET /metrics", &[], "");
        let stranger = basic(&format!("stranger-{number}"), "a wrong password");
        assert_eq!(Client::try_connect(server.address, &[("Authorization", &stranger)]).err(), Some(401));
    }
}

fn with_token(server: &Program, login: &str, password: &str) -> Client {
    let login = basic(login, password);
    let (status, body) = http(server.address, "POST /auth/token", &[("Authorization", &login)], "");
    assert_eq!(status, 200, "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let bearer = format!("Bearer {}", answer["token"].as_str().unwrap());
    Client::try_connect(server.address, &[("Authorization", &bearer)]).unwrap()
}

/// Hears what it was told, then ends in one of the ways that there are.
fn leave(mut client: Client, number: u64) {
    let answer = client.ask(json!({ "type": "countMembers", "group": "*" }), 6);
    assert_eq!(answer["success"], true, "{answer}");
    match number % 3 {
        0 => client.abort(),
        1 => {
            let bye = CloseFrame { code: CloseCode::Normal, reason: "bye".into() };
            client.socket.close(Some(bye)).unwrap();
            client.rest();
        }
        _ => drop(client),
    }
}

/// The slope of the line through these, which stand at equal distances: the median of those between any two (Theil and
/// Sen), which one that is far off does not turn.
fn slope(values: &[f64]) -> f64 {
    let between = |later: usize| {
        let slopes = values[..later].iter().enumerate();
        slopes.map(move |(earlier, value)| (values[later] - value) / (later - earlier) as f64)
    };
    let mut slopes: Vec<_> = (0..values.len()).flat_map(between).collect();
    slopes.sort_by(f64::total_cmp);
    slopes[slopes.len() / 2]
}

#[test]
fn one_value_that_is_far_off_does_not_turn_a_slope() {
    assert_eq!(slope(&[1.0, 3.0, 5.0, 7.0, 9.0]), 2.0);
    assert_eq!(slope(&[60.0, 60.0, 40.0, 60.0, 60.0, 60.0]), 0.0);
}
