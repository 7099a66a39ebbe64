//! A peer whose network is gone: packets are lost both ways, and no end of the connection is ever seen.
//!
//! The server runs in a network namespace of its own, and its peers are outside, each behind a cable of its own (a pair
//! of virtual interfaces) that can be pulled. That needs the right to make such things.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Client;
use crate::process::Workplace;

fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    output.is_ok_and(|output| output.status.success())
}

/// A namespace with cables into it; gone when dropped.
struct Namespace {
    name: String,
    number: u8,
}

impl Namespace {
    fn new() -> Option<Self> {
        let number = u8::try_from(std::process::id() % 250).unwrap();
        let namespace = Namespace { name: format!("folkmoot{number}"), number };
        ip(&format!("netns add {}", namespace.name)).then_some(namespace)
    }

    fn outside(&self, cable: u8) -> String {
        format!("fm{}o{cable}", self.number)
    }

    /// Lays a cable and returns the address of the server at its end.
    fn plug(&self, cable: u8) -> Option<Ipv4Addr> {
        let (name, outside, inside) = (&self.name, self.outside(cable), format!("fm{}i{cable}", self.number));
        let net = format!("10.{}.{cable}", self.number);
        let done = ip(&format!("link add {outside} type veth peer name {inside} netns {name}"))
            && ip(&format!("address add {net}.1/24 dev {outside}"))
            && ip(&format!("link set {outside} up"))
            && ip(&format!("-n {name} address add {net}.2/24 dev {inside}"))
            && ip(&format!("-n {name} link set {inside} up"));
        done.then(|| format!("{net}.2").parse().unwrap())
    }

    fn pull(&self, cable: u8) {
        assert!(ip(&format!("link set {} down", self.outside(cable))));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Takes the cables with it, once the server is gone.
        ip(&format!("netns delete {}", self.name));
    }
}

#[test]
fn a_peer_whose_packets_are_lost_is_out_of_its_groups_in_time_and_others_stay() {
    let cannot = || crate::notes::not_done("a_peer_whose_packets_are_lost", "no network namespace may be made here");
    let Some(namespace) = Namespace::new() else { return cannot() };
    let (Some(one), Some(other)) = (namespace.plug(1), namespace.plug(2)) else { return cannot() };
    let workplace = Workplace::demo();
    let settings = [
        "server.bind=0.0.0.0",
        "heartbeat.ping_interval=1s",
        "heartbeat.pong_timeout=1s",
        "hubs.declared.chat.announcements.enabled=false",
    ];
    let settings: Vec<_> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let words = format!("exec ip netns exec {} \"$@\" --allow-demo-users", namespace.name);
    let server = workplace.serve_by_shell(&words, &settings);
    let at = |end: Ipv4Addr| SocketAddr::from((end, server.address.port()));
    let mut observer = Client::connect(at(one), "user-1", "password-1");
    let mut victim = Client::connect(at(other), "user-2", "password-2");
    observer.join("news", 1);
    victim.join("news", 1);
    // Both answer pings while they listen, for longer than a silent one would be borne with.
    let listening = thread::spawn(move || {
        assert_eq!(victim.hear_within(Duration::from_secs(4)), None);
        victim
    });
    assert_eq!(observer.hear_within(Duration::from_secs(4)), None);
    let _victim = listening.join().unwrap();
    let mut number = 1;
    let mut members = || {
        number += 1;
        observer.ask(json!({ "type": "countMembers", "group": "news" }), number)["connections"].as_u64().unwrap()
    };
    assert_eq!(members(), 2, "who answers stays");

    namespace.pull(2);
    let start = Instant::now();
    while members() == 2 {
        assert!(start.elapsed() < Duration::from_secs(12), "it is still there");
        thread::sleep(Duration::from_millis(10));
    }
    // Two seconds and a turn of the wheel, with slack for a busy machine.
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(members(), 1);
}
