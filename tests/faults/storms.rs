//! Many who come at once and mean no good: connections that are reset at every stage, and passwords that are guessed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use socket2::SockRef;

use crate::client::{Client, Heard, basic, http, publish};
use crate::open_many_files;
use crate::process::{PATIENCE, Program, Workplace, eventually};

const QUIET: [&str; 2] = ["--set", "hubs.declared.chat.announcements.enabled=false"];
const STAGES: usize = 6;

/// Connects, and resets the connection at the stage of this number.
fn reset_at(address: SocketAddr, stage: usize) {
    if stage >= 4 {
        let mut client = Client::connect(address, "user-1", "password-1");
        if stage == 5 {
            client.join("storm", 1);
        }
        return client.abort();
    }
    let mut stream = TcpStream::connect(address).unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    let login = basic("user-1", "password-1");
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nAuthorization: {login}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let sent = match stage {
        0 => "",
        1 => &head[..head.len() / 2],
        _ => &head,
    };
    stream.write_all(sent.as_bytes()).unwrap();
    if stage == 3 {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 101");
    }
}

/// So many resets, several at a time, the stages in turn.
fn storm(server: &Program, resets: usize) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    match next.fetch_add(1, Ordering::Relaxed) {
                        number if number < resets => reset_at(server.address, number % STAGES),
                        _ => break,
                    }
                }
            });
        }
    });
}

fn connections_are(server: &Program, count: usize) {
    let expected = format!("folkmoot_connections {count}");
    eventually(&expected, || http(server.address, "GET /metrics", &[], "").1.lines().any(|line| line == expected));
}

#[test]
fn five_thousand_resets_at_every_stage_leave_the_survivors_and_nothing_else() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&QUIET);
    let mut survivors: Vec<_> =
        (1..=4).map(|n| Client::connect(server.address, &format!("user-{n}"), &format!("password-{n}"))).collect();
    survivors.iter_mut().for_each(|survivor| survivor.join("storm", 1));
    // Once, so that what is made at the first use is there.
    storm(&server, 60 * STAGES);
    connections_are(&server, survivors.len());
    let (descriptors, memory) = (server.descriptors(), server.resident_bytes());

    storm(&server, 5_000);

    connections_are(&server, survivors.len());
    let list = survivors[0].ask(json!({ "type": "listMembers", "group": "storm" }), 2);
    let mut listed: Vec<_> =
        list["members"].as_array().unwrap().iter().map(|member| member["connectionId"].as_str().unwrap()).collect();
    let mut expected: Vec<_> = survivors.iter().map(|survivor| survivor.id.clone()).collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    assert_eq!(survivors[0].ask(publish("storm", "all quiet"), 3)["success"], true);
    for survivor in &mut survivors {
        assert!(matches!(survivor.hear(), Heard::Frame(frame) if frame["data"] == "all quiet"));
    }
    // Those who ask how things are may be among them for a moment.
    eventually("the descriptors are free again", || server.descriptors() <= descriptors + 2);
    eventually("the memory is free again", || {
        http(server.address, "GET /health", &[], "");
        server.resident_bytes() < memory + (6 << 20)
    });
}

#[test]
fn those_who_guess_passwords_are_refused_and_members_go_on_meanwhile() {
    open_many_files();
    let workplace = Workplace::demo();
    // As a proxy tells where they come from.
    let server = workplace.serve(&[&QUIET[..], &["--set", r#"server.trusted_proxies=["127.0.0.1/32"]"#]].concat());
    let mut reader = Client::connect(server.address, "user-3", "password-3");
    let mut publisher = Client::connect(server.address, "user-1", "password-1");
    reader.join("news", 1);
    let before = server.resident_bytes();
    let (over, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let peak = thread::scope(|scope| {
        for attacker in 0..8 {
            let (over, refused, address) = (&over, &refused, server.address);
            scope.spawn(move || {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    number += 1;
                    // Both one login from everywhere and everybody's login from one address.
                    let (login, from) = match attacker % 2 {
                        0 => ("user-2".to_owned(), format!("198.51.{attacker}.{}", number % 250)),
                        _ => (format!("user-{number}-{attacker}"), format!("203.0.113.{attacker}")),
                    };
                    let login = basic(&login, "a guess");
                    let headers = [("Authorization", &*login), ("X-Forwarded-For", &from)];
                    let status = Client::try_connect(address, &headers).err().expect("a guess opens nothing");
                    assert!([401, 429, 503].contains(&status), "{status}");
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut peak = 0;
        let mut number = 0;
        while number < 200 || refused.load(Ordering::Relaxed) < 500 {
            number += 1;
            // Each comes back in time, or this fails.
            assert_eq!(publisher.ask(publish("news", "business as usual"), number)["success"], true);
            assert!(matches!(reader.hear(), Heard::Frame(frame) if frame["data"] == "business as usual"));
            peak = peak.max(server.resident_bytes());
        }
        over.store(true, Ordering::Relaxed);
        peak
    });
    // A hash takes 19 MiB, and half of the cores may hash at a time.
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    let grown = peak.saturating_sub(before);
    assert!(grown < (32 + 20 * cores) << 20, "{} MiB more", grown >> 20);
    let login = basic("user-4", "password-4");
    eventually("who has the right password is let in", || {
        Client::try_connect(server.address, &[("Authorization", &login)]).is_ok()
    });
}
