//! How the program ends: everybody told, one after another, and in time.

use std::collections::HashSet;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Heard, http_on};
use crate::process::{Program, Workplace, eventually};

/// A server of the demo with so many connections, each read by a thread that returns its end and when it came.
type Readers = Vec<thread::JoinHandle<(Heard, Instant)>>;

fn with_readers(server: &Program, count: usize) -> Readers {
    let clients: Vec<_> = (0..count).map(|_| Client::connect(server.address, "user-1", "password-1")).collect();
    let read = |mut client: Client| {
        thread::spawn(move || {
            let (_, end) = client.rest();
            (end, Instant::now())
        })
    };
    clients.into_iter().map(read).collect()
}

/// The advice when to come back, in the reason of a close with 1001.
fn retry_after(end: &Heard) -> u64 {
    match end {
        Heard::Closed(1001, reason) => reason.split_once("retry_after_ms=").unwrap().1.parse().unwrap(),
        end => panic!("1001 was expected: {end:?}"),
    }
}

fn ends_well_by(signal: &str) {
    let workplace = Workplace::demo();
    let mut server = workplace.serve(&[
        "--set",
        "shutdown.timeout=4s",
        "--set",
        "limits.connections_per_user=1000",
        // Two hundred announcements to two hundred members are not what this is about.
        "--set",
        "hubs.declared.chat.announcements.enabled=false",
    ]);
    let readers = with_readers(&server, 200);
    let mut kept = TcpStream::connect(server.address).unwrap();
    assert_eq!(http_on(&mut kept, "GET /ready", &[], "").0, 200);

    let start = Instant::now();
    server.signal(signal);
    eventually("/ready says 503", || http_on(&mut kept, "GET /ready", &[], "").0 == 503);
    let (_, why) = http_on(&mut kept, "GET /ready", &[], "");
    let why: serde_json::Value = serde_json::from_str(&why).unwrap();
    assert_eq!((&why["ready"], &why["draining"], &why["store"]), (&false.into(), &true.into(), &true.into()), "{why}");
    assert_eq!(why["reasons"], serde_json::json!(["The server is going away."]));
    eventually("new connections are refused", || TcpStream::connect(server.address).is_err());
    assert_eq!(http_on(&mut kept, "GET /health", &[], "").0, 200, "alive to the end");

    let (ends, mut times): (Vec<_>, Vec<_>) = readers.into_iter().map(|reader| reader.join().unwrap()).unzip();
    let advice: Vec<_> = ends.iter().map(retry_after).collect();
    assert!(advice.iter().all(|ms| *ms <= 2000), "{advice:?}");
    assert!(advice.iter().collect::<HashSet<_>>().len() > 100, "nearly everybody is told another time: {advice:?}");
    times.sort();
    let at = |share: usize| times[times.len() * share / 100 - 1].duration_since(start);
    // Half of the timeout is two seconds; slack for a busy machine only upwards.
    assert!(at(10) < at(50) && at(50) < at(100), "one after another");
    assert!(at(100) - at(1) > Duration::from_millis(1500), "spread: {:?}", at(100) - at(1));
    assert!(server.wait().success());
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(!server.printed().contains("ERROR"), "{}", server.printed());
}

#[test]
fn sigterm_sends_everybody_away_one_after_another_and_ends_with_status_0() {
    ends_well_by("TERM");
}

#[test]
fn sigint_does_the_same() {
    ends_well_by("INT");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let workplace = Workplace::demo();
    let mut server = workplace.serve(&["--set", "shutdown.timeout=50s"]);
    let readers = with_readers(&server, 10);
    server.signal("TERM");
    server.wait_for("a second signal ends it at once");
    let start = Instant::now();
    server.signal("TERM");
    let status = server.wait();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(status.code(), Some(1));
    readers.into_iter().for_each(|reader| drop(reader.join().unwrap()));
}

#[test]
fn peers_that_read_nothing_do_not_hold_it_beyond_its_timeout() {
    let workplace = Workplace::demo();
    let mut server = workplace.serve(&["--set", "shutdown.timeout=1s"]);
    let _silent: Vec<_> = (0..20).map(|_| Client::connect(server.address, "user-1", "password-1")).collect();
    let start = Instant::now();
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}
