//! One request to a webhook: a CloudEvent 1.0 in binary mode, whose attributes are header lines and whose data is the
//! body.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use actix_web::http::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;

use super::signer::Signer;
use crate::clock;
use crate::config::SystemEvent;
use crate::event::Connection;
use crate::groups::messages::Content;
use crate::ids::{ConnectionId, GroupName, HubName, UserId};
use crate::protocol::DataType;

/// The connection that a request is about, as it was then.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its id.
    pub id: ConnectionId,
    /// Its hub.
    pub hub: HubName,
    user_id: Option<UserId>,
    subprotocol: Option<Cow<'static, str>>,
    state: Option<std::sync::Arc<str>>,
}

impl<U> From<&Connection<U>> for Subject {
    fn from(connection: &Connection<U>) -> Self {
        let agreed = connection.upstream.subprotocol().map(|name| Cow::Owned(name.to_string()));
        Subject {
            id: connection.id,
            hub: connection.hub.clone(),
            user_id: connection.user_id.clone(),
            subprotocol: agreed.or(connection.subprotocol.map(Cow::Borrowed)),
            state: connection.upstream.state(),
        }
    }
}

/// What happened, or is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Something of the connection itself.
    System(SystemEvent),
    /// An event of the client.
    User(Box<str>),
}

impl What {
    /// The event's name.
    pub fn name(&self) -> &str {
        match self {
            What::System(event) => event.name(),
            What::User(name) => name,
        }
    }

    /// `ce-type`.
    fn cloud_event_type(&self) -> String {
        let family = match self {
            What::System(SystemEvent::Joined | SystemEvent::Left) => "gp",
            What::System(_) => "sys",
            What::User(_) => "user",
        };
        format!("azure.webpubsub.{family}.{}", self.name())
    }
}

/// One request, which may be sent more than once.
pub struct Letter {
    /// What it is about.
    pub what: What,
    subject: Subject,
    id: u64,
    at: u64,
    content_type: &'static str,
    metadata: Option<Bytes>,
    /// Its body.
    pub body: Bytes,
}

const JSON: &str = "application/json; charset=utf-8";

impl Letter {
    fn system(event: SystemEvent, subject: Subject, body: impl Into<Bytes>) -> Self {
        let (body, at) = (body.into(), clock::milliseconds(SystemTime::now()));
        Letter { what: What::System(event), subject, id: 0, at, content_type: JSON, metadata: None, body }
    }

    /// Somebody wants to connect.
    pub fn connect(subject: Subject, body: Vec<u8>) -> Self {
        Letter::system(SystemEvent::Connect, subject, body)
    }

    /// A connection is there.
    pub fn connected(subject: Subject) -> Self {
        Letter::system(SystemEvent::Connected, subject, "{}")
    }

    /// A connection is gone.
    pub fn disconnected(subject: Subject, reason: &str) -> Self {
        Letter::system(SystemEvent::Disconnected, subject, json!({ "reason": reason }).to_string())
    }

    /// A connection has joined or left a group.
    pub fn membership(event: SystemEvent, subject: Subject, group: &GroupName) -> Self {
        Letter::system(event, subject, json!({ "group": group }).to_string())
    }

    /// A client says something to the application.
    pub fn event(name: &str, subject: Subject, content: &Content) -> Self {
        let content_type = match content.data.data_type() {
            DataType::Text => "text/plain; charset=utf-8",
            DataType::Json => JSON,
            DataType::Binary => "application/octet-stream",
            DataType::Protobuf => "application/x-protobuf",
        };
        let (body, metadata) = (content.data.payload(), content.metadata.clone());
        Letter {
            what: What::User(name.into()),
            content_type,
            metadata,
            ..Letter::system(SystemEvent::Connect, subject, body)
        }
    }

    /// The same under a number, by which the application knows one that it has seen already.
    pub fn numbered(self, id: u64) -> Self {
        Letter { id, ..self }
    }

    /// The connection that it is about.
    pub fn connection(&self) -> ConnectionId {
        self.subject.id
    }

    /// Its header lines. `origin` is this server's own name.
    pub fn headers(&self, signer: &Signer, origin: &str) -> Vec<(HeaderName, HeaderValue)> {
        let Subject { id, hub, user_id, subprotocol, state } = &self.subject;
        let source = format!("/hubs/{hub}/client/{id}");
        let (number, at) = (self.id.to_string(), clock::rfc3339(self.at));
        let mut lines = Lines(Vec::with_capacity(16));
        lines.add("content-type", self.content_type);
        lines.add("webhook-request-origin", origin);
        lines.add("ce-specversion", "1.0");
        lines.add("ce-awpsversion", "1.0");
        lines.add("ce-type", &self.what.cloud_event_type());
        lines.add("ce-source", &source);
        lines.add("ce-id", &number);
        lines.add("ce-time", &at);
        lines.add("ce-hub", hub.as_str());
        lines.add("ce-connectionid", &id.to_string());
        lines.add("ce-eventname", self.what.name());
        lines.add("ce-signature", &signer.sign(*id));
        if let Some(user_id) = user_id {
            lines.add("ce-userid", &header_text(user_id.as_str()));
        }
        if let Some(subprotocol) = subprotocol {
            lines.add("ce-subprotocol", subprotocol);
        }
        if let Some(state) = state {
            lines.add("ce-connectionstate", state);
        }
        for (name, value) in self.metadata() {
            lines.add(&format!("x-webpubsub-metadata-{name}"), &header_text(&value));
        }
        lines.0
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        // Checked when it came in.
        self.metadata.as_deref().and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default()
    }
}

/// Header lines, as far as they can be written.
struct Lines(Vec<(HeaderName, HeaderValue)>);

impl Lines {
    fn add(&mut self, name: &str, value: &str) {
        // What can be said by others has been encoded or checked before.
        if let (Ok(name), Ok(value)) = (name.parse(), HeaderValue::from_str(value)) {
            self.0.push((name, value));
        }
    }
}

/// What a header line cannot carry, and `%` itself, so that nobody can pass for somebody else whose name has to be encoded.
const UNSENDABLE: &AsciiSet = &CONTROLS.add(b'%');

/// A text of somebody else as a header line carries it: percent-encoded, as CloudEvents has it, where it must be.
///
/// Blanks within it and quotes are left alone, though CloudEvents encodes them: receivers that decode get the same, and
/// those that do not, as `web-pubsub-express`, get what was meant.
fn header_text(text: &str) -> Cow<'_, str> {
    let encoded: Cow<'_, str> = utf8_percent_encode(text, UNSENDABLE).into();
    let inner = encoded.trim_matches(' ');
    if inner.len() == encoded.len() {
        return encoded;
    }
    // Blanks at the ends would be lost.
    let (start, end) = (encoded.len() - encoded.trim_start_matches(' ').len(), encoded.trim_end_matches(' ').len());
    let blanks = |count: usize| "%20".repeat(count);
    match encoded.get(start..end) {
        Some(inner) => Cow::Owned(format!("{}{inner}{}", blanks(start), blanks(encoded.len() - end))),
        None => Cow::Owned(blanks(encoded.len())),
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Authority, Upstream};
    use crate::protocol::Data;

    fn connection(user_id: Option<&str>) -> Connection<()> {
        Connection {
            id: ConnectionId::random(),
            hub: HubName::parse("chat").unwrap(),
            user_id: user_id.map(|id| UserId::parse(id).unwrap()),
            authority: Authority::Token,
            login: None,
            user: None,
            address: None,
            subprotocol: Some("json.webpubsub.azure.v1"),
            upstream: Upstream::default(),
        }
    }

    fn header(letter: &Letter, name: &str) -> Option<String> {
        let signer = Signer::new(["ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"]);
        let lines = letter.headers(&signer, "chat.example.com");
        let (_, value) = lines.into_iter().find(|(known, _)| known == name)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_event_has_the_attributes_of_a_cloud_event() {
        let mark = connection(Some("mark"));
        mark.upstream.set_state("e30=");
        let letter = Letter::connected(Subject::from(&mark)).numbered(7);
        let id = mark.id.to_string();
        for (name, value) in [
            ("webhook-request-origin", "chat.example.com"),
            ("ce-specversion", "1.0"),
            ("ce-awpsversion", "1.0"),
            ("ce-type", "azure.webpubsub.sys.connected"),
            ("ce-source", &format!("/hubs/chat/client/{id}")),
            ("ce-id", "7"),
            ("ce-hub", "chat"),
            ("ce-connectionid", &id),
            ("ce-eventname", "connected"),
            ("ce-userid", "mark"),
            ("ce-subprotocol", "json.webpubsub.azure.v1"),
            ("ce-connectionstate", "e30="),
        ] {
            assert_eq!(header(&letter, name).as_deref(), Some(value), "{name}");
        }
        assert!(header(&letter, "ce-time").unwrap().ends_with('Z'));
        assert!(header(&letter, "ce-signature").unwrap().starts_with("sha256="));
        assert_eq!(letter.body, "{}");
    }

    #[test]
    fn nothing_is_said_of_what_an_anonymous_raw_client_has_not() {
        let nobody = Connection { subprotocol: None, ..connection(None) };
        let letter = Letter::connected(Subject::from(&nobody));
        for name in ["ce-userid", "ce-subprotocol", "ce-connectionstate"] {
            assert_eq!(header(&letter, name), None, "{name}");
        }
        nobody.upstream.set_subprotocol("chat.v1");
        assert_eq!(header(&Letter::connected(Subject::from(&nobody)), "ce-subprotocol").as_deref(), Some("chat.v1"));
    }

    #[test]
    fn the_payload_of_an_event_is_the_body_with_its_type_and_metadata() {
        let metadata = Some(Bytes::from_static(br#"{"trace-id":"a","Name":"\u00e9"}"#));
        let content = Content { metadata, ..Content::from(Data::text("hi")) };
        let letter = Letter::event("poll", Subject::from(&connection(None)), &content);
        assert_eq!(letter.body, "hi");
        assert_eq!(header(&letter, "content-type").as_deref(), Some("text/plain; charset=utf-8"));
        assert_eq!(header(&letter, "ce-type").as_deref(), Some("azure.webpubsub.user.poll"));
        assert_eq!(header(&letter, "x-webpubsub-metadata-trace-id").as_deref(), Some("a"));
        assert_eq!(header(&letter, "x-webpubsub-metadata-name").as_deref(), Some("%C3%A9"));
    }

    #[test]
    fn a_name_is_encoded_where_a_header_cannot_carry_it() {
        assert_eq!(header_text("Mark \"the\" Smith"), "Mark \"the\" Smith");
        assert_eq!(header_text("Inés 100%"), "In%C3%A9s 100%25");
        assert_eq!(header_text(" a\n "), "%20a%0A%20");
        assert_eq!(header_text("  "), "%20%20");
    }

    proptest! {
        #[test]
        fn every_name_is_carried_whole(text in any::<String>()) {
            let carried = header_text(&text).into_owned();
            let value = HeaderValue::from_str(&carried).unwrap();
            prop_assert_eq!(value.to_str().unwrap().trim_matches([' ', '\t']), &carried);
            prop_assert_eq!(percent_decode_str(&carried).decode_utf8().unwrap(), text);
        }
    }
}
