//! What can be measured, one file each. Every scenario makes its clients, measures, and sends them home.

mod connect;
mod idle;
mod publish;

pub use connect::Connect;
pub use idle::Idle;
pub use publish::{Publish, Shape};

use super::{Bench, BenchError, Report};

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
}
