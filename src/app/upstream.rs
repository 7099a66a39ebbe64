//! What webhooks go by, of a configuration.

use std::net::SocketAddr;

use crate::auth::access_keys::AccessKeys;
use crate::auth::host::BaseUrl;
use crate::config::Config;
use crate::http::SettingsError;
use crate::webhooks::{Rules, Signer};

/// The rules of a server that listens at `address`.
///
/// # Errors
/// [`SettingsError`], as everything else that needs the access keys or the public URLs.
pub fn rules(config: &Config, address: SocketAddr) -> Result<Rules, SettingsError> {
    let configured: Vec<&str> = config.auth.access_keys.iter().map(|key| key.expose()).collect();
    // One that is generated was kept when the tokens were made.
    let keys = AccessKeys::load_or_generate(&configured, &config.data_dir)?;
    let origin = match config.server.public_urls.first() {
        Some(url) => BaseUrl::parse(url.as_str())?.host.to_string(),
        None => address.to_string(),
    };
    Ok(Rules { hubs: config.hubs.clone(), origin, signer: Signer::new(keys.iter().map(|key| key.as_str())) })
}
