//! Messages at a pace, and the account of every one of them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::Bench;
use super::client::Client;
use super::machine::Process;
use super::marker::Stamp;

/// How long nothing may come while something is owed, before it counts as missing.
const STALLED: Duration = Duration::from_secs(10);

/// How fast messages are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many under way at a time: as fast as the server delivers.
    Window(u32),
    /// So many a second, whatever the server does; latency counts from when a message should have been sent.
    Rate(f64),
}

/// Who publishes where, and to how many.
pub struct Stage {
    /// Who publishes, with the target and the number of members who hear it.
    pub publishers: Vec<Publisher>,
    /// Bytes of a message's text.
    pub payload: usize,
    /// How fast.
    pub pace: Pace,
}

/// One who publishes.
pub struct Publisher {
    pub client: Arc<Client>,
    pub target: Arc<str>,
    /// Deliveries that one publish makes.
    pub hearers: u64,
}

/// What became of the messages of one period.
#[derive(Debug, Default, Clone, Copy)]
pub struct Outcome {
    pub published: u64,
    pub deliveries: u64,
    pub missing: u64,
    /// From the first publish to the last delivery.
    pub took: Duration,
    /// What the server used meanwhile.
    pub server_cpu: Option<Duration>,
    /// What we used meanwhile.
    pub own_cpu: Duration,
}

impl Outcome {
    /// Both periods as one.
    pub fn and(&self, other: &Outcome) -> Outcome {
        Outcome {
            published: self.published + other.published,
            deliveries: self.deliveries + other.deliveries,
            missing: self.missing + other.missing,
            took: self.took + other.took,
            server_cpu: self
                .server_cpu
                .or(other.server_cpu)
                .map(|_| self.server_cpu.unwrap_or_default() + other.server_cpu.unwrap_or_default()),
            own_cpu: self.own_cpu + other.own_cpu,
        }
    }

    /// What one publish cost: the server's time of processors where it is known, else the time that passed.
    pub fn cost(&self) -> f64 {
        self.server_cpu.filter(|cpu| !cpu.is_zero()).unwrap_or(self.took).as_secs_f64()
            / (self.published as f64).max(1.0)
    }
}

impl Stage {
    /// These publish to one target in turns, as fast as the server delivers.
    pub fn to(target: &str, hearers: usize, publishers: &[Arc<Client>], payload: usize) -> Self {
        let (target, hearers) = (Arc::<str>::from(target), hearers as u64);
        let by = |client: &Arc<Client>| Publisher { client: client.clone(), target: target.clone(), hearers };
        Stage { publishers: publishers.iter().map(by).collect(), payload, pace: Pace::Window(16) }
    }

    /// The same with another window.
    pub fn with_window(self, window: u32) -> Self {
        Stage { pace: Pace::Window(window), ..self }
    }

    /// Publishes one message, and waits until it has come.
    pub async fn once(&mut self, bench: &Bench) -> Outcome {
        // The time is over when the first is sent.
        self.run(bench, "publishing", Duration::from_nanos(1)).await
    }

    /// Publishes for a while, or until a publisher's connection ends, and waits until everything has come.
    pub async fn run(&mut self, bench: &Bench, phase: &'static str, time: Duration) -> Outcome {
        bench.progress.enter(phase, 0);
        let (began, before) = (Instant::now(), bench.tally.delivered());
        let (server, own) = (bench.server.map(Process::cpu), Process::own().cpu());
        let mut account = Account { published: 0, owed: before };
        let publishing = async {
            match self.pace {
                Pace::Window(window) => self.closed_loop(bench, &mut account, window.max(1), began + time).await,
                Pace::Rate(rate) => self.open_loop(bench, &mut account, rate, began + time).await,
            }
        };
        tokio::select! {
            () = publishing => {}
            () = bench.progress.stopped() => {}
        }
        let missing = settle(bench, account.owed).await;
        Outcome {
            published: account.published,
            deliveries: bench.tally.delivered() - before,
            missing,
            took: began.elapsed(),
            server_cpu: bench.server.zip(server).map(|(process, before)| process.cpu().saturating_sub(before)),
            own_cpu: Process::own().cpu().saturating_sub(own),
        }
    }

    async fn closed_loop(&mut self, bench: &Bench, account: &mut Account, window: u32, end: Instant) {
        let mut turn = Turn::default();
        loop {
            let Some(next) = turn.of(&mut self.publishers) else { return };
            let room = account.owed.saturating_sub(next.hearers * u64::from(window - 1));
            if timeout(STALLED, bench.tally.wait_for(room)).await.is_err() {
                return;
            }
            if account.publish(bench, next, bench.tally.now(), self.payload).await.is_err() || Instant::now() >= end {
                return;
            }
        }
    }

    async fn open_loop(&mut self, bench: &Bench, account: &mut Account, rate: f64, end: Instant) {
        let mut turn = Turn::default();
        let (began, stamped) = (Instant::now(), bench.tally.now());
        for number in 0_u32.. {
            let due = Duration::from_secs_f64(f64::from(number) / rate.max(0.001));
            if began + due >= end {
                break;
            }
            if began + due > Instant::now() {
                sleep_until(began + due).await;
            }
            let Some(next) = turn.of(&mut self.publishers) else { break };
            if account.publish(bench, next, stamped + due, self.payload).await.is_err() {
                return;
            }
        }
    }
}

struct Account {
    published: u64,
    /// The number of deliveries there should be when all is done.
    owed: u64,
}

impl Account {
    /// Fails when the connection has ended; its reader counts that.
    async fn publish(&mut self, bench: &Bench, by: &mut Publisher, at: Duration, len: usize) -> io::Result<()> {
        let stamp = Stamp { publisher: by.client.number(), number: by.client.next_number(), at };
        by.client.publish(&bench.tally, &by.target, stamp, len).await?;
        self.published += 1;
        self.owed += by.hearers;
        Ok(())
    }
}

/// Waits for what is owed, as long as anything comes; what has not come.
pub async fn settle(bench: &Bench, owed: u64) -> u64 {
    loop {
        let before = bench.tally.delivered();
        // Those whose connections ended get nothing more.
        let patience = if bench.tally.lost() > 0 { STALLED / 10 } else { STALLED };
        let waited = timeout(patience, bench.tally.wait_for(owed)).await;
        let delivered = bench.tally.delivered();
        if waited.is_ok() || delivered == before {
            return owed.saturating_sub(delivered);
        }
    }
}

/// Whose turn it is: anybody's, but the same in each run.
struct Turn(u64);

impl Default for Turn {
    fn default() -> Self {
        Turn(0x9E37_79B9_7F4A_7C15)
    }
}

impl Turn {
    fn of<'a>(&mut self, publishers: &'a mut [Publisher]) -> Option<&'a mut Publisher> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let place = self.0 % (publishers.len() as u64).max(1);
        publishers.get_mut(place as usize)
    }
}
