//! Members that do not read, beside some that do, while far more goes through their group than may wait for them.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, http, publish, text_frame};
use crate::process::{Program, Workplace, eventually};

const STUCK: usize = 4;
const HEALTHY: usize = 4;
/// 200 MiB in messages of 60 KB.
const MANY: u64 = 3_500;
/// Fifteen times what may wait for one.
const SOME: u64 = 1_000;
const MESSAGE: usize = 60_000;
const LIMIT: u64 = 4 << 20;
/// So far the publisher is ahead of those who read, that they are never taken for slow on a busy machine.
const AHEAD: u64 = 20;
/// What the server may take besides what waits for those who are stuck: the same of those who read, the window of the
/// publishers (4 MiB), pieces that are read and parsed, and what the allocator keeps of them.
const SLACK: u64 = 32 << 20;

fn serve(policy: &str, announcements: bool) -> Program {
    let workplace = Workplace::demo().env("RUST_LOG", "info,folkmoot::session=debug");
    workplace.serve(&[
        "--set",
        &format!("hubs.declared.chat.slow_consumers={policy}"),
        "--set",
        &format!("hubs.declared.chat.announcements.enabled={announcements}"),
        "--set",
        "limits.outbound_bytes=4MiB",
        // The publisher is held up by those who read, and by nothing else.
        "--set",
        "limits.bytes_per_second=100GiB",
        // Only the full queue is to matter here, however long the test takes.
        "--set",
        "limits.write_timeout=5m",
        "--set",
        "heartbeat.ping_interval=5m",
    ])
}

fn member(server: &Program, small_buffer: bool) -> Client {
    let mut client = match small_buffer {
        true => Client::connect_with_small_buffer(server.address, "user-2", "password-2"),
        false => Client::connect(server.address, "user-3", "password-3"),
    };
    client.join("busy", 1);
    client
}

fn metric(server: &Program, name: &str) -> u64 {
    let text = http(server.address, "GET /metrics", &[], "").1;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("there is no metric {name}")).parse().unwrap()
}

enum Received {
    /// A message of the flood, and how many are said to be missing before it.
    Numbered(u64, Option<u64>),
    /// An announcement or an ack.
    Other(Value),
}

/// What comes next. The messages of the flood are looked at only at both ends: to parse 60 KB takes this build too long.
fn receive(client: &mut Client) -> Received {
    loop {
        let text = match client.socket.read().unwrap() {
            Message::Text(text) => text,
            Message::Close(close) => panic!("closed: {close:?}"),
            _ => continue,
        };
        let (before, data) = text.split_once(r#""data":""#).unwrap_or((&text, ""));
        let Some((number, rest)) = data.split_once(' ').filter(|(number, _)| number.parse::<u64>().is_ok()) else {
            return Received::Other(serde_json::from_str(&text).unwrap());
        };
        let (_, behind) = rest.rsplit_once("x\"").or_else(|| rest.split_once('"')).unwrap();
        let short: Value = serde_json::from_str(&format!(r#"{before}"data":"{number}"{behind}"#)).unwrap();
        assert!(rest.len() >= MESSAGE || rest.len() < 100, "a message is cut");
        return Received::Numbered(number.parse().unwrap(), short.get("dropped").and_then(Value::as_u64));
    }
}

/// Publishes everything, as fast as those who read can; returns what these have heard besides the messages, which must
/// all have come in order, and the most memory that the server took.
fn flood(server: &Program, healthy: Vec<Client>, messages: u64) -> (Vec<Vec<Value>>, u64) {
    let heard: Vec<_> = (0..HEALTHY).map(|_| AtomicU64::new(0)).collect();
    let done = AtomicBool::new(false);
    let publisher = Client::connect(server.address, "user-1", "password-1");
    thread::scope(|scope| {
        let readers: Vec<_> = healthy
            .into_iter()
            .zip(&heard)
            .map(|(mut client, heard)| {
                scope.spawn(move || {
                    let mut others = Vec::new();
                    while heard.load(Ordering::Relaxed) < messages {
                        match receive(&mut client) {
                            Received::Numbered(number, missing) => {
                                assert_eq!(heard.fetch_add(1, Ordering::Relaxed), number, "a message is missing");
                                assert_eq!(missing, None, "who reads loses nothing");
                            }
                            Received::Other(frame) => others.push(frame),
                        }
                    }
                    others
                })
            })
            .collect();
        let sampler = scope.spawn(|| server.peak_until(&done));
        let mut socket = publisher.socket.get_ref();
        let filler = "x".repeat(MESSAGE);
        for number in 0..messages {
            while heard.iter().any(|heard| heard.load(Ordering::Relaxed) + AHEAD < number) {
                // A reader that has failed says so when it is joined.
                assert!(!readers.iter().any(|reader| reader.is_finished()), "somebody who reads was cut off");
                thread::sleep(Duration::from_micros(200));
            }
            socket.write_all(&text_frame(&publish("busy", &format!("{number} {filler}")).to_string())).unwrap();
        }
        let others = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        (others, sampler.join().unwrap())
    })
}

fn assert_bounded(before: u64, peak: u64) {
    let grown = peak.saturating_sub(before);
    assert!(grown < STUCK as u64 * LIMIT + SLACK, "{} MiB more", grown >> 20);
}

fn assert_returns(server: &Program, before: u64) {
    eventually("the memory is free again", || {
        // A thread gives back what it holds when it next does something.
        http(server.address, "GET /metrics", &[], "");
        server.resident_bytes() < before + SLACK / 2
    });
}

#[test]
fn who_is_stuck_is_closed_and_two_hundred_megabytes_reach_who_reads() {
    let server = serve("close", true);
    let healthy: Vec<_> = (0..HEALTHY).map(|_| member(&server, false)).collect();
    let stuck: Vec<_> = (0..STUCK).map(|_| member(&server, true)).collect();
    let before = server.resident_bytes();
    let (others, peak) = flood(&server, healthy, MANY);
    assert_bounded(before, peak);
    // While the messages still came: the last that is heard is one of them.
    for others in others {
        let left: Vec<_> = others.iter().filter(|frame| frame["announcement"]["event"] == "left").collect();
        let mut ids: Vec<_> =
            left.iter().map(|frame| frame["announcement"]["connectionId"].as_str().unwrap()).collect();
        ids.sort_unstable();
        let mut expected: Vec<_> = stuck.iter().map(|client| client.id.as_str()).collect();
        expected.sort_unstable();
        assert_eq!(ids, expected, "each is announced once");
        assert!(left.iter().all(|frame| frame["announcement"]["reason"] == "disconnected"));
    }
    assert_eq!(metric(&server, "folkmoot_slow_consumers_total"), STUCK as u64);
    assert_eq!(metric(&server, "folkmoot_messages_dropped_total"), 0);
    eventually("all of them in the log", || server.printed().matches("reason=\"slow consumer\"").count() == STUCK);
    assert_returns(&server, before);
}

/// Reads until one of the messages that were sent at the end; everything before was heard or is told to be dropped.
/// Returns how many were dropped.
fn catch_up(mut client: Client) -> u64 {
    let (mut next, mut dropped) = (0, 0);
    loop {
        let Received::Numbered(number, missing) = receive(&mut client) else { continue };
        assert_ne!(missing, Some(0), "nothing is told where nothing was dropped");
        let missing = missing.unwrap_or_default();
        assert_eq!(number, next + missing, "{missing} were said to be dropped behind {next}");
        (next, dropped) = (number + 1, dropped + missing);
        if number >= SOME {
            return dropped;
        }
    }
}

fn dropping(policy: &str) {
    let server = serve(policy, false);
    let healthy: Vec<_> = (0..HEALTHY).map(|_| member(&server, false)).collect();
    let stuck: Vec<_> = (0..STUCK).map(|_| member(&server, true)).collect();
    let before = server.resident_bytes();
    let (_, peak) = flood(&server, healthy, SOME);
    assert_bounded(before, peak);
    assert_eq!(metric(&server, "folkmoot_slow_consumers_total"), 0);

    let readers: Vec<_> = stuck.into_iter().map(|client| thread::spawn(move || catch_up(client))).collect();
    let mut publisher = Client::connect(server.address, "user-1", "password-1");
    let mut last = SOME;
    // With the newest dropped, the first of these may find no room yet.
    eventually("they have caught up", || {
        publisher.ask(publish("busy", &format!("{last} ")), last);
        last += 1;
        readers.iter().all(|reader| reader.is_finished())
    });
    let dropped: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    // 4 MiB wait, and the kernel has taken a few.
    assert!(dropped.iter().all(|dropped| *dropped > SOME / 2), "{dropped:?}");
    // Those who have caught up may be slow again before the test ends.
    assert!(metric(&server, "folkmoot_messages_dropped_total") >= dropped.iter().sum());
    assert_returns(&server, before);
}

#[test]
fn who_is_stuck_stays_and_loses_the_oldest_messages_and_is_told_how_many() {
    dropping("drop_oldest");
}

#[test]
fn who_is_stuck_stays_and_loses_the_newest_messages_and_is_told_how_many() {
    dropping("drop_newest");
}

#[test]
fn who_takes_nothing_at_all_is_put_out_although_messages_could_be_dropped() {
    let workplace = Workplace::demo().env("RUST_LOG", "info,folkmoot::session=debug");
    let server = workplace.serve(&[
        "--set",
        "hubs.settings.slow_consumers=drop_oldest",
        "--set",
        "limits.write_timeout=1s",
        "--set",
        "hubs.declared.chat.announcements.enabled=false",
    ]);
    let stuck = member(&server, true);
    let mut publisher = Client::connect(server.address, "user-1", "password-1");
    let (filler, mut asked) = ("x".repeat(MESSAGE), 0);
    eventually("who takes nothing is out", || {
        publisher.send(&publish("busy", &filler));
        asked += 1;
        publisher.ask(json!({ "type": "countMembers", "group": "busy" }), asked)["connections"] == 0
    });
    server.wait_for("reason=\"write timeout\"");
    assert_eq!(metric(&server, "folkmoot_slow_consumers_total"), 1);
    drop(stuck);
}
