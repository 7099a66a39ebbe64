//! The server watched by itself: samples once a second, their history, and what happens in all hubs, for the dashboard.
//!
//! Told live on the reserved hub `folkmoot.admin`, which counts in none of its own figures. Who may enter that hub, and
//! the routes that tell the history, are the business of `http`.

mod history;
mod sample;
mod sampler;
mod tail;

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use self::history::History;
pub use self::sample::{Sample, Surroundings};
pub use self::sampler::start;
pub use self::tail::MOST_EVENTS;
use crate::groups::watch::{Happening, Looking, Watcher};
use crate::ids::{GroupName, HubName};
use crate::metrics::Metrics;

/// The hub on which the server tells about itself.
pub static HUB: LazyLock<HubName> =
    LazyLock::new(|| HubName::parse("folkmoot.admin").expect("the name follows the grammar of hub names"));
/// The group in which every sample is told.
pub static OVERVIEW: LazyLock<GroupName> = LazyLock::new(|| group("overview"));
/// The group in which is told what happens.
pub static TAIL: LazyLock<GroupName> = LazyLock::new(|| group("tail"));

/// How often a sample is taken.
pub const INTERVAL: Duration = Duration::from_secs(1);

fn group(name: &str) -> GroupName {
    GroupName::parse(name, false).expect("the name follows the grammar of groups")
}

/// What is known of the server's last quarter of an hour, and who looks at it.
pub struct Monitor {
    metrics: Metrics,
    aside: Metrics,
    history: Mutex<History>,
    watcher: Watcher,
    /// Taken by the sampler when it starts.
    happenings: Mutex<Option<Receiver<Happening>>>,
}

impl Monitor {
    /// A monitor of what is counted in `metrics`; nothing is sampled until it is [started](start).
    pub fn new(metrics: Metrics) -> Arc<Self> {
        let (watcher, happenings) = Watcher::new(MOST_EVENTS);
        let (history, happenings) = (Mutex::default(), Mutex::new(Some(happenings)));
        Arc::new(Monitor { metrics, aside: Metrics::aside(), history, watcher, happenings })
    }

    /// Where is counted what those who watch cause, and shown to nobody: else watching would be what they see.
    pub fn aside(&self) -> &Metrics {
        &self.aside
    }

    /// Through which hubs and handshakes are watched.
    pub fn watcher(&self) -> &Watcher {
        &self.watcher
    }

    /// Has what happens be told until the answer is dropped: somebody has entered the hub.
    pub fn look(&self) -> Looking {
        self.watcher.look()
    }

    /// The samples of the last quarter of an hour, the oldest first.
    pub fn samples(&self) -> Vec<Sample> {
        self.with_history(|history| history.samples().cloned().collect())
    }

    fn with_history<T>(&self, look: impl FnOnce(&mut History) -> T) -> T {
        // Whoever panicked while holding the lock left a history that is still whole.
        look(&mut self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
