//! Tells systemd, or whoever else started the server, how far it is (`Type=notify-reload`, sd_notify(3)).
//!
//! Nothing is told where nobody listens, that is, without `NOTIFY_SOCKET`.

use sd_notify::NotifyState;

/// Connections are accepted.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload is over. That one was refused stands in `systemctl status` until another one is not: `systemctl reload` itself
/// cannot fail for it. Why stands in the log.
pub(super) fn reloaded(was_refused: bool) {
    let status =
        if was_refused { "The last reload was refused (the log says why); what was before goes on" } else { "" };
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is about to be read again. What follows until [`reloaded`] is part of it.
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
