//! Which web pages may use this server: the `Origin` rule, and the `Host` rule against DNS rebinding.
//!
//! A browser sends a user's stored Basic credentials, or nothing where anonymous is allowed, from *any* page; so where
//! the credential is ambient like that, the page must be one of ours. A page that holds a token was given it.

use actix_http::StatusCode;
use actix_http::header::{self, HeaderMap, HeaderValue};

use crate::auth::host::{BaseUrl, HostError, HostPort, split_url};
use crate::auth::peer::ClientAddress;

/// Longest origin that is looked at: a scheme, a host name and a port.
const MAX_ORIGIN_BYTES: usize = 512;

/// Why a request is refused because of where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// A page of another site.
    #[error("requests from pages of {0} are not allowed; server.origins lists the sites that are")]
    Foreign(String),
    /// More than one `Origin`, or one that is no origin.
    #[error("the Origin header is malformed")]
    Malformed,
    /// A `Host` that does not belong to a server which listens on loopback only.
    #[error("this server listens on loopback only, and its Host must be localhost or one of server.public_urls")]
    Host,
}

impl OriginError {
    /// What such a request is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            OriginError::Malformed => StatusCode::BAD_REQUEST,
            OriginError::Foreign(_) | OriginError::Host => StatusCode::FORBIDDEN,
        }
    }
}

/// Where a credential came from, as far as pages of other sites are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// Basic or anonymous: a browser may send it without the page knowing anything.
    Ambient,
    /// A valid token that the page itself presented.
    Explicit,
}

/// The origin of a page, as browsers write it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// `null`: a sandboxed frame, a local file. Equal to no other origin, not even itself.
    Null,
    /// A site. The port is always there, so that `https://a` and `https://a:443` are one.
    Web { host: String, port: u16 },
    /// Something else that has a scheme: an app (`capacitor://localhost`), an extension.
    Other(String),
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_ORIGIN_BYTES {
            return None;
        }
        if text == "null" {
            return Some(Origin::Null);
        }
        let (scheme, rest) = text.split_once("://")?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {
                let url = split_url(text).filter(|url| url.rest.is_empty())?;
                Some(Origin::Web { host: url.host.host().to_owned(), port: url.host.port_for(url.secure) })
            }
            scheme => {
                let plain = |c: u8| c.is_ascii_alphanumeric() || b"+-._:[]".contains(&c);
                let valid = !scheme.is_empty() && scheme.bytes().chain(rest.bytes()).all(plain);
                valid.then(|| Origin::Other(text.to_ascii_lowercase()))
            }
        }
    }

    fn is_at(&self, place: &HostPort, secure: bool) -> bool {
        matches!(self, Origin::Web { host, port } if host == place.host() && *port == place.port_for(secure))
    }
}

/// The origin rule and the host rule, made once from the configuration.
#[derive(Debug, Clone)]
pub struct OriginPolicy {
    origins: Vec<Origin>,
    public_urls: Vec<BaseUrl>,
    loopback_bind: bool,
}

impl OriginPolicy {
    /// Takes `server.origins`, `server.public_urls`, and whether the server listens on loopback addresses only.
    ///
    /// # Errors
    /// [`HostError::Url`] for an entry of `origins` that is no origin; `null` is none, it would be everybody's.
    pub fn new<T: AsRef<str>>(origins: &[T], public_urls: &[BaseUrl], loopback_bind: bool) -> Result<Self, HostError> {
        let parse = |entry: &T| {
            let text = entry.as_ref();
            let origin = Origin::parse(text.trim_end_matches('/')).filter(|origin| *origin != Origin::Null);
            origin.ok_or_else(|| HostError::Url(text.to_owned()))
        };
        let origins = origins.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(OriginPolicy { origins, public_urls: public_urls.to_vec(), loopback_bind })
    }

    /// Checks where the page that sent a request comes from. A client that sends no `Origin` is no browser.
    ///
    /// With a token of its own a page may come from anywhere, unless `server.origins` says otherwise.
    ///
    /// # Errors
    /// [`OriginError::Foreign`] (403) and [`OriginError::Malformed`] (400).
    pub fn check_origin(
        &self,
        headers: &HeaderMap,
        client: &ClientAddress,
        credential: CredentialKind,
    ) -> Result<(), OriginError> {
        let mut values = headers.get_all(header::ORIGIN);
        let Some(value) = values.next() else { return Ok(()) };
        if values.next().is_some() {
            return Err(OriginError::Malformed);
        }
        let origin = read(value).ok_or(OriginError::Malformed)?;
        let anywhere = credential == CredentialKind::Explicit && self.origins.is_empty();
        if anywhere || self.is_own(&origin, client) || self.origins.contains(&origin) {
            return Ok(());
        }
        Err(OriginError::Foreign(value.to_str().unwrap_or_default().to_owned()))
    }

    /// Whether a page of this site may read answers of the HTTP API (CORS): only if `server.origins` lists it.
    pub fn allows_cors(&self, origin: &HeaderValue) -> bool {
        read(origin).is_some_and(|origin| self.origins.contains(&origin))
    }

    /// Checks the `Host` that the request itself carries, not what a proxy tells: a page can make a browser send
    /// `X-Forwarded-Host`, but not another `Host` than the name that it was loaded from.
    ///
    /// Holds for everything on a loopback bind, `/auth/token` included: a name of an attacker that resolves to
    /// 127.0.0.1 would make our server part of the attacker's site.
    ///
    /// # Errors
    /// [`OriginError::Host`] (403) on a loopback bind, for a foreign, missing or malformed `Host`.
    pub fn check_host(&self, headers: &HeaderMap) -> Result<(), OriginError> {
        if !self.loopback_bind {
            return Ok(());
        }
        let host = HostPort::of_request(headers).ok().flatten().ok_or(OriginError::Host)?;
        let public = self.public_urls.iter().any(|url| url.host.host() == host.host());
        if public || host.is_loopback_name() { Ok(()) } else { Err(OriginError::Host) }
    }

    fn is_own(&self, origin: &Origin, client: &ClientAddress) -> bool {
        let at_host = client.host().is_some_and(|host| {
            // Without TLS of our own or a trusted proxy's word, the client may still have spoken https to somebody
            // who passed it on: then a `Host` without a port stands for either default.
            origin.is_at(host, true) || (!client.is_secure() && origin.is_at(host, false))
        });
        at_host || self.public_urls.iter().any(|url| origin.is_at(&url.host, url.secure))
    }
}

fn read(value: &HeaderValue) -> Option<Origin> {
    Origin::parse(value.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::auth::peer::TrustedProxies;

    const AMBIENT: CredentialKind = CredentialKind::Ambient;
    const EXPLICIT: CredentialKind = CredentialKind::Explicit;

    fn policy(origins: &[&str]) -> OriginPolicy {
        let public_urls = [BaseUrl::parse("https://chat.example.com/base").unwrap()];
        OriginPolicy::new(origins, &public_urls, true).unwrap()
    }

    fn headers(lines: &[(header::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn check(origins: &[&str], tls: bool, host: &str, origin: &str, credential: CredentialKind) -> bool {
        let headers = headers(&[(header::HOST, host), (header::ORIGIN, origin)]);
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let client = ClientAddress::of_request(peer, tls, &headers, &TrustedProxies::default());
        policy(origins).check_origin(&headers, &client, credential).is_ok()
    }

    #[test]
    fn with_ambient_credentials_the_page_must_be_ours() {
        for (tls, host, origin, allowed) in [
            (false, "localhost:8080", "http://localhost:8080", true),
            (false, "localhost:8080", "http://LOCALHOST:8080", true),
            (false, "localhost:8080", "http://localhost:3000", false),
            (false, "localhost:8080", "http://localhost", false),
            (false, "localhost:8080", "http://127.0.0.1:8080", false),
            (false, "localhost:8080", "http://localhost:8080.evil.example", false),
            (false, "localhost:8080", "https://evil.example", false),
            (false, "localhost:8080", "null", false),
            (false, "localhost:8080", "file://", false),
            (false, "own.example", "https://own.example", true),
            (false, "own.example", "http://own.example", true),
            (true, "own.example", "https://own.example:443", true),
            (true, "own.example", "http://own.example", false),
            (false, "10.0.0.1:8080", "https://chat.example.com", true),
            (false, "10.0.0.1:8080", "http://chat.example.com", false),
            (false, "[::1]:8080", "http://[0::1]:8080", true),
        ] {
            assert_eq!(check(&[], tls, host, origin, AMBIENT), allowed, "{origin} at {host}");
        }
    }

    #[test]
    fn a_listed_origin_is_allowed_whatever_the_host() {
        let origins = ["https://app.example.com/", "capacitor://localhost"];
        for credential in [AMBIENT, EXPLICIT] {
            assert!(check(&origins, false, "localhost:8080", "https://app.example.com:443", credential));
            assert!(check(&origins, false, "localhost:8080", "capacitor://localhost", credential));
            assert!(!check(&origins, false, "localhost:8080", "http://app.example.com", credential));
        }
    }

    #[test]
    fn a_token_is_good_from_any_page_unless_origins_are_listed() {
        for origin in ["https://evil.example", "null", "chrome-extension://abcdef", "http://localhost:8080"] {
            assert!(check(&[], false, "localhost:8080", origin, EXPLICIT), "{origin}");
        }
        assert!(!check(&["https://app.example.com"], false, "localhost:8080", "https://evil.example", EXPLICIT));
        assert!(check(&["https://app.example.com"], false, "localhost:8080", "http://localhost:8080", EXPLICIT));
    }

    #[test]
    fn a_client_without_an_origin_is_no_browser() {
        let headers = headers(&[(header::HOST, "localhost:8080")]);
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let client = ClientAddress::of_request(peer, false, &headers, &TrustedProxies::default());
        assert_eq!(policy(&["https://app.example.com"]).check_origin(&headers, &client, AMBIENT), Ok(()));
    }

    #[test]
    fn repeated_and_malformed_origins_are_refused_even_with_a_token() {
        let own = "http://localhost:8080";
        let two = [(header::HOST, "localhost:8080"), (header::ORIGIN, own), (header::ORIGIN, own)];
        let client = |headers: &HeaderMap| {
            ClientAddress::of_request(IpAddr::V4(Ipv4Addr::LOCALHOST), false, headers, &TrustedProxies::default())
        };
        let check = |lines: &[(header::HeaderName, &str)]| {
            let headers = headers(lines);
            policy(&[]).check_origin(&headers, &client(&headers), EXPLICIT)
        };
        assert_eq!(check(&two), Err(OriginError::Malformed));
        let long = format!("http://{}", "a".repeat(600));
        for bad in ["", "localhost:8080", "http://", "http://a b", "http://localhost:8080/path", "://x", &long] {
            let result = check(&[(header::HOST, "localhost:8080"), (header::ORIGIN, bad)]);
            assert_eq!(result, Err(OriginError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn on_a_loopback_bind_the_host_must_mean_this_machine() {
        for (host, allowed) in [
            ("localhost:8080", true),
            ("127.0.0.1", true),
            ("[::1]:9", true),
            ("chat.example.com", true),
            ("rebound.evil.example:8080", false),
            ("", false),
        ] {
            let result = policy(&[]).check_host(&headers(&[(header::HOST, host)]));
            assert_eq!(result.is_ok(), allowed, "{host:?}");
        }
        assert_eq!(policy(&[]).check_host(&HeaderMap::new()), Err(OriginError::Host));
        let everywhere = OriginPolicy::new::<&str>(&[], &[], false).unwrap();
        assert_eq!(everywhere.check_host(&headers(&[(header::HOST, "any.example")])), Ok(()));
    }

    #[test]
    fn a_page_cannot_talk_its_way_past_the_host_rule_as_a_proxy() {
        let mut headers = headers(&[(header::HOST, "rebound.evil.example")]);
        headers.append(header::HeaderName::from_static("x-forwarded-host"), HeaderValue::from_static("localhost"));
        assert_eq!(policy(&[]).check_host(&headers), Err(OriginError::Host));
    }

    #[test]
    fn only_listed_origins_get_cors() {
        let listed = policy(&["https://app.example.com"]);
        assert!(listed.allows_cors(&HeaderValue::from_static("https://app.example.com")));
        assert!(!listed.allows_cors(&HeaderValue::from_static("https://chat.example.com")));
        assert!(!listed.allows_cors(&HeaderValue::from_static("null")));
        for bad in ["null", "*", "app.example.com", "https://a/b"] {
            assert!(OriginPolicy::new(&[bad], &[], false).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_foreign_text_passes_as_our_own(origin in "(https?://)?(localhost)?[ -~]{0,20}") {
            prop_assume!(origin != "http://localhost:8080" && origin.trim() == origin);
            let passes = check(&[], false, "localhost:8080", &origin, AMBIENT);
            prop_assert!(!passes || origin.to_ascii_lowercase().contains("//localhost:"), "{}", origin);
        }
    }
}
