//! A client whose whole process is stopped, and goes on later.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::json;

use crate::client::{Client, Heard, publish};
use crate::process::{PATIENCE, Program, Workplace, eventually};

/// Set for the process that is only a client.
const ADDRESS: &str = "FOLKMOOT_TEST_ADDRESS";

/// Not a test of its own: what [`Stoppable`] runs in a process of its own, which is this binary once more.
#[test]
fn a_client_in_a_process_of_its_own() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let mut client = Client::connect_with_small_buffer(address.parse().unwrap(), "user-2", "password-2");
    client.join("stoppable", 1);
    println!("\nCLIENT joined");
    loop {
        match client.hear() {
            Heard::Frame(_) => {}
            Heard::Closed(code, reason) => return println!("\nCLIENT closed {code} {reason}"),
            Heard::Lost => return println!("\nCLIENT lost"),
        }
    }
}

/// The client, which can be stopped.
struct Stoppable {
    child: Child,
    said: Receiver<String>,
}

impl Stoppable {
    fn start(server: &Program) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "stopped::a_client_in_a_process_of_its_own", "--nocapture"]);
        command.env(ADDRESS, server.address.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, said) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(said) = line.strip_prefix("CLIENT ") {
                    // Nobody listens any more once the test has ended.
                    let _: Result<(), _> = sender.send(said.to_owned());
                }
            }
        });
        let client = Stoppable { child, said };
        assert_eq!(client.says(), "joined");
        client
    }

    fn says(&self) -> String {
        self.said.recv_timeout(PATIENCE).expect("the client says nothing")
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status();
        assert!(sent.unwrap().success(), "SIG{name} could not be sent");
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _ = self.child.wait();
    }
}

fn members(client: &mut Client, ack_id: u64) -> u64 {
    client.ask(json!({ "type": "countMembers", "group": "stoppable" }), ack_id)["connections"].as_u64().unwrap()
}

/// What it answers to the ping that it finds may reset the connection before it has read the close frame behind.
fn assert_ended(end: &str) {
    assert!(end == "lost" || end.starts_with("closed 1008"), "{end}");
}

#[test]
fn a_client_that_is_stopped_while_it_is_sent_to_is_put_out_and_sees_it_when_it_goes_on() {
    let workplace = Workplace::demo().env("RUST_LOG", "info,folkmoot::session=debug");
    let server = workplace.serve(&["--set", "limits.write_timeout=1s"]);
    let client = Stoppable::start(&server);
    let mut publisher = Client::connect(server.address, "user-1", "password-1");
    assert_eq!(members(&mut publisher, 1), 1);
    client.signal("STOP");
    let (filler, mut asked) = ("x".repeat(32 * 1024), 1);
    // Until the kernel takes no more for it, and a little waits.
    eventually("the stopped client is out", || {
        publisher.send(&publish("stoppable", &filler));
        asked += 1;
        members(&mut publisher, asked) == 0
    });
    eventually("why, in the log", || {
        let printed = server.printed();
        printed.contains("reason=\"write timeout\"") || printed.contains("reason=\"slow consumer\"")
    });
    client.signal("CONT");
    assert_ended(&client.says());
}

#[test]
fn a_client_that_is_stopped_in_silence_is_put_out_and_sees_it_when_it_goes_on() {
    let workplace = Workplace::demo();
    let server = workplace.serve(&["--set", "heartbeat.ping_interval=500ms", "--set", "heartbeat.pong_timeout=500ms"]);
    let client = Stoppable::start(&server);
    let mut observer = Client::connect(server.address, "user-1", "password-1");
    client.signal("STOP");
    let mut asked = 0;
    eventually("the stopped client is out", || {
        asked += 1;
        members(&mut observer, asked) == 0
    });
    client.signal("CONT");
    assert_ended(&client.says());
}
