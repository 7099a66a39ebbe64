//! Peers that are gone without a word.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Heard, http};
use crate::open_many_files;
use crate::process::{Workplace, eventually};

/// What an announcement says of a leave: whose, and why.
fn leave(frame: &Value) -> Option<(String, String)> {
    let about = &frame["announcement"];
    let text = |key: &str| about[key].as_str().unwrap().to_owned();
    (about["event"] == "left").then(|| (text("connectionId"), text("reason")))
}

#[test]
fn a_thousand_aborted_connections_are_announced_once_each_and_gone_from_every_list() {
    open_many_files();
    let workplace = Workplace::demo();
    let server = workplace.serve(&[
        "--set",
        "hubs.declared.chat.announcements.max_members=5000",
        // Only leaves are of interest here; a template without a value sends nothing.
        "--set",
        "hubs.declared.chat.announcements.joined={data.nothing}",
        "--set",
        "limits.connections_per_user=2000",
    ]);
    let mut survivor = Client::connect(server.address, "user-1", "password-1");
    let others: Vec<_> = (0..1000).map(|_| Client::connect(server.address, "user-1", "password-1")).collect();
    let ids: BTreeSet<_> = others.iter().map(|client| client.id.clone()).collect();
    let count = survivor.ask(json!({ "type": "countMembers", "group": "Sales" }), 1);
    assert_eq!(count["connections"], 1001, "{count}");

    let start = Instant::now();
    others.into_iter().for_each(Client::abort);
    let mut left = Vec::new();
    while left.len() < ids.len() {
        let (id, reason) = leave(&survivor.frame()).expect("nothing but leaves is said");
        assert_eq!(reason, "disconnected");
        left.push(id);
    }
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(left.into_iter().collect::<BTreeSet<_>>(), ids, "each of them once");
    let list = survivor.ask(json!({ "type": "listMembers", "group": "Sales" }), 2);
    assert_eq!(list["members"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["members"][0]["connectionId"], survivor.id, "{list}");
    assert_eq!(survivor.hear_within(Duration::from_millis(300)), None, "nothing is said twice");
    eventually("their seats are free", || {
        http(server.address, "GET /metrics", &[], "").1.lines().any(|line| line == "folkmoot_connections 1")
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_put_out_in_time_and_one_that_answers_stays() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&["--set", "heartbeat.ping_interval=800ms", "--set", "heartbeat.pong_timeout=800ms"]);
    let mut observer = Client::connect(server.address, "user-1", "password-1");
    // Its socket is open and takes everything, but nobody reads it.
    let start = Instant::now();
    let mut silent = Client::connect(server.address, "user-1", "password-1");
    // The library answers pings while it reads.
    let (id, reason) = loop {
        if let Some(left) = leave(&observer.frame()) {
            break left;
        }
    };
    let took = start.elapsed();
    assert_eq!((id, &*reason), (silent.id.clone(), "timeout"));
    assert!(took >= Duration::from_millis(1500), "not before the time is over: {took:?}");
    assert!(took < Duration::from_millis(1600) + Duration::from_secs(3), "{took:?}");
    let (_, end) = silent.rest();
    assert_eq!(end, Heard::Closed(1008, "ping timeout: the peer does not answer".into()));
    assert_eq!(observer.hear_within(Duration::from_secs(4)), None, "who answers stays, in silence");
    assert_eq!(observer.ask(json!({ "type": "countMembers", "group": "Sales" }), 1)["connections"], 1);
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&[]);
    let mut observer = Client::connect(server.address, "user-2", "password-2");
    let round = || {
        let come_and_go = |_| {
            let mut client = Client::connect(server.address, "user-1", "password-1");
            client.join("a-group-of-its-own", 1);
            client.abort();
        };
        (0..300).for_each(come_and_go);
    };
    round();
    let before = server.resident_bytes();
    (0..3).for_each(|_| round());
    eventually("all of them are gone", || {
        observer.ask(json!({ "type": "countMembers", "group": "*" }), 1)["connections"] != 1
            || http(server.address, "GET /metrics", &[], "").1.contains("folkmoot_connections 1\n")
    });
    // What 900 connections would take that were not let go.
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 6 << 20, "{} KiB more", grown >> 10);
}

#[test]
fn a_hub_that_comes_and_goes_leaves_no_thread_behind() {
    let workplace = Workplace::demo();
    let roles = ["--hub", "*", "--role", "webpubsub.sendToGroup", "--role", "webpubsub.joinLeaveGroup"];
    workplace.add_user("mark", "correct horse battery", &roles);
    let server = workplace.serve(&["--set", "hubs.settings.announcements.enabled=true"]);
    let login = crate::client::basic("mark", "correct horse battery");
    let visit = |hub: String| {
        let path = format!("/client/hubs/{hub}");
        let mut client = Client::try_connect_to(server.address, &path, &[("Authorization", &login)]).unwrap();
        client.join("group", 1);
        client
    };
    let first = visit("first".into());
    let with_one_hub = server.threads();
    drop(first);
    for n in 0..30 {
        drop(visit(format!("hub{n}")));
    }
    eventually("the threads of the hubs have ended", || server.threads() <= with_one_hub);
}
