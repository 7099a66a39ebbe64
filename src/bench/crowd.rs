//! Many clients at once: how they come, and how they go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client::{Client, Hears};
use super::histogram::Histogram;
use super::machine::Process;
use super::tally::{Sampler, Tally};
use super::{BenchError, Progress, Target, handshake};

/// Clients that look at order and latency; the others only count.
const SAMPLERS: usize = 64;

/// Publishers of a scenario in which not the members publish: one alone would meet `limits.messages_per_second`.
const PUBLISHERS: usize = 16;

/// A run against one server: what its scenarios have in common.
#[derive(Clone)]
pub struct Bench {
    /// Where the server is.
    pub target: Arc<Target>,
    /// Its process, where it is on this machine.
    pub server: Option<Process>,
    /// Handshakes under way at the same time.
    pub inflight: usize,
    /// Who watches.
    pub progress: Arc<Progress>,
    pub(super) tally: Arc<Tally>,
    address: SocketAddr,
    run: u32,
}

impl Bench {
    /// Finds the server, without talking to it.
    ///
    /// # Errors
    /// [`BenchError`] when its name stands for nothing, or its process is not there.
    pub async fn new(
        target: Target,
        pid: Option<u32>,
        inflight: usize,
        progress: Arc<Progress>,
    ) -> Result<Self, BenchError> {
        let address = handshake::resolve(&target).await?;
        // Two runs on one server at the same time do not count each other's messages.
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let run = std::process::id() ^ clock.subsec_nanos();
        let tally = Arc::new(Tally::new(run));
        progress.follow(&tally);
        let server = pid.map(Process::new).transpose()?;
        Ok(Bench { target: Arc::new(target), server, inflight: inflight.max(1), progress, tally, address, run })
    }

    /// The name of a group that only this run uses.
    pub fn group(&self, name: impl std::fmt::Display) -> String {
        format!("bench-{:08x}/{name}", self.run)
    }

    /// Connects one client that joins nothing.
    pub(super) async fn one(&self) -> Result<Arc<Client>, BenchError> {
        Client::connect(&self.target, self.address, 0, &self.tally, Hears::Nothing).await
    }

    /// Connects those who publish and join nothing. What they send is refused at once or never.
    pub(super) async fn publishers(&self, group: &str) -> Result<Vec<Arc<Client>>, BenchError> {
        let publishers = self.gather(PUBLISHERS, |_| Vec::new(), None).await?;
        // A publish without an ack would be refused without a word.
        if let Some(first) = publishers.first() {
            first.publish_acked(&self.tally, group).await?;
        }
        Ok(publishers)
    }

    /// Connects `count` clients, each of which joins its groups; the times that this took go to `times`.
    ///
    /// The first comes alone: what is wrong is told once, and its password is verified by then.
    pub(super) async fn gather(
        &self,
        count: usize,
        groups: impl Fn(usize) -> Vec<String> + Send + Sync + 'static,
        times: Option<Arc<Histogram>>,
    ) -> Result<Vec<Arc<Client>>, BenchError> {
        self.progress.enter("connecting", count);
        let plan =
            Arc::new(Plan { bench: self.clone(), next: AtomicUsize::new(1), count, groups: Box::new(groups), times });
        let mut clients = Vec::with_capacity(count);
        if count > 0 {
            clients.push((0, plan.bring(0).await?));
        }
        let mut lanes = JoinSet::new();
        for _ in 0..self.inflight.min(count) {
            lanes.spawn(plan.clone().lane());
        }
        loop {
            tokio::select! {
                lane = lanes.join_next() => match lane {
                    None => break,
                    Some(Ok(brought)) => clients.extend(brought?),
                    // A lane that panicked is a mistake of ours.
                    Some(Err(panic)) => return Err(BenchError::Lost(panic.to_string())),
                },
                () = self.progress.stopped() => return Err(BenchError::Interrupted),
            }
        }
        clients.sort_unstable_by_key(|(number, _)| *number);
        Ok(clients.into_iter().map(|(_, client)| client).collect())
    }

    /// Waits, unless the run is to end; whether it may go on.
    pub(super) async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.progress.stopped() => false,
        }
    }

    /// Sends everybody home, at the end of the run.
    pub(super) async fn end(&self, clients: Vec<Arc<Client>>) {
        self.tally.end();
        self.dismiss(clients);
    }

    /// Sends these home, while the run goes on.
    pub(super) fn dismiss(&self, clients: Vec<Arc<Client>>) {
        clients.iter().for_each(|client| client.close());
    }

    /// The time of each ack that one client waits for, at most a thousand publishes a second, for so long.
    pub(super) async fn acks(&self, client: &Client, group: &str, time: Duration) -> Result<Histogram, BenchError> {
        let (times, end) = (Histogram::default(), Instant::now() + time);
        while Instant::now() < end && !self.progress.is_stopped() {
            let began = Instant::now();
            client.publish_acked(&self.tally, group).await?;
            times.record(began.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(times)
    }
}

struct Plan {
    bench: Bench,
    next: AtomicUsize,
    count: usize,
    groups: Box<dyn Fn(usize) -> Vec<String> + Send + Sync>,
    times: Option<Arc<Histogram>>,
}

impl Plan {
    /// Brings one client after the other until all are there.
    async fn lane(self: Arc<Self>) -> Result<Vec<(usize, Arc<Client>)>, BenchError> {
        let mut brought = Vec::new();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return Ok(brought);
            }
            brought.push((number, self.bring(number).await?));
        }
    }

    async fn bring(&self, number: usize) -> Result<Arc<Client>, BenchError> {
        let Bench { target, address, tally, progress, .. } = &self.bench;
        let began = Instant::now();
        let every = (self.count / SAMPLERS).max(1);
        let groups = (self.groups)(number);
        let hears = match number.is_multiple_of(every) {
            _ if groups.is_empty() => Hears::Nothing,
            true => Hears::Sampled(Sampler::new()),
            false => Hears::Counted,
        };
        let client = Client::connect(target, *address, number, tally, hears).await?;
        for group in groups {
            client.join(tally, &group).await?;
        }
        if let Some(times) = &self.times {
            times.record(began.elapsed());
        }
        progress.step();
        Ok(client)
    }
}
