//! Ends in the middle of something.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Client, Heard, publish};
use crate::process::{Workplace, eventually};

#[test]
fn nothing_that_was_acked_is_lost_when_the_server_stops() {
    let workplace = Workplace::demo();
    let mut server = workplace.serve(&["--set", "server.workers=1", "--set", "shutdown.timeout=2s"]);
    // The first to come is the first to be sent away, so the reader outlives the publisher.
    let mut publisher = Client::connect(server.address, "user-1", "password-1");
    let mut reader = Client::connect(server.address, "user-3", "password-3");
    reader.join("news", 1);

    let under_way = Arc::new(AtomicU64::new(0));
    let progress = under_way.clone();
    let publishing = thread::spawn(move || {
        let (mut acked, mut number) = (0_u64, 0_u64);
        loop {
            // As many under way as a connection may have.
            while number < acked + 16 {
                number += 1;
                let mut frame = publish("news", &number.to_string());
                frame["ackId"] = number.into();
                let text = frame.to_string();
                if publisher.socket.send(text.into()).is_err() {
                    break;
                }
            }
            match publisher.hear() {
                Heard::Frame(frame) if frame["type"] == "ack" => {
                    assert_eq!(frame["success"], true, "{frame}");
                    acked = frame["ackId"].as_u64().unwrap();
                    progress.store(acked, Ordering::Relaxed);
                }
                Heard::Frame(_) => {}
                end => return (acked, end),
            }
        }
    });
    eventually("it is in the middle of publishing", || under_way.load(Ordering::Relaxed) > 16);
    server.signal("TERM");
    let (acked, end) = publishing.join().unwrap();
    assert!(matches!(&end, Heard::Closed(1001, reason) if reason.contains("retry_after_ms=")), "{end:?}");
    let (frames, end) = reader.rest();
    assert!(matches!(end, Heard::Closed(1001, _)), "{end:?}");
    let heard: Vec<u64> =
        frames.iter().filter_map(|frame| frame["data"].as_str()).filter_map(|data| data.parse().ok()).collect();
    assert!(heard.iter().copied().eq(1..=heard.len() as u64), "in order and without a gap");
    assert!(heard.len() as u64 >= acked, "{acked} were acked, {} were heard", heard.len());
    assert!(server.wait().success());
}

/// What a member of a group did and heard until its end.
struct Life {
    acked: Vec<String>,
    heard: Vec<String>,
    end: Heard,
}

/// Publishes as fast as acks come, and hears what everybody publishes.
fn live(mut client: Client, name: usize) -> Life {
    let (mut sent, mut life) = (0_u64, Life { acked: Vec::new(), heard: Vec::new(), end: Heard::Lost });
    loop {
        while sent < life.acked.len() as u64 + 4 {
            sent += 1;
            let mut frame = publish("crowd", &format!("{name}:{sent}"));
            frame["ackId"] = sent.into();
            // Once it is sent away, only what it hears counts.
            if client.socket.send(frame.to_string().into()).is_err() {
                break;
            }
        }
        match client.hear() {
            Heard::Frame(frame) if frame["type"] == "ack" => {
                assert_eq!(frame["success"], true, "{frame}");
                life.acked.push(format!("{name}:{}", frame["ackId"]));
            }
            Heard::Frame(frame) => life.heard.extend(frame["data"].as_str().map(str::to_owned)),
            end => return Life { end, ..life },
        }
    }
}

#[test]
fn everybody_is_sent_away_under_load_and_nothing_that_was_acked_is_lost() {
    let workplace = Workplace::demo();
    let quiet = ["--set", "hubs.declared.chat.announcements.enabled=false"];
    let mut server = workplace.serve(&[&quiet[..], &["--set", "shutdown.timeout=4s"]].concat());
    let mut clients: Vec<_> = (0..24).map(|_| Client::connect(server.address, "user-1", "password-1")).collect();
    clients.iter_mut().for_each(|client| client.join("crowd", 1_000_000));
    let mut observer = Client::connect(server.address, "user-2", "password-2");
    observer.join("crowd", 1);
    let living: Vec<_> =
        clients.into_iter().enumerate().map(|(name, client)| thread::spawn(move || live(client, name))).collect();
    let mut heard = Vec::new();
    while heard.len() < 500 {
        heard.extend(observer.frame()["data"].as_str().map(str::to_owned));
    }
    server.signal("TERM");
    let (frames, end) = observer.rest();
    heard.extend(frames.iter().filter_map(|frame| frame["data"].as_str()).map(str::to_owned));
    let mut lives: Vec<_> = living.into_iter().map(|life| life.join().unwrap()).collect();
    assert!(server.wait().success());

    lives.push(Life { acked: Vec::new(), heard, end });
    for life in &lives {
        assert!(matches!(life.end, Heard::Closed(1001, _)), "{:?}", life.end);
    }
    // All were there from the first message on, so whoever was there longest heard what all others did, and more.
    let longest = lives.iter().map(|life| &life.heard).max_by_key(|heard| heard.len()).unwrap();
    for life in &lives {
        assert!(longest.starts_with(&life.heard), "in the same order, without a gap, up to its own end");
        let own: HashSet<_> = life.heard.iter().collect();
        assert!(life.acked.iter().all(|message| own.contains(message)), "an ack comes behind the message");
    }
}

#[test]
fn a_close_with_any_code_is_answered_by_the_same_code_and_the_others_are_told_once() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&[]);
    let mut observer = Client::connect(server.address, "user-1", "password-1");
    assert_eq!(observer.frame()["announcement"]["event"], "joined", "its own");
    for code in [1000, 1001, 1011, 3000, 4999] {
        let mut client = Client::connect(server.address, "user-1", "password-1");
        assert_eq!(observer.frame()["announcement"]["event"], "joined");
        client.socket.close(Some(CloseFrame { code: CloseCode::from(code), reason: "bye".into() })).unwrap();
        let (_, end) = client.rest();
        assert_eq!(end, Heard::Closed(code, String::new()));
        let left = observer.frame();
        assert_eq!(left["announcement"]["connectionId"], client.id, "{left}");
        assert_eq!(left["announcement"]["reason"], "disconnected", "{left}");
    }
    assert_eq!(observer.hear_within(Duration::from_millis(200)), None);
    assert_eq!(observer.ask(json!({ "type": "countMembers", "group": "Sales" }), 1)["connections"], 1);
}
