//! Notices what the command line changed in the user store while the server runs.
//!
//! The store's revision rises with each change. When it has, remembered passwords are forgotten and the connections of
//! users who are disabled or gone are closed; everything else holds from their next connect. Who was in the middle of a
//! handshake then is closed as soon as every handshake of that time must be over.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::error::{Disconnect, DisconnectKind};
use crate::groups::inner::{EndStoreUser, StoreUsers};
use crate::http::Services;
use crate::http::identity::may_enter_reserved;
use crate::monitor;
use crate::user::UserData;
use crate::users::{StoreError, UserStore};

/// Looks every `users.revision_interval`, for as long as the services exist.
pub fn watch<U: UserData>(services: &Arc<Services<U>>) {
    let Some(store) = services.store.clone() else { return };
    let mut ticks = interval(services.config().users.revision_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let services = Arc::downgrade(services);
    actix_rt::spawn(async move {
        let (mut seen, mut failing) = (Seen::default(), false);
        loop {
            ticks.tick().await;
            match look(&services, &*store, &mut seen).await {
                Some(Ok(())) => {
                    if std::mem::take(&mut failing) {
                        log::info!("the user store answers again");
                    }
                }
                Some(Err(error)) => {
                    if !std::mem::replace(&mut failing, true) {
                        log::error!(error:%; "the user store does not answer; logins are refused until it does");
                    }
                }
                None => return,
            }
        }
    });
}

/// What the looks before found.
#[derive(Default)]
struct Seen {
    /// The revision for which everybody concerned was closed.
    revision: Option<i64>,
    /// When to close them again: those whose password was verified before the change and who came in after the look.
    again_at: Option<Instant>,
}

/// One look; `None` when the server is gone.
async fn look<U: UserData>(
    services: &Weak<Services<U>>,
    store: &dyn UserStore,
    seen: &mut Seen,
) -> Option<Result<(), StoreError>> {
    services.upgrade()?;
    let revision = match store.revision().await {
        Ok(revision) => revision,
        Err(error) => return Some(Err(error)),
    };
    let services = services.upgrade()?;
    let changed = seen.revision != Some(revision);
    if !changed && seen.again_at.is_none_or(|at| Instant::now() < at) {
        return Some(Ok(()));
    }
    services.verifier.set_revision(revision);
    let looked_at = Instant::now();
    let ended = end_those_gone(&services, store).await;
    // Remembered only when it is done, so that a store that fails meanwhile is asked again.
    if ended.is_ok() {
        seen.revision = Some(revision);
        seen.again_at = changed.then(|| looked_at + services.config().limits.handshake_timeout);
    }
    Some(ended)
}

async fn end_those_gone<U: UserData>(services: &Services<U>, store: &dyn UserStore) -> Result<(), StoreError> {
    let hubs = services.hubs.all();
    let mut logins = HashSet::new();
    for hub in &hubs {
        // A hub that has just ended has nobody to be closed.
        logins.extend(hub.registry().send(StoreUsers).await.unwrap_or_default());
    }
    for login in logins {
        let kind = match store.find(&login).await? {
            None => DisconnectKind::UserRemoved,
            Some(user) if user.record.disabled => DisconnectKind::UserDisabled,
            Some(user) if may_enter_reserved(&user.record, &monitor::HUB) => continue,
            Some(_) => {
                let reason = Disconnect::with_message(DisconnectKind::Kicked, "the role for this hub was taken away");
                for hub in hubs.iter().filter(|hub| hub.name().is_reserved()) {
                    hub.registry().do_send(EndStoreUser { login: login.clone(), reason: reason.clone() });
                }
                continue;
            }
        };
        log::info!("user.id":% = login, reason = kind.name(); "the connections of a user are closed");
        for hub in &hubs {
            hub.registry().do_send(EndStoreUser { login: login.clone(), reason: Disconnect::new(kind) });
        }
    }
    Ok(())
}
