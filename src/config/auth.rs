//! Who may log in and how often they may fail: access keys, token times, limits on failures and on hashing.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::issuers::JwtConfig;
use super::secret::AccessKey;
use super::units::duration;

/// The section `auth`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuthConfig {
    /// The keys that sign tokens: the first signs, every one is accepted. Two at most, the new and the old of a rotation.
    ///
    /// Each has at least 32 bytes, no `;`, no control characters and no blanks at its ends. Without any, one is
    /// generated and kept in the data folder. Default none; `FOLKMOOT__AUTH__ACCESS_KEYS` (a JSON list, or one key).
    pub access_keys: Vec<AccessKey>,
    /// A file with the access keys in their place, one per line, of at most 64 KiB. A reload reads it again.
    ///
    /// [`Config::load`](super::Config::load) reads it into `access_keys`. Default none;
    /// `FOLKMOOT__AUTH__ACCESS_KEYS_FILE`.
    pub access_keys_file: Option<PathBuf>,
    /// How long a token from `/auth/token` opens connections. It travels in a URL, so it is short.
    ///
    /// Default `5m`; `FOLKMOOT__AUTH__TOKEN_TTL`.
    #[serde(with = "duration")]
    pub token_ttl: Duration,
    /// How long a page that logged in renews its tokens without the password (`refresh=true` at `/auth/token`).
    ///
    /// Default `12h`: a working day, after which a browser that was left open is logged out.
    /// `FOLKMOOT__AUTH__SESSION_TTL`.
    #[serde(with = "duration")]
    pub session_ttl: Duration,
    /// How far the clock of whoever made a token may be from ours.
    ///
    /// Default `30s`: machines that keep time differ by less, and the five minutes of the Web PubSub emulator would
    /// double the life of our own tokens. `FOLKMOOT__AUTH__CLOCK_SKEW`.
    #[serde(with = "duration")]
    pub clock_skew: Duration,
    /// Lets the demo users, whose passwords are public, log in from other machines (flag `--allow-demo-users`).
    ///
    /// Default `false`; `FOLKMOOT__AUTH__ALLOW_DEMO_USERS`.
    pub allow_demo_users: bool,
    /// Tokens of other issuers.
    pub jwt: JwtConfig,
    /// Limits on failed logins.
    pub failures: FailuresConfig,
    /// Limits on password hashing.
    pub hashing: HashingConfig,
}

impl Default for AuthConfig {
    fn default() -> Self {
        AuthConfig {
            access_keys: Vec::new(),
            access_keys_file: None,
            token_ttl: Duration::from_secs(300),
            session_ttl: Duration::from_secs(12 * 3600),
            clock_skew: Duration::from_secs(30),
            allow_demo_users: false,
            jwt: JwtConfig::default(),
            failures: FailuresConfig::default(),
            hashing: HashingConfig::default(),
        }
    }
}

impl AuthConfig {
    /// Most access keys: the new and the old of a rotation.
    pub const MAX_ACCESS_KEYS: usize = 2;
}

/// `auth.failures`: what guessing passwords is slowed down to. No login is ever locked, which would let anybody lock
/// anybody out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FailuresConfig {
    /// Failed logins per minute from one address (IPv6: one /64); then 429 until the minute has passed.
    ///
    /// Default 30: an office behind one address mistypes less. `FOLKMOOT__AUTH__FAILURES__ADDRESS_PER_MINUTE`.
    pub address_per_minute: u32,
    /// Failed logins per minute for one login from one address.
    ///
    /// Default 10; `FOLKMOOT__AUTH__FAILURES__LOGIN_ADDRESS_PER_MINUTE`.
    pub login_address_per_minute: u32,
    /// Failed logins per minute for one login from all addresses, after which each attempt waits `login_delay`.
    ///
    /// Default 30; `FOLKMOOT__AUTH__FAILURES__LOGIN_PER_MINUTE`.
    pub login_per_minute: u32,
    /// How long an attempt for a login under attack waits.
    ///
    /// Default `2s`: a person bears it, a guesser is down to a few attempts. `FOLKMOOT__AUTH__FAILURES__LOGIN_DELAY`.
    #[serde(with = "duration")]
    pub login_delay: Duration,
    /// Addresses and logins remembered; beyond it those that failed longest ago are forgotten.
    ///
    /// Default 65536, some megabytes; `FOLKMOOT__AUTH__FAILURES__TABLE_ENTRIES`.
    pub table_entries: usize,
}

impl Default for FailuresConfig {
    fn default() -> Self {
        FailuresConfig {
            address_per_minute: 30,
            login_address_per_minute: 10,
            login_per_minute: 30,
            login_delay: Duration::from_secs(2),
            table_entries: 65_536,
        }
    }
}

/// `auth.hashing`: Argon2id takes 19 MiB and tens of milliseconds of a core for each login.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HashingConfig {
    /// Passwords verified at the same time; 0 means half the cores, so that a login storm leaves members alone.
    ///
    /// Default 0; `FOLKMOOT__AUTH__HASHING__CONCURRENCY`.
    pub concurrency: usize,
    /// Logins that may wait for their turn, and as many that `login_delay` holds up; the next is answered 503 with
    /// `Retry-After`.
    ///
    /// Default 256, a few seconds of work; `FOLKMOOT__AUTH__HASHING__WAITING`.
    pub waiting: usize,
}

impl Default for HashingConfig {
    fn default() -> Self {
        HashingConfig { concurrency: 0, waiting: 256 }
    }
}

impl HashingConfig {
    /// The number of passwords verified at the same time, with 0 resolved to half the cores (at least one).
    pub fn effective_concurrency(&self) -> usize {
        let half_the_cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        if self.concurrency == 0 { half_the_cores() } else { self.concurrency }
    }
}
