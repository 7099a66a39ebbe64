//! `idle`: what connections cost that do nothing, before and after there was something to hear.

use std::time::Duration;

use super::Scenario;
use crate::bench::machine::Process;
use crate::bench::publishing::{Publisher, Stage};
use crate::bench::report::Memory;
use crate::bench::{Bench, BenchError, Pace, Report};

/// What idle connections cost.
#[derive(Debug, Clone)]
pub struct Idle {
    /// How many there are.
    pub members: usize,
    /// For how long they are idle.
    pub time: Duration,
    /// Messages to all of them, afterwards.
    pub broadcasts: u32,
    /// Bytes of a message's text.
    pub payload: usize,
}

/// Broadcasts in a second: each is to be over before the next begins.
const BROADCASTS_PER_SECOND: u32 = 10;

impl Scenario for Idle {
    async fn run(&self, bench: &Bench) -> Result<Report, BenchError> {
        let group = bench.group("all");
        // One connection makes everything that is there once (a worker's tables, a hub's thread) be there.
        let publisher = bench.one().await?;
        let before = bench.server.map_or(0, Process::resident_bytes);
        let joined = group.clone();
        let mut clients = bench.gather(self.members, move |_| vec![joined.clone()], None).await?;
        clients.push(publisher.clone());
        publisher.publish_acked(&bench.tally, &group).await?;

        bench.progress.enter("idle", 0);
        let (cpu, own) = (bench.server.map_or(Duration::ZERO, Process::cpu), Process::own().cpu());
        let mut complete = bench.pause(self.time).await;
        let used = bench.server.map_or(Duration::ZERO, Process::cpu).saturating_sub(cpu);
        let idle = bench.server.map_or(0, Process::resident_bytes);
        let mut report = bench.report("idle", self.members);
        report.seconds = self.time.as_secs_f64();
        report.generator_cpu_seconds = Process::own().cpu().saturating_sub(own).as_secs_f64();

        let mut after = None;
        if self.broadcasts > 0 && complete {
            let hearers = self.members as u64;
            let publishers = vec![Publisher { client: publisher, target: group.into(), hearers }];
            let pace = Pace::Rate(f64::from(BROADCASTS_PER_SECOND));
            let time = Duration::from_secs(1) * self.broadcasts / BROADCASTS_PER_SECOND;
            let outcome = Stage { publishers, payload: self.payload, pace }.run(bench, "publishing", time).await;
            report.note(&outcome, self.payload, &bench.tally);
            bench.progress.enter("idle again", 0);
            complete = bench.pause(self.time).await;
            after = bench.server.map(Process::resident_bytes);
        }
        let each = |now: u64| now.saturating_sub(before) / (self.members as u64).max(1);
        report.memory = bench.server.map(|_| Memory {
            server_bytes_before: before,
            server_bytes_idle: idle,
            bytes_per_connection: each(idle),
            bytes_per_connection_after_traffic: after.map(each),
            idle_cpu_percent: used.as_secs_f64() / self.time.as_secs_f64().max(0.001) * 100.0,
        });
        report.interrupted = !complete;
        report.note_losses(&bench.tally);
        bench.end(clients).await;
        Ok(report)
    }
}
