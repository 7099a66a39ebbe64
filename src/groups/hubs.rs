//! Which hubs are open. A declared hub is open as long as the server runs, another one as long as it has a connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hub::Hub;
use super::inner::Retire;
use crate::ids::HubName;
use crate::user::UserData;

/// Why a hub cannot be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnterError {
    /// It is not declared, and others are not allowed.
    #[error("there is no such hub")]
    NotDeclared,
    /// There are as many undeclared hubs as there may be.
    #[error("there are too many hubs; try again later")]
    TooMany,
}

/// Which hubs may be open.
#[derive(Debug, Clone)]
pub struct HubRules {
    /// Hubs that the configuration declares.
    pub declared: Vec<HubName>,
    /// How many others may be open at a time.
    pub max_undeclared: usize,
}

/// Makes the handle of a hub that is opened.
pub type OpenHub<U> = Box<dyn Fn(&HubName) -> Hub<U> + Send + Sync>;

struct Open<U: UserData> {
    hub: Hub<U>,
    leases: usize,
}

/// The open hubs of a server.
pub struct Hubs<U: UserData> {
    rules: HubRules,
    open_hub: OpenHub<U>,
    open: Mutex<HashMap<HubName, Open<U>>>,
}

impl<U: UserData> Hubs<U> {
    /// No hub is open yet.
    pub fn new(rules: HubRules, open_hub: OpenHub<U>) -> Arc<Self> {
        Arc::new(Hubs { rules, open_hub, open: Mutex::default() })
    }

    /// Enters a hub, opening it if need be. It stays open at least as long as the lease.
    ///
    /// # Errors
    /// [`EnterError`] when the rules do not allow to open it.
    pub fn enter(self: &Arc<Self>, name: &HubName) -> Result<Lease<U>, EnterError> {
        let mut open = self.lock();
        if !open.contains_key(name) {
            if !self.is_declared(name) {
                // Those are opened by the server itself, for what it has to tell.
                if name.is_reserved() {
                    return Err(EnterError::NotDeclared);
                }
                let undeclared = open.keys().filter(|name| !self.is_declared(name)).count();
                match self.rules.max_undeclared {
                    0 => return Err(EnterError::NotDeclared),
                    max if undeclared >= max => return Err(EnterError::TooMany),
                    _ => {}
                }
            }
            open.insert(name.clone(), Open { hub: (self.open_hub)(name), leases: 0 });
        }
        let entry = open.get_mut(name).ok_or(EnterError::NotDeclared)?;
        entry.leases += 1;
        Ok(Lease { hub: entry.hub.clone(), hubs: self.clone() })
    }

    /// A hub as others than its connections find it: open already, or declared. Nothing else is opened for them.
    pub fn find(&self, name: &HubName) -> Option<Hub<U>> {
        let mut open = self.lock();
        if !open.contains_key(name) && self.is_declared(name) {
            open.insert(name.clone(), Open { hub: (self.open_hub)(name), leases: 0 });
        }
        open.get(name).map(|open| open.hub.clone())
    }

    /// The hubs that the configuration declares.
    pub fn declared(&self) -> &[HubName] {
        &self.rules.declared
    }

    /// The hubs that are open now.
    pub fn all(&self) -> Vec<Hub<U>> {
        self.lock().values().map(|open| open.hub.clone()).collect()
    }

    fn is_declared(&self, name: &HubName) -> bool {
        self.rules.declared.contains(name)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HubName, Open<U>>> {
        // Whoever panicked while holding the lock left a map that is still whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part in keeping a hub open.
pub struct Lease<U: UserData> {
    hub: Hub<U>,
    hubs: Arc<Hubs<U>>,
}

impl<U: UserData> Lease<U> {
    /// The hub.
    pub fn hub(&self) -> &Hub<U> {
        &self.hub
    }
}

impl<U: UserData> Drop for Lease<U> {
    fn drop(&mut self) {
        let mut open = self.hubs.lock();
        let Some(entry) = open.get_mut(self.hub.name()) else { return };
        entry.leases = entry.leases.saturating_sub(1);
        if entry.leases == 0 && !self.hubs.is_declared(self.hub.name()) {
            open.remove(self.hub.name());
            // Behind the `Disconnect`s of all who had a lease: each was sent before its lease was dropped.
            self.hub.registry().do_send(Retire);
        }
    }
}
