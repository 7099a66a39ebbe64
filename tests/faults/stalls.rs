//! Peers that stop reading.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, publish};
use crate::process::{Program, Workplace, eventually};

const STALLED: usize = 16;
const MESSAGE: usize = 32 * 1024;

/// Clients that stop reading, each in a group of its own, so that what waits for them is not shared.
fn stall(server: &Program) -> Vec<Client> {
    let stall_one = |n| {
        let mut client = Client::connect_with_small_buffer(server.address, "user-2", "password-2");
        client.join(&format!("stall-{n}"), 1);
        client
    };
    (0..STALLED).map(stall_one).collect()
}

fn connections(client: &mut Client, ack_id: u64) -> u64 {
    client.ask(json!({ "type": "countMembers", "group": "stall-*" }), ack_id)["connections"].as_u64().unwrap()
}

#[test]
fn who_stops_reading_is_put_out_in_time_its_memory_is_free_and_others_hear_everything_in_order() {
    let workplace = Workplace::demo().env("RUST_LOG", "info,folkmoot::session=debug");
    let server = workplace.serve(&[
        "--set",
        "limits.write_timeout=5s",
        "--set",
        "limits.outbound_bytes=64MiB",
        "--set",
        "limits.outbound_messages=100000",
        "--set",
        "hubs.declared.chat.announcements.enabled=false",
    ]);
    let stalled = stall(&server);
    let mut reader = Client::connect(server.address, "user-3", "password-3");
    (0..STALLED).for_each(|n| reader.join(&format!("stall-{n}"), n as u64 + 1));
    let mut publisher = Client::connect(server.address, "user-1", "password-1");

    // 6 MiB for each of them, of which the kernel keeps a part.
    const ROUNDS: usize = 192;
    let reading = thread::spawn(move || {
        let seen = |_| {
            let frame = reader.frame();
            let number: usize = frame["data"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap();
            (frame["group"].as_str().unwrap().to_owned(), number)
        };
        let seen: Vec<_> = (0..ROUNDS * STALLED).map(seen).collect();
        (seen, reader)
    });
    let before = server.resident_bytes();
    let (mut peak, filler) = (0, "x".repeat(MESSAGE));
    let mut expected = Vec::new();
    let start = Instant::now();
    for number in 0..ROUNDS {
        for n in 0..STALLED {
            let group = format!("stall-{n}");
            publisher.send(&publish(&group, &format!("{number} {filler}")));
            expected.push((group, number));
        }
        peak = peak.max(server.resident_bytes());
    }
    let held = peak.saturating_sub(before);
    let mut asked = 0;
    eventually("those who do not read are out", || {
        asked += 1;
        // The reader is in all of the groups and counted once.
        connections(&mut publisher, asked) == 1
    });
    let took = start.elapsed();
    let (seen, _reader) = reading.join().unwrap();
    assert!(seen == expected, "somebody who reads missed something or heard it in another order");
    assert!(server.printed().contains("reason=\"write timeout\""), "{}", server.printed());
    assert!(took < Duration::from_secs(40), "{took:?}");
    // Otherwise there was nothing to be freed.
    assert!(held > 16 << 20, "only {} KiB were held", held >> 10);
    eventually("the memory is free again", || {
        asked += 1;
        connections(&mut publisher, asked);
        server.resident_bytes() < before + held / 4
    });
    drop(stalled);
}

#[test]
fn who_has_more_waiting_than_allowed_is_put_out_at_once_and_others_hear_everything() {
    let workplace = Workplace::demo().env("RUST_LOG", "info,folkmoot::session=debug");
    // Only the full queue can end them in the time of this test.
    let server = workplace.serve(&[
        "--set",
        "limits.write_timeout=5m",
        // Little, so that it is soon reached.
        "--set",
        "limits.max_message_bytes=512KiB",
        "--set",
        "limits.outbound_bytes=1MiB",
        "--set",
        "hubs.declared.chat.announcements.enabled=false",
    ]);
    let stalled = stall(&server);
    let mut publisher = Client::connect(server.address, "user-1", "password-1");
    let filler = "x".repeat(MESSAGE);
    let mut asked = 0;
    eventually("those who do not read are out", || {
        (0..STALLED).for_each(|n| publisher.send(&publish(&format!("stall-{n}"), &filler)));
        asked += 1;
        connections(&mut publisher, asked) == 0
    });
    assert_eq!(server.printed().matches("reason=\"slow consumer\"").count(), STALLED, "{}", server.printed());
    drop(stalled);
}
