//! What an application is told of somebody who wants to connect.

use std::collections::BTreeMap;

use actix_web::http::header::{self, HeaderMap};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::{Unusable, Wishes};
use crate::protocol::Subprotocol;

/// Parameters of the query that are secrets between the client and this server.
const SECRET_PARAMETERS: [&str; 2] = ["access_token", "awps_reconnection_token"];
/// Header lines that are.
const SECRET_HEADERS: [header::HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

type Lists = BTreeMap<String, Vec<String>>;

/// The body of `connect`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectBody {
    claims: Lists,
    query: Lists,
    headers: Lists,
    subprotocols: Vec<String>,
    /// Always empty: clients are not asked for certificates.
    client_certificates: [(); 0],
}

impl ConnectBody {
    /// What the head of a handshake says, without its secrets, and the claims of its token, which has been verified.
    pub fn new(headers: &HeaderMap, query: Option<&str>, token: Option<&str>) -> Self {
        let mut body = ConnectBody {
            claims: token.and_then(claims_of).map(lists_of).unwrap_or_default(),
            query: Lists::new(),
            headers: Lists::new(),
            subprotocols: offered(headers).map(str::to_owned).collect(),
            client_certificates: [],
        };
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !SECRET_PARAMETERS.contains(&&*name) {
                body.query.entry(name.into_owned()).or_default().push(value.into_owned());
            }
        }
        for (name, value) in headers.iter().filter(|(name, _)| !SECRET_HEADERS.contains(name)) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            body.headers.entry(name.as_str().to_owned()).or_default().push(value);
        }
        body
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        // Plain texts; nothing in it can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether what an application wants can be had.
    pub(super) fn check(&self, wishes: &Wishes) -> Result<(), Unusable> {
        let is_offered = |name: &String| self.subprotocols.iter().any(|offered| offered.eq_ignore_ascii_case(name));
        if wishes.subprotocol.as_ref().is_none_or(is_offered) { Ok(()) } else { Err(Unusable::Subprotocol) }
    }
}

fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).filter_map(|line| line.to_str().ok());
    Subprotocol::offered(lines)
}

fn claims_of(token: &str) -> Option<Map<String, Value>> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Every claim as a list of texts, as the Web PubSub service has them; what is no text, as JSON.
fn lists_of(claims: Map<String, Value>) -> Lists {
    let text = |value: Value| match value {
        Value::String(text) => text,
        value => value.to_string(),
    };
    let list = |value: Value| match value {
        Value::Array(items) => items.into_iter().map(text).collect(),
        Value::Null => Vec::new(),
        value => vec![text(value)],
    };
    claims.into_iter().map(|(name, value)| (name, list(value))).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_head_is_told_without_its_secrets() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (header::HOST, "chat.example.com"),
            (header::AUTHORIZATION, "Bearer hunter2"),
            (header::COOKIE, "session=hunter2"),
            (header::SEC_WEBSOCKET_PROTOCOL, "a, b"),
            (header::SEC_WEBSOCKET_PROTOCOL, "c"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let claims = json!({"sub": "mark", "role": ["a", "b"], "exp": 1, "nested": {"x": 1}, "none": null});
        let token = format!("e30.{}.hunter2", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
        let query = Some("access_token=hunter2&x=1&x=2%20&awps_reconnection_token=hunter2");
        let body = ConnectBody::new(&headers, query, Some(&token)).to_json();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            json!({
                "claims": {"sub": ["mark"], "role": ["a", "b"], "exp": ["1"], "nested": ["{\"x\":1}"], "none": []},
                "query": {"x": ["1", "2 "]},
                "headers": {"host": ["chat.example.com"], "sec-websocket-protocol": ["a, b", "c"]},
                "subprotocols": ["a", "b", "c"],
                "clientCertificates": [],
            })
        );
    }

    #[test]
    fn only_a_subprotocol_that_is_offered_can_be_wished_for() {
        let mut headers = HeaderMap::new();
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat.v1"));
        let body = ConnectBody::new(&headers, None, None);
        let wish = |name: Option<&str>| Wishes { subprotocol: name.map(str::to_owned), ..Wishes::default() };
        assert_eq!(body.check(&wish(None)), Ok(()));
        assert_eq!(body.check(&wish(Some("Chat.v1"))), Ok(()));
        assert_eq!(body.check(&wish(Some("other"))), Err(Unusable::Subprotocol));
    }
}
