//! `churn`: connections come and go in rounds; whether the server gives their memory back.

use std::time::Duration;

use serde_json::json;

use super::{Scenario, rounded};
use crate::bench::machine::Process;
use crate::bench::publishing::{Outcome, Stage};
use crate::bench::{Bench, BenchError, Report};

/// Connections that come and go.
#[derive(Debug, Clone)]
pub struct Churn {
    /// How many there are in each round.
    pub members: usize,
    /// How many rounds.
    pub rounds: u32,
    /// Messages to all of them in each round.
    pub broadcasts: u32,
    /// Bytes of a message's text.
    pub payload: usize,
    /// How long they stay, and stay away, before memory is looked at.
    pub time: Duration,
}

impl Scenario for Churn {
    async fn run(&self, bench: &Bench) -> Result<Report, BenchError> {
        let group = bench.group("all");
        let publisher = bench.one().await?;
        publisher.publish_acked(&bench.tally, &group).await?;
        let resident = || bench.server.map_or(0, Process::resident_bytes);
        // The publisher's own login took memory, for the hash of a password.
        bench.progress.enter("settling", 0);
        bench.pause(self.time).await;
        let before = resident();
        let (mut peaks, mut rests) = (Vec::new(), Vec::new());
        let mut traffic = Outcome::default();
        for _ in 0..self.rounds {
            let joined = group.clone();
            let clients = bench.gather(self.members, move |_| vec![joined.clone()], None).await?;
            let mut peak = resident();
            for _ in 0..self.broadcasts {
                let mut stage = Stage::to(&group, self.members, std::slice::from_ref(&publisher), self.payload);
                traffic = traffic.and(&stage.once(bench).await);
                peak = peak.max(resident());
            }
            bench.progress.enter("staying", 0);
            let mut going_on = bench.pause(self.time).await;
            peaks.push(peak.max(resident()));
            bench.dismiss(clients);
            bench.progress.enter("staying away", 0);
            going_on &= bench.pause(self.time).await;
            rests.push(resident());
            if !going_on {
                break;
            }
        }
        let mut report = bench.report("churn", self.members);
        if self.broadcasts > 0 {
            report.note(&traffic, self.payload, &bench.tally);
        }
        if let (Some(_), [first, .., last], Some(rest)) = (bench.server, &peaks[..], rests.last()) {
            let share = |part: u64, of: u64| part as f64 / of.max(1) as f64;
            report.more.insert("server_bytes_before".into(), json!(before));
            report.more.insert("server_bytes_peaks".into(), json!(peaks));
            report.more.insert("server_bytes_after".into(), json!(rests));
            // Of next to nothing, a share tells nothing.
            let added = last.saturating_sub(before);
            if added > 1 << 20 {
                report.more.insert("given_back".into(), rounded(share(last.saturating_sub(*rest), added)));
            }
            report.more.insert("last_peak_to_first".into(), rounded(share(*last, *first)));
        }
        Ok(bench.finish(report, vec![publisher]).await)
    }
}
