//! The key sets that are kept: what is known now, who waits for newer ones, and the thread that asks for them.
//!
//! However many handshakes want a key that is not known, one request is under way for each set, and the next only when
//! its cooldown has passed: forged tokens cost an issuer next to nothing.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::fetch::{FETCH_TIMEOUT, FetchError, Fetcher, read_file};
use super::{IssuerError, Issuers};
use crate::auth::jwks::KeySet;
use crate::config::{IssuerConfig, KeySetLocation};
use crate::metrics::Metrics;

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What makes a source the same after a reload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Plan {
    location: KeySetLocation,
    refresh: Duration,
    cooldown: Duration,
}

/// A key set and its state. It is kept fresh until a reload has no use for it, or the server is gone.
pub struct KeySource {
    plan: Plan,
    keys: ArcSwapOption<KeySet>,
    state: watch::Sender<State>,
    wake: Arc<Notify>,
    metrics: Metrics,
}

/// How far the asking is.
#[derive(Debug, Clone, Copy)]
struct State {
    is_asking: bool,
    /// When the last answer came, or failed to.
    answered: Option<Instant>,
    /// To be asked for whatever the cooldown: somebody reloaded the configuration.
    is_wanted: bool,
    has_failed: bool,
    /// No configuration in effect has it any more.
    is_over: bool,
}

impl KeySource {
    fn new(plan: Plan, keys: Option<KeySet>, metrics: Metrics) -> Self {
        let (is_asking, answered) = (keys.is_none(), keys.is_some().then(Instant::now));
        let state = State { is_asking, answered, is_wanted: false, has_failed: false, is_over: false };
        let keys = ArcSwapOption::from_pointee(keys);
        KeySource { plan, keys, state: watch::Sender::new(state), wake: Arc::default(), metrics }
    }

    /// The keys that are known.
    pub fn now(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Returns when newer keys have been asked for, or it is too early for that, or it takes too long.
    pub async fn newer(&self) {
        let mut state = self.state.subscribe();
        let before = *state.borrow_and_update();
        if before.is_over || (!before.is_asking && !self.is_due(before)) {
            return;
        }
        if !before.is_asking {
            self.wake.notify_one();
        }
        let is_answered = |state: &State| !state.is_asking && state.answered != before.answered;
        // Whatever came of it: who asks looks at the keys anew.
        let _ = timeout(FETCH_TIMEOUT, state.wait_for(is_answered)).await;
    }

    /// Has it asked for as soon as may be, without waiting.
    fn want(&self) {
        self.state.send_modify(|state| state.is_wanted = true);
        self.wake.notify_one();
    }

    /// Nobody needs it any more, though a worker may hold it until its next connection.
    fn end(&self) {
        self.state.send_modify(|state| {
            self.tell(state.has_failed, false);
            *state = State { is_asking: false, has_failed: false, is_over: true, ..*state };
        });
        self.wake.notify_one();
    }

    fn is_due(&self, state: State) -> bool {
        state.is_wanted || state.answered.is_none_or(|at| at.elapsed() >= self.plan.cooldown)
    }

    fn answered(&self, keys: Result<KeySet, FetchError>) {
        let location = &self.plan.location;
        let had_failed = self.state.borrow().has_failed;
        let known = self.keys.load().as_ref().map(|keys| keys.len());
        let has_failed = keys.is_err();
        self.metrics.key_refreshes.increment(1);
        match keys {
            Ok(keys) => {
                if had_failed || known.is_none() {
                    log::info!(location:%, keys = keys.len(); "the keys of an issuer are known");
                }
                tell_of_skipped(location, &keys);
                self.keys.store(Some(Arc::new(keys)));
            }
            Err(error) => {
                self.metrics.key_refresh_failures.increment(1);
                if !had_failed {
                    let known = known.unwrap_or_default();
                    log::warn!(location:%, known, reason:% = error; "the keys of an issuer cannot be had; those that are known count on");
                }
            }
        }
        self.state.send_modify(|state| {
            if !state.is_over {
                self.tell(state.has_failed, has_failed);
                let answered = Some(Instant::now());
                *state = State { is_asking: false, answered, is_wanted: false, has_failed, is_over: false };
            }
        });
    }

    fn tell(&self, had_failed: bool, has_failed: bool) {
        match (had_failed, has_failed) {
            (false, true) => self.metrics.key_sets_stale.increment(1),
            (true, false) => self.metrics.key_sets_stale.decrement(1),
            _ => {}
        }
    }
}

impl Drop for KeySource {
    // Its task sleeps, perhaps for an hour; there is nothing left for it to do.
    fn drop(&mut self) {
        self.end();
    }
}

/// Tells of keys that cannot be used where nothing else can: otherwise an issuer may have any it likes.
fn tell_of_skipped(location: &KeySetLocation, keys: &KeySet) {
    if keys.len() == 0 {
        let reasons = keys.skipped().first().map_or("there is none", String::as_str);
        log::warn!(location:%, reasons; "an issuer has no key that can be used; its tokens are refused");
    }
}

/// The key sets of a server, over all its configurations.
pub struct KeySources {
    sources: Mutex<HashMap<Plan, Weak<KeySource>>>,
    /// To the thread, which is there once there is something to ask for.
    thread: Mutex<Option<mpsc::UnboundedSender<Weak<KeySource>>>>,
    metrics: Metrics,
}

impl KeySources {
    /// None yet.
    pub fn new(metrics: Metrics) -> Self {
        KeySources { sources: Mutex::default(), thread: Mutex::default(), metrics }
    }

    /// The key set of an issuer. One that is known already is asked for again: whoever reloads a configuration means it.
    pub(super) fn of(&self, config: &IssuerConfig) -> Result<Arc<KeySource>, IssuerError> {
        let plan = Plan { location: config.jwks.clone(), refresh: config.refresh, cooldown: config.cooldown };
        // A panic under the lock leaves a map that is still whole.
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|_, source| source.strong_count() > 0);
        if let Some(known) = sources.get(&plan).and_then(Weak::upgrade) {
            known.want();
            return Ok(known);
        }
        let keys = match &plan.location {
            KeySetLocation::Url(_) => None,
            // A file that is missing or wrong is a mistake in the configuration, not an issuer that is down.
            KeySetLocation::File(file) => Some(read_file(file).map_err(|error| IssuerError::Keys {
                issuer: config.issuer.clone(),
                location: plan.location.to_string(),
                error,
            })?),
        };
        if let Some(keys) = &keys {
            tell_of_skipped(&plan.location, keys);
        }
        let source = Arc::new(KeySource::new(plan.clone(), keys, self.metrics.clone()));
        self.have_kept(&source)?;
        sources.insert(plan, Arc::downgrade(&source));
        Ok(source)
    }

    /// Lets go of the key sets that `issuers`, which are in effect now, do not need.
    pub fn keep_only(&self, issuers: &Issuers) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|plan, source| {
            let is_needed = issuers.0.iter().any(|issuer| issuer.keys.plan == *plan);
            if let Some(source) = source.upgrade().filter(|_| !is_needed) {
                source.end();
            }
            is_needed
        });
    }

    fn have_kept(&self, source: &Arc<KeySource>) -> io::Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*thread {
            Some(sender) if !sender.is_closed() => sender,
            _ => thread.insert(start()?),
        };
        // The other end went only if its thread panicked, and the next reload starts another one.
        let _ = sender.send(Arc::downgrade(source));
        Ok(())
    }
}

/// Starts the thread; it ends with the last sender. The client of HTTP does not leave its thread, and no worker waits
/// for an issuer.
fn start() -> io::Result<mpsc::UnboundedSender<Weak<KeySource>>> {
    let (sender, mut sources) = mpsc::unbounded_channel::<Weak<KeySource>>();
    std::thread::Builder::new().name("folkmoot-keys".to_owned()).spawn(move || match actix_rt::Runtime::new() {
        Ok(runtime) => runtime.block_on(async move {
            let fetcher = Fetcher::default();
            while let Some(source) = sources.recv().await {
                actix_rt::spawn(keep(source, fetcher.clone()));
            }
        }),
        Err(error) => log::error!(error:%; "the keys of issuers cannot be asked for"),
    })?;
    Ok(sender)
}

/// Asks for a set as long as somebody has it: at once where it is not known, then by its plan.
async fn keep(source: Weak<KeySource>, fetcher: Fetcher) {
    let Some((wake, plan)) = source.upgrade().map(|source| (source.wake.clone(), source.plan.clone())) else { return };
    let mut is_first = true;
    let mut failures = 0;
    loop {
        let is_known = |source: &KeySource| source.state.borrow().answered.is_some();
        let Some(skip) = source.upgrade().map(|source| is_first && is_known(&source)) else { return };
        is_first = false;
        if !skip {
            let Some(()) = source.upgrade().map(|source| source.state.send_modify(|state| state.is_asking = true))
            else {
                return;
            };
            let keys = fetcher.fetch(&plan.location).await;
            failures = if keys.is_ok() { 0 } else { failures + 1 };
            let Some(source) = source.upgrade() else { return };
            source.answered(keys);
        }
        let pause = sleep(pause(failures, plan.refresh));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                () = wake.notified() => {}
            }
            let Some(source) = source.upgrade() else { return };
            let state = *source.state.borrow();
            if state.is_over {
                return;
            }
            // Two who woke it at the same moment get one answer.
            if source.is_due(state) {
                break;
            }
        }
    }
}

fn pause(failures: u32, refresh: Duration) -> Duration {
    match failures.checked_sub(1) {
        None => refresh,
        Some(doublings) => FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE).min(refresh),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_tried_again_soon_and_then_ever_later() {
        let hour = Duration::from_secs(3600);
        let pauses: Vec<_> = [0, 1, 2, 3, 6, 7, 8, u32::MAX].map(|failures| pause(failures, hour).as_secs()).into();
        assert_eq!(pauses, [3600, 1, 2, 4, 32, 60, 60, 60]);
        assert_eq!(pause(9, Duration::from_secs(5)), Duration::from_secs(5));
    }
}
