//! How a server ends: nobody new, everybody told, nothing left behind.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_server::ServerHandle;
use socket2::SockRef;
use tokio::time::{Instant, sleep};

use crate::groups::deliver::Deliver;
use crate::groups::inner::Retire;
use crate::http::Services;
use crate::user::UserData;

/// How long the accepting thread may take to notice that it is paused.
const ACCEPT_PATIENCE: Duration = Duration::from_millis(50);
/// How often it is looked whether the last connection is gone.
const LOOK: Duration = Duration::from_millis(5);

/// Closes the listeners, and has everything that asks whether this server is ready told that it is not.
pub async fn refuse_new<U: UserData>(services: &Services<U>, listeners: Option<(&ServerHandle, &[TcpListener])>) {
    services.draining.store(true, Ordering::Release);
    let Some((handle, sockets)) = listeners else { return };
    handle.pause().await;
    // That told the accepting thread, but did not wait for it; it would complain about what comes next.
    sleep(ACCEPT_PATIENCE).await;
    // actix-server keeps a paused socket listening; connections would wait in it for an answer that never comes. Where a
    // system does not allow this on a listening socket, they do, until the process ends.
    for socket in sockets {
        if let Err(error) = SockRef::from(socket).shutdown(std::net::Shutdown::Both) {
            log::debug!(error:%; "a listener could not be closed early");
        }
    }
}

/// Ends all connections, one after another over half of the time that there is, and waits for the last to be gone.
pub async fn send_away<U: UserData>(services: &Arc<Services<U>>) {
    let patience = services.config().shutdown.timeout;
    for fanout in services.fanouts.all() {
        fanout.do_send(Deliver::Drain { over: patience / 2 });
    }
    let deadline = Instant::now() + patience;
    while services.seats.taken() > 0 && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    let left = services.seats.taken();
    if left > 0 {
        log::warn!(connections = left; "the shutdown timeout has passed; the last connections are cut");
    }
}

/// Ends the registries, behind everything that was sent to them, and waits until the hooks and webhooks were told of it
/// all, for at most as long as one call of either may take.
pub async fn close_hubs<U: UserData>(services: &Services<U>) {
    for hub in services.hubs.all() {
        hub.registry().do_send(Retire);
    }
    let (hooks, webhooks) = (services.hooks.as_ref(), &services.webhooks);
    let began = Instant::now();
    let of_hooks = hooks.map(|hooks| began + hooks.settings().timeout);
    let of_webhooks = began + webhooks.limits().timeout;
    loop {
        let now = Instant::now();
        let hooks_wait =
            hooks.is_some_and(|hooks| hooks.runners().count() > 0) && of_hooks.is_some_and(|end| now < end);
        let webhooks_wait = !webhooks.is_idle() && now < of_webhooks;
        if !hooks_wait && !webhooks_wait {
            break;
        }
        sleep(LOOK).await;
    }
    webhooks.stop();
}
