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
    #[serde(deserialize_with = "port")]
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

/// A port, which a variable or a flag gives as a text: the default, none, does not tell them what is wanted.
fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a port, a whole number up to 65535")]
    enum Port {
        Number(u16),
        Text(String),
    }
    let wrong = |_| serde::de::Error::custom("expected a port, a whole number up to 65535");
    match Option::deserialize(deserializer)? {
        None => Ok(None),
        Some(Port::Number(port)) => Ok(Some(port)),
        Some(Port::Text(text)) => text.parse().map(Some).map_err(wrong),
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

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigErrors, from_layers};
    use crate::user::User;

    fn read(file: &str, flags: &[String]) -> Result<Config, ConfigErrors> {
        from_layers::<User>(Some(("config.yaml", file)), [], flags).map(|(config, _)| config)
    }

    #[test]
    fn the_internal_port_is_a_number_wherever_it_stands_or_none() {
        let port = |file, flag: &str| read(file, &[flag.to_owned()]).map(|config| config.server.internal.port);
        let file = "server: { internal: { port: 9090 } }";
        assert_eq!(port(file, "server.port=80"), Ok(Some(9090)));
        assert_eq!(port(file, "server.internal.port=9091"), Ok(Some(9091)));
        assert_eq!(port(file, "server.internal.port=null"), Ok(None));
        for wrong in ["server.internal.port=70000", "server.internal.port=x", "server.internal.port=-1"] {
            let error = port(file, wrong).unwrap_err().to_string();
            assert!(error.contains("expected a port"), "{error}");
        }
        let same = read("server: { port: 9090, internal: { port: 9090 } }", &[]).unwrap_err().to_string();
        assert!(same.contains("must be another port than server.port"), "{same}");
    }

    #[test]
    fn a_certificate_needs_its_key_and_a_key_its_certificate() {
        for (file, wanted) in [("cert", "server.tls.key"), ("key", "server.tls.cert")] {
            let error = read(&format!("server: {{ tls: {{ {file}: a.pem }} }}"), &[]).unwrap_err();
            assert!(error.to_string().contains(&format!("'{wanted}': ")), "{error}");
        }
    }
}
