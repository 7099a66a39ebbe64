//! What of a server changes with its configuration while it runs. A reload exchanges all of it at once, so nobody sees
//! one half of the old and one of the new.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use arc_swap::Guard;

use super::Entrance;
use crate::auth::access_keys::{AccessKeyError, AccessKeys};
use crate::auth::host::{BaseUrl, HostError, OwnNames};
use crate::auth::origin::OriginPolicy;
use crate::auth::peer::{ClientAddress, TrustedProxies, TrustedProxyError};
use crate::auth::token::Tokens;
use crate::config::Config;
use crate::issuers::{IssuerError, Issuers, KeySources};

/// The configuration as it is now, and what is made of it once and used for every request.
pub struct Live {
    /// The whole configuration.
    pub config: Config,
    /// The URLs of this server, as others see it.
    pub public_urls: Vec<BaseUrl>,
    /// Which pages may connect.
    pub origins: OriginPolicy,
    /// The same on the internal listener, whose address may be another kind.
    pub internal_origins: OriginPolicy,
    /// Whose forwarding headers are believed.
    pub proxies: TrustedProxies,
    /// Verifies and issues tokens.
    pub tokens: Tokens,
    /// Verifies the tokens of others.
    pub issuers: Issuers,
}

/// Why a configuration that is valid cannot be used: what it names is not there, or is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The access keys cannot be used.
    #[error(transparent)]
    AccessKeys(#[from] AccessKeyError),
    /// A public URL or an origin is not one.
    #[error("server.public_urls and server.origins: {0}")]
    Url(#[from] HostError),
    /// A trusted proxy is not an address or network.
    #[error("server.trusted_proxies: {0}")]
    TrustedProxy(#[from] TrustedProxyError),
    /// The keys of an issuer of tokens cannot be used.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
}

impl Live {
    /// What is made of a configuration for a server that listens at `main`, and at `internal` where it has two. `keys` has
    /// what is known already of the keys of other issuers.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(
        config: Config,
        main: SocketAddr,
        internal: Option<SocketAddr>,
        keys: &KeySources,
    ) -> Result<Self, SettingsError> {
        let public_urls = config.server.public_urls.iter().map(|url| BaseUrl::parse(url.as_str()));
        let public_urls = public_urls.collect::<Result<Vec<_>, HostError>>()?;
        let origins_on =
            |address: SocketAddr| OriginPolicy::new(&config.server.origins, &public_urls, address.ip().is_loopback());
        let proxies: Vec<String> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
        Ok(Live {
            origins: origins_on(main)?,
            internal_origins: origins_on(internal.unwrap_or(main))?,
            proxies: TrustedProxies::parse(&proxies)?,
            tokens: tokens(&config, &config.data_dir)?,
            issuers: Issuers::new(&config.auth.jwt.issuers, config.auth.clock_skew, keys)?,
            public_urls,
            config,
        })
    }

    /// Which pages may send requests that come in there.
    pub fn origins_of(&self, entrance: Entrance) -> &OriginPolicy {
        match entrance {
            Entrance::Main => &self.origins,
            Entrance::Internal => &self.internal_origins,
        }
    }

    /// The names under which this request may mean this server.
    pub fn own_names<'a>(&'a self, client: &'a ClientAddress) -> OwnNames<'a> {
        OwnNames { host: client.host(), public_urls: &self.public_urls }
    }
}

fn tokens(config: &Config, data_dir: &Path) -> Result<Tokens, AccessKeyError> {
    let keys: Vec<&str> = config.auth.access_keys.iter().map(|key| key.expose()).collect();
    Ok(Tokens::new(&AccessKeys::load_or_generate(&keys, data_dir)?, config.auth.clock_skew))
}

/// The [configuration](Live::config) alone, as it is now.
pub struct ConfigNow(pub(super) Guard<Arc<Live>>);

impl std::ops::Deref for ConfigNow {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0.config
    }
}
