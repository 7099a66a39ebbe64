//! What stands on the wire: which subprotocol a connection speaks, and how frames are read and written in it.
//!
//! Pure functions over bytes. Who may do what, and whether a group exists, is decided elsewhere; nothing here awaits.

pub mod data;
pub mod frame;
pub mod json;
pub mod raw;

pub use data::{Data, DataError, DataType};
pub use frame::{ClientFrame, MAX_TTL_SECONDS};

/// How a connection writes its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subprotocol {
    /// `json.webpubsub.azure.v1`: JSON frames both ways.
    Json,
    /// `json.reliable.webpubsub.azure.v1`: the same, and messages have numbers, so that what a lost socket has not
    /// brought comes by the next.
    ReliableJson,
    /// No subprotocol: bare payloads both ways.
    Raw,
}

impl Subprotocol {
    /// What can be negotiated. (Raw is what remains.)
    const NEGOTIABLE: [Subprotocol; 2] = [Subprotocol::Json, Subprotocol::ReliableJson];

    /// The name in `Sec-WebSocket-Protocol`.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Subprotocol::Json => Some("json.webpubsub.azure.v1"),
            Subprotocol::ReliableJson => Some("json.reliable.webpubsub.azure.v1"),
            Subprotocol::Raw => None,
        }
    }

    /// Whether frames are JSON, both ways.
    pub const fn is_json(self) -> bool {
        matches!(self, Subprotocol::Json | Subprotocol::ReliableJson)
    }

    fn by_name(name: &str) -> Option<Self> {
        let called = |one: &Subprotocol| one.name().is_some_and(|own| own.eq_ignore_ascii_case(name));
        Self::NEGOTIABLE.into_iter().find(called)
    }

    /// The names in `Sec-WebSocket-Protocol` header lines, known or not.
    pub fn offered<'h>(header_lines: impl IntoIterator<Item = &'h str>) -> impl Iterator<Item = &'h str> {
        let names = header_lines.into_iter().flat_map(|line| line.split(',')).map(str::trim);
        names.filter(|name| !name.is_empty())
    }

    /// Chooses the first supported subprotocol out of the `Sec-WebSocket-Protocol` header lines, and what to echo.
    ///
    /// The echo is the name as the client spelled it, because clients compare it with what they sent. Who offers nothing,
    /// or nothing that we know, is a raw client and gets no echo; browsers then fail the handshake by themselves.
    pub fn negotiate<'h>(header_lines: impl IntoIterator<Item = &'h str>) -> (Self, Option<&'h str>) {
        let chosen = Self::offered(header_lines).find_map(|name| Some((Self::by_name(name)?, Some(name))));
        chosen.unwrap_or((Subprotocol::Raw, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_name_wins_and_is_echoed_as_it_was_spelled() {
        let offered = ["mqtt, JSON.webpubsub.azure.v1 ,json.webpubsub.azure.v1"];
        assert_eq!(Subprotocol::negotiate(offered), (Subprotocol::Json, Some("JSON.webpubsub.azure.v1")));
        let lines = ["mqtt", "json.webpubsub.azure.v1"];
        assert_eq!(Subprotocol::negotiate(lines), (Subprotocol::Json, Some("json.webpubsub.azure.v1")));
    }

    #[test]
    fn without_a_known_name_the_client_is_raw_and_nothing_is_echoed() {
        for offered in ["", ",,", "mqtt", "protobuf.webpubsub.azure.v1", "json.webpubsub.azure.v12"] {
            assert_eq!(Subprotocol::negotiate([offered]), (Subprotocol::Raw, None), "{offered:?}");
        }
        assert_eq!(Subprotocol::negotiate([]), (Subprotocol::Raw, None));
    }

    #[test]
    fn of_both_json_subprotocols_the_first_that_is_offered_wins() {
        let (plain, reliable) = ("json.webpubsub.azure.v1", "json.reliable.webpubsub.azure.v1");
        assert_eq!(Subprotocol::negotiate([reliable, plain]), (Subprotocol::ReliableJson, Some(reliable)));
        assert_eq!(Subprotocol::negotiate([plain, reliable]), (Subprotocol::Json, Some(plain)));
    }
}
