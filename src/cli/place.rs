//! Where the server of a configuration is, and the keys it signs with: what a command needs that is no server itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, bail};

use crate::auth::access_keys::AccessKeys;
use crate::auth::host::{BaseUrl, HostPort};
use crate::config::Config;

/// The access keys of the configuration or the data folder. None is made: no server would know it.
pub(super) fn access_keys(config: &Config) -> anyhow::Result<AccessKeys> {
    let configured: Vec<_> = config.auth.access_keys.iter().map(|key| key.expose()).collect();
    Ok(AccessKeys::load(&configured, &config.data_dir)?)
}

/// The URL that clients are told: the first public one, or else that of the listener as this machine reaches it.
pub(super) fn public_url(config: &Config) -> anyhow::Result<BaseUrl> {
    match config.server.public_urls.first() {
        Some(url) => BaseUrl::parse(url.as_str()).context("server.public_urls"),
        None => listener_url(config.server.address(), false),
    }
}

/// Where this machine reaches the HTTP API.
pub(super) fn api_url(config: &Config) -> anyhow::Result<BaseUrl> {
    listener_url(config.server.address(), false)
}

fn listener_url(address: SocketAddr, secure: bool) -> anyhow::Result<BaseUrl> {
    if address.port() == 0 {
        bail!("server.port is 0, which is any free port: name the server by its URL (--url, or --endpoint for tokens)");
    }
    let host = HostPort::parse(&reachable(address).to_string()).context("server.bind")?;
    Ok(BaseUrl::of_host(secure, host))
}

/// An address that can be connected to: "all of this machine's addresses" is none.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}
