//! A server that has no time: nobody is held guilty of the server's own silence.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use actix::{Handler, Message};
use folkmoot::{GroupRegistry, Hooks, Hub, Incoming, User, Verdict};
use serde_json::json;

use crate::client::{Client, Heard};
use crate::hooks::Hooked;
use crate::process::Workplace;

const HEARTBEAT: [&str; 2] = ["heartbeat.ping_interval=800ms", "heartbeat.pong_timeout=800ms"];
const QUIET: &str = "hubs.declared.chat.announcements.enabled=false";
/// More than twice what a peer has to answer.
const STANDSTILL: Duration = Duration::from_secs(4);

/// Keeps the registry busy for so long.
#[derive(Message)]
#[rtype(result = "()")]
struct Toil(Duration);

impl Handler<Toil> for GroupRegistry<User> {
    type Result = ();

    fn handle(&mut self, toil: Toil, _: &mut Self::Context) {
        thread::sleep(toil.0);
    }
}

/// Gives the registry work when a client asks for it.
struct Taskmaster;

impl Hooks<User> for Taskmaster {
    async fn message(&self, hub: &Hub<User>, _: &Incoming<User>) -> Verdict {
        hub.registry().do_send(Toil(STANDSTILL));
        Verdict::Handled
    }
}

/// A client that asks so much at once, hears the answers, then listens until a moment; it is connected all the time.
fn live_until(end: Instant, mut client: Client, questions: u64) -> JoinHandle<()> {
    thread::spawn(move || {
        let question = |number: u64| json!({ "type": "countMembers", "group": "*", "ackId": number });
        (1..=questions).for_each(|number| client.send(&question(number)));
        for number in 1..=questions {
            match client.hear() {
                Heard::Frame(frame) => assert_eq!(frame["ackId"], number, "{frame}"),
                end => panic!("answer {number} was expected: {end:?}"),
            }
        }
        let left = end.saturating_duration_since(Instant::now());
        assert_eq!(client.hear_within(left), None, "nothing more is said to it");
        let answer = client.ask(question(0), questions + 1);
        assert_eq!(answer["success"], true, "{answer}");
    })
}

#[test]
fn a_busy_registry_disconnects_nobody_and_answers_everybody() {
    let server = Hooked::start(Taskmaster, &[HEARTBEAT[0], HEARTBEAT[1], QUIET]);
    let mut one = server.client("user-1");
    // Idle ones, and ones who wait for more answers than may be under way, so that nothing more is read from them.
    let clients: Vec<_> = (0..20).map(|number| (server.client("user-2"), number % 2 * 100)).collect();
    let start = Instant::now();
    one.send(&json!({ "type": "event", "event": "toil", "dataType": "text", "data": "" }));
    let lives: Vec<_> =
        clients.into_iter().map(|(client, questions)| live_until(start + STANDSTILL * 2, client, questions)).collect();
    let count = one.ask(json!({ "type": "countMembers", "group": "*" }), 1);
    assert_eq!(count["success"], true, "{count}");
    assert!(start.elapsed() > STANDSTILL / 2, "it was busy: {:?}", start.elapsed());
    lives.into_iter().for_each(|life| life.join().unwrap());
}

#[test]
fn a_machine_that_stands_still_disconnects_nobody() {
    let workplace = Workplace::demo();
    let settings: Vec<_> = [HEARTBEAT[0], HEARTBEAT[1], QUIET].into_iter().flat_map(|set| ["--set", set]).collect();
    let server = workplace.serve(&settings);
    let clients: Vec<_> = (0..40).map(|_| Client::connect(server.address, "user-1", "password-1")).collect();
    // Stopped before a ping, after it, and while its answer is under way.
    let pauses = [100, 500, 900, 1_300].map(Duration::from_millis);
    let all: Duration = pauses.iter().map(|pause| STANDSTILL / 2 + *pause).sum();
    let end = Instant::now() + all + STANDSTILL / 2;
    let lives: Vec<_> = clients.into_iter().map(|client| live_until(end, client, 0)).collect();
    for pause in pauses {
        thread::sleep(pause);
        server.signal("STOP");
        thread::sleep(STANDSTILL / 2);
        server.signal("CONT");
    }
    lives.into_iter().for_each(|life| life.join().unwrap());
}
