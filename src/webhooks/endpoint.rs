//! One webhook of one hub: what is for it, what waits for it, and whether it wants to hear from us at all.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::letter::Letter;
use crate::config::{SystemEvent, WebhookConfig, WebhooksConfig};
use crate::ids::HubName;
use crate::metrics::Metrics;

/// How often the log tells that something is wrong with a webhook.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Whether a webhook has said that it wants to hear from this server.
#[derive(Debug, Clone)]
pub enum Validity {
    /// It was not asked yet.
    Unknown,
    /// It is being asked.
    Asking,
    /// It does.
    Valid,
    /// It does not, or does not answer; to be asked again from then on.
    Refused {
        /// When.
        again: Instant,
        /// What it said.
        why: Cow<'static, str>,
    },
}

impl Validity {
    fn is_due(&self, now: Instant) -> bool {
        match self {
            Validity::Unknown => true,
            Validity::Asking | Validity::Valid => false,
            Validity::Refused { again, .. } => *again <= now,
        }
    }
}

/// One webhook of one hub.
pub struct Endpoint {
    /// Where it is and what is for it.
    pub config: WebhookConfig,
    /// The hub.
    pub hub: HubName,
    /// What it may take.
    pub limits: WebhooksConfig,
    /// Whether it wants to hear from us.
    pub validity: watch::Sender<Validity>,
    under_way: Arc<Semaphore>,
    backlog: Mutex<Backlog>,
    complained: Mutex<Option<Instant>>,
    metrics: Metrics,
}

/// What nobody waits for, in as many queues as requests may be under way: one connection is always in the same.
struct Backlog {
    waiting: usize,
    lanes: Vec<Lane>,
}

#[derive(Default)]
struct Lane {
    letters: VecDeque<Letter>,
    is_running: bool,
}

/// What became of a letter that was put into the backlog.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// It waits behind others.
    Waits,
    /// Nobody is at work on its lane.
    First(usize),
    /// There is no room.
    Full,
}

impl Endpoint {
    /// A webhook that has not been asked anything.
    pub fn new(hub: HubName, config: WebhookConfig, limits: WebhooksConfig, metrics: Metrics) -> Self {
        let lanes = (0..limits.lanes.max(1)).map(|_| Lane::default()).collect();
        Endpoint {
            config,
            hub,
            validity: watch::Sender::new(Validity::Unknown),
            under_way: Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))),
            backlog: Mutex::new(Backlog { waiting: 0, lanes }),
            limits,
            complained: Mutex::default(),
            metrics,
        }
    }

    /// Whether something that happens to a connection is for this webhook; of groups with the group's name.
    pub fn wants(&self, event: SystemEvent, group: Option<&str>) -> bool {
        let groups = &self.config.groups;
        let is_wanted = |group: &str| groups.is_empty() || groups.iter().any(|pattern| pattern.matches(group));
        self.config.system_events.contains(&event) && group.is_none_or(is_wanted)
    }

    /// Whether an event of a client is for it.
    pub fn handles(&self, event: &str) -> bool {
        self.config.user_events.iter().any(|events| events.include(event))
    }

    /// Where an event goes.
    pub fn url(&self, event: &str) -> String {
        self.config.url.of(event, &self.hub)
    }

    /// A place among those who wait for its answer.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.under_way.clone().try_acquire_owned().ok()
    }

    /// Takes the part of asking it whether it wants to hear from us, if that is due.
    pub fn begin_to_ask(&self) -> bool {
        let now = Instant::now();
        self.validity.send_if_modified(|validity| {
            let is_due = validity.is_due(now);
            if is_due {
                *validity = Validity::Asking;
            }
            is_due
        })
    }

    /// Has a letter wait for its turn.
    pub fn put(&self, letter: Letter) -> Put {
        let mut backlog = self.lock();
        if backlog.waiting >= self.limits.backlog {
            return Put::Full;
        }
        let number = letter.connection().lane(backlog.lanes.len());
        let Some(lane) = backlog.lanes.get_mut(number) else { return Put::Full };
        lane.letters.push_back(letter);
        let is_first = !std::mem::replace(&mut lane.is_running, true);
        backlog.waiting += 1;
        self.metrics.webhook_backlog.increment(1);
        if is_first { Put::First(number) } else { Put::Waits }
    }

    /// The next letter of a lane, until [`done`](Endpoint::done) counted as waiting; with none, nobody is at work on it.
    pub fn next(&self, lane: usize) -> Option<Letter> {
        let mut backlog = self.lock();
        let lane = backlog.lanes.get_mut(lane)?;
        let letter = lane.letters.pop_front();
        lane.is_running = letter.is_some();
        letter
    }

    /// A letter has arrived, or was given up.
    pub fn done(&self) {
        let mut backlog = self.lock();
        backlog.waiting = backlog.waiting.saturating_sub(1);
        self.metrics.webhook_backlog.decrement(1);
    }

    /// Tells the operator what is wrong, now and then.
    pub fn complain(&self, what: fmt::Arguments<'_>) {
        let mut told = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= COMPLAIN_EVERY) {
            *told = Some(Instant::now());
            log::warn!(hub:% = self.hub, url:% = self.config.url; "a webhook {what}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Backlog> {
        // Nothing under the lock can be left half done.
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Authority, Connection, Upstream};
    use crate::ids::ConnectionId;
    use crate::webhooks::letter::Subject;

    fn endpoint(change: impl FnOnce(&mut WebhookConfig, &mut WebhooksConfig)) -> Endpoint {
        let mut config = WebhookConfig::new("http://localhost/".parse().unwrap());
        let mut limits = WebhooksConfig::default();
        change(&mut config, &mut limits);
        Endpoint::new(HubName::parse("chat").unwrap(), config, limits, Metrics::new())
    }

    fn letter_of(id: ConnectionId) -> Letter {
        let connection = Connection::<()> {
            id,
            hub: HubName::parse("chat").unwrap(),
            user_id: None,
            authority: Authority::Anonymous,
            login: None,
            user: None,
            address: None,
            subprotocol: None,
            upstream: Upstream::default(),
        };
        Letter::connected(Subject::from(&connection))
    }

    #[test]
    fn events_of_groups_are_filtered_by_the_groups_name() {
        let endpoint = endpoint(|config, _| {
            config.system_events = vec![SystemEvent::Joined, SystemEvent::Connected];
            config.groups = vec!["sales.*".parse().unwrap(), "all".parse().unwrap()];
        });
        assert!(endpoint.wants(SystemEvent::Joined, Some("sales.europe")));
        assert!(endpoint.wants(SystemEvent::Joined, Some("all")));
        assert!(!endpoint.wants(SystemEvent::Joined, Some("sales")));
        assert!(!endpoint.wants(SystemEvent::Left, Some("all")));
        assert!(endpoint.wants(SystemEvent::Connected, None));
    }

    #[test]
    fn letters_about_one_connection_follow_one_another_and_the_backlog_is_bounded() {
        let endpoint = endpoint(|_, limits| (limits.lanes, limits.backlog) = (4, 3));
        let id = ConnectionId::random();
        let Put::First(lane) = endpoint.put(letter_of(id).numbered(1)) else { panic!("nobody was at work") };
        assert_eq!(endpoint.put(letter_of(id).numbered(2)), Put::Waits);
        assert!(endpoint.next(lane).is_some());
        assert_eq!(endpoint.put(letter_of(id).numbered(3)), Put::Waits);
        assert_eq!(endpoint.put(letter_of(id)), Put::Full, "what is under way counts");
        endpoint.done();
        assert_eq!(endpoint.metrics.webhook_backlog.get(), 2);
        for _ in 0..2 {
            assert!(endpoint.next(lane).is_some());
            endpoint.done();
        }
        assert!(endpoint.next(lane).is_none());
        assert_eq!(endpoint.put(letter_of(id)), Put::First(lane));
    }

    #[test]
    fn it_is_asked_once_and_again_only_when_that_is_due() {
        let endpoint = endpoint(|_, _| {});
        assert!(endpoint.begin_to_ask());
        assert!(!endpoint.begin_to_ask(), "somebody asks already");
        let later = Instant::now() + Duration::from_secs(3600);
        endpoint.validity.send_replace(Validity::Refused { again: later, why: "no".into() });
        assert!(!endpoint.begin_to_ask());
        endpoint.validity.send_replace(Validity::Refused { again: Instant::now(), why: "no".into() });
        assert!(endpoint.begin_to_ask());
        endpoint.validity.send_replace(Validity::Valid);
        assert!(!endpoint.begin_to_ask());
    }
}
