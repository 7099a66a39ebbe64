//! The application behind the server, told and asked over HTTP what happens in a hub: CloudEvents 1.0 as the Web PubSub
//! service sends them.
//!
//! Requests are sent by one [actor](courier::Courier) on a thread of its own. Nothing here decides about a connection or
//! a message: who asks does, with the answer.

mod answer;
mod client;
mod connect;
mod courier;
mod endpoint;
mod hub;
mod letter;
mod pledge;
mod signer;
mod teller;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use actix::{Actor, Addr, Arbiter, ArbiterHandle};
use arc_swap::ArcSwap;

pub use self::answer::Wishes;
pub use self::connect::ConnectBody;
use self::courier::Courier;
pub use self::courier::NoAnswer;
pub use self::hub::{HubWebhooks, Welcome};
pub use self::pledge::Pledge;
pub use self::signer::Signer;
pub use self::teller::Teller;
use crate::config::{HubsConfig, WebhooksConfig};
use crate::ids::HubName;
use crate::metrics::Metrics;
use crate::user::UserData;

/// What of the configuration webhooks go by, as far as a reload changes it.
#[derive(Debug)]
pub struct Rules {
    /// Which there are.
    pub hubs: HubsConfig,
    /// The name of this server, which webhooks allow to send them events: host and port.
    pub origin: String,
    /// Proves who sends.
    pub signer: Signer,
}

/// The webhooks of a server; cheap to clone.
#[derive(Clone)]
pub struct Webhooks(Arc<Shared>);

struct Shared {
    limits: WebhooksConfig,
    rules: Arc<ArcSwap<Rules>>,
    metrics: Metrics,
    /// Started with the first webhook: most servers have none.
    courier: OnceLock<(Addr<Courier>, ArbiterHandle)>,
    hubs: Mutex<Hubs>,
    /// Held by each teller that has not told everything yet.
    telling: Arc<()>,
    letters: AtomicU64,
}

#[derive(Default)]
struct Hubs {
    /// Of every hub that has somebody or is open.
    open: HashMap<HubName, Weak<HubWebhooks>>,
    /// Of the declared hubs, for as long as they are declared.
    declared: Vec<Arc<HubWebhooks>>,
}

impl Webhooks {
    /// Those of a server. Each may take what `limits` say.
    pub fn new(limits: WebhooksConfig, rules: Rules, metrics: Metrics) -> Self {
        Webhooks(Arc::new(Shared {
            limits,
            rules: Arc::new(ArcSwap::from_pointee(rules)),
            metrics,
            courier: OnceLock::new(),
            hubs: Mutex::default(),
            telling: Arc::default(),
            letters: AtomicU64::new(0),
        }))
    }

    /// The webhooks of a hub; `None`, at no cost, where it has none.
    pub fn of(&self, hub: &HubName) -> Option<Arc<HubWebhooks>> {
        if self.0.rules.load().hubs.hub(hub).webhooks.is_empty() {
            return None;
        }
        Some(self.open(&mut self.lock(), hub))
    }

    fn open(&self, hubs: &mut Hubs, hub: &HubName) -> Arc<HubWebhooks> {
        if let Some(open) = hubs.open.get(hub).and_then(Weak::upgrade) {
            return open;
        }
        hubs.open.retain(|_, open| open.strong_count() > 0);
        // Under the lock, so that a reload either is seen here or sees this hub.
        let open = HubWebhooks::new(self, hub.clone(), &self.0.rules.load().hubs);
        hubs.open.insert(hub.clone(), Arc::downgrade(&open));
        open
    }

    /// Has the webhooks of declared hubs asked whether they want to hear from this server, and warns of those who are
    /// spoken to in plain text. Must be called where an actix `System` runs.
    pub fn start(&self) {
        let rules = self.0.rules.load_full();
        let declared = rules.hubs.declared.keys().chain([&rules.hubs.default]);
        let with_webhooks = |hub: &&HubName| !rules.hubs.hub(hub).webhooks.is_empty();
        let mut hubs = self.lock();
        let declared: Vec<_> = declared.filter(with_webhooks).map(|hub| self.open(&mut hubs, hub)).collect();
        hubs.declared = declared;
        let all = rules.hubs.declared.values().chain([&rules.hubs.settings]).flat_map(|hub| &hub.webhooks);
        let mut told = Vec::new();
        for webhook in all.filter(|webhook| webhook.url.is_exposed()) {
            if !told.contains(&&webhook.url) {
                told.push(&webhook.url);
                log::warn!(url:% = webhook.url; "a webhook is told over the network in plain text what users send; use https");
            }
        }
    }

    /// Goes by other rules from now on.
    pub fn reconfigure(&self, rules: Rules) {
        let mut hubs = self.lock();
        let rules = Arc::new(rules);
        self.0.rules.store(rules.clone());
        hubs.open.retain(|_, open| open.strong_count() > 0);
        for open in hubs.open.values().filter_map(Weak::upgrade) {
            open.reconfigure(&rules.hubs);
        }
        drop(hubs);
        self.start();
    }

    /// Has a hub's webhooks told what happens in it.
    pub fn listen<U: UserData>(&self, hub: &Arc<HubWebhooks>) -> Addr<Teller<U>> {
        Teller::launch(self.arbiter(), hub.clone(), self.0.metrics.clone(), &self.0.telling)
    }

    /// Whether nothing waits to be told.
    pub fn is_idle(&self) -> bool {
        Arc::strong_count(&self.0.telling) == 1 && self.0.metrics.webhook_backlog.get() == 0
    }

    /// What each webhook may take.
    pub fn limits(&self) -> &WebhooksConfig {
        &self.0.limits
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn number(&self) -> u64 {
        1 + self.0.letters.fetch_add(1, Ordering::Relaxed)
    }

    fn courier(&self) -> &Addr<Courier> {
        &self.at_work().0
    }

    fn arbiter(&self) -> &ArbiterHandle {
        &self.at_work().1
    }

    fn at_work(&self) -> &(Addr<Courier>, ArbiterHandle) {
        self.0.courier.get_or_init(|| {
            let arbiter = Arbiter::new().handle();
            let (rules, metrics) = (self.0.rules.clone(), self.0.metrics.clone());
            (Courier::start_in_arbiter(&arbiter, move |_| Courier::new(rules, metrics)), arbiter)
        })
    }

    /// Ends the thread, with whatever is under way.
    pub fn stop(&self) {
        // They know this, which knows them.
        self.lock().declared.clear();
        if let Some((_, arbiter)) = self.0.courier.get() {
            arbiter.stop();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Hubs> {
        // Whoever panicked while holding the lock left tables that are still whole.
        self.0.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
