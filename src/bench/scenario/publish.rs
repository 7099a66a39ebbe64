//! `fanout` and `groups`: messages at a pace, to one group or to many.

use std::sync::Arc;
use std::time::Duration;

use super::Scenario;
use crate::bench::client::Client;
use crate::bench::publishing::{Publisher, Stage};
use crate::bench::{Bench, BenchError, Pace, Report};

/// Who publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Connections that are no members, to one group of all members.
    Fanout,
    /// The members, each to its own group.
    Groups(usize),
}

/// Messages at a pace.
#[derive(Debug, Clone)]
pub struct Publish {
    /// Who publishes to whom.
    pub shape: Shape,
    /// How many members there are.
    pub members: usize,
    /// Bytes of a message's text.
    pub payload: usize,
    /// How fast.
    pub pace: Pace,
    /// For how long, before it is measured.
    pub warmup: Duration,
    /// For how long, while it is measured.
    pub time: Duration,
}

impl Scenario for Publish {
    async fn run(&self, bench: &Bench) -> Result<Report, BenchError> {
        let count = match self.shape {
            Shape::Fanout => 1,
            Shape::Groups(groups) => groups.clamp(1, self.members.max(1)),
        };
        let groups: Arc<[Arc<str>]> = (0..count).map(|number| bench.group(number).into()).collect();
        let joined = groups.clone();
        let group_of = move |number: usize| joined.iter().cycle().nth(number % count).map(|name| name.to_string());
        let mut clients =
            bench.gather(self.members, move |number| group_of(number).into_iter().collect(), None).await?;
        let publishers = match self.shape {
            Shape::Fanout => {
                let group = groups.first().cloned().unwrap_or_default();
                let publishers = bench.publishers(&group).await?;
                clients.extend(publishers.iter().cloned());
                Stage::to(&group, self.members, &publishers, self.payload).publishers
            }
            Shape::Groups(_) => {
                // Whoever publishes does not hear it.
                let hearers = |number: usize| (self.members - number % count).div_ceil(count) - 1;
                let all = clients.iter().enumerate();
                all.map(|(number, client)| publisher_of(client.clone(), &groups, number % count, hearers(number)))
                    .collect()
            }
        };
        // A publish without an ack would be refused without a word.
        if let Some(Publisher { client, target, .. }) = publishers.first() {
            client.publish_acked(&bench.tally, target).await?;
        }
        let mut stage = Stage { publishers, payload: self.payload, pace: self.pace };
        if !self.warmup.is_zero() {
            stage.run(bench, "warming up", self.warmup).await;
            bench.tally.latency.clear();
        }
        let outcome = stage.run(bench, "publishing", self.time).await;
        let name = if self.shape == Shape::Fanout { "fanout" } else { "groups" };
        let mut report = bench.report(name, self.members);
        report.groups = Some(count);
        report.interrupted = bench.progress.is_stopped();
        report.note(&outcome, self.payload, &bench.tally);
        report.note_losses(&bench.tally);
        bench.end(clients).await;
        Ok(report)
    }
}

fn publisher_of(client: Arc<Client>, groups: &[Arc<str>], group: usize, hearers: usize) -> Publisher {
    let target = groups.get(group).cloned().unwrap_or_default();
    Publisher { client, target, hearers: hearers as u64 }
}
