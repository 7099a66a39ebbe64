//! Who is at the other end: the client's address, scheme and host, told apart from those of trusted proxies.
//!
//! `Forwarded` (RFC 7239) and `X-Forwarded-For`, `-Proto`, `-Host` are believed only when the socket's peer is one of
//! `server.trusted_proxies`, and are walked from the right, hop by hop, over trusted proxies only: what stands further
//! left was written by somebody we do not trust. Where a header cannot be understood, the walk stops at the last hop
//! that could, so a forged header gains its sender nothing but the proxy's address instead of their own.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_http::header::HeaderMap;
use ipnet::IpNet;

use crate::auth::host::HostPort;

/// Most proxies that are walked over. Real chains have two or three.
const MAX_HOPS: usize = 16;
/// Longest value, all lines of one header together, that is looked at.
const MAX_FORWARDED_BYTES: usize = 4096;
/// Headers, besides `x-forwarded-*`, by which a proxy gives itself away.
const PROXY_HEADERS: [&str; 6] = ["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"];

/// The networks whose word about a client's address is believed (`server.trusted_proxies`).
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// An entry of `server.trusted_proxies` that is neither a network nor an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither an address nor a network such as 10.0.0.0/8 or fd00::/8")]
pub struct TrustedProxyError(String);

impl TrustedProxies {
    /// Takes networks in CIDR notation, and single addresses.
    ///
    /// # Errors
    /// [`TrustedProxyError`] names the first entry that is neither.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<Self, TrustedProxyError> {
        let parse = |entry: &T| {
            let text = entry.as_ref();
            let address = || text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
            text.parse::<IpNet>().or_else(|_| address()).map_err(|_| TrustedProxyError(text.to_owned()))
        };
        entries.iter().map(parse).collect::<Result<_, _>>().map(TrustedProxies)
    }

    /// Whether `address` is a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Who sent a request, as far as it can be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress {
    address: IpAddr,
    forwarded: bool,
    secure: bool,
    host: Option<HostPort>,
}

impl ClientAddress {
    /// Works it out from the socket's peer, whether the socket is under TLS, and the headers.
    pub fn of_request(peer: IpAddr, tls: bool, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let peer = peer.to_canonical();
        let forwarded = has_forwarding_headers(headers);
        let told = match forwarded && trusted.contains(peer) {
            true => Told::by_proxy(peer, headers, trusted),
            false => Told::default(),
        };
        ClientAddress {
            address: told.address.unwrap_or(peer),
            forwarded,
            secure: told.secure.unwrap_or(tls),
            host: told.host.or_else(|| HostPort::of_request(headers).ok().flatten()),
        }
    }

    /// The client's address, for limits and logs. An IPv4 address inside IPv6 is given as IPv4.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// What one customer has, for limits: the address itself, or the /64 of an IPv6 address. `None` where the address is
    /// not known.
    pub fn network(&self) -> Option<IpAddr> {
        Some(network_of(self.address)).filter(|network| !network.is_unspecified())
    }

    /// Whether the client speaks `https` or `wss`, to us or to a trusted proxy.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host that the client asked for: a trusted proxy's word, else the `Host` header; `None` if that is unusable.
    pub fn host(&self) -> Option<&HostPort> {
        self.host.as_ref()
    }

    /// Whether the client is a process of this machine and not a proxy here that passes on a stranger's request.
    ///
    /// Demo users and `/metrics` rely on it, so neither is it a browser here with a page of somebody whose name was made
    /// to mean this machine (DNS rebinding): on a bind to all addresses, this is what keeps that page out. A proxy that
    /// adds no header at all and asks by our address cannot be told from a local client.
    pub fn is_direct_loopback(&self) -> bool {
        let by_foreign_name = self.host.as_ref().is_some_and(HostPort::can_be_anybodys);
        !self.forwarded && !by_foreign_name && self.address.is_loopback()
    }
}

/// The address itself, or the /64 of an IPv6 address.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Whether any header says that the request was passed on.
pub fn has_forwarding_headers(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("x-forwarded-") || PROXY_HEADERS.contains(&name.as_str()))
}

/// What a trusted proxy tells about the client.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    address: Option<IpAddr>,
    secure: Option<bool>,
    host: Option<HostPort>,
}

impl Told {
    /// A proxy writes one family of headers and may pass the client's own version of the other on untouched. Where
    /// both are there and do not name the same client, one of them is forged and neither is believed.
    fn by_proxy(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let standard = headers.contains_key("forwarded").then(|| Told::by_forwarded(peer, headers, trusted));
        let common = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
        let common = common.iter().any(|name| headers.contains_key(*name));
        let common = common.then(|| Told::by_x_forwarded(peer, headers, trusted));
        match (standard, common) {
            (Some(standard), Some(common)) if standard == common => common,
            (Some(told), None) | (None, Some(told)) => told,
            _ => Told::default(),
        }
    }

    fn by_x_forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let hops = from_right(headers, "x-forwarded-for").map(parse_address);
        let (address, hop) = walk(peer, hops, trusted);
        // Some proxies add to these lists as to the addresses, others set one value for the whole chain.
        let at_hop = |name| from_right(headers, name).take(hop + 1).last();
        Told {
            address: Some(address),
            secure: at_hop("x-forwarded-proto").and_then(parse_scheme),
            host: at_hop("x-forwarded-host").and_then(|host| HostPort::parse(host).ok()),
        }
    }

    fn by_forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let elements = forwarded_elements(headers).unwrap_or_default();
        let hops = elements.iter().rev().map(|element| element.client.as_deref().and_then(parse_address));
        let (address, hop) = walk(peer, hops, trusted);
        let element = elements.iter().rev().nth(hop);
        Told {
            address: Some(address),
            secure: element.and_then(|element| element.proto.as_deref()).and_then(parse_scheme),
            host: element.and_then(|element| element.host.as_deref()).and_then(|host| HostPort::parse(host).ok()),
        }
    }
}

/// Goes from hop to hop while they are trusted. Answers the client's address and the place, counted from the right,
/// of the element that named it.
fn walk(peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>, trusted: &TrustedProxies) -> (IpAddr, usize) {
    let mut client = (peer, 0);
    for (place, hop) in hops.take(MAX_HOPS).enumerate() {
        let Some(address) = hop else { break };
        client = (address, place);
        if !trusted.contains(address) {
            break;
        }
    }
    client
}

/// The elements of a list header from the last to the first, over all its lines; none where a line is no text.
fn from_right<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let fits = headers.get_all(name).map(|line| line.len()).sum::<usize>() <= MAX_FORWARDED_BYTES;
    let lines = headers.get_all(name).rev().take_while(move |_| fits);
    lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',')).map(str::trim)
}

/// An address, with or without a port and brackets. `unknown` and obfuscated names are none.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(with_port).or_else(bare)?;
    // The unspecified address is nobody's, and would be one bucket for all who claim it.
    Some(address.to_canonical()).filter(|address| !address.is_unspecified())
}

fn parse_scheme(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}

/// One `forwarded-element` of RFC 7239.
#[derive(Debug, Default)]
struct Element {
    client: Option<String>,
    proto: Option<String>,
    host: Option<String>,
}

/// All elements of the `Forwarded` header, or `None` when any part of it is malformed or too long: quotes make it
/// impossible to say where the part that a trusted proxy added begins.
fn forwarded_elements(headers: &HeaderMap) -> Option<Vec<Element>> {
    let mut text = String::new();
    for line in headers.get_all("forwarded") {
        if text.len() + line.len() > MAX_FORWARDED_BYTES {
            return None;
        }
        text.push_str(line.to_str().ok()?);
        text.push(',');
    }
    let mut elements = Vec::new();
    let mut element = Element::default();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (name, value, end, tail) = next_pair(rest)?;
        match name.to_ascii_lowercase().as_str() {
            "for" => element.client = Some(value),
            "proto" => element.proto = Some(value),
            "host" => element.host = Some(value),
            _ => {}
        }
        if end == ',' {
            elements.push(std::mem::take(&mut element));
        }
        rest = tail;
    }
    Some(elements)
}

/// Reads `name=value` or `name="quoted value"` up to the `;` or `,` behind it: name, value, which of both, and the rest.
fn next_pair(text: &str) -> Option<(&str, String, char, &str)> {
    let (name, text) = text.split_once('=')?;
    let (value, text) = match text.strip_prefix('"') {
        None => {
            let end = text.find([';', ','])?;
            let (value, text) = text.split_at_checked(end)?;
            (value.trim().to_owned(), text)
        }
        Some(quoted) => quoted_string(quoted)?,
    };
    let text = text.trim_start();
    let end = text.chars().next().filter(|end| matches!(end, ';' | ','))?;
    let token = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    Some((Some(name.trim()).filter(|name| token(name))?, value, end, text.get(1..)?))
}

/// The contents of a quoted string, whose opening quote is gone already, and what follows it.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(place + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use actix_http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(pair).collect()
    }

    fn client(peer: &str, lines: &[(&str, &str)]) -> ClientAddress {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8", "::1"]).unwrap();
        ClientAddress::of_request(peer.parse().unwrap(), false, &headers(lines), &trusted)
    }

    fn address(peer: &str, lines: &[(&str, &str)]) -> String {
        client(peer, lines).address().to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        let lines = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("host", "own"),
        ];
        let client = client("192.0.2.1", &lines);
        assert_eq!(client.address().to_string(), "192.0.2.1");
        assert!(!client.is_secure());
        assert_eq!(client.host().map(ToString::to_string).as_deref(), Some("own"));
    }

    #[test]
    fn the_walk_goes_from_the_right_over_trusted_proxies_only() {
        for (value, expected) in [
            ("198.51.100.7", "198.51.100.7"),
            ("127.0.0.1, 198.51.100.7, 10.1.1.1", "198.51.100.7"),
            ("10.2.2.2,10.1.1.1", "10.2.2.2"),
            ("198.51.100.7:4711", "198.51.100.7"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("127.0.0.1, nonsense, 10.1.1.1", "10.1.1.1"),
            ("127.0.0.1, unknown", "10.0.0.1"),
            ("127.0.0.1,", "10.0.0.1"),
            ("0.0.0.0", "10.0.0.1"),
        ] {
            assert_eq!(address("10.0.0.1", &[("x-forwarded-for", value)]), expected, "{value}");
        }
        let lines = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(address("10.0.0.1", &lines), "198.51.100.7");
    }

    #[test]
    fn a_chain_without_end_is_walked_only_so_far() {
        let chain = vec!["10.1.1.1"; 100].join(",");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", &format!("192.0.2.1,{chain}"))]), "10.1.1.1");
        let long = format!("{},192.0.2.1", "x".repeat(MAX_FORWARDED_BYTES));
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", &long)]), "10.0.0.1");
    }

    #[test]
    fn scheme_and_host_come_from_the_hop_that_named_the_client() {
        for (lines, secure, host) in [
            (vec![("x-forwarded-proto", "https"), ("x-forwarded-host", "Example.com")], true, "example.com"),
            (vec![("x-forwarded-for", "192.0.2.1, 10.1.1.1"), ("x-forwarded-proto", "https, http")], true, "own"),
            (vec![("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https, http")], false, "own"),
            (vec![("x-forwarded-for", "192.0.2.1, 10.1.1.1"), ("x-forwarded-proto", "HTTPS")], true, "own"),
            (vec![("x-forwarded-proto", "gopher"), ("x-forwarded-host", "a b")], false, "own"),
            (vec![("forwarded", "for=192.0.2.1;proto=https;host=\"example.com:8443\"")], true, "example.com:8443"),
            (vec![("forwarded", "proto=https;for=192.0.2.1, for=198.51.100.7;proto=http")], false, "own"),
        ] {
            let lines = [lines, vec![("host", "own")]].concat();
            let client = client("10.0.0.1", &lines);
            assert_eq!((client.is_secure(), client.host().unwrap().to_string().as_str()), (secure, host), "{lines:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_with_its_quotes() {
        for (value, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=127.0.0.1, for=198.51.100.7 , for=10.1.1.1", "198.51.100.7"),
            ("for=\"a,b\\\"\", for=198.51.100.7", "198.51.100.7"),
            ("for=_hidden", "10.0.0.1"),
            ("for=192.0.2.1, secret", "10.0.0.1"),
            ("for=\"192.0.2.1", "10.0.0.1"),
            ("for=\"192.0.2.1, for=198.51.100.7", "10.0.0.1"),
        ] {
            assert_eq!(address("10.0.0.1", &[("forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn two_headers_that_contradict_each_other_are_both_ignored() {
        let agree = [("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(address("10.0.0.1", &agree), "192.0.2.1");
        let forged = [("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(address("10.0.0.1", &forged), "10.0.0.1");
    }

    #[test]
    fn a_direct_loopback_client_has_no_proxy_before_it() {
        assert!(client("127.0.0.1", &[]).is_direct_loopback());
        assert!(client("::ffff:127.0.0.1", &[]).is_direct_loopback());
        assert!(client("::1", &[("host", "localhost")]).is_direct_loopback());
        assert!(!client("192.0.2.1", &[]).is_direct_loopback());
        for header in ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-server"] {
            assert!(!client("127.0.0.1", &[(header, "127.0.0.1")]).is_direct_loopback(), "{header}");
        }
        assert!(!client("::1", &[("x-forwarded-for", "127.0.0.1")]).is_direct_loopback());
    }

    #[test]
    fn a_page_under_a_name_that_was_made_to_mean_this_machine_is_no_local_client() {
        assert!(!client("127.0.0.1", &[("host", "evil.example:8080")]).is_direct_loopback());
        for own in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "buildhost:8080"] {
            assert!(client("127.0.0.1", &[("host", own)]).is_direct_loopback(), "{own}");
        }
    }

    #[test]
    fn proxies_are_networks_or_addresses() {
        assert!(TrustedProxies::parse(&["10.0.0.0/8", "192.0.2.1", "fd00::/8"]).is_ok());
        assert_eq!(TrustedProxies::parse(&["10.0.0.0/8", "all"]).unwrap_err(), TrustedProxyError("all".into()));
        assert!(!TrustedProxies::default().contains("127.0.0.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_or_frees_a_stranger_of_their_address(
            value in "[ -~]{0,60}|(for=\"?[0-9a-f.:\\[\\]]{0,12}\"?[;,]? ?){0,5}",
        ) {
            let lines = [("forwarded", value.as_str()), ("x-forwarded-for", &value), ("x-forwarded-host", &value)];
            for line in lines {
                let _ = address("10.0.0.1", &[line]);
            }
            // What a trusted proxy adds on the right counts, whatever the client wrote on the left.
            let appended = format!("{value}, 192.0.2.1");
            prop_assert_eq!(address("10.0.0.1", &[("x-forwarded-for", &appended)]), "192.0.2.1");
            prop_assert_eq!(address("198.51.100.7", &lines), "198.51.100.7");
        }
    }
}
