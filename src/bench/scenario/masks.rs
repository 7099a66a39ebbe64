//! `masks` and `everybody`: what a mask costs beside a plain group with the same members.

use std::sync::Arc;
use std::time::Duration;

use super::{Scenario, ms, rounded};
use crate::bench::client::Client;
use crate::bench::publishing::Stage;
use crate::bench::{Bench, BenchError, Report};

/// Bytes of a message.
const PAYLOAD: usize = 128;
/// Members of the groups that the mask matches.
const MATCHED: usize = 3;

/// What masks cost where there are many groups.
#[derive(Debug, Clone)]
pub struct Masks {
    /// How many connections share the groups, and listen to another mask.
    pub members: usize,
    /// How many groups there are, each of one member.
    pub groups: usize,
    /// How long each step is measured.
    pub time: Duration,
}

impl Scenario for Masks {
    async fn run(&self, bench: &Bench) -> Result<Report, BenchError> {
        let (run, members, groups) = (bench.clone(), self.members, self.groups);
        let own =
            move |number: usize| (number..groups).step_by(members).map(|n| run.group(format!("many/{n}"))).collect();
        let mut clients = bench.gather(self.members, own, None).await?;
        let run = bench.clone();
        let matched = move |number: usize| vec![run.group("three"), run.group(format!("sales/{number}"))];
        clients.extend(bench.gather(MATCHED, matched, None).await?);
        let (group, mask) = (bench.group("three"), bench.group("sales/*"));
        let publishers = bench.publishers(&mask).await?;
        clients.extend(publishers.iter().cloned());

        let mut report = bench.report("masks", self.members);
        report.groups = Some(self.groups);
        let stage = |target: &str| Stage::to(target, MATCHED, &publishers, PAYLOAD);
        // The first traffic of a run is slower than the rest.
        stage(&group).run(bench, "warming up", self.time / 4).await;
        bench.tally.latency.clear();
        let plain = stage(&group).run(bench, "a group of three", self.time).await;
        let masked = stage(&mask).run(bench, "a mask that matches three groups", self.time).await;
        report.more.insert("mask_cost_ratio".into(), rounded(masked.cost() / plain.cost()));

        bench.progress.enter("joining a mask", self.members);
        for client in clients.iter().take(self.members) {
            client.join(&bench.tally, &bench.group("elsewhere/*")).await?;
        }
        let again = stage(&group).run(bench, "a group that nobody listens to", self.time).await;
        report.more.insert("unmatched_cost_ratio".into(), rounded(again.cost() / plain.cost()));
        report.note(&again.and(&masked).and(&plain), PAYLOAD, &bench.tally);

        let (scanner, other) = (bench.one().await?, bench.one().await?);
        clients.extend([scanner.clone(), other.clone()]);
        bench.progress.enter("another client scans all groups", 0);
        let scanning = scan(bench, &scanner);
        let acks = tokio::select! {
            acks = bench.acks(&other, &group, self.time) => acks?,
            error = scanning => return Err(error),
        };
        report.more.insert("others_ack_p99_ms".into(), ms(acks.quantile(0.99)));
        report.more.insert("others_ack_max_ms".into(), ms(acks.max()));
        Ok(bench.finish(report, clients).await)
    }
}

/// Publishes to a mask that is compared with every group, again and again; refusals are part of it.
async fn scan(bench: &Bench, client: &Client) -> BenchError {
    loop {
        match client.publish_acked(&bench.tally, "*x*").await {
            Ok(()) => {}
            Err(BenchError::Denied { name, .. }) if name == "LimitReached" => {}
            Err(error) => return error,
        }
        // Refusals come at once, and only so many messages a second are taken.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What `*` costs beside one group of the same members.
#[derive(Debug, Clone)]
pub struct Everybody {
    /// How many connections there are.
    pub members: usize,
    /// How many groups they are spread over.
    pub groups: usize,
    /// How long each step is measured.
    pub time: Duration,
}

impl Scenario for Everybody {
    async fn run(&self, bench: &Bench) -> Result<Report, BenchError> {
        let (run, groups) = (bench.clone(), self.groups);
        let own = move |number: usize| vec![run.group(format!("many/{}", number % groups))];
        let mut clients = bench.gather(self.members, own, None).await?;
        let publishers = bench.publishers("*").await?;
        let stage = |target: &str| Stage::to(target, self.members, &publishers, PAYLOAD).with_window(1);
        stage("*").run(bench, "warming up", self.time / 4).await;
        bench.tally.latency.clear();
        let everybody = stage("*").run(bench, "to everybody", self.time).await;

        bench.progress.enter("joining one group", self.members);
        let all: Arc<str> = bench.group("all").into();
        for client in &clients {
            client.join(&bench.tally, &all).await?;
        }
        let group = stage(&all).run(bench, "to one group", self.time).await;
        clients.extend(publishers.iter().cloned());
        let mut report = bench.report("everybody", self.members);
        report.groups = Some(self.groups);
        report.note(&everybody.and(&group), PAYLOAD, &bench.tally);
        report.more.insert("everybody_cost_ratio".into(), rounded(everybody.cost() / group.cost()));
        Ok(bench.finish(report, clients).await)
    }
}
