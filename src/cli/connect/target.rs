//! Where the server is: the address that was given, or that of the configuration. Secrets that may stand in an address
//! are taken out of what is shown.

use anyhow::{Context, bail};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;
use zeroize::Zeroizing;

use crate::cli::place;
use crate::config::Config;

/// The address of a WebSocket, and the login that stood in it.
pub struct Target {
    url: Url,
    /// A login and a password that stood in the address.
    pub login: Option<(String, Zeroizing<String>)>,
}

impl Target {
    /// Reads `ws://`, `wss://`, `http://` and `https://`; without a path it is the default hub. `hub` takes the place of the
    /// hub in the address.
    pub fn parse(text: &str, hub: Option<&str>) -> anyhow::Result<Self> {
        // The address is not repeated: a password may stand in it, in a place where nothing can be told about it.
        let mut url = Url::parse(text).context("the address cannot be read (ws://127.0.0.1:8080/ws is one)")?;
        let scheme = match url.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            other => bail!("the address has to begin with ws:// or wss://, not with {other}:"),
        };
        if url.host_str().is_none_or(str::is_empty) {
            bail!("the address names no host (ws://127.0.0.1:8080/ws is one)");
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = match (url.username(), url.password()) {
            ("", _) | (_, None) => None,
            (login, Some(password)) => Some((decoded(login), Zeroizing::new(decoded(password)))),
        };
        let unchangeable = || anyhow::anyhow!("the address cannot be read (ws://127.0.0.1:8080/ws is one)");
        url.set_scheme(scheme).map_err(|()| unchangeable())?;
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| unchangeable())?;
        url.set_fragment(None);
        url.set_path(&path(url.path(), hub));
        Ok(Target { url, login })
    }

    /// The server that runs with this configuration on this machine.
    pub fn of(config: &Config, hub: Option<&str>) -> anyhow::Result<Self> {
        Target::parse(&format!("{}/ws", place::client_url(config)?), hub)
    }

    /// Whether it is `wss`.
    pub fn is_under_tls(&self) -> bool {
        self.url.as_str().starts_with("wss:")
    }

    /// What is connected to.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Whether a credential stands in the address itself.
    pub fn has_token(&self) -> bool {
        self.url.query_pairs().any(|(key, _)| key == "access_token")
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = self.url.clone();
        shown.set_query(None);
        f.write_str(shown.as_str())
    }
}

/// The path with the hub that was asked for.
fn path(given: &str, hub: Option<&str>) -> String {
    let given = given.trim_end_matches('/');
    let Some(hub) = hub else { return if given.is_empty() { "/ws".to_owned() } else { given.to_owned() } };
    // A proxy may have put something before our own paths.
    let before = match given.rfind("/client/hubs/") {
        Some(at) => given.get(..at).unwrap_or_default(),
        None => given.strip_suffix("/ws").unwrap_or(given),
    };
    format!("{before}/client/hubs/{}", utf8_percent_encode(hub, NON_ALPHANUMERIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str, hub: Option<&str>) -> String {
        Target::parse(text, hub).unwrap_or_else(|error| panic!("{text}: {error}")).url().to_owned()
    }

    #[test]
    fn every_form_of_an_address_leads_to_a_websocket() {
        for (text, hub, expected) in [
            ("ws://127.0.0.1:8080", None, "ws://127.0.0.1:8080/ws"),
            ("http://[::1]:9000/", None, "ws://[::1]:9000/ws"),
            ("https://chat.example.com", None, "wss://chat.example.com/ws"),
            ("http://example.com/client/hubs/x", None, "ws://example.com/client/hubs/x"),
            ("wss://example.com/ws", Some("board"), "wss://example.com/client/hubs/board"),
            ("wss://example.com/below/client/hubs/x", Some("y"), "wss://example.com/below/client/hubs/y"),
            ("ws://h/client/hubs/x?access_token=t", None, "ws://h/client/hubs/x?access_token=t"),
            ("ws://h", Some("a/b"), "ws://h/client/hubs/a%2Fb"),
        ] {
            assert_eq!(url(text, hub), expected, "{text}");
        }
        for text in ["", "127.0.0.1:8080", "ftp://h", "ws://", "mailto:x@y"] {
            assert!(Target::parse(text, None).is_err(), "{text}");
        }
    }

    #[test]
    fn a_login_in_an_address_is_used_and_not_shown() {
        let target = Target::parse("ws://user-1:pass%3Aword@h/ws?access_token=s3cret#x", None).unwrap();
        assert_eq!(target.to_string(), "ws://h/ws");
        assert!(target.has_token() && !target.url().contains("user-1"));
        let (login, password) = target.login.unwrap();
        assert_eq!((login.as_str(), password.as_str()), ("user-1", "pass:word"));
        let error = Target::parse("htp://user:s3cret@h/", None).err().unwrap();
        assert!(!format!("{error:#}").contains("s3cret"));
    }

    #[test]
    fn the_configuration_leads_to_this_machine() {
        let mut config = Config::default();
        config.server.bind = [0, 0, 0, 0].into();
        config.server.port = 9000;
        assert_eq!(Target::of(&config, None).unwrap().url(), "ws://127.0.0.1:9000/ws");
        config.server.tls.cert = Some("cert.pem".into());
        assert_eq!(Target::of(&config, Some("chat")).unwrap().url(), "wss://127.0.0.1:9000/client/hubs/chat");
        config.server.public_urls = vec!["https://chat.example.com/x".parse().unwrap()];
        assert_eq!(Target::of(&config, None).unwrap().url(), "wss://chat.example.com/x/ws");
        config.server.port = 0;
        config.server.public_urls.clear();
        assert!(Target::of(&config, None).is_err());
    }
}
