//! `flood`: many publishers send into one group as fast as they are let. Run another scenario beside it to see what
//! that does to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::{Scenario, ms};
use crate::bench::histogram::Histogram;
use crate::bench::machine::Process;
use crate::bench::publishing::{Outcome, settle};
use crate::bench::report::milliseconds;
use crate::bench::{Bench, BenchError, Report};

/// Many publishers into one group.
#[derive(Debug, Clone)]
pub struct Flood {
    /// Members of the group.
    pub members: usize,
    /// Publishers that are no members.
    pub publishers: usize,
    /// Messages that each of them sends before the first ack.
    pub pipelined: u32,
    /// Bytes of a message's text.
    pub payload: usize,
    /// For how long.
    pub time: Duration,
}

/// Messages that the members may be behind. They read as fast as this machine can; a server that is faster would be
/// right to end them as slow consumers, at its `limits.outbound_messages`.
const MOST_BEHIND: u64 = 2_000;

fn behind(bench: &Bench, acked: &AtomicU64, members: u64) -> bool {
    acked.load(Ordering::Relaxed).saturating_sub(MOST_BEHIND) * members > bench.tally.delivered()
}

impl Scenario for Flood {
    async fn run(&self, bench: &Bench) -> Result<Report, BenchError> {
        let group: Arc<str> = bench.group("all").into();
        let joined = group.clone();
        let mut clients = bench.gather(self.members, move |_| vec![joined.to_string()], None).await?;
        let publishers = bench.gather(self.publishers, |_| Vec::new(), None).await?;
        publishers.first().ok_or(BenchError::Interrupted)?.publish_acked(&bench.tally, &group).await?;
        let resident = || bench.server.map_or(0, Process::resident_bytes);
        let (before, cpu, own) = (resident(), bench.server.map(Process::cpu), Process::own().cpu());

        bench.progress.enter("flooding", 0);
        let (began, times, acked) = (Instant::now(), Arc::new(Histogram::default()), Arc::new(AtomicU64::new(0)));
        let waited = Arc::new(AtomicBool::new(false));
        let mut floods = JoinSet::new();
        for publisher in &publishers {
            for _ in 0..self.pipelined {
                let (bench, publisher, group) = (bench.clone(), publisher.clone(), group.clone());
                let (times, acked, waited) = (times.clone(), acked.clone(), waited.clone());
                let (members, time, payload) = (self.members as u64, self.time, self.payload);
                floods.spawn(async move {
                    while began.elapsed() < time && !bench.progress.is_stopped() {
                        while behind(&bench, &acked, members) {
                            waited.store(true, Ordering::Relaxed);
                            tokio::time::sleep(Duration::from_millis(2)).await;
                        }
                        let asked = Instant::now();
                        publisher.publish_marked_acked(&bench.tally, &group, payload).await?;
                        times.record(asked.elapsed());
                        acked.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok::<(), BenchError>(())
                });
            }
        }
        let mut peak = before;
        let mut look = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                ended = floods.join_next() => match ended {
                    None => break,
                    Some(Ok(result)) => result?,
                    Some(Err(panic)) => return Err(BenchError::Lost(panic.to_string())),
                },
                _ = look.tick() => peak = peak.max(resident()),
            }
        }
        let published = acked.load(Ordering::Relaxed);
        let missing = settle(bench, published * self.members as u64).await;
        let outcome = Outcome {
            published,
            deliveries: bench.tally.delivered(),
            missing,
            took: began.elapsed(),
            server_cpu: bench.server.zip(cpu).map(|(process, before)| process.cpu().saturating_sub(before)),
            own_cpu: Process::own().cpu().saturating_sub(own),
        };
        let mut report = bench.report("flood", self.members);
        report.note(&outcome, self.payload, &bench.tally);
        if let Some(traffic) = &mut report.traffic {
            // One publisher's messages are written by several tasks, in no order.
            traffic.order_errors = 0;
        }
        report.more.insert("generator_was_the_limit".into(), json!(waited.load(Ordering::Relaxed)));
        report.more.insert("publishers".into(), json!(self.publishers));
        report.more.insert("ack_p50_ms".into(), ms(times.quantile(0.5)));
        report.more.insert("ack_p99_ms".into(), ms(times.quantile(0.99)));
        report.more.insert("ack_max_ms".into(), json!(milliseconds(times.max())));
        if bench.server.is_some() {
            report.more.insert("server_bytes_before".into(), json!(before));
            report.more.insert("server_bytes_peak".into(), json!(peak));
            report.more.insert("server_bytes_grown".into(), json!(peak - before));
        }
        clients.extend(publishers);
        Ok(bench.finish(report, clients).await)
    }
}
