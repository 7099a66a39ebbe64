//! Writing frames: compact JSON, appended to a buffer that the caller owns.
//!
//! The order of keys is part of the contract (an official SDK test compares text): `type`, `from`, `group`, `mask`,
//! `fromUserId`, `dataType`, `data`, then what is optional.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::ErrorCode;
use crate::ids::{ConnectionId, GroupName, UserId};
use crate::mask::Mask;
use crate::protocol::data::Data;

/// Appends the first frame of a connection: who it is, its own user data, and the groups that it was put into.
///
/// `userId` is `null` for an anonymous connection; `user` is absent where there is no user data, and so is the token where
/// the connection cannot be recovered.
pub fn connected(
    out: &mut Vec<u8>,
    user_id: Option<&UserId>,
    connection_id: ConnectionId,
    reconnection_token: Option<&str>,
    user: Option<&RawValue>,
    groups: &[GroupName],
) {
    out.extend_from_slice(br#"{"type":"system","event":"connected","userId":"#);
    write_json(out, &user_id);
    out.extend_from_slice(br#","connectionId":"#);
    write_json(out, &connection_id);
    if let Some(token) = reconnection_token {
        out.extend_from_slice(br#","reconnectionToken":"#);
        write_string(out, token);
    }
    if let Some(user) = user {
        out.extend_from_slice(br#","user":"#);
        out.extend_from_slice(user.get().as_bytes());
    }
    out.extend_from_slice(br#","groups":"#);
    write_json(out, groups);
    out.push(b'}');
}

/// Appends the frame that stands before a close of ours and tells why.
pub fn disconnected(out: &mut Vec<u8>, message: &str) {
    out.extend_from_slice(br#"{"type":"system","event":"disconnected","message":"#);
    write_string(out, message);
    out.push(b'}');
}

/// Appends an ack of success; the fields of `extra`, the answer to a question, stand directly in it.
pub fn ack_ok(out: &mut Vec<u8>, ack_id: u64, extra: Option<&Map<String, Value>>) {
    write_ack_head(out, ack_id);
    out.extend_from_slice(b"true");
    for (name, value) in extra.into_iter().flatten() {
        out.push(b',');
        write_string(out, name);
        out.push(b':');
        write_json(out, value);
    }
    out.push(b'}');
}

/// Appends an ack of failure. The message is always there: the Python SDK indexes it.
pub fn ack_error(out: &mut Vec<u8>, ack_id: u64, code: ErrorCode, message: &str) {
    write_ack_head(out, ack_id);
    out.extend_from_slice(br#"false,"error":{"name":"#);
    write_string(out, code.name());
    out.extend_from_slice(br#","message":"#);
    write_string(out, message);
    out.extend_from_slice(b"}}");
}

fn write_ack_head(out: &mut Vec<u8>, ack_id: u64) {
    out.extend_from_slice(br#"{"type":"ack","ackId":"#);
    out.extend_from_slice(itoa::Buffer::new().format(ack_id).as_bytes());
    out.extend_from_slice(br#","success":"#);
}

/// Appends the answer to a ping.
pub fn pong(out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"type":"pong"}"#);
}

/// Appends a message to one connection, a user or a whole hub. `metadata` is the text of a JSON object.
pub fn server_message(out: &mut Vec<u8>, data: &Data, metadata: Option<&[u8]>) {
    out.extend_from_slice(br#"{"type":"message","from":"server""#);
    write_data(out, data, metadata);
    out.push(b'}');
}

/// A message to groups, without the group: what is the same for every group that one publication reaches.
#[derive(Debug)]
pub struct GroupMessage<'a> {
    /// The mask that it was published to.
    pub mask: Option<&'a Mask>,
    /// Who published it; nobody for the server itself.
    pub from_user_id: Option<&'a UserId>,
    /// The payload.
    pub data: &'a Data,
    /// The text of a JSON object from string to string.
    pub metadata: Option<&'a [u8]>,
    /// What an announcement is about, beside its text.
    pub announcement: Option<&'a RawValue>,
}

/// The part of a group message behind the group, encoded once per publication and shared by its groups.
///
/// It ends before the closing brace, where a subprotocol may add properties of its own.
#[derive(Debug, Clone)]
pub struct EncodedTail(Bytes);

impl GroupMessage<'_> {
    /// Encodes what does not depend on the group.
    pub fn encode_tail(&self) -> EncodedTail {
        // The fixed parts, a user id and the data; more only where text needs escapes, or for a mask or metadata.
        let mut out = Vec::with_capacity(128 + self.data.len() + self.metadata.map_or(0, <[u8]>::len));
        if let Some(mask) = self.mask {
            out.extend_from_slice(br#","mask":"#);
            write_string(&mut out, mask.as_str());
        }
        if let Some(user_id) = self.from_user_id {
            out.extend_from_slice(br#","fromUserId":"#);
            write_string(&mut out, user_id.as_str());
        }
        write_data(&mut out, self.data, self.metadata);
        if let Some(announcement) = self.announcement {
            out.extend_from_slice(br#","announcement":"#);
            out.extend_from_slice(announcement.get().as_bytes());
        }
        EncodedTail(Bytes::from(out))
    }
}

/// Appends the message for members of one group.
pub fn group_message(out: &mut Vec<u8>, group: &GroupName, tail: &EncodedTail) {
    out.extend_from_slice(br#"{"type":"message","from":"group","group":"#);
    write_string(out, group.as_str());
    out.extend_from_slice(&tail.0);
    out.push(b'}');
}

/// Appends what stands instead of a message's closing brace when `missing` messages before it were dropped.
pub fn dropped(out: &mut Vec<u8>, missing: u64) {
    out.extend_from_slice(br#","dropped":"#);
    write_json(out, &missing);
    out.push(b'}');
}

/// What stands between a message and its number on a reliable connection.
pub const SEQUENCE_ID: &str = r#","sequenceId":"#;

/// Appends what stands instead of a message's closing brace on a reliable connection.
pub fn sequenced(out: &mut Vec<u8>, sequence_id: u64) {
    out.extend_from_slice(SEQUENCE_ID.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(sequence_id).as_bytes());
    out.push(b'}');
}

fn write_data(out: &mut Vec<u8>, data: &Data, metadata: Option<&[u8]>) {
    out.extend_from_slice(br#","dataType":""#);
    out.extend_from_slice(data.data_type().name().as_bytes());
    out.extend_from_slice(br#"","data":"#);
    data.write_json(out);
    if let Some(metadata) = metadata {
        out.extend_from_slice(br#","metadata":"#);
        out.extend_from_slice(metadata);
    }
}

/// Appends a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    write_json(out, text);
}

fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Strings, lists of them and `Value` always serialize, and a `Vec` takes every write.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "a value of ours did not serialize");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn message_of(group: &str, message: &GroupMessage<'_>) -> String {
        let group = GroupName::parse(group, true).unwrap();
        written(|out| group_message(out, &group, &message.encode_tail()))
    }

    #[test]
    fn connected_tells_the_user_data_and_the_groups() {
        let id: ConnectionId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let user = RawValue::from_string(r#"{"username":"Mark"}"#.into()).unwrap();
        let mark = UserId::parse("user-1").unwrap();
        let groups = [GroupName::parse("Sales", true).unwrap(), GroupName::parse("a\"b", true).unwrap()];
        assert_eq!(
            written(|out| connected(out, Some(&mark), id, None, Some(&user), &groups)),
            r#"{"type":"system","event":"connected","userId":"user-1","connectionId":"0123456789abcdef0123456789abcdef","user":{"username":"Mark"},"groups":["Sales","a\"b"]}"#
        );
        assert_eq!(
            written(|out| connected(out, None, id, None, None, &[])),
            r#"{"type":"system","event":"connected","userId":null,"connectionId":"0123456789abcdef0123456789abcdef","groups":[]}"#
        );
        assert_eq!(
            written(|out| connected(out, None, id, Some("a.b.c"), None, &[])),
            r#"{"type":"system","event":"connected","userId":null,"connectionId":"0123456789abcdef0123456789abcdef","reconnectionToken":"a.b.c","groups":[]}"#
        );
    }

    #[test]
    fn acks_carry_answers_and_always_a_message_on_failure() {
        assert_eq!(
            written(|out| ack_ok(out, u64::MAX, None)),
            r#"{"type":"ack","ackId":18446744073709551615,"success":true}"#
        );
        let Value::Object(answer) = json!({"connections": 3, "groups": 2}) else { unreachable!() };
        assert_eq!(
            written(|out| ack_ok(out, 1, Some(&answer))),
            r#"{"type":"ack","ackId":1,"success":true,"connections":3,"groups":2}"#
        );
        assert_eq!(
            written(|out| ack_error(out, 2, ErrorCode::Forbidden, "no")),
            r#"{"type":"ack","ackId":2,"success":false,"error":{"name":"Forbidden","message":"no"}}"#
        );
    }

    #[test]
    fn a_group_message_reads_as_in_the_sdk_recordings() {
        let user = UserId::parse("u1").unwrap();
        let data = Data::json(&json!({"a": 1}));
        let message =
            GroupMessage { mask: None, from_user_id: Some(&user), data: &data, metadata: None, announcement: None };
        assert_eq!(
            message_of("sales/europe", &message),
            r#"{"type":"message","from":"group","group":"sales/europe","fromUserId":"u1","dataType":"json","data":{"a":1}}"#
        );
    }

    #[test]
    fn mask_metadata_and_announcement_have_their_places() {
        let mask = Mask::parse("sales/*").unwrap();
        let about = RawValue::from_string(r#"{"event":"joined"}"#.into()).unwrap();
        let data = Data::text("Mark has logged in.");
        let message = GroupMessage {
            mask: Some(&mask),
            from_user_id: None,
            data: &data,
            metadata: Some(br#"{"k":"v"}"#),
            announcement: Some(&about),
        };
        assert_eq!(
            message_of("sales/eu", &message),
            r#"{"type":"message","from":"group","group":"sales/eu","mask":"sales/*","dataType":"text","data":"Mark has logged in.","metadata":{"k":"v"},"announcement":{"event":"joined"}}"#
        );
    }

    #[test]
    fn server_messages_pongs_and_disconnected_are_compact() {
        assert_eq!(
            written(|out| server_message(out, &Data::binary(vec![1, 2, 255]), None)),
            r#"{"type":"message","from":"server","dataType":"binary","data":"AQL/"}"#
        );
        assert_eq!(written(pong), r#"{"type":"pong"}"#);
        assert_eq!(
            written(|out| disconnected(out, "kicked: \"bye\"")),
            r#"{"type":"system","event":"disconnected","message":"kicked: \"bye\""}"#
        );
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_message_it_is_json_that_says_the_same(
            group in "\\PC{1,20}", user in "\\PC{1,20}", text in any::<String>(),
        ) {
            let (Ok(group), Ok(user)) = (GroupName::parse(&group, false), UserId::parse(&user)) else { return Ok(()) };
            let data = Data::text(text.clone());
            let message =
                GroupMessage { mask: None, from_user_id: Some(&user), data: &data, metadata: None, announcement: None };
            let frame = written(|out| group_message(out, &group, &message.encode_tail()));
            let read: Value = serde_json::from_str(&frame).unwrap();
            prop_assert_eq!(read, json!({
                "type": "message", "from": "group", "group": group.as_str(), "fromUserId": user.as_str(),
                "dataType": "text", "data": text,
            }));
        }
    }
}
