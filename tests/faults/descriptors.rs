//! More connections than the process may have files open.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rlimit::Resource;
use serde_json::json;

use crate::client::{Client, Heard, basic, http, http_on, publish};
use crate::open_many_files;
use crate::process::{PATIENCE, Program, Workplace, eventually};

const FEW: &str = "ulimit -n 256 && exec \"$@\"";

fn health(server: &Program) -> u16 {
    http(server.address, "GET /health", &[], "").0
}

/// Lets the server open this many files from now on; what is open stays open.
fn allow(server: &Program, files: u64) {
    rlimit::prlimit(server.id().cast_signed(), Resource::NOFILE, Some((files, 4096)), None).unwrap();
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_may_be() {
    let workplace = Workplace::demo();
    let server = workplace.serve_by_shell(
        "ulimit -Sn 128 && ulimit -Hn 16384 && exec \"$@\"",
        &["--set", "limits.connections=1000", "--set", "limits.http_connections=2000"],
    );
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: usize = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!((5_000..16_384).contains(&soft), "as many as it needs, and no more: {line}");
    server.wait_for("the limit of open files suffices");
    assert!(!server.printed().contains("too few files"), "{}", server.printed());
}

#[test]
fn connections_alone_never_use_up_the_descriptors() {
    let workplace = Workplace::demo();
    let server = workplace.serve_by_shell(
        FEW,
        &["--set", "hubs.declared.chat.announcements.enabled=false", "--set", "limits.connections_per_user=1000"],
    );
    for advice in ["WARN", "limits.connections=20000", "ulimit -n", "LimitNOFILE", "limit=256"] {
        server.wait_for(advice);
    }
    let login = basic("user-1", "password-1");
    let connect = || Client::try_connect(server.address, &[("Authorization", &login)]);
    let mut clients = Vec::new();
    let refused = loop {
        match connect() {
            Ok(client) => clients.push(client),
            Err(status) => break status,
        }
    };
    assert_eq!(refused, 503);
    assert!((20..256).contains(&clients.len()), "{} connections", clients.len());
    assert!(server.printed().contains(&format!("connections={}", clients.len())), "{}", server.printed());
    for _ in 0..50 {
        assert_eq!(health(&server), 200);
    }
    assert_eq!(http(server.address, "GET /ready", &[], "").0, 200, "the store has what it needs");
    assert_eq!(connect().err(), Some(503));
    let answer = clients[0].ask(json!({ "type": "countMembers", "group": "*" }), 1);
    assert_eq!(answer["success"], true, "{answer}");
    clients.pop();
    eventually("there is room again", || connect().map(|client| clients.push(client)).is_ok());
    assert!(!server.printed().contains("Error accepting"), "{}", server.printed());
}

#[test]
fn those_who_connect_and_say_nothing_use_up_no_descriptors() {
    open_many_files();
    let workplace = Workplace::demo();
    let server = workplace.serve_by_shell(FEW, &[]);
    let mut member = Client::connect(server.address, "user-1", "password-1");
    let silent: Vec<_> = (0..600).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    member.join("news", 1);
    assert_eq!(health(&server), 200, "while they are still there: those who came first go");
    assert!(server.descriptors() < 256);
    drop(silent);
    assert_eq!(member.ask(publish("news", "still here"), 2)["success"], true);
    assert!(!server.printed().contains("Error accepting"), "{}", server.printed());
}

#[test]
fn without_descriptors_accepting_waits_and_goes_on_and_the_log_says_so_once() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&["--set", "hubs.declared.chat.announcements.enabled=false"]);
    let mut reader = Client::connect(server.address, "user-3", "password-3");
    let mut publisher = Client::connect(server.address, "user-1", "password-1");
    reader.join("news", 1);
    let mut kept = TcpStream::connect(server.address).unwrap();
    assert_eq!(http_on(&mut kept, "GET /health", &[], "").0, 200);

    allow(&server, 3);
    let mut waiting = TcpStream::connect(server.address).unwrap();
    waiting.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    server.wait_for("Error accepting connection");
    // Several times as long as it waits between two attempts.
    waiting.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    assert!(waiting.read(&mut [0; 64]).is_err(), "nobody is accepted");
    for number in 1..=100 {
        assert_eq!(publisher.ask(publish("news", "still here"), number)["success"], true);
        assert!(matches!(reader.hear(), Heard::Frame(frame) if frame["data"] == "still here"));
    }
    assert_eq!(http_on(&mut kept, "GET /health", &[], "").0, 200, "who is connected is answered");

    allow(&server, 4096);
    let mut answer = String::new();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "who waited is answered: {answer}");
    Client::connect(server.address, "user-2", "password-2");
    assert_eq!(server.printed().matches("Error accepting").count(), 1, "{}", server.printed());
}
