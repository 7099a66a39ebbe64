//! Checking a login: a bounded number of password hashes at a time, and a short memory of those that fitted.
//!
//! Who is limited after failed logins is `auth/throttle.rs`; here it is only asked at the right moment.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::auth::throttle::Verdict;
use crate::ids::UserId;
use crate::users::{PasswordHash, StoreError, UserRecord, UserStore, verify_password};

/// Bounds of a [`Verifier`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierOptions {
    /// Hashes under way at a time, each a core and 19 MiB. Default: half the cores, at least one, so that a storm of
    /// logins leaves the other half to the connections there are.
    pub parallel: usize,
    /// Logins that may wait for their turn, and as many that may be slowed after failures; the next is
    /// [`LoginError::Busy`]. Default 256, which is a few seconds' work.
    pub max_waiting: usize,
    /// How long a password that fitted is remembered. Default 60 s, so that everybody can reconnect after a restart of
    /// a proxy without the cost of everybody's hash.
    pub remember: Duration,
    /// How many are remembered, the latest. Default 10,000, about 1 MiB.
    pub max_remembered: usize,
}

impl Default for VerifierOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        VerifierOptions {
            parallel: (cores / 2).max(1),
            max_waiting: 256,
            remember: Duration::from_secs(60),
            max_remembered: 10_000,
        }
    }
}

/// Why a login did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The user is unknown or disabled, or the password is wrong. Which of them is not told, nor can be timed.
    #[error("login or password is wrong")]
    Denied,
    /// Too many logins wait already.
    #[error("too many logins at a time")]
    Busy,
    /// Too many wrong passwords lately.
    #[error("too many failed logins")]
    Throttled {
        /// After how long another attempt will be listened to.
        retry_after: Duration,
    },
    /// The store could not be asked, or what it holds of this user cannot be read.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

/// Verifies passwords off the workers, a few at a time.
///
/// One per process. The store is asked at every login, so a record is always the present one; only the costly
/// comparison of password and hash is remembered, under a key that has the hash in it.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use folkmoot::users::{self, LoginError, LoginVerdict, Verifier, VerifierOptions};
///
/// # let folder = tempfile::tempdir()?;
/// let store = users::open(&format!("sqlite://{}/users.db", folder.path().display())).await?;
/// users::seed(&*store).await?;
/// let verifier = Verifier::new(VerifierOptions::default());
///
/// let mark = verifier.authenticate(&*store, "user-1", "password-1".to_owned().into(), || LoginVerdict::Allow).await?;
/// assert_eq!(mark.username.as_deref(), Some("Mark"));
/// let wrong = verifier.authenticate(&*store, "user-1", "password-2".to_owned().into(), || LoginVerdict::Allow).await;
/// assert_eq!(wrong, Err(LoginError::Denied));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Verifier {
    options: VerifierOptions,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    delayed: AtomicUsize,
    /// Made at start and nowhere written: what is remembered says nothing without it.
    key: hmac::Key,
    remembered: Mutex<Remembered>,
    revision: AtomicI64,
}

impl Verifier {
    /// A verifier that remembers nothing yet.
    pub fn new(options: VerifierOptions) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // aws-lc aborts the process itself when the machine has no randomness, so an error cannot reach us.
        let filled = aws_lc_rs::rand::fill(&mut *key);
        debug_assert!(filled.is_ok(), "the machine has no source of randomness");
        Verifier {
            turns: Arc::new(Semaphore::new(options.parallel.max(1))),
            waiting: AtomicUsize::new(0),
            delayed: AtomicUsize::new(0),
            key: hmac::Key::new(hmac::HMAC_SHA256, &*key),
            remembered: Mutex::default(),
            revision: AtomicI64::new(i64::MIN),
            options,
        }
    }

    /// Checks login and password against the store.
    ///
    /// Unknown and disabled users cost what a wrong password costs. Whether a demo user may log in from where they are
    /// is for the caller to decide. Needs a Tokio runtime, whose blocking threads do the work.
    ///
    /// `throttle` is asked directly before a password is verified, so that attempts under way at the same time cannot
    /// slip past it; what is remembered needs no permission.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn authenticate(
        &self,
        store: &dyn UserStore,
        login: &str,
        password: Zeroizing<String>,
        throttle: impl Fn() -> Verdict + Sync,
    ) -> Result<UserRecord, LoginError> {
        let found = match UserId::parse(login) {
            Ok(login) => store.find(&login).await?,
            Err(_) => None,
        };
        let (record, hash) = match found {
            Some(user) if !user.record.disabled => (Some(user.record), user.password_hash),
            _ => (None, PasswordHash::nobody()),
        };
        let fits = self.verify(login, password, hash, throttle).await?;
        record.filter(|_| fits).ok_or(LoginError::Denied)
    }

    /// Tells the revision that the store has now; when it is another one, all passwords are verified anew.
    pub fn set_revision(&self, revision: i64) {
        if self.revision.swap(revision, Ordering::Relaxed) != revision {
            self.remembered().forget();
        }
    }

    async fn verify(
        &self,
        login: &str,
        password: Zeroizing<String>,
        hash: PasswordHash,
        throttle: impl Fn() -> Verdict,
    ) -> Result<bool, LoginError> {
        let key = self.memory_key(login, &password, &hash);
        if self.remembered().holds(&key, Instant::now()) {
            return Ok(true);
        }
        match throttle() {
            Verdict::Allow => {}
            Verdict::Delay(delay) => {
                // Bounded apart from those who wait for their turn: who attacks one login must not keep out the others.
                let _place = Place::take(&self.delayed, self.options.max_waiting).ok_or(LoginError::Busy)?;
                tokio::time::sleep(delay).await;
            }
            Verdict::Refuse { retry_after } => return Err(LoginError::Throttled { retry_after }),
        }
        let turn = self.turn().await?;
        // Another login with the same password may have had its turn meanwhile: a storm of one user costs one hash.
        if self.remembered().holds(&key, Instant::now()) {
            return Ok(true);
        }
        if let Verdict::Refuse { retry_after } = throttle() {
            return Err(LoginError::Throttled { retry_after });
        }
        let work = move || {
            let fits = verify_password(&password, &hash);
            // The turn ends with the work and not with the waiting for it: who hangs up does not make room for more.
            drop(turn);
            fits
        };
        let fits = tokio::task::spawn_blocking(work).await.map_err(|_| LoginError::Busy)?;
        if fits {
            self.remembered().add(key, Instant::now() + self.options.remember, self.options.max_remembered);
        }
        Ok(fits)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, LoginError> {
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            return Ok(turn);
        }
        let _place = Place::take(&self.waiting, self.options.max_waiting).ok_or(LoginError::Busy)?;
        Arc::clone(&self.turns).acquire_owned().await.map_err(|_| LoginError::Busy)
    }

    /// Who does not know the process's key can neither make such a key nor learn from how long looking it up takes.
    fn memory_key(&self, login: &str, password: &str, hash: &PasswordHash) -> MemoryKey {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [login, password, hash.expose()] {
            // The lengths keep ("ab", "c") and ("a", "bc") apart.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        // Nothing that holds the lock can leave it half done.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue, given back when the waiting ends, however it ends.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let place = Place(waiting);
        // Dropping `place` takes back what was counted.
        (waiting.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type MemoryKey = [u8; 32];

/// Passwords that fitted. All are kept equally long, so the oldest is always the next to go.
#[derive(Default)]
struct Remembered {
    keys: HashSet<MemoryKey>,
    by_age: VecDeque<(Instant, MemoryKey)>,
}

impl Remembered {
    fn holds(&mut self, key: &MemoryKey, now: Instant) -> bool {
        while self.by_age.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_oldest();
        }
        self.keys.contains(key)
    }

    fn add(&mut self, key: MemoryKey, until: Instant, max: usize) {
        if !self.keys.insert(key) {
            return;
        }
        self.by_age.push_back((until, key));
        if self.by_age.len() > max {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.by_age.pop_front() {
            self.keys.remove(&key);
        }
    }

    fn forget(&mut self) {
        *self = Remembered::default();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::users::{StoreFuture, StoredUser, hash_password};

    fn options() -> VerifierOptions {
        VerifierOptions { parallel: 1, max_waiting: 1, ..VerifierOptions::default() }
    }

    fn password() -> Zeroizing<String> {
        "password-1".to_owned().into()
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn what_is_remembered_ends_with_its_time_and_is_bounded() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut remembered = Remembered::default();
        for n in 0..3 {
            remembered.add([n; 32], start + minute, 2);
        }
        assert!(!remembered.holds(&[0; 32], start), "the oldest made room");
        assert!(remembered.holds(&[1; 32], start) && remembered.holds(&[2; 32], start));
        assert!(remembered.holds(&[2; 32], start + minute - Duration::from_millis(1)));
        assert!(!remembered.holds(&[2; 32], start + minute));
        assert!(remembered.keys.is_empty() && remembered.by_age.is_empty());
    }

    #[test]
    fn a_password_that_fitted_needs_no_turn_until_the_revision_changes() {
        run(async {
            let verifier = Verifier::new(options());
            verifier.set_revision(1);
            let hash = hash_password("password-1").unwrap();
            assert_eq!(verifier.verify("mark", password(), hash.clone(), || Verdict::Allow).await, Ok(true));
            let _turn = verifier.turn().await.unwrap();
            let _place = Place::take(&verifier.waiting, 1).unwrap();
            verifier.set_revision(1);
            assert_eq!(verifier.verify("mark", password(), hash.clone(), || Verdict::Allow).await, Ok(true));
            assert_eq!(
                verifier.verify("anna", password(), hash.clone(), || Verdict::Allow).await,
                Err(LoginError::Busy)
            );
            verifier.set_revision(2);
            assert_eq!(verifier.verify("mark", password(), hash, || Verdict::Allow).await, Err(LoginError::Busy));
        });
    }

    #[test]
    fn a_wrong_password_is_not_remembered() {
        run(async {
            let verifier = Verifier::new(options());
            let hash = hash_password("password-2").unwrap();
            assert_eq!(verifier.verify("mark", password(), hash, || Verdict::Allow).await, Ok(false));
            assert!(verifier.remembered().keys.is_empty());
        });
    }

    /// A store that holds one user, or none.
    struct Fixed(Option<StoredUser>);

    fn unsaid<T>() -> StoreFuture<'static, T> {
        Box::pin(async { Err(StoreError::Unavailable("not in this test".into())) })
    }

    impl UserStore for Fixed {
        fn find<'a>(&'a self, login: &'a UserId) -> StoreFuture<'a, Option<StoredUser>> {
            Box::pin(async move { Ok(self.0.clone().filter(|user| user.record.login == *login)) })
        }
        fn insert<'a>(&'a self, _: &'a UserRecord, _: &'a PasswordHash) -> StoreFuture<'a, ()> {
            unsaid()
        }
        fn update<'a>(&'a self, _: &'a UserRecord) -> StoreFuture<'a, ()> {
            unsaid()
        }
        fn set_password<'a>(&'a self, _: &'a UserId, _: &'a PasswordHash) -> StoreFuture<'a, ()> {
            unsaid()
        }
        fn set_disabled<'a>(&'a self, _: &'a UserId, _: bool) -> StoreFuture<'a, ()> {
            unsaid()
        }
        fn remove<'a>(&'a self, _: &'a UserId) -> StoreFuture<'a, ()> {
            unsaid()
        }
        fn list<'a>(&'a self, _: Option<&'a UserId>, _: u32) -> StoreFuture<'a, Vec<UserRecord>> {
            unsaid()
        }
        fn revision(&self) -> StoreFuture<'_, i64> {
            unsaid()
        }
        fn ping(&self) -> StoreFuture<'_, ()> {
            unsaid()
        }
        fn describe(&self) -> String {
            "fixed".into()
        }
    }

    #[test]
    fn unknown_disabled_and_unspeakable_users_wait_for_a_turn_like_everybody() {
        let record = UserRecord { disabled: true, ..UserRecord::new(UserId::parse("mark").unwrap()) };
        let store = Fixed(Some(StoredUser { record, password_hash: hash_password("password-1").unwrap() }));
        run(async {
            let verifier = Verifier::new(options());
            let turn = verifier.turn().await.unwrap();
            let place = Place::take(&verifier.waiting, 1).unwrap();
            for login in ["mark", "anna", "", "a\0b"] {
                assert_eq!(
                    verifier.authenticate(&store, login, password(), || Verdict::Allow).await,
                    Err(LoginError::Busy),
                    "{login:?}"
                );
            }
            drop((turn, place));
            for login in ["mark", "anna", "", "a\0b"] {
                assert_eq!(
                    verifier.authenticate(&store, login, password(), || Verdict::Allow).await,
                    Err(LoginError::Denied),
                    "{login:?}"
                );
            }
            assert!(verifier.remembered().keys.is_empty());
        });
    }

    #[test]
    fn a_login_can_be_spawned_on_another_runtime() {
        fn is_send(_: &impl Send) {}
        is_send(&Verifier::new(options()).authenticate(&Fixed(None), "mark", password(), || Verdict::Allow));
    }

    #[test]
    fn a_login_that_gives_up_waiting_leaves_the_queue() {
        run(async {
            let verifier = Verifier::new(options());
            let turn = verifier.turn().await.unwrap();
            {
                let mut waiting = pin!(verifier.turn());
                assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                assert!(matches!(verifier.turn().await, Err(LoginError::Busy)));
            }
            let mut next = pin!(verifier.turn());
            let mut context = Context::from_waker(Waker::noop());
            assert!(next.as_mut().poll(&mut context).is_pending());
            drop(turn);
            assert!(matches!(next.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
        });
    }
}
