//! Another configuration for a server that runs: all of it, or nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::descriptors;
use super::opening::{HubOpener, hub_rules};
use super::{throttle_limits, upstream};
use crate::auth::throttle::LoginThrottle;
use crate::config::{Changed, Config, ConfigErrors, Origins};
use crate::http::{Live, Services, SettingsError};
use crate::user::UserData;

/// Why a server goes on as before.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is not valid.
    #[error("the configuration is not valid: {0}")]
    Config(#[from] ConfigErrors),
    /// The access keys, a URL, a trusted proxy or the keys of an issuer cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The server is about to end.
    #[error("the server is about to end")]
    Draining,
}

/// Has the parts of a server go by another configuration.
pub struct Reloader<U: UserData> {
    services: Arc<Services<U>>,
    opener: Arc<HubOpener<U>>,
    address: SocketAddr,
    workers: usize,
    one_at_a_time: Mutex<()>,
}

impl<U: UserData> Reloader<U> {
    /// For a server that listens at `address`.
    pub fn new(services: Arc<Services<U>>, opener: Arc<HubOpener<U>>, address: SocketAddr, workers: usize) -> Self {
        Reloader { services, opener, address, workers, one_at_a_time: Mutex::default() }
    }

    /// Exchanges the configuration and tells what differs.
    pub fn reload(&self, wanted: Config, origins: Origins) -> Result<Vec<Changed>, ReloadError> {
        // There is nothing behind the lock that a panic could leave half done.
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let services = &*self.services;
        if services.is_draining() {
            return Err(ReloadError::Draining);
        }
        wanted.validate_for::<U>()?;
        let old = services.live.load_full();
        let changes = old.config.changes_to(&wanted);
        let mut config = wanted;
        config.keep_until_restart(&old.config);
        // What is kept may not go with what is new.
        config.validate_for::<U>()?;
        let internal = services.internal.map(|listener| listener.address);
        let live = Arc::new(Live::new(config, self.address, internal, &services.key_sources)?);
        let webhooks = upstream::rules(&live.config, self.address)?;

        // From here on nothing can fail.
        services.live.store(live.clone());
        services.key_sources.keep_only(&live.issuers);
        services.config_origins.store(Arc::new(origins));
        self.apply_limits(&old.config, &live.config);
        services.webhooks.reconfigure(webhooks);
        for hub in services.hubs.all() {
            self.opener.reconfigure(&hub, &live.config);
        }
        Ok(changes)
    }

    fn apply_limits(&self, old: &Config, new: &Config) {
        let services = &*self.services;
        if new.auth.failures != old.auth.failures {
            services.throttle.store(Arc::new(LoginThrottle::new(throttle_limits(&new.auth.failures))));
        }
        if new.limits != old.limits || new.hubs != old.hubs {
            let budget = descriptors::provide(new, self.workers, services.hooks.is_some());
            services.seats.set_most(budget.connections);
            services.porch.set_most(budget.porch(new.limits.http_connections));
            services.hubs.set_rules(hub_rules(new, &budget));
        }
        services.user_shares.set_most(new.limits.connections_per_user);
        services.watcher_shares.set_most(new.limits.connections_per_user);
        services.address_shares.set_most(new.limits.connections_per_address);
        services.handshakes.set_most(new.limits.pending_handshakes);
    }
}
