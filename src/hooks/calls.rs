//! Hook calls that somebody waits for: on threads of their own, with a deadline, and with panics contained.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::runner::Runners;
use super::{Authentication, Connecting, HookSettings, Hooks, Incoming, LoginAttempt, Verdict};
use crate::event::{Disconnected, Joined, Left};
use crate::groups::Hub;
use crate::metrics::Metrics;
use crate::user::UserData;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Hooks`] behind a pointer, so that nothing else is generic over the caller's type.
pub trait AnyHooks<U: UserData>: Send + Sync + 'static {
    /// See [`Hooks::authenticate`].
    fn authenticate<'a>(&'a self, attempt: &'a LoginAttempt) -> Boxed<'a, Authentication<U>>;
    /// See [`Hooks::connect`].
    fn connect<'a>(&'a self, connecting: &'a mut Connecting<U>) -> Boxed<'a, Result<(), String>>;
    /// See [`Hooks::client_added`].
    fn client_added<'a>(&'a self, hub: &'a Hub<U>, joined: &'a Joined<U>) -> Boxed<'a, ()>;
    /// See [`Hooks::client_removed`].
    fn client_removed<'a>(&'a self, hub: &'a Hub<U>, left: &'a Left<U>) -> Boxed<'a, ()>;
    /// See [`Hooks::message`].
    fn message<'a>(&'a self, hub: &'a Hub<U>, incoming: &'a Incoming<U>) -> Boxed<'a, Verdict>;
    /// See [`Hooks::disconnect`].
    fn disconnect<'a>(&'a self, hub: &'a Hub<U>, disconnected: &'a Disconnected<U>) -> Boxed<'a, ()>;
}

impl<U: UserData, H: Hooks<U>> AnyHooks<U> for H {
    fn authenticate<'a>(&'a self, attempt: &'a LoginAttempt) -> Boxed<'a, Authentication<U>> {
        Box::pin(Hooks::authenticate(self, attempt))
    }

    fn connect<'a>(&'a self, connecting: &'a mut Connecting<U>) -> Boxed<'a, Result<(), String>> {
        Box::pin(Hooks::connect(self, connecting))
    }

    fn client_added<'a>(&'a self, hub: &'a Hub<U>, joined: &'a Joined<U>) -> Boxed<'a, ()> {
        Box::pin(Hooks::client_added(self, hub, joined))
    }

    fn client_removed<'a>(&'a self, hub: &'a Hub<U>, left: &'a Left<U>) -> Boxed<'a, ()> {
        Box::pin(Hooks::client_removed(self, hub, left))
    }

    fn message<'a>(&'a self, hub: &'a Hub<U>, incoming: &'a Incoming<U>) -> Boxed<'a, Verdict> {
        Box::pin(Hooks::message(self, hub, incoming))
    }

    fn disconnect<'a>(&'a self, hub: &'a Hub<U>, disconnected: &'a Disconnected<U>) -> Boxed<'a, ()> {
        Box::pin(Hooks::disconnect(self, hub, disconnected))
    }
}

/// The hook gave no answer: it panicked, was late, or too many calls are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hook gave no answer")]
pub struct NoAnswer;

/// Calls hooks and waits for what they say.
pub struct HookCalls<U: UserData> {
    hooks: Arc<dyn AnyHooks<U>>,
    threads: Handle,
    settings: HookSettings,
    under_way: Arc<Semaphore>,
    ignores_messages: Arc<AtomicBool>,
    runners: Runners,
    metrics: Metrics,
}

impl<U: UserData> Clone for HookCalls<U> {
    fn clone(&self) -> Self {
        HookCalls {
            hooks: self.hooks.clone(),
            threads: self.threads.clone(),
            settings: self.settings.clone(),
            under_way: self.under_way.clone(),
            ignores_messages: self.ignores_messages.clone(),
            runners: self.runners.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl<U: UserData> HookCalls<U> {
    /// Calls run on `threads`, which nothing else may depend on: a hook that blocks holds one of them.
    pub fn new(hooks: Arc<dyn AnyHooks<U>>, threads: Handle, settings: HookSettings, metrics: Metrics) -> Self {
        let under_way = Arc::new(Semaphore::new(settings.concurrency));
        HookCalls {
            hooks,
            threads,
            settings,
            under_way,
            ignores_messages: Arc::default(),
            runners: Runners::default(),
            metrics,
        }
    }

    /// The hooks themselves.
    pub fn hooks(&self) -> &Arc<dyn AnyHooks<U>> {
        &self.hooks
    }

    /// How hooks are called.
    pub fn settings(&self) -> &HookSettings {
        &self.settings
    }

    /// Who tells the hooks what happened.
    pub fn runners(&self) -> &Runners {
        &self.runners
    }

    /// Asks who somebody is.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn authenticate(&self, attempt: LoginAttempt) -> Result<(Authentication<U>, LoginAttempt), NoAnswer> {
        let hooks = self.hooks.clone();
        self.call("authenticate", async move { (hooks.authenticate(&attempt).await, attempt) }).await
    }

    /// Asks whether a connection is welcome.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn connect(
        &self,
        mut connecting: Connecting<U>,
    ) -> Result<(Result<(), String>, Connecting<U>), NoAnswer> {
        let hooks = self.hooks.clone();
        self.call("connect", async move { (hooks.connect(&mut connecting).await, connecting) }).await
    }

    /// Asks what becomes of a message.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn message(&self, hub: Hub<U>, incoming: Incoming<U>) -> Result<Verdict, NoAnswer> {
        let hooks = self.hooks.clone();
        let verdict = self.call("message", async move { hooks.message(&hub, &incoming).await }).await?;
        if matches!(verdict, Verdict::NotImplemented) {
            self.ignores_messages.store(true, Ordering::Relaxed);
        }
        Ok(verdict)
    }

    /// Whether the hooks do not implement [`Hooks::message`]; known after the first one.
    pub fn ignores_messages(&self) -> bool {
        self.ignores_messages.load(Ordering::Relaxed)
    }

    async fn call<T: Send + 'static>(
        &self,
        hook: &str,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let refuse = |why: &str| {
            self.metrics.hook_failures.increment(1);
            log::error!(hook = hook; "a hook {why}");
            NoAnswer
        };
        let place = self.under_way.clone().try_acquire_owned();
        let place = place.map_err(|_| refuse("was not called: too many calls are under way"))?;
        let limit = self.settings.timeout;
        let task = self.threads.spawn(async move {
            // Ends it at its next await, also when nobody waits for it any more because the connection is gone. One that
            // blocks its thread keeps its place until it returns.
            let answer = timeout(limit, call).await;
            drop(place);
            answer
        });
        match timeout(limit, task).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Err(_)) => Err(refuse("panicked")),
            Ok(Ok(Err(_))) | Err(_) => Err(refuse("took too long")),
        }
    }
}
