//! Where users are kept: the seam to a store, and how one is opened.
//!
//! Checking a login against a store is [`Verifier`]'s affair; what a user may do in a hub is decided in `auth`.

mod demo;
mod password;
#[cfg(feature = "postgres")]
mod postgres;
mod record;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod verifier;

use std::pin::Pin;
use std::sync::Arc;

use crate::ids::UserId;

pub use crate::auth::throttle::Verdict as LoginVerdict;
pub use demo::{DEMO_USERS, DemoUser, seed};
pub use password::{
    MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, PasswordError, PasswordHash, check_new_password, hash_password,
    verify_password,
};
pub use record::{
    HubAccess, MAX_PHONE_CHARS, MAX_USER_DATA_BYTES, MAX_USER_GROUPS, MAX_USER_HUBS, MAX_USER_ROLES,
    MAX_USERNAME_CHARS, RecordError, UserRecord,
};
pub use verifier::{LoginError, Verifier, VerifierOptions};

/// What a method of a [`UserStore`] returns: a boxed future, so that a store can stand behind `dyn`.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or is locked or full. The same call may succeed later.
    #[error("the user store is unavailable: {0}")]
    Unavailable(String),
    /// The embedded database is not there, and was not to be made.
    #[error("there is no user store {0} yet")]
    Missing(String),
    /// A user with this login is there already.
    #[error("there is a user '{0}' already")]
    Conflict(UserId),
    /// There is no user with this login.
    #[error("there is no user '{0}'")]
    NotFound(UserId),
    /// What was given cannot be stored, or cannot be opened as a store.
    #[error("{0}")]
    Invalid(String),
    /// What is stored cannot be read. Somebody has to mend it.
    #[error("the user store is damaged: {0}")]
    Corrupt(String),
}

impl From<RecordError> for StoreError {
    fn from(error: RecordError) -> Self {
        StoreError::Invalid(error.to_string())
    }
}

/// A user as stored: the record, and the hash that its password is verified against.
#[derive(Debug, Clone)]
pub struct StoredUser {
    /// The user.
    pub record: UserRecord,
    /// What the password is verified against.
    pub password_hash: PasswordHash,
}

/// How many connections a store has to its database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Those that a call uses now.
    pub in_use: u32,
    /// Those that wait for one.
    pub idle: u32,
}

/// A place where users are kept.
///
/// What every store promises:
///
/// - **Each change is atomic**: a call that fails, or whose future is dropped before it ends, has changed everything it
///   is for or nothing. Two changes of one user never mix.
/// - **A change that was answered is seen** by every later call, on this store and on others over the same database.
/// - **The revision** is another number after every change, made in the same transaction; a call that changes nothing
///   (an error) leaves it. Other processes change users too (the command line, another node), so whoever keeps what it
///   read looks at the revision and forgets when it differs. Only "differs" has a meaning: a restored backup may make
///   it smaller.
/// - **Records are valid** in both directions: [`UserRecord::validate`] is called on what comes in
///   ([`StoreError::Invalid`]) and on what is read ([`StoreError::Corrupt`]).
/// - **No call waits for ever.** A store that is gone or locked answers [`StoreError::Unavailable`] within seconds, and
///   works again by itself when its database is back.
/// - Logins are compared byte by byte, case included, and sorted the same way.
///
/// Futures run on any Tokio runtime; a store does not remember the one that it was opened on. `tests/contracts.rs` is
/// the suite that every store must pass.
pub trait UserStore: Send + Sync {
    /// The user with this login. `None` is an answer, not an error.
    fn find<'a>(&'a self, login: &'a UserId) -> StoreFuture<'a, Option<StoredUser>>;

    /// Adds a user, flags included; [`StoreError::Conflict`] when the login is taken.
    fn insert<'a>(&'a self, record: &'a UserRecord, password_hash: &'a PasswordHash) -> StoreFuture<'a, ()>;

    /// Replaces what is known of the user, apart from the password and the flags `disabled` and `demo`, which have their
    /// own methods: an edit that began before somebody disabled the user does not enable them again.
    fn update<'a>(&'a self, record: &'a UserRecord) -> StoreFuture<'a, ()>;

    /// Sets the password and clears the flag `demo`: the published password is gone.
    fn set_password<'a>(&'a self, login: &'a UserId, password_hash: &'a PasswordHash) -> StoreFuture<'a, ()>;

    /// Disables or enables a user. Doing it twice succeeds.
    fn set_disabled<'a>(&'a self, login: &'a UserId, disabled: bool) -> StoreFuture<'a, ()>;

    /// Removes a user.
    fn remove<'a>(&'a self, login: &'a UserId) -> StoreFuture<'a, ()>;

    /// At most `limit` users after `after`, sorted by login. Fewer than `limit` means that these are the last.
    ///
    /// Pages are not one snapshot, but a user that is there all the time is in exactly one of them.
    fn list<'a>(&'a self, after: Option<&'a UserId>, limit: u32) -> StoreFuture<'a, Vec<UserRecord>>;

    /// A number that is another one after every change.
    fn revision(&self) -> StoreFuture<'_, i64>;

    /// Whether the store can be reached, for `/ready`.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// What and where the store is, for the log. Has no password in it.
    fn describe(&self) -> String;

    /// How many connections to its database there are, for `/metrics`; `None` where it keeps none.
    fn pool(&self) -> Option<PoolState> {
        None
    }

    /// Whether opening made an embedded database that was not there before: only such a store gets the demo users.
    fn is_new(&self) -> bool {
        false
    }
}

/// Opens the store that `users.database` names, and brings its tables up to date.
///
/// `sqlite://PATH` makes the file (0600) and its folders (0700) when they are missing; `sqlite:///var/lib/x.db` is an
/// absolute path. `postgres://USER:PASSWORD@HOST:PORT/DATABASE` connects once now, so that a wrong address is told at
/// start; later losses are mended by reconnecting.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use folkmoot::users;
///
/// let folder = tempfile::tempdir()?;
/// let store = users::open(&format!("sqlite://{}/users.db", folder.path().display())).await?;
/// assert!(store.is_new());
/// assert!(store.list(None, 10).await?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`StoreError::Invalid`] for an address that is none, or whose kind of database is not compiled in;
/// [`StoreError::Unavailable`] when the database does not answer; [`StoreError::Corrupt`] when its tables are not ours.
pub async fn open(database: &str) -> Result<Arc<dyn UserStore>, StoreError> {
    connect(database, true).await
}

/// As [`open`], for looking: an embedded database that is not there is an error and is not made.
///
/// # Errors
/// As [`open`], and [`StoreError::Missing`] when the file is not there.
pub async fn open_existing(database: &str) -> Result<Arc<dyn UserStore>, StoreError> {
    connect(database, false).await
}

#[cfg_attr(not(feature = "sqlite"), expect(unused_variables, reason = "only SQLite makes its database"))]
async fn connect(database: &str, create: bool) -> Result<Arc<dyn UserStore>, StoreError> {
    match database.split_once(':').map(|(scheme, _)| scheme) {
        #[cfg(feature = "sqlite")]
        Some("sqlite") => Ok(Arc::new(sqlite::open(database, create).await?)),
        #[cfg(feature = "postgres")]
        Some("postgres" | "postgresql") => Ok(Arc::new(postgres::open(database).await?)),
        #[cfg(not(feature = "sqlite"))]
        Some("sqlite") => Err(not_built_in("sqlite")),
        #[cfg(not(feature = "postgres"))]
        Some("postgres" | "postgresql") => Err(not_built_in("postgres")),
        // The address is not repeated: it may have a password in it.
        _ => Err(StoreError::Invalid(
            "users.database is neither sqlite://PATH nor postgres://USER:PASSWORD@HOST:PORT/DATABASE".into(),
        )),
    }
}

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
fn not_built_in(feature: &str) -> StoreError {
    StoreError::Invalid(format!(
        "users.database is {feature}:…, and this folkmoot was built without it (cargo feature '{feature}')"
    ))
}
