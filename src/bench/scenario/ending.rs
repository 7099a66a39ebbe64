//! `ending`: how long others wait when a connection ends that is in very many groups.

use std::time::Duration;

use super::{Scenario, ms};
use crate::bench::{Bench, BenchError, Report};

/// The end of a connection that is in many groups.
#[derive(Debug, Clone)]
pub struct Ending {
    /// How many groups it is in.
    pub groups: usize,
    /// How long the acks of another are watched, before and after.
    pub time: Duration,
}

impl Scenario for Ending {
    async fn run(&self, bench: &Bench) -> Result<Report, BenchError> {
        let other = bench.one().await?;
        let own = bench.group("other");
        other.join(&bench.tally, &own).await?;
        let (run, groups) = (bench.clone(), self.groups);
        let joined = move |_: usize| (0..groups).map(|number| run.group(format!("many/{number}"))).collect();
        let crowded = bench.gather(1, joined, None).await?;

        bench.progress.enter("before the end", 0);
        let before = bench.acks(&other, &own, self.time).await?;
        bench.progress.enter("after the end", 0);
        bench.dismiss(crowded);
        let after = bench.acks(&other, &own, self.time).await?;
        let mut report = bench.report("ending", 1);
        report.groups = Some(self.groups);
        report.seconds = self.time.as_secs_f64() * 2.0;
        for (name, value) in [
            ("ack_p99_before_ms", before.quantile(0.99)),
            ("ack_max_before_ms", before.max()),
            ("ack_p99_after_ms", after.quantile(0.99)),
            ("ack_max_after_ms", after.max()),
        ] {
            report.more.insert(name.into(), ms(value));
        }
        Ok(bench.finish(report, vec![other]).await)
    }
}
