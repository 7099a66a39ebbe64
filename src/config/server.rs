//! Where the server listens, and what it believes about the way requests came to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::units::texts;

/// The section `server`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address listened on. Only this machine can reach the default, so that nobody opens a server by accident.
    ///
    /// Default `127.0.0.1`; `FOLKMOOT__SERVER__BIND`.
    pub bind: IpAddr,
    /// The TCP port; 0 takes any free one, which the start prints.
    ///
    /// Default 8080 (as the SDKs' emulator); `FOLKMOOT__SERVER__PORT`.
    pub port: u16,
    /// Worker threads, which serve the sockets; 0 means one per core.
    ///
    /// Default 0; `FOLKMOOT__SERVER__WORKERS`.
    pub workers: usize,
    /// The addresses under which clients reach the server, such as `https://chat.example.com`.
    ///
    /// They are accepted as `Origin` and, on a loopback bind, as `Host`, and the first stands in the URLs given to
    /// clients. Default none; `FOLKMOOT__SERVER__PUBLIC_URLS`.
    #[serde(with = "texts")]
    pub public_urls: Vec<Url>,
    /// Further web origins that may connect. Once set, tokens are accepted from these and the public URLs only.
    ///
    /// Default none; `FOLKMOOT__SERVER__ORIGINS`.
    #[serde(with = "texts")]
    pub origins: Vec<Url>,
    /// The networks of our own proxies. Only from these are `Forwarded` and `X-Forwarded-*` believed: a client could
    /// otherwise choose the address that its failed logins are counted under.
    ///
    /// Default none; `FOLKMOOT__SERVER__TRUSTED_PROXIES`.
    #[serde(serialize_with = "texts::serialize", deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// TLS on the listener: `https` and `wss` instead of `http` and `ws`.
    pub tls: TlsConfig,
    /// A second listener, for operators.
    pub internal: InternalConfig,
}

/// The section `server.tls`. With both files the server speaks TLS and nothing else on its port; with neither it speaks
/// plain HTTP.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The certificate and those between it and the authority, the server's own first (PEM).
    ///
    /// SIGHUP reads it and the key again; connections that are open stay.
    ///
    /// Default none; `FOLKMOOT__SERVER__TLS__CERT`.
    pub cert: Option<PathBuf>,
    /// The certificate's private key (PEM: PKCS #8, PKCS #1 or SEC1, without a password).
    ///
    /// Default none; `FOLKMOOT__SERVER__TLS__KEY`.
    pub key: Option<PathBuf>,
}

/// The section `server.internal`: a second listener, plain HTTP, for what operators ask. Whoever can reach it may read
/// `/metrics` without a credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InternalConfig {
    /// The address listened on. Only this machine can reach the default.
    ///
    /// Default `127.0.0.1`; `FOLKMOOT__SERVER__INTERNAL__BIND`.
    pub bind: IpAddr,
    /// The TCP port; 0 takes any free one, which the start prints. Without a port there is no such listener.
    ///
    /// Default none; `FOLKMOOT__SERVER__INTERNAL__PORT`.
    pub port: Option<u16>,
    /// Whether `/metrics`, `/admin`, `/api` and the dashboard's WebSocket are on this listener alone: whoever has one
    /// means to keep them from everybody else.
    ///
    /// Default `true`; `FOLKMOOT__SERVER__INTERNAL__EXCLUSIVE`.
    pub exclusive: bool,
}

impl Default for InternalConfig {
    fn default() -> Self {
        InternalConfig { bind: IpAddr::V4(Ipv4Addr::LOCALHOST), port: None, exclusive: true }
    }
}

impl InternalConfig {
    /// Address and port together, where there is a port.
    pub fn address(&self) -> Option<SocketAddr> {
        self.port.map(|port| SocketAddr::new(self.bind, port))
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8080,
            workers: 0,
            public_urls: Vec::new(),
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            tls: TlsConfig::default(),
            internal: InternalConfig::default(),
        }
    }
}

impl ServerConfig {
    /// Address and port together.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }
}

/// Networks as `10.0.0.0/8`; a plain address is a network of one.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let parse = |text: &String| {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| serde::de::Error::custom(format!("'{text}' is no network such as 10.0.0.0/8 or fd00::/8")))
    };
    Vec::<String>::deserialize(deserializer)?.iter().map(parse).collect()
}
