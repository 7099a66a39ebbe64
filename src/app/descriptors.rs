//! Shares out the files that the process may have open, so that connections alone never use them up.
//!
//! Each connection is a descriptor, and so is everything else that the server opens. Who is refused by a full server
//! learns so, and when to come back; a server without descriptors can accept nobody, not even who asks for `/health`.

use std::fmt;

use crate::config::{Config, HubConfig};
use crate::ids::HubName;

/// What the process itself has open: the streams, the store with its locks, the listener, the runtime, the hooks'.
const PROCESS: usize = 96;
/// What a thread with an event loop has open.
const EVENT_LOOP: usize = 6;
/// The least that is kept for them: somebody must be able to ask how the server is.
const FEWEST_REQUESTS: usize = 16;

/// Of the connections that are no WebSocket, the part that may wait on the porch. When it is full, the next comes in and
/// another goes; until that one is closed, both are open.
const PORCH_PART: usize = 2;

/// What the server would have open at its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    /// What it cannot do without.
    base: usize,
    connections: usize,
    undeclared_hubs: usize,
    per_hub: usize,
    requests: usize,
}

/// How much of each there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Connections of clients, at most `limits.connections`.
    pub connections: usize,
    /// Undeclared hubs, at most `hubs.max_undeclared`.
    pub undeclared_hubs: usize,
    /// Connections that are no WebSocket, or not yet.
    pub requests: usize,
}

impl Budget {
    /// Those of them that may stay, at most `limits.http_connections`.
    pub fn porch(&self, limit: usize) -> usize {
        limit.min(self.requests / PORCH_PART)
    }
}

/// Raises the process's limit of open files as far as needed and allowed, and shares out what there is.
pub fn provide(config: &Config, workers: usize, hooks: bool) -> Budget {
    let wanted = Wanted::of(config, workers, hooks);
    let before = rlimit::increase_nofile_limit(0);
    let limit = match rlimit::increase_nofile_limit(wanted.sum() as u64) {
        Ok(limit) => limit,
        Err(error) => {
            log::warn!(error:%; "the limit of open files cannot be raised");
            // Where it cannot even be read, nothing is known that could be held to.
            before.unwrap_or(u64::MAX)
        }
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let budget = wanted.share(limit);
    match budget.connections < wanted.connections || budget.undeclared_hubs < wanted.undeclared_hubs {
        true => {
            log::warn!(limit, connections = budget.connections, undeclared_hubs = budget.undeclared_hubs; "{}", TooFew(&wanted))
        }
        false => log::info!(limit, connections = budget.connections; "the limit of open files suffices"),
    }
    budget
}

/// What is wrong with the limit, and what to do.
struct TooFew<'a>(&'a Wanted);

impl fmt::Display for TooFew<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.0;
        write!(
            f,
            "the process may open too few files for limits.connections={} and hubs.max_undeclared={}, so fewer are let \
             in: allow it {} (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker), or lower these settings",
            wanted.connections,
            wanted.undeclared_hubs,
            wanted.sum()
        )
    }
}

impl Wanted {
    fn of(config: &Config, workers: usize, hooks: bool) -> Self {
        // A hub has a thread, and others for those who listen to it.
        let loops = |name: &HubName| 1 + usize::from(config.hubs.hub(name).announcements.enabled) + usize::from(hooks);
        let declared: usize = config.hubs.declared.keys().chain([&config.hubs.default]).map(loops).sum();
        let undeclared = 1 + usize::from(config.hubs.settings.announcements.enabled) + usize::from(hooks);
        // And sockets to those who are told and asked over HTTP.
        let each = config.webhooks.concurrency.saturating_add(config.webhooks.lanes);
        let to_webhooks = |hub: &HubConfig| each.saturating_mul(hub.webhooks.len());
        let default = Some(&config.hubs.default).filter(|name| !config.hubs.declared.contains_key(*name));
        let hubs = config.hubs.declared.values().chain(default.map(|name| config.hubs.hub(name)));
        let sockets = hubs.map(to_webhooks).fold(0, usize::saturating_add);
        let threads = workers + declared + usize::from(hooks) + usize::from(sockets > 0);
        Wanted {
            base: (PROCESS + EVENT_LOOP * threads).saturating_add(sockets),
            connections: config.limits.connections,
            undeclared_hubs: if config.hubs.allow_undeclared { config.hubs.max_undeclared } else { 0 },
            per_hub: (EVENT_LOOP * undeclared).saturating_add(to_webhooks(&config.hubs.settings)),
            requests: config.limits.http_connections.saturating_mul(PORCH_PART),
        }
    }

    fn sum(&self) -> usize {
        let hubs = self.per_hub.saturating_mul(self.undeclared_hubs);
        [self.connections, hubs, self.requests].into_iter().fold(self.base, usize::saturating_add)
    }

    fn share(&self, limit: usize) -> Budget {
        if let Some(spare) = limit.checked_sub(self.sum()) {
            let requests = self.requests.saturating_add(spare);
            return Budget { connections: self.connections, undeclared_hubs: self.undeclared_hubs, requests };
        }
        let left = limit.saturating_sub(self.base);
        let requests = (left / 16).clamp(FEWEST_REQUESTS, self.requests.max(FEWEST_REQUESTS));
        let left = left.saturating_sub(requests);
        // With none at all they would seem to be forbidden.
        let undeclared_hubs = self.undeclared_hubs.min((left / 4 / self.per_hub.max(1)).max(1));
        let left = left.saturating_sub(undeclared_hubs.saturating_mul(self.per_hub));
        // A server that lets in nobody is no use to anybody.
        let connections = self.connections.min(left).max(1);
        let spare = left.saturating_sub(connections);
        Budget { connections, undeclared_hubs, requests: requests.saturating_add(spare) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { base: 100, connections: 20_000, undeclared_hubs: 100, per_hub: 4, requests: 5_000 };

    #[test]
    fn with_descriptors_enough_all_is_as_configured_and_requests_have_the_rest() {
        assert_eq!(WANTED.sum(), 25_500);
        let budget = WANTED.share(25_500);
        assert_eq!(budget, Budget { connections: 20_000, undeclared_hubs: 100, requests: 5_000 });
        assert_eq!(WANTED.share(26_000), Budget { requests: 5_500, ..budget });
    }

    #[test]
    fn with_fewer_descriptors_nothing_is_promised_twice() {
        for limit in 130..25_500 {
            let Budget { connections, undeclared_hubs, requests } = WANTED.share(limit);
            let promised = WANTED.base + connections + undeclared_hubs * WANTED.per_hub + requests;
            assert!(promised <= limit, "{limit}: {promised}");
            assert!(requests >= FEWEST_REQUESTS && connections >= 1, "{limit}");
            assert!(connections <= WANTED.connections && undeclared_hubs <= WANTED.undeclared_hubs, "{limit}");
        }
        let usual = WANTED.share(1024);
        assert!(usual.connections > 500, "most of them are for connections: {usual:?}");
    }

    #[test]
    fn limits_beyond_all_measure_do_not_overflow() {
        let wanted = Wanted { connections: usize::MAX, undeclared_hubs: usize::MAX, requests: usize::MAX, ..WANTED };
        assert_eq!(wanted.sum(), usize::MAX);
        assert!(wanted.share(1024).connections > 500);
        assert_eq!(wanted.share(0).connections, 1);
    }
}
