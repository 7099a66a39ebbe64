//! Tells systemd, or whoever else started the server, how far it is (`Type=notify-reload`, sd_notify(3)).
//!
//! Nothing is told where nobody listens, that is, without `NOTIFY_SOCKET`.

use sd_notify::NotifyState;

/// Connections are accepted; after a reload: it is over, however it went.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is about to be read again. What follows until [`ready`] is part of it.
pub(super) fn reloading() {
    // Without the time systemd could not tell this reload from one that it asked for before.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!(error:%; "the supervisor was not told of a reload"),
    }
}

/// The server drains and ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A server that nobody hears goes on all the same.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!(error:%; "the supervisor cannot be told of the server's state");
    }
}
