//! Webhooks: the HTTP servers of applications that are told and asked what happens in a hub.
//!
//! `hubs.settings.webhooks` and `hubs.declared.<hub>.webhooks` name them; the section `webhooks` says what all of them
//! may take.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

use super::secret::HIDDEN;
use super::units::{bytes, duration};
use crate::auth::pattern::GroupPattern;
use crate::ids::HubName;

/// The section `webhooks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhooksConfig {
    /// How long one request to a webhook may take. A `connect` or an event that is not answered by then has failed; what
    /// nobody waits for is tried again.
    ///
    /// Default `5s`; `FOLKMOOT__WEBHOOKS__TIMEOUT`.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How often that which nobody waits for is tried again where the webhook does not answer or says 408, 429 or 5xx:
    /// after 1, 3, and then 5 seconds each.
    ///
    /// Default 3; `FOLKMOOT__WEBHOOKS__RETRIES`.
    pub retries: usize,
    /// `connect`s and events that wait for the answer of one webhook; the next has failed at once.
    ///
    /// Default 256; `FOLKMOOT__WEBHOOKS__CONCURRENCY`.
    pub concurrency: usize,
    /// Requests under way to one webhook that nobody waits for. Those about one connection follow one another.
    ///
    /// Default 16; `FOLKMOOT__WEBHOOKS__LANES`.
    pub lanes: usize,
    /// Of the same, how many may wait for one webhook; the next is dropped and counted.
    ///
    /// Default 8192; `FOLKMOOT__WEBHOOKS__BACKLOG`.
    pub backlog: usize,
    /// Largest body of an answer, which mostly becomes a message to a client.
    ///
    /// Default `1MiB`; `FOLKMOOT__WEBHOOKS__MAX_ANSWER_BYTES`.
    #[serde(with = "bytes")]
    pub max_answer_bytes: usize,
    /// Largest state that a webhook may have kept with a connection (`ce-connectionState`).
    ///
    /// Default `8KiB`; `FOLKMOOT__WEBHOOKS__MAX_STATE_BYTES`.
    #[serde(with = "bytes")]
    pub max_state_bytes: usize,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        WebhooksConfig {
            timeout: Duration::from_secs(5),
            retries: 3,
            concurrency: 256,
            lanes: 16,
            backlog: 8192,
            max_answer_bytes: 1 << 20,
            max_state_bytes: 8 << 10,
        }
    }
}

impl WebhooksConfig {
    /// Largest answer that may be allowed, as in the Web PubSub emulator.
    pub const MAX_ANSWER_BYTES: usize = 16 << 20;
}

/// One webhook of a hub: where it is, and for what.
///
/// ```
/// use folkmoot::config::{SystemEvent, WebhookConfig};
///
/// let mut webhook = WebhookConfig::new("http://127.0.0.1:3000/api/{hub}/{event}".parse()?);
/// webhook.system_events = vec![SystemEvent::Connect];
/// webhook.user_events = vec!["*".parse()?];
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhookConfig {
    /// Where it is. `{event}` and `{hub}` in its path or query stand for the names.
    pub url: WebhookUrl,
    /// What happens to connections, as far as it is for this webhook.
    #[serde(default, deserialize_with = "one_or_many")]
    pub system_events: Vec<SystemEvent>,
    /// The events of clients that are for it: names, or `*`; case does not count.
    #[serde(default, deserialize_with = "one_or_many")]
    pub user_events: Vec<UserEvents>,
    /// Of `joined` and `left`, the groups that are for it; none is all of them.
    #[serde(default, serialize_with = "super::units::texts::serialize", deserialize_with = "one_or_many")]
    pub groups: Vec<GroupPattern>,
}

impl WebhookConfig {
    /// A webhook that is for nothing yet.
    pub fn new(url: WebhookUrl) -> Self {
        WebhookConfig { url, system_events: Vec::new(), user_events: Vec::new(), groups: Vec::new() }
    }
}

/// What a webhook can be told or asked of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemEvent {
    /// Somebody wants to connect; asked, and may refuse.
    Connect,
    /// A connection is there.
    Connected,
    /// A connection is gone.
    Disconnected,
    /// A connection has joined a group.
    Joined,
    /// A connection has left a group.
    Left,
}

impl SystemEvent {
    const ALL: [SystemEvent; 5] = [Self::Connect, Self::Connected, Self::Disconnected, Self::Joined, Self::Left];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Joined => "joined",
            Self::Left => "left",
        }
    }
}

/// Not the name of a system event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("system events are connect, connected, disconnected, joined and left")]
pub struct SystemEventError;

impl FromStr for SystemEvent {
    type Err = SystemEventError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|event| event.name().eq_ignore_ascii_case(text)).ok_or(SystemEventError)
    }
}

/// Events of clients: one by its name, or all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct UserEvents(Box<str>);

/// Not the name of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is '*', or a letter and up to 127 letters, digits, '_', '.' or '-'")]
pub struct UserEventsError;

impl UserEvents {
    /// Whether the event is one of these.
    pub fn include(&self, event: &str) -> bool {
        &*self.0 == "*" || self.0.eq_ignore_ascii_case(event)
    }
}

impl FromStr for UserEvents {
    type Err = UserEventsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = crate::protocol::frame::EventName::parse(text).is_some();
        if text == "*" || is_name { Ok(UserEvents(text.into())) } else { Err(UserEventsError) }
    }
}

/// The address of a webhook, with `{event}` and `{hub}` to be filled in.
///
/// A query may be a secret: neither `Debug` nor `Display` nor `Serialize` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

/// Why a text is no address of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookUrlError {
    /// It is no URL of a web server.
    #[error("a webhook is an address such as https://app.example.com/webhooks/{{hub}}/{{event}}")]
    Url,
    /// It has a login or a fragment.
    #[error("the address of a webhook has no user, no password and no '#'")]
    Parts,
    /// It has braces that mean nothing.
    #[error("of an address of a webhook, only {{event}} and {{hub}} are filled in, and only behind the host")]
    Field,
}

/// Everything but what no URL needs to have encoded: an event or hub must not add segments or parameters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl WebhookUrl {
    /// The address for an event of a hub.
    pub fn of(&self, event: &str, hub: &HubName) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
        self.0.replace("{event}", &encoded(event)).replace("{hub}", &encoded(hub.as_str()))
    }

    /// Whether what is sent there crosses a network in plain text.
    pub fn is_exposed(&self) -> bool {
        let Ok(url) = Url::parse(&self.0) else { return false };
        let is_loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        };
        url.scheme() == "http" && !is_loopback
    }
}

impl FromStr for WebhookUrl {
    type Err = WebhookUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let filled = text.replace("{event}", "e").replace("{hub}", "h");
        if filled.contains(['{', '}']) {
            return Err(WebhookUrlError::Field);
        }
        let url = Url::parse(&filled).map_err(|_| WebhookUrlError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(WebhookUrlError::Url);
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(WebhookUrlError::Parts);
        }
        // Elsewhere than behind the host, the name of a hub would choose the server.
        let behind_host = text.splitn(4, '/').take(3).all(|part| !part.contains('{'));
        if behind_host { Ok(WebhookUrl(text.to_owned())) } else { Err(WebhookUrlError::Field) }
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once('?') {
            Some((address, _)) => write!(f, "{address}?{HIDDEN}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for WebhookUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WebhookUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own message for a wrong type would quote the value.
        let text = String::deserialize(deserializer).map_err(|_| Error::custom(WebhookUrlError::Url))?;
        text.parse().map_err(Error::custom)
    }
}

/// A list of texts, or one text, as everywhere where a list is wanted.
fn one_or_many<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Texts;

    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = items.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }

    let texts = deserializer.deserialize_any(Texts)?;
    texts.iter().map(|text| text.parse().map_err(|error| D::Error::custom(format!("'{text}': {error}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<WebhookUrl, WebhookUrlError> {
        text.parse()
    }

    #[test]
    fn event_and_hub_are_filled_in_without_becoming_more_than_a_segment() {
        let hub = HubName::parse("a,b`c").unwrap();
        let template = url("https://app.example.com/{hub}/{event}?e={event}").unwrap();
        assert_eq!(template.of("poll.start", &hub), "https://app.example.com/a%2Cb%60c/poll.start?e=poll.start");
        assert_eq!(url("http://app/fixed").unwrap().of("x", &hub), "http://app/fixed");
    }

    #[test]
    fn what_is_no_address_of_a_web_server_is_refused() {
        for (text, error) in [
            ("", WebhookUrlError::Url),
            ("app.example.com", WebhookUrlError::Url),
            ("ftp://app.example.com", WebhookUrlError::Url),
            ("http://", WebhookUrlError::Url),
            ("http://user:secret@app/", WebhookUrlError::Parts),
            ("http://app/#x", WebhookUrlError::Parts),
            ("http://{hub}.example.com/", WebhookUrlError::Field),
            ("http://app/{events}", WebhookUrlError::Field),
            ("http://app/}", WebhookUrlError::Field),
        ] {
            assert_eq!(url(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_query_is_not_shown() {
        let secret = url("https://app/{event}?code=hunter2").unwrap();
        let shown = format!("{secret} {secret:?} {}", serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("hunter2") && shown.contains("https://app/{event}?***"), "{shown}");
        assert!(secret.of("x", &HubName::parse("h").unwrap()).ends_with("?code=hunter2"));
    }

    #[test]
    fn plain_http_beyond_this_machine_is_exposed() {
        for (text, exposed) in [
            ("http://127.0.0.1:3000/", false),
            ("http://[::1]/", false),
            ("http://localhost:3000/{event}", false),
            ("https://app.example.com/", false),
            ("http://app.example.com/", true),
            ("http://10.0.0.1/", true),
        ] {
            assert_eq!(url(text).unwrap().is_exposed(), exposed, "{text}");
        }
    }

    #[test]
    fn a_webhook_is_read_with_one_text_where_a_list_is_wanted() {
        let read = |json: &str| serde_json::from_str::<WebhookConfig>(json);
        let webhook =
            read(r#"{"url": "http://app/", "system_events": "connect", "user_events": ["*"], "groups": "a.*"}"#);
        let webhook = webhook.unwrap();
        assert_eq!(webhook.system_events, [SystemEvent::Connect]);
        assert!(webhook.user_events[0].include("Anything") && webhook.groups[0].matches("a.b"));
        let again = serde_json::to_string(&webhook).unwrap();
        assert_eq!(read(&again).unwrap(), webhook);
        for bad in [
            r#"{"system_events": ["connect"]}"#,
            r#"{"url": "http://app/", "system_events": ["leave"]}"#,
            r#"{"url": "http://app/", "user_events": ["a b"]}"#,
            r#"{"url": "http://app/", "user_events": 7}"#,
            r#"{"url": "http://app/", "groups": ["\\x"]}"#,
            r#"{"url": "http://app/", "user_event": ["a"]}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_case_of_an_event_does_not_count() {
        let poll: UserEvents = "Poll.Start".parse().unwrap();
        assert!(poll.include("poll.start") && !poll.include("poll"));
    }
}
