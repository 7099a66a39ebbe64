//! What comes from a server, as far as this client looks at it, and what it sends. Both are JSON of `docs/protocol.md`.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Entries of one page of an answer, the most that a server gives.
const PAGE: usize = 200;

/// Any frame: each kind has some of these.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Frame<'a> {
    #[serde(rename = "type")]
    pub kind: String,
    pub event: Option<String>,
    pub from: Option<String>,
    pub group: Option<String>,
    pub mask: Option<String>,
    pub from_user_id: Option<String>,
    pub data_type: Option<String>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    pub announcement: Option<Announcement>,
    pub dropped: Option<u64>,
    pub ack_id: Option<u64>,
    pub success: bool,
    pub error: Option<AckError>,
    pub members: Vec<Member>,
    pub listeners: Option<u64>,
    pub connections: Option<u64>,
    /// Names in `connected`, objects in a list, a number in a count.
    #[serde(borrow)]
    pub groups: Option<&'a RawValue>,
    pub continuation_token: Option<String>,
    pub user_id: Option<String>,
    pub connection_id: Option<String>,
    pub user: Option<Value>,
    pub message: Option<String>,
}

/// Why something was refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AckError {
    pub name: String,
    pub message: String,
}

/// Who came or went.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Announcement {
    pub user_id: Option<String>,
    pub user: Option<Value>,
}

/// A member in a list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Member {
    pub connection_id: String,
    pub user_id: Option<String>,
    pub user: Option<Value>,
}

/// A group in a list.
#[derive(Debug, Deserialize)]
pub struct Group {
    pub group: String,
    #[serde(default)]
    pub members: u64,
}

impl Frame<'_> {
    /// What a message says, as text.
    pub fn text(&self) -> String {
        let data = self.data.map_or("", RawValue::get);
        let string = || serde_json::from_str::<String>(data).ok();
        match self.data_type.as_deref() {
            Some("text") => string().unwrap_or_else(|| data.to_owned()),
            Some(binary @ ("binary" | "protobuf")) => {
                let base64 = string().unwrap_or_default();
                let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
                format!("({binary}, {} bytes)", (base64.len() / 4 * 3).saturating_sub(padding))
            }
            _ => data.to_owned(),
        }
    }

    /// `groups`, read as what it is in this frame.
    pub fn groups<'de, T: Deserialize<'de>>(&'de self) -> Option<T> {
        self.groups.and_then(|groups| serde_json::from_str(groups.get()).ok())
    }
}

/// A string among the data of a user, where there is one under this name.
pub fn field(user: Option<&Value>, name: &str) -> Option<String> {
    user?.get(name)?.as_str().map(str::to_owned)
}

/// Says a text to a group or mask.
pub fn send(ack_id: u64, group: &str, text: &str, no_echo: bool, must_exist: bool) -> String {
    let mut frame = json!({ "type": "sendToGroup", "group": group, "dataType": "text", "data": text, "ackId": ack_id });
    if no_echo {
        frame["noEcho"] = true.into();
    }
    if must_exist {
        frame["mustExist"] = true.into();
    }
    frame.to_string()
}

/// Joins a group or mask.
pub fn join(ack_id: u64, group: &str) -> String {
    json!({ "type": "joinGroup", "group": group, "ackId": ack_id }).to_string()
}

/// Leaves a group or mask.
pub fn leave(ack_id: u64, group: &str) -> String {
    json!({ "type": "leaveGroup", "group": group, "ackId": ack_id }).to_string()
}

/// Asks how many a target reaches.
pub fn count(ack_id: u64, target: &str, mask: bool) -> String {
    let key = if mask { "mask" } else { "group" };
    json!({ "type": "countMembers", key: target, "ackId": ack_id }).to_string()
}

/// Asks for a page of the members of a group.
pub fn members(ack_id: u64, group: &str, after: Option<&str>) -> String {
    let mut frame = json!({ "type": "listMembers", "group": group, "limit": PAGE, "ackId": ack_id });
    if let Some(after) = after {
        frame["continuationToken"] = after.into();
    }
    frame.to_string()
}

/// Asks for a page of the groups.
pub fn groups(ack_id: u64, mask: Option<&str>, after: Option<&str>) -> String {
    let mut frame = json!({ "type": "listGroups", "limit": PAGE, "ackId": ack_id });
    if let Some(mask) = mask {
        frame["mask"] = mask.into();
    }
    if let Some(after) = after {
        frame["continuationToken"] = after.into();
    }
    frame.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(frame: &str) -> String {
        serde_json::from_str::<Frame<'_>>(frame).unwrap().text()
    }

    #[test]
    fn data_of_every_type_becomes_a_text() {
        assert_eq!(text_of(r#"{"type":"message","dataType":"text","data":"a\nb"}"#), "a\nb");
        assert_eq!(text_of(r#"{"type":"message","dataType":"json","data":{"offer": 7.50}}"#), r#"{"offer": 7.50}"#);
        assert_eq!(text_of(r#"{"type":"message","dataType":"binary","data":"AQI="}"#), "(binary, 2 bytes)");
        assert_eq!(text_of(r#"{"type":"message"}"#), "");
    }

    #[test]
    fn groups_are_names_objects_or_a_number() {
        let frame: Frame<'_> = serde_json::from_str(r#"{"groups":["a","b"]}"#).unwrap();
        assert_eq!(frame.groups::<Vec<String>>(), Some(vec!["a".to_owned(), "b".to_owned()]));
        let frame: Frame<'_> = serde_json::from_str(r#"{"groups":[{"group":"a","members":2}]}"#).unwrap();
        assert_eq!(frame.groups::<Vec<Group>>().unwrap()[0].members, 2);
        let frame: Frame<'_> = serde_json::from_str(r#"{"groups":7}"#).unwrap();
        assert_eq!(frame.groups::<u64>(), Some(7));
        assert_eq!(frame.groups::<Vec<String>>(), None);
    }
}
