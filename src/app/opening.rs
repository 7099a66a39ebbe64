//! How hubs are opened: the registry of each, who listens to it, and what a reload changes in those that are open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, Addr, Context, WeakAddr};
use arc_swap::ArcSwap;

use super::descriptors::Budget;
use crate::config::{Config, HubConfig};
use crate::groups::inner::{ListenAsOwn, Reconfigure, Watch};
use crate::groups::{Hub, HubRules, MembershipLimits, OpenHub, RegistrySettings};
use crate::hooks::announcements::{Announcer, Reannounce};
use crate::hooks::{HookCalls, HookRunner};
use crate::http::Live;
use crate::ids::HubName;
use crate::metrics::Metrics;
use crate::monitor::{self, Monitor};
use crate::user::UserData;
use crate::webhooks::{HubWebhooks, Teller, Webhooks};

/// Which hubs may be open.
pub fn hub_rules(config: &Config, budget: &Budget) -> HubRules {
    let declared = config.hubs.declared.keys().chain([&config.hubs.default, &monitor::HUB]).cloned().collect();
    HubRules { declared, max_undeclared: budget.undeclared_hubs }
}

/// Opens the hubs of a server.
pub struct HubOpener<U: UserData> {
    live: Arc<ArcSwap<Live>>,
    hooks: Option<HookCalls<U>>,
    webhooks: Webhooks,
    monitor: Arc<Monitor>,
    metrics: Metrics,
    /// The announcers of open hubs; each ends with its hub.
    announcers: Listeners<Announcer<U>>,
    /// The same of those who tell the webhooks.
    tellers: Listeners<Teller<U>>,
}

/// Who listens to the hub that was opened last under each name.
type Listeners<A> = Mutex<HashMap<HubName, WeakAddr<A>>>;

fn noted<A: Actor<Context = Context<A>>>(listeners: &Listeners<A>, hub: &HubName) -> Option<Addr<A>> {
    // Whoever panicked while holding the lock left a map that is still whole.
    let listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.get(hub).and_then(WeakAddr::upgrade).filter(Addr::connected)
}

fn note<A: Actor<Context = Context<A>>>(listeners: &Listeners<A>, hub: &HubName, listener: &Addr<A>) {
    let mut listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.retain(|_, known| known.upgrade().is_some_and(|known| known.connected()));
    listeners.insert(hub.clone(), listener.downgrade());
}

impl<U: UserData> HubOpener<U> {
    /// Opens hubs as `live` has them at that moment.
    pub fn new(
        live: Arc<ArcSwap<Live>>,
        hooks: Option<HookCalls<U>>,
        webhooks: Webhooks,
        monitor: Arc<Monitor>,
        metrics: Metrics,
    ) -> Arc<Self> {
        let (announcers, tellers) = (Mutex::default(), Mutex::default());
        Arc::new(HubOpener { live, hooks, webhooks, monitor, metrics, announcers, tellers })
    }

    /// The same as the registry of hubs wants it.
    pub fn open_by(self: &Arc<Self>) -> OpenHub<U> {
        let opener = self.clone();
        Box::new(move |name| opener.open(name))
    }

    fn open(&self, name: &HubName) -> Hub<U> {
        let live = self.live.load();
        let (config, settings) = (&live.config, live.config.hubs.hub(name));
        let window = config.fanout.window_bytes;
        if name.is_reserved() {
            // What the server tells about itself is not among what it tells, and no caller's code listens to it.
            return Hub::open(registry_settings(config, name, settings), window, self.monitor.aside().clone());
        }
        let hub = Hub::open(registry_settings(config, name, settings), window, self.metrics.clone());
        hub.registry().do_send(Watch(self.monitor.watcher().clone()));
        if settings.announcements.enabled {
            self.announce(&hub, config, settings);
        }
        if let Some(hooks) = &self.hooks {
            let runner = HookRunner::launch(hooks, hub.clone(), self.metrics.clone());
            hub.registry().do_send(ListenAsOwn(runner.recipient()));
        }
        // Anew, as everything else that listens: of a hub that has ended under this name, somebody may still be at work.
        if let Some(webhooks) = self.webhooks.of(name) {
            self.tell_webhooks(&hub, &webhooks);
        }
        hub
    }

    fn tell_webhooks(&self, hub: &Hub<U>, webhooks: &Arc<HubWebhooks>) {
        let teller = self.webhooks.listen(webhooks);
        note(&self.tellers, hub.name(), &teller);
        hub.registry().do_send(ListenAsOwn(teller.recipient()));
    }

    /// Has an open hub go by another configuration.
    pub fn reconfigure(&self, hub: &Hub<U>, config: &Config) {
        let settings = config.hubs.hub(hub.name());
        hub.registry().do_send(Reconfigure(registry_settings(config, hub.name(), settings)));
        if hub.name().is_reserved() {
            return;
        }
        if let (None, Some(webhooks)) = (noted(&self.tellers, hub.name()), self.webhooks.of(hub.name())) {
            self.tell_webhooks(hub, &webhooks);
        }
        match noted(&self.announcers, hub.name()) {
            Some(announcer) => announcer.do_send(Reannounce {
                config: settings.announcements.clone(),
                public_fields: config.users.public_fields.clone(),
            }),
            None if settings.announcements.enabled => self.announce(hub, config, settings),
            None => {}
        }
    }

    fn announce(&self, hub: &Hub<U>, config: &Config, settings: &HubConfig) {
        let fields = config.users.public_fields.clone();
        let queue = config.hooks.queue;
        let announcer =
            Announcer::launch(hub.clone(), settings.announcements.clone(), fields, queue, self.metrics.clone());
        note(&self.announcers, hub.name(), &announcer);
        hub.registry().do_send(ListenAsOwn(announcer.recipient()));
    }
}

fn registry_settings(config: &Config, name: &HubName, settings: &HubConfig) -> RegistrySettings {
    RegistrySettings {
        hub: name.clone(),
        limits: MembershipLimits {
            groups_per_connection: config.limits.groups_per_connection,
            masks_per_connection: config.limits.masks_per_connection,
            groups_per_hub: config.limits.groups_per_hub,
            masks_per_hub: config.limits.masks_per_hub,
        },
        declared_groups: settings.declared_groups().collect(),
        public_fields: config.users.public_fields.clone(),
        list_page: config.limits.list_page,
        mask_scan_per_second: config.limits.mask_scan_per_second,
    }
}
