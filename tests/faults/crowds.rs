//! Many groups, many members, many publishers: what is dear for one of them is not for the others.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, publish, text_frame};
use crate::open_many_files;
use crate::process::{Program, Workplace, eventually};

/// Two in a group of their own, who are to notice nothing.
struct Others(Client, Client);

impl Others {
    fn connect(server: &Program) -> Self {
        Others(member(server, "elsewhere"), member(server, "elsewhere"))
    }

    /// Publishes, and waits for the ack and both copies, again and again until `done`; returns how long each took.
    fn round_trips(&mut self, first_ack: u64, done: &AtomicBool) -> Vec<Duration> {
        let mut trips = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let (start, ack_id) = (Instant::now(), first_ack + trips.len() as u64);
            let text = format!("trip {ack_id}");
            let ack = self.0.ask(publish("elsewhere", &text), ack_id);
            assert_eq!(ack["success"], true, "{ack}");
            for client in [&mut self.0, &mut self.1] {
                assert_eq!(client.frame()["data"], text);
            }
            trips.push(start.elapsed());
        }
        trips
    }
}

/// Ends who goes on until then, also when the test fails: it would wait for them for ever.
struct DoneAtTheEnd<'a>(&'a AtomicBool);

impl Drop for DoneAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a person may want to know, and no test can judge on a busy machine.
fn print(beside: &str, mut trips: Vec<Duration>) {
    trips.sort_unstable();
    let at = |percent: usize| trips.get((trips.len() * percent / 100).min(trips.len() - 1));
    println!(
        "{} round trips beside {beside}: p50 {:?}, p99 {:?}, longest {:?}",
        trips.len(),
        at(50),
        at(99),
        trips.last()
    );
}

/// What is sent is not to be held up by what one connection or one user may do.
const UNHINDERED: [&str; 8] = [
    "--set",
    "hubs.declared.chat.announcements.enabled=false",
    "--set",
    "limits.messages_per_second=1000000000",
    "--set",
    "limits.bytes_per_second=100GiB",
    "--set",
    "limits.connections_per_user=2000",
];

/// A server that hinders nobody, with these settings besides.
fn serve(workplace: &Workplace, settings: &[&str]) -> Program {
    workplace.serve(&[&UNHINDERED, settings].concat())
}

fn member(server: &Program, group: &str) -> Client {
    let mut client = Client::connect(server.address, "user-1", "password-1");
    client.join(group, 1);
    client
}

#[test]
fn a_flood_of_fifty_into_a_thousand_is_acked_to_the_last_and_others_go_on_meanwhile() {
    const MEMBERS: usize = 1000;
    const PUBLISHERS: usize = 50;
    const EACH: u64 = 40;
    open_many_files();
    let workplace = Workplace::demo();
    let server = serve(
        &workplace,
        &[
            // Those who read may be slow on a busy machine,
            "--set",
            "limits.outbound_messages=100000",
            "--set",
            "limits.outbound_bytes=16MiB",
            // and the window, which is one of eight publishes to so many, is to be felt.
            "--set",
            "fanout.window_bytes=4MiB",
            // Bytes are counted, and a ping would be some of them.
            "--set",
            "heartbeat.ping_interval=10m",
        ],
    );
    let members: Vec<_> = (0..MEMBERS).map(|_| member(&server, "crowd")).collect();
    let publishers: Vec<_> = (0..PUBLISHERS).map(|_| Client::connect(server.address, "user-2", "password-2")).collect();
    // All of the same length, so that who counts bytes counts messages.
    let frame = |number: u64, ack_id: u64| {
        let mut frame = publish("crowd", &format!("{number:06} {}", "x".repeat(1000)));
        frame["ackId"] = ack_id.into();
        frame.to_string()
    };
    let sent = serde_json::from_str::<Value>(&frame(0, 1)).unwrap();
    let received = json!({ "type": "message", "from": "group", "group": "crowd", "fromUserId": "user-2",
        "dataType": "text", "data": sent["data"] });
    let expected = (4 + received.to_string().len()) * PUBLISHERS * EACH as usize;
    let mut others = Others::connect(&server);
    let before = server.resident_bytes();
    let (done, arrived) = (AtomicBool::new(false), AtomicUsize::new(0));

    let (trips, peak) = thread::scope(|scope| {
        // Whatever fails below, the threads come to their end.
        let _done = DoneAtTheEnd(&done);
        let trips = scope.spawn(|| others.round_trips(2, &done));
        let sampler = scope.spawn(|| server.peak_until(&done));
        for members in members.chunks(MEMBERS / 4) {
            scope.spawn(|| read_all(members, expected, &arrived));
        }
        let flood: Vec<_> = (0..)
            .zip(publishers)
            .map(|(publisher, mut client)| {
                scope.spawn(move || {
                    for number in 1..=EACH {
                        client.socket.write(Message::text(frame(publisher * EACH + number, number))).unwrap();
                    }
                    client.socket.flush().unwrap();
                    for number in 1..=EACH {
                        let ack = client.frame();
                        assert!(ack["ackId"] == number && ack["success"] == true, "{ack} instead of {number}");
                    }
                })
            })
            .collect();
        flood.into_iter().for_each(|publisher| publisher.join().unwrap());
        // Until the last member has the last message.
        let everything = expected * MEMBERS;
        eventually("everybody has everything", || arrived.load(Ordering::Relaxed) == everything);
        done.store(true, Ordering::Relaxed);
        (trips.join().unwrap(), sampler.join().unwrap())
    });
    assert!(trips.len() >= 5, "only {} round trips elsewhere", trips.len());
    print("a flood", trips);
    let grown = peak.saturating_sub(before);
    // Two GiB were delivered.
    assert!(grown < 64 << 20, "{} MiB more", grown >> 20);
}

/// Reads so many bytes from each of them, without looking at them.
fn read_all(members: &[Client], each: usize, arrived: &AtomicUsize) {
    let mut left: Vec<_> = members.iter().map(|client| (client.socket.get_ref(), each)).collect();
    left.iter().for_each(|(socket, _)| socket.set_nonblocking(true).unwrap());
    let mut buffer = vec![0; 64 * 1024];
    while !left.is_empty() {
        let mut nothing = true;
        left.retain_mut(|(socket, left)| {
            match socket.read(&mut buffer) {
                Ok(0) => panic!("somebody who reads was cut off"),
                Ok(count) => {
                    *left = left.checked_sub(count).expect("nobody gets more than was published");
                    arrived.fetch_add(count, Ordering::Relaxed);
                    nothing = false;
                }
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
            *left > 0
        });
        if nothing {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Joins many groups, without waiting for one ack after the other.
fn join_many(client: &mut Client, groups: impl Iterator<Item = String>) {
    let mut socket = client.socket.get_ref().try_clone().unwrap();
    let groups: Vec<_> = groups.collect();
    thread::scope(|scope| {
        let groups = &groups;
        scope.spawn(move || {
            for (group, number) in groups.iter().zip(1..) {
                let text = json!({ "type": "joinGroup", "group": group, "ackId": number }).to_string();
                socket.write_all(&text_frame(&text)).unwrap();
            }
        });
        for number in 1..=groups.len() {
            let ack = client.frame();
            assert!(ack["ackId"] == number && ack["success"] == true, "{ack} instead of {number}");
        }
    });
}

#[test]
fn a_hundred_thousand_groups_a_scanner_and_the_end_of_one_who_is_in_ten_thousand_hold_nobody_up() {
    let workplace = Workplace::demo();
    let server = serve(
        &workplace,
        &[
            // One more, for the group of its user.
            "--set",
            "limits.groups_per_connection=10001",
            "--set",
            "limits.mask_scan_per_second=200000",
        ],
    );
    let mut holders: Vec<_> = (0..10).map(|_| Client::connect(server.address, "user-2", "password-2")).collect();
    thread::scope(|scope| {
        for (n, holder) in holders.iter_mut().enumerate() {
            scope.spawn(move || {
                join_many(holder, (0..9_000 + 1_000 * usize::from(n == 0)).map(|g| format!("g{n}/{g}")))
            });
        }
    });
    let mut big = Client::connect(server.address, "user-3", "password-3");
    join_many(&mut big, (0..10_000).map(|g| format!("big/{g}")));
    let mut observer = Client::connect(server.address, "user-4", "password-4");
    let count = observer.ask(json!({ "type": "countMembers", "group": "g*" }), 1);
    assert_eq!((&count["connections"], &count["groups"]), (&json!(10), &json!(91_000)), "{count}");

    let mut others = Others::connect(&server);
    scan(&server, &mut others);
    let done = AtomicBool::new(false);
    let trips = thread::scope(|scope| {
        let trips = scope.spawn(|| others.round_trips(1_000_000, &done));
        big.abort();
        let mut asked = 1;
        eventually("none of its groups is left", || {
            asked += 1;
            observer.ask(json!({ "type": "countMembers", "group": "big/*" }), asked)["groups"] == 0
        });
        done.store(true, Ordering::Relaxed);
        trips.join().unwrap()
    });
    // Ten milliseconds are the aim, and a build that is not optimised on a busy machine takes far more; what would take
    // a look at all groups for each that is left takes minutes.
    assert!(trips.iter().all(|trip| *trip < Duration::from_secs(10)), "{trips:?}");
    print("the end of one who was in 10,000 groups", trips);
    let count = observer.ask(json!({ "type": "countMembers", "group": "g3/77" }), 1_000_000);
    assert_eq!(count["connections"], 1, "{count}");
}

/// One who publishes to a mask that all names have to be compared with, in a loop.
fn scan(server: &Program, others: &mut Others) {
    let done = AtomicBool::new(false);
    let mut scanner = Client::connect(server.address, "user-1", "password-1");
    let trips = thread::scope(|scope| {
        let trips = scope.spawn(|| others.round_trips(2, &done));
        let (mut passed, mut refused) = (0, 0);
        for ack_id in 1..=1000 {
            let ack = scanner.ask(publish("*x*", "Is anybody there?"), ack_id);
            match ack["error"]["name"].as_str() {
                None => passed += 1,
                Some("LimitReached") => refused += 1,
                Some(_) => panic!("{ack}"),
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(passed > 0 && refused > 0, "{passed} passed and {refused} were refused");
        trips.join().unwrap()
    });
    assert!(trips.len() > 10, "only {} round trips", trips.len());
    print("a scanner", trips);
}
