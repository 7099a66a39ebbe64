//! What can be measured, one file each. Every scenario makes its clients, measures, and sends them home.

mod churn;
mod connect;
mod ending;
mod flood;
mod idle;
mod masks;
mod publish;

pub use churn::Churn;
pub use connect::Connect;
pub use ending::Ending;
pub use flood::Flood;
pub use idle::Idle;
pub use masks::{Everybody, Masks};
pub use publish::{Publish, Shape};

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::report::milliseconds;
use super::{Bench, BenchError, Report};

/// A figure with two places behind the point.
fn rounded(value: f64) -> Value {
    json!((value * 100.0).round() / 100.0)
}

fn ms(time: Duration) -> Value {
    rounded(milliseconds(time))
}

/// What can be measured.
pub trait Scenario {
    /// Runs it.
    ///
    /// # Errors
    /// [`BenchError`] when it could not be measured. What was measured and is bad stands in the report.
    fn run(&self, bench: &Bench) -> impl Future<Output = Result<Report, BenchError>> + Send;
}

impl Bench {
    fn report(&self, scenario: &'static str, members: usize) -> Report {
        Report { scenario, target: self.target.to_string(), members, ..Report::default() }
    }

    /// The last of a run: what became of the connections, which then end.
    async fn finish(&self, mut report: Report, clients: Vec<Arc<Client>>) -> Report {
        report.interrupted = self.progress.is_stopped();
        report.note_losses(&self.tally);
        self.end(clients).await;
        report
    }
}
