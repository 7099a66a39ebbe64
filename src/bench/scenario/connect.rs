//! `connect`: how fast connections come, each with its handshake, its login and a join.

use std::sync::Arc;
use std::time::Instant;

use super::Scenario;
use crate::bench::histogram::Histogram;
use crate::bench::machine::Process;
use crate::bench::report::{Connects, Quantiles, per_second};
use crate::bench::{Bench, BenchError, Report};

/// How fast connections come.
#[derive(Debug, Clone)]
pub struct Connect {
    /// How many come.
    pub members: usize,
}

impl Scenario for Connect {
    async fn run(&self, bench: &Bench) -> Result<Report, BenchError> {
        let times = Arc::new(Histogram::default());
        let group = bench.group("all");
        // Tells what is wrong, and has the password verified, before the clock runs.
        let first = bench.one().await?;
        let (began, own) = (Instant::now(), Process::own().cpu());
        let server = bench.server.map(|process| (process, process.cpu()));
        let mut clients = bench.gather(self.members, move |_| vec![group.clone()], Some(times.clone())).await?;
        let took = began.elapsed();
        let count = clients.len() as u64;
        let cpu = server.map(|(process, before)| process.cpu().saturating_sub(before));
        let mut report = bench.report("connect", self.members);
        report.seconds = took.as_secs_f64();
        report.generator_cpu_seconds = Process::own().cpu().saturating_sub(own).as_secs_f64();
        report.server_cpu_seconds = cpu.map(|cpu| cpu.as_secs_f64());
        report.connects = Some(Connects {
            connects_per_second: (count as f64 / took.as_secs_f64().max(1e-6)).round(),
            connects_per_server_cpu_second: cpu.and_then(|cpu| per_second(count, cpu)),
            connect_ms: Quantiles::from(&*times),
        });
        report.note_losses(&bench.tally);
        clients.push(first);
        bench.end(clients).await;
        Ok(report)
    }
}
