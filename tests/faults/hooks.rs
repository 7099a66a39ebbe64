//! Hooks that panic, block their thread or take too long, and what they may do to connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use folkmoot::config::Config;
use folkmoot::messages::{Close, Receiver};
use folkmoot::{
    Authentication, Connecting, Disconnect, DisconnectKind, Disconnected, Hooks, Hub, Identity, Incoming, Joined, Left,
    LoginAttempt, Said, Server, User, UserId, Verdict,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::client::{Client, Heard, basic, publish, timed};
use crate::process::{Workplace, eventually};

/// How long a hook may take in these tests.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What others may at most wait on a busy machine; far less than [`TROUBLE`].
const UNHARMED: Duration = Duration::from_secs(4);
/// How long a bad hook takes.
const TROUBLE: Duration = Duration::from_secs(10);

/// Does what the name of a login, an event or a group says.
#[derive(Default)]
struct Trouble {
    calls: Arc<AtomicUsize>,
}

impl Trouble {
    async fn make(&self, name: &str) {
        if name.contains("panic") || name.contains("block") || name.contains("sleep") {
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
        match name {
            _ if name.contains("panic") => panic!("as asked for by '{name}'"),
            _ if name.contains("block") => thread::sleep(TROUBLE),
            _ if name.contains("sleep") => tokio::time::sleep(TROUBLE).await,
            _ => {}
        }
    }
}

impl Hooks<User> for Trouble {
    async fn authenticate(&self, attempt: &LoginAttempt) -> Authentication<User> {
        if attempt.login.starts_with("user-") {
            return Authentication::Undecided;
        }
        if attempt.login.starts_with("authenticate-") {
            self.make(&attempt.login).await;
        }
        let user_id = UserId::parse(&attempt.login).ok();
        Authentication::Accepted(Identity { user_id, user: None, roles: Vec::new(), groups: Vec::new() })
    }

    async fn connect(&self, connecting: &mut Connecting<User>) -> Result<(), String> {
        if let Some(login) = connecting.connection.user_id.as_ref().filter(|id| id.as_str().starts_with("connect-")) {
            self.make(login.as_str()).await;
        }
        Ok(())
    }

    async fn message(&self, hub: &Hub<User>, incoming: &Incoming<User>) -> Verdict {
        match &incoming.said {
            Said::Event(name) if name.starts_with("kick.") => {
                let who = UserId::parse(name.trim_start_matches("kick.")).unwrap();
                let reason = Disconnect::new(DisconnectKind::Kicked);
                hub.registry().send(Close { of: Receiver::User(who), reason }).await.unwrap();
                Verdict::Handled
            }
            Said::Event(name) => {
                self.make(name).await;
                Verdict::Handled
            }
            Said::SendToGroup(_) => Verdict::Allow,
        }
    }

    async fn client_added(&self, _: &Hub<User>, joined: &Joined<User>) {
        if joined.group.as_str().starts_with("added-") {
            self.make(joined.group.as_str()).await;
        }
    }

    async fn client_removed(&self, _: &Hub<User>, left: &Left<User>) {
        if left.group.as_str().starts_with("removed-") {
            self.make(left.group.as_str()).await;
        }
    }

    async fn disconnect(&self, _: &Hub<User>, gone: &Disconnected<User>) {
        if let Some(login) = gone.connection.user_id.as_ref().filter(|id| id.as_str().starts_with("disconnect-")) {
            self.make(login.as_str()).await;
        }
    }
}

/// A server with hooks, in this process; stopped when dropped.
pub struct Hooked {
    address: SocketAddr,
    workplace: Workplace,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Hooked {
    pub fn start(hooks: impl Hooks<User>, settings: &[&str]) -> Self {
        let workplace = Workplace::demo();
        let data = format!("data_dir={}", workplace.path().join("data").display());
        let mut all = vec!["server.port=0".to_owned(), "shutdown.timeout=1s".to_owned(), data];
        all.push(format!("hooks.timeout={}ms", TIMEOUT.as_millis()));
        all.extend(settings.iter().map(ToString::to_string));
        let config = Config::load(Some(&workplace.path().join("config.yaml")), [], &all).unwrap().config;
        let (ready, started) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                let running = Server::new(config).hooks(hooks).start().await.unwrap();
                ready.send(running.address()).unwrap();
                // Also when the test has failed and the sender is dropped.
                let _: Result<(), _> = stopped.await;
                running.stop().await;
            });
        });
        let address = started.recv().unwrap();
        Hooked { address, workplace, stop: Some(stop), thread: Some(thread) }
    }

    pub fn client(&self, login: &str) -> Client {
        let password = login.replace("user", "password");
        Client::connect(self.address, login, &password)
    }

    fn attempt(&self, login: &str) -> Result<Client, u16> {
        Client::try_connect(self.address, &[("Authorization", &basic(login, "any"))])
    }
}

impl Drop for Hooked {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap();
        }
    }
}

/// Two who talk to each other while something happens.
struct Bystanders {
    speaker: Client,
    listener: Client,
    said: u64,
}

impl Bystanders {
    fn of(server: &Hooked) -> Self {
        let (speaker, mut listener) = (server.client("user-3"), server.client("user-4"));
        listener.join("bystanders", 1);
        Bystanders { speaker, listener, said: 0 }
    }

    /// A message from one to the other, with its ack; must not take long.
    fn talk(&mut self) {
        self.said += 1;
        let text = self.said.to_string();
        let ((), took) = timed(|| {
            let ack = self.speaker.ask(publish("bystanders", &text), self.said);
            assert_eq!(ack["success"], true, "{ack}");
            while self.listener.frame()["data"] != text.as_str() {}
        });
        assert!(took < UNHARMED, "the bystanders waited for {took:?}");
    }
}

fn event(name: &str) -> Value {
    json!({ "type": "event", "event": name, "dataType": "text", "data": "" })
}

#[test]
fn a_message_hook_in_trouble_is_an_error_for_its_sender_and_nothing_for_others() {
    for trouble in ["panic", "block", "sleep"] {
        let server = Hooked::start(Trouble::default(), &[]);
        let mut bystanders = Bystanders::of(&server);
        bystanders.talk();
        let mut affected = server.client("user-1");
        let asking = thread::spawn(move || {
            let answered = timed(|| affected.ask(event(trouble), 1));
            (affected, answered)
        });
        let start = Instant::now();
        while start.elapsed() < TIMEOUT * 2 {
            bystanders.talk();
            thread::sleep(Duration::from_millis(10));
        }
        let (mut affected, (ack, took)) = asking.join().unwrap();
        assert_eq!(ack["error"]["name"], "InternalServerError", "{trouble}: {ack}");
        assert!(took < TIMEOUT + UNHARMED, "{trouble}: {took:?}");
        assert_eq!(affected.ask(event("fine"), 2)["success"], true, "{trouble}: its connection stays");
        // Not done, so it may be tried again under the same number.
        assert_eq!(affected.ask(event("fine"), 1)["success"], true, "{trouble}");
    }
}

#[test]
fn a_hook_in_trouble_while_somebody_connects_is_503_for_that_one_and_nothing_for_others() {
    for place in ["authenticate", "connect"] {
        for trouble in ["panic", "block", "sleep"] {
            let server = Hooked::start(Trouble::default(), &[]);
            let mut bystanders = Bystanders::of(&server);
            let login = format!("{place}-{trouble}");
            thread::scope(|scope| {
                let attempt = scope.spawn(|| timed(|| server.attempt(&login).err()));
                while !attempt.is_finished() {
                    bystanders.talk();
                    thread::sleep(Duration::from_millis(10));
                }
                let (status, took) = attempt.join().unwrap();
                assert_eq!(status, Some(503), "{login}");
                assert!(took < TIMEOUT + UNHARMED, "{login}: {took:?}");
            });
            assert!(server.attempt("somebody-else").is_ok(), "{login}");
            bystanders.talk();
        }
    }
}

#[test]
fn a_hook_in_trouble_while_it_is_told_of_events_delays_nobody() {
    for trouble in ["panic", "block", "sleep"] {
        let hooks = Trouble::default();
        let calls = hooks.calls.clone();
        let server = Hooked::start(hooks, &[]);
        let mut bystanders = Bystanders::of(&server);
        let mut client = server.attempt(&format!("disconnect-{trouble}")).unwrap();
        client.join(&format!("added-{trouble}"), 1);
        client.join(&format!("removed-{trouble}"), 2);
        let id = client.id.clone();
        client.abort();
        let start = Instant::now();
        let mut asked = 1000;
        while start.elapsed() < TIMEOUT {
            bystanders.talk();
            asked += 2;
            bystanders.listener.join("another", asked);
            bystanders.listener.ask(json!({ "type": "leaveGroup", "group": "another" }), asked + 1);
        }
        let list = bystanders.speaker.ask(json!({ "type": "countMembers", "group": "*" }), 5000);
        assert_eq!(list["connections"], 2, "{trouble}: {id} is out of everything: {list}");
        eventually("the hook was called", || calls.load(Ordering::Relaxed) > 0);
        if trouble == "panic" {
            eventually("the hook was told of the rest", || calls.load(Ordering::Relaxed) == 3);
        }
    }
}

/// A hook that never answers, but counts what it was asked.
struct Silent(Arc<AtomicUsize>);

impl Hooks<User> for Silent {
    async fn message(&self, _: &Hub<User>, incoming: &Incoming<User>) -> Verdict {
        match &incoming.said {
            Said::Event(name) if name == "forever" => {
                self.0.fetch_add(1, Ordering::Relaxed);
                std::future::pending().await
            }
            _ => Verdict::Handled,
        }
    }
}

#[test]
fn calls_of_connections_that_are_gone_end_in_time_and_free_their_places() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = Hooked::start(Silent(asked.clone()), &["hooks.concurrency=2"]);
    // Connecting takes a place too, so this comes first.
    let mut client = server.client("user-2");
    for calls in 1..=2 {
        let mut gone = server.client("user-1");
        gone.send(&event("forever"));
        // Gone before the answer is due, but not before the call.
        eventually("the hook is called", || asked.load(Ordering::Relaxed) == calls);
        gone.abort();
    }
    assert_eq!(client.ask(event("fine"), 1)["error"]["name"], "InternalServerError", "both places are taken");
    let mut ack_id = 1;
    eventually("there is a place for another call", || {
        ack_id += 1;
        client.ask(event("fine"), ack_id)["success"] == true
    });
}

/// A hook that takes its time over each connection.
struct Slow(Arc<AtomicUsize>);

impl Hooks<User> for Slow {
    async fn connect(&self, connecting: &mut Connecting<User>) -> Result<(), String> {
        if connecting.connection.user_id.as_ref().is_some_and(|id| id.as_str() == "user-2") {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        Ok(())
    }
}

#[test]
fn who_is_disabled_in_the_middle_of_a_handshake_does_not_stay() {
    let began = Arc::new(AtomicUsize::new(0));
    let settings = ["hooks.timeout=2500ms", "limits.handshake_timeout=3s", "users.revision_interval=100ms"];
    let server = Hooked::start(Slow(began.clone()), &settings);
    thread::scope(|scope| {
        let connecting = scope.spawn(|| server.client("user-2"));
        eventually("the handshake is under way", || began.load(Ordering::Relaxed) > 0);
        server.workplace.ok(&["user", "disable", "user-2"], "");
        let mut client = connecting.join().unwrap();
        let ((_, end), took) = timed(|| client.rest());
        assert_eq!(end, Heard::Closed(1008, "the user is disabled".into()));
        assert!(took < Duration::from_secs(10), "{took:?}");
    });
}

#[test]
fn who_is_kicked_is_told_why_and_the_others_are_told_once() {
    let server = Hooked::start(Trouble::default(), &[]);
    let mut kicked = server.client("user-2");
    let mut observer = server.client("user-1");
    observer.join("sales/europe", 1);
    let kick = observer.ask(event("kick.user-2"), 2);
    assert_eq!(kick["success"], true, "{kick}");
    let (frames, end) = kicked.rest();
    assert_eq!(end, Heard::Closed(1008, "kicked by an administrator".into()));
    assert_eq!(frames.last().unwrap()["event"], "disconnected", "{frames:?}");
    let left = loop {
        let frame = observer.frame();
        if frame["announcement"]["event"] == "left" {
            break frame;
        }
    };
    assert_eq!(left["announcement"]["reason"], "kicked", "{left}");
    assert_eq!(left["announcement"]["connectionId"], kicked.id, "{left}");
    assert_eq!(observer.hear_within(Duration::from_millis(200)), None);
}
