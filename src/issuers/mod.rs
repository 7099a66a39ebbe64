//! Other issuers of tokens: which there are, their keys as they are now, and whose token a token is.
//!
//! What a token of theirs must be like and what it means is `auth/issuer.rs`; how a key set is read is `auth/jwks.rs`.
//! The keys are kept beside the configuration, so that a reload loses none.

mod fetch;
mod sources;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::fetch::FetchError;
#[cfg(feature = "cli")]
pub use self::fetch::fetch_once;
use self::sources::KeySource;
pub use self::sources::KeySources;
use crate::auth::issuer::{ForeignToken, IssuerRules, Presented};
use crate::auth::jwks::NoKey;
use crate::auth::token::TokenError;
use crate::config::IssuerConfig;
use crate::users::HubAccess;

/// Why the issuers of a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// Keys that lie in a file are needed at once.
    #[error("auth.jwt.issuers: the keys of '{issuer}' in {location}: {error}")]
    Keys {
        /// The issuer.
        issuer: String,
        /// The file.
        location: String,
        /// What is wrong with it.
        error: FetchError,
    },
    /// The system has no thread to give.
    #[error("auth.jwt.issuers: the thread that asks for keys cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// One of the issuers.
pub struct Issuer {
    rules: IssuerRules,
    /// The hubs that its tokens open.
    pub hubs: HubAccess,
    keys: Arc<KeySource>,
}

/// The issuers of a configuration.
#[derive(Default)]
pub struct Issuers(Vec<Issuer>);

impl Issuers {
    /// Makes them of the configuration; keys that `sources` knows already are not asked for anew.
    ///
    /// # Errors
    /// [`IssuerError`]. An issuer that does not answer is none: its keys are asked for again and again.
    pub fn new(configs: &[IssuerConfig], leeway: Duration, sources: &KeySources) -> Result<Self, IssuerError> {
        let issuers = configs.iter().map(|config| {
            Ok(Issuer { rules: rules(config, leeway), hubs: config.hubs.clone(), keys: sources.of(config)? })
        });
        issuers.collect::<Result<_, _>>().map(Issuers)
    }

    /// Whose token it is; `None` for one that is to be one of ours.
    ///
    /// # Errors
    /// [`TokenError`] for a token that no issuer of the configuration made.
    pub fn of<'a>(&self, token: &'a str) -> Result<Option<(&Issuer, Presented<'a>)>, TokenError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let Some(presented) = Presented::read(token)? else { return Ok(None) };
        let issuer =
            self.0.iter().find(|issuer| issuer.rules.issuer == presented.issuer()).ok_or(TokenError::Issuer)?;
        Ok(Some((issuer, presented)))
    }
}

impl Issuer {
    /// Verifies a token of this issuer. Where it names a key that is not known, newer keys are asked for, once for all
    /// who wait, not too often, and nobody waits long.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn verify(&self, presented: &Presented<'_>, masks: bool) -> Result<ForeignToken, TokenError> {
        let verify = || match self.keys.now() {
            Some(keys) => self.rules.verify(presented, &keys, masks, SystemTime::now()),
            None => Err(TokenError::NoKeysYet),
        };
        match verify() {
            Err(TokenError::Key(NoKey::Unknown) | TokenError::NoKeysYet) => {}
            verified => return verified,
        }
        self.keys.newer().await;
        verify()
    }
}

/// What the configuration says of an issuer, for those who look at its tokens.
pub fn rules(config: &IssuerConfig, leeway: Duration) -> IssuerRules {
    IssuerRules {
        issuer: config.issuer.clone(),
        audiences: config.audiences.clone(),
        algorithms: config.algorithms.clone(),
        user_claim: config.user_claim.clone(),
        user_prefix: config.user_prefix.clone(),
        roles: config.roles.clone(),
        role_claim: config.role_claim.clone(),
        role_map: config.role_map.clone(),
        role_prefix: config.role_prefix.clone(),
        group_claim: config.group_claim.clone(),
        data: config.data.clone(),
        leeway,
    }
}
