//! Ends in the middle of something.

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
