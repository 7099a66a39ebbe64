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
        None => listener_url(config.server.address(), speaks_tls(config)),
    }
}

/// Where this machine reaches the HTTP API: the internal listener where there is one, for it is plain and near.
pub(super) fn api_url(config: &Config) -> anyhow::Result<BaseUrl> {
    match config.server.internal.address() {
        Some(internal) => listener_url(internal, false),
        None => client_url(config),
    }
}

/// Where this machine reaches what clients do: the listener.
///
/// Under TLS a public URL goes before the listener's address, for which there is hardly a certificate.
pub(super) fn client_url(config: &Config) -> anyhow::Result<BaseUrl> {
    let secure = speaks_tls(config);
    let public = config.server.public_urls.iter().find(|url| secure && url.scheme() == "https");
    match public {
        Some(url) => BaseUrl::parse(url.as_str()).context("server.public_urls"),
        None => listener_url(config.server.address(), secure),
    }
}

fn speaks_tls(config: &Config) -> bool {
    config.server.tls.cert.is_some()
}

fn listener_url(address: SocketAddr, secure: bool) -> anyhow::Result<BaseUrl> {
    if address.port() == 0 {
        bail!("its port in the configuration is 0, any free one: name the server by its URL (--url, --endpoint)");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(sets: &[&str]) -> (String, String) {
        let sets: Vec<_> = sets.iter().map(|&set| set.to_owned()).collect();
        let config = Config::load(Some(std::path::Path::new("/dev/null")), [], &sets).unwrap().config;
        (public_url(&config).unwrap().to_string(), api_url(&config).unwrap().to_string())
    }

    fn both(url: &str) -> (String, String) {
        (url.to_owned(), url.to_owned())
    }

    #[test]
    fn a_server_is_found_where_its_configuration_has_it_listen() {
        assert_eq!(urls(&[]), both("http://127.0.0.1:8080"));
        assert_eq!(urls(&["server.bind=0.0.0.0", "server.port=9000"]), both("http://127.0.0.1:9000"));
        assert_eq!(urls(&["server.bind=::"]), both("http://[::1]:8080"));
        let public = r#"server.public_urls=["https://a.example/x"]"#;
        let there = "https://a.example/x".to_owned();
        assert_eq!(urls(&[public]), (there.clone(), "http://127.0.0.1:8080".to_owned()));
        let tls = ["server.tls.cert=c.pem", "server.tls.key=k.pem"];
        assert_eq!(urls(&tls), both("https://127.0.0.1:8080"));
        assert_eq!(urls(&[&tls[..], &[public]].concat()), both("https://a.example/x"));
        let internal = "server.internal.port=9001";
        assert_eq!(urls(&[&tls[..], &[public, internal]].concat()), (there, "http://127.0.0.1:9001".to_owned()));
    }

    #[test]
    fn any_free_port_is_no_address() {
        let config = Config::load(Some(std::path::Path::new("/dev/null")), [], &["server.port=0".to_owned()]);
        assert!(api_url(&config.unwrap().config).unwrap_err().to_string().contains("--url"));
    }
}
