//! Publishers that send as fast as they can.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, Heard, text_frame};
use crate::process::Workplace;

const MESSAGES: u64 = 30_000;

#[test]
fn a_flood_is_slowed_down_and_not_kept_in_memory_and_every_ack_comes() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&[
        "--set",
        "fanout.window_bytes=1MiB",
        // It is slowed down by what it waits for, however fast it may be.
        "--set",
        "limits.messages_per_second=1000000000",
        "--set",
        "limits.bytes_per_second=100GiB",
        // The reader of this test may be slow on a busy machine.
        "--set",
        "limits.outbound_bytes=16MiB",
        "--set",
        "limits.outbound_messages=100000",
        "--set",
        "hubs.declared.chat.announcements.enabled=false",
    ]);
    let mut reader = Client::connect(server.address, "user-3", "password-3");
    reader.join("flood", 1);
    let mut publisher = Client::connect(server.address, "user-1", "password-1");
    let before = server.resident_bytes();
    let done = AtomicBool::new(false);

    let peak = thread::scope(|scope| {
        let mut socket = publisher.socket.get_ref().try_clone().unwrap();
        scope.spawn(move || {
            let filler = "x".repeat(4096);
            for number in 1..=MESSAGES {
                let mut frame = json!({ "type": "sendToGroup", "group": "flood", "dataType": "text" });
                frame["data"] = format!("{number} {filler}").into();
                // Those without an ack have nothing but the window that slows them down.
                if number % 10 == 0 {
                    frame["ackId"] = number.into();
                }
                socket.write_all(&text_frame(&frame.to_string())).unwrap();
            }
        });
        scope.spawn(move || {
            for number in 1..=MESSAGES {
                let message = loop {
                    match reader.socket.read().unwrap() {
                        Message::Text(text) => break text,
                        Message::Close(close) => panic!("the reader was closed: {close:?}"),
                        _ => {}
                    }
                };
                assert!(
                    message.contains(&format!("\"{number} x")),
                    "message {number} is missing: {:.200}",
                    message.as_str()
                );
            }
        });
        let sampler = scope.spawn(|| server.peak_until(&done));
        for number in (10..=MESSAGES).step_by(10) {
            let ack = publisher.frame();
            assert!(ack["ackId"] == number && ack["success"] == true, "{ack} instead of {number}");
        }
        done.store(true, Ordering::Relaxed);
        sampler.join().unwrap()
    });
    let grown = peak.saturating_sub(before);
    // 120 MiB went through it; the reader may hold 16.
    assert!(grown < 48 << 20, "{} MiB more", grown >> 20);
    assert_ne!(publisher.hear_within(Duration::from_millis(100)), Some(Heard::Lost));
}

#[test]
fn a_flood_of_pings_by_one_who_reads_no_answer_ends_that_one() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&[
        // What is not read, and not what is sent, is what this is about.
        "--set",
        "limits.messages_per_second=1000000000",
        "--set",
        "limits.bytes_per_second=100GiB",
        "--set",
        "hubs.declared.chat.announcements.enabled=false",
    ]);
    let mut observer = Client::connect(server.address, "user-2", "password-2");
    let flooder = Client::connect_with_small_buffer(server.address, "user-1", "password-1");
    let before = server.resident_bytes();
    let mut socket = flooder.socket.get_ref().try_clone().unwrap();
    // Masked pings with the longest payload that there is, many at a time.
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[b'x'; 125]].concat().repeat(100);
    let mut sent = 0;
    while socket.write_all(&ping).is_ok() {
        sent += ping.len();
        assert!(sent < 512 << 20, "{sent} bytes and still not closed");
    }
    assert_eq!(observer.ask(json!({ "type": "countMembers", "group": "Sales" }), 1)["connections"], 0);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{} MiB more", grown >> 20);
}
