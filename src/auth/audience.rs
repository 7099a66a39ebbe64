//! Whether the audience of a token (`aud`) means this server, this hub, this request.
//!
//! Audiences are URLs that clients' libraries build from an endpoint they were given, so what proxies and transports
//! change does not count: the scheme is free, a default port may be written or not. Nothing here reads a token.

use std::borrow::Cow;

use crate::auth::host::{BaseUrl, OwnNames, split_url};
use crate::ids::HubName;

const CLIENT_PATH: &str = "/client/hubs/";
/// Where the HTTP API is.
pub const API_PATH: &str = "/api";
/// Where a login becomes a token.
pub const LOGIN_PATH: &str = "/auth/token";

/// The audience of a client of `hub` on the server that is known as `base`.
pub fn of_client(base: &BaseUrl, hub: &HubName) -> String {
    format!("{base}{CLIENT_PATH}{hub}")
}

/// Where a client of `hub` connects, with its token.
pub fn client_url(base: &BaseUrl, hub: &HubName, token: &str) -> String {
    let http = of_client(base, hub);
    // ws for http, wss for https.
    format!("ws{}?access_token={token}", http.strip_prefix("http").unwrap_or(&http))
}

/// The audience of a store user who uses the HTTP API of the server that is known as `base`; also where that is.
pub fn of_api(base: &BaseUrl) -> String {
    format!("{base}{API_PATH}")
}

/// The audience of a token that is good for a fresh token, and for nothing else.
pub fn of_login(base: &BaseUrl) -> String {
    format!("{base}{LOGIN_PATH}")
}

/// Whether `aud` is for clients of `hub` here. Hubs have no case, so neither has this path (as in the reference).
pub fn is_client_of(aud: &str, hub: &HubName, names: OwnNames<'_>) -> bool {
    own_paths(aud, names).any(|path| {
        let path = percent_decoded(without_query(path));
        strip_prefix_no_case(&path, CLIENT_PATH).is_some_and(|name| name.eq_ignore_ascii_case(hub.as_str().as_bytes()))
    })
}

/// Whether `aud` is for clients, of whichever hub.
pub fn is_client(aud: &str, names: OwnNames<'_>) -> bool {
    own_paths(aud, names).any(|path| strip_prefix_no_case(&percent_decoded(path), CLIENT_PATH).is_some())
}

/// Whether `aud` is the HTTP API here, as a whole.
pub fn is_api(aud: &str, names: OwnNames<'_>) -> bool {
    own_paths(aud, names).any(|path| path == API_PATH)
}

/// Whether `aud` is the place here where a fresh token is given.
pub fn is_login(aud: &str, names: OwnNames<'_>) -> bool {
    own_paths(aud, names).any(|path| path == LOGIN_PATH)
}

/// Whether `aud` is the URL of a request for `path` (percent-encoded as it came). The query of neither counts.
///
/// Compared segment by segment, as requests are routed: a token for what is done to the group `a/connections` is none
/// for the connections of the group `a`.
pub fn is_request(aud: &str, path: &str, names: OwnNames<'_>) -> bool {
    let wanted = without_query(path);
    own_paths(aud, names).any(|path| segments(without_query(path)).eq(segments(wanted)))
}

/// The paths on this server that an audience may mean: none when it is another server's; the path as written for the
/// request's own host; for a public URL also what follows its base path, which a proxy may have taken off.
fn own_paths<'a>(aud: &'a str, names: OwnNames<'a>) -> impl Iterator<Item = &'a str> {
    let url = split_url(aud);
    let (host, rest) = url.map_or((None, ""), |url| (Some(url.host), url.rest));
    let is_here = host.as_ref().zip(names.host).is_some_and(|(aud, own)| aud.same_place(own));
    let public = names.public_urls.iter().filter_map(move |base| {
        host.as_ref().filter(|host| host.same_place(&base.host))?;
        let path = rest.strip_prefix(base.path())?;
        path.starts_with('/').then_some(path)
    });
    is_here.then_some(rest).into_iter().chain(public)
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

fn segments(path: &str) -> impl Iterator<Item = Cow<'_, [u8]>> {
    path.split('/').map(percent_decoded)
}

fn strip_prefix_no_case<'a>(path: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let (head, rest) = path.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}

/// The bytes a percent-encoded path stands for; a `%` without two digits stands for itself.
fn percent_decoded(path: &str) -> Cow<'_, [u8]> {
    if !path.contains('%') {
        return Cow::Borrowed(path.as_bytes());
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let value = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        decoded.push(value.unwrap_or(*first));
        rest = if value.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    Cow::Owned(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::host::HostPort;

    fn check(aud: &str, own: &str, public: &[&str]) -> (bool, bool) {
        let host = HostPort::parse(own).unwrap();
        let public_urls: Vec<BaseUrl> = public.iter().map(|url| BaseUrl::parse(url).unwrap()).collect();
        let names = OwnNames { host: Some(&host), public_urls: &public_urls };
        (is_client_of(aud, &HubName::parse("chat").unwrap(), names), is_client(aud, names))
    }

    #[test]
    fn scheme_case_and_default_port_of_a_client_audience_do_not_count() {
        for (aud, own) in [
            ("http://localhost:8080/client/hubs/chat", "localhost:8080"),
            ("ws://localhost:8080/client/hubs/chat", "localhost:8080"),
            ("WSS://LOCALHOST:8080/client/hubs/Chat", "localhost:8080"),
            ("https://example.com/client/hubs/chat", "example.com:443"),
            ("http://example.com:80/client/hubs/chat", "Example.com"),
            ("http://[0::1]:8080/client/hubs/%63hat", "[::1]:8080"),
            ("http://localhost:8080/client/hubs/chat?clientType=Default", "localhost:8080"),
        ] {
            assert_eq!(check(aud, own, &[]), (true, true), "{aud} for {own}");
        }
    }

    #[test]
    fn another_hub_host_or_port_is_not_meant() {
        let own = "localhost:8080";
        assert_eq!(check("http://localhost:8080/client/hubs/other", own, &[]), (false, true));
        assert_eq!(check("http://localhost:8080/client/hubs/chat/", own, &[]), (false, true));
        for aud in [
            "http://localhost/client/hubs/chat",
            "http://evil.example:8080/client/hubs/chat",
            "http://localhost:8080@evil.example/client/hubs/chat",
            "http://localhost:8080/api/client/hubs/chat",
            "ftp://localhost:8080/client/hubs/chat",
            "/client/hubs/chat",
            "",
        ] {
            assert_eq!(check(aud, own, &[]), (false, false), "{aud}");
        }
    }

    #[test]
    fn a_public_url_is_a_name_too_with_its_base_path() {
        let public = ["https://example.com/base"];
        assert_eq!(check("https://example.com/base/client/hubs/chat", "10.0.0.1:8080", &public), (true, true));
        assert_eq!(check("https://example.com/client/hubs/chat", "10.0.0.1:8080", &public), (false, false));
        assert_eq!(check("https://example.com/baseclient/hubs/chat", "10.0.0.1:8080", &public), (false, false));
    }

    #[test]
    fn a_request_audience_is_the_url_in_any_encoding_without_its_query() {
        let host = HostPort::parse("localhost:8080").unwrap();
        let public_urls = [BaseUrl::parse("https://example.com/base").unwrap()];
        let names = OwnNames { host: Some(&host), public_urls: &public_urls };
        let path = "/api/hubs/chat/groups/sales%2Feurope/:send";
        for aud in [
            "http://localhost:8080/api/hubs/chat/groups/sales%2Feurope/:send?api-version=2024-12-01",
            "https://localhost:8080/api/hubs/chat/groups/sales%2feurope/%3Asend",
            "https://example.com/base/api/hubs/chat/groups/sales%2Feurope/:send",
        ] {
            assert!(is_request(aud, path, names), "{aud}");
        }
        for aud in [
            "http://localhost:8080/api/hubs/chat/groups/sales%252Feurope/:send",
            "http://localhost:8080/api/hubs/chat",
            "http://localhost/api/hubs/chat/groups/sales%2Feurope/:send",
        ] {
            assert!(!is_request(aud, path, names), "{aud}");
        }
    }

    #[test]
    fn an_encoded_slash_in_a_name_is_no_other_route() {
        let host = HostPort::parse("localhost:8080").unwrap();
        let names = OwnNames { host: Some(&host), public_urls: &[] };
        let (group, connections) = ("/api/hubs/chat/groups/a%2Fconnections", "/api/hubs/chat/groups/a/connections");
        for (signed, asked) in [(group, connections), (connections, group)] {
            let aud = format!("http://localhost:8080{signed}");
            assert!(is_request(&aud, signed, names), "{signed}");
            assert!(!is_request(&aud, asked, names), "{signed} for {asked}");
        }
    }

    #[test]
    fn the_audiences_of_api_and_login_are_those_that_are_issued_and_no_other() {
        let host = HostPort::parse("localhost:8080").unwrap();
        let public_urls = [BaseUrl::parse("https://example.com/base").unwrap()];
        let names = OwnNames { host: Some(&host), public_urls: &public_urls };
        for base in [BaseUrl::of_host(false, host.clone()), public_urls[0].clone()] {
            let (api, login) = (of_api(&base), of_login(&base));
            assert!(is_api(&api, names) && is_login(&login, names), "{base}");
            assert!(!is_api(&login, names) && !is_login(&api, names), "{base}");
        }
        for aud in ["http://localhost:8080/api/", "http://localhost:8080/api/hubs", "http://evil.example/api", "/api"] {
            assert!(!is_api(aud, names), "{aud}");
        }
    }

    #[test]
    fn percent_signs_without_digits_stand_for_themselves() {
        for (text, bytes) in [("a%2Fb", "a/b"), ("%", "%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("%%41", "%A")] {
            assert_eq!(&*percent_decoded(text), bytes.as_bytes(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_audience_makes_the_comparison_panic(aud in "(https?://)?(localhost)?[%/:a-f0-9?]{0,20}\\PC{0,10}") {
            let _ = check(&aud, "localhost", &["http://localhost/a"]);
        }
    }
}
