//! Frames of clients: what is read is what a general JSON parser sees, can be written again without a loss, and reaches
//! receivers as valid JSON; what a raw client says arrives as it was said.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::ids::{GroupName, Target};
use crate::protocol::frame::{FrameError, Page};
use crate::protocol::json::{self, GroupMessage, ParseOptions, parse};
use crate::protocol::{ClientFrame, Data, DataType, raw};

/// Longest text of a refusal, which must not repeat unbounded input.
const MAX_COMPLAINT_BYTES: usize = 200;

/// The first byte chooses the options, the others are the message.
pub fn client_frame(bytes: &[u8]) {
    let Some((&choice, message)) = bytes.split_first() else { return };
    let depths = [1, 3, 64, 128];
    let options = ParseOptions { masks: choice & 1 == 0, max_json_depth: depths[usize::from(choice >> 1) % 4] };
    let message = Bytes::copy_from_slice(message);
    let general = serde_json::from_slice::<Value>(&message).ok();
    match parse(&message, &options) {
        Ok(frame) => {
            if let Some(general) = &general {
                assert_same_meaning(&frame, general);
            }
            assert_eq!(parse(&written(&frame), &options), Ok(frame.clone()), "written again");
            assert_receivers_can_read(&frame, &message);
        }
        Err(error) => assert_complaint_fits(&error, &message, general.as_ref()),
    }
    assert_raw_payload_survives(&message, options.max_json_depth);
}

fn ack_id_of(frame: &ClientFrame) -> Option<u64> {
    match frame {
        ClientFrame::JoinGroup { ack_id, .. }
        | ClientFrame::LeaveGroup { ack_id, .. }
        | ClientFrame::SendToGroup { ack_id, .. }
        | ClientFrame::Event { ack_id, .. } => *ack_id,
        ClientFrame::Ping | ClientFrame::SequenceAck { .. } => None,
        ClientFrame::ListMembers { ack_id, .. }
        | ClientFrame::ListGroups { ack_id, .. }
        | ClientFrame::CountMembers { ack_id, .. } => Some(*ack_id),
    }
}

fn assert_same_meaning(frame: &ClientFrame, general: &Value) {
    let properties = properties(frame);
    let text = |name: &str| general[name].as_str().map(str::to_ascii_lowercase);
    assert_eq!(text("type"), properties["type"].as_str().map(str::to_ascii_lowercase));
    if !matches!(frame, ClientFrame::Ping | ClientFrame::SequenceAck { .. }) {
        assert_eq!(ack_id_of(frame), general["ackId"].as_u64());
    }
    for name in ["group", "mask", "event", "sequenceId", "continuationToken"] {
        // `countMembers` takes a mask in either of its two properties.
        if let (Some(ours), Some(theirs)) = (properties.get(name), general.get(name)) {
            assert_eq!(ours, theirs, "{name}");
        }
    }
    if let ClientFrame::SendToGroup { data, metadata, no_echo, .. } = frame {
        assert_eq!(*no_echo, general["noEcho"].as_bool().unwrap_or_default());
        if let Some(metadata) = metadata {
            assert_eq!(serde_json::from_slice::<Value>(metadata).ok().as_ref(), general.get("metadata"));
        }
        match data.data_type() {
            DataType::Json => {
                assert_eq!(serde_json::from_slice::<Value>(&data.payload()).ok().as_ref(), general.get("data"));
            }
            DataType::Text => {
                let text = String::from_utf8(data.payload().to_vec()).expect("text is UTF-8");
                assert_eq!(text, general["data"].as_str().unwrap_or_default());
            }
            DataType::Binary | DataType::Protobuf => {
                let mut again = Vec::new();
                Data::binary(data.payload()).write_json(&mut again);
                assert_eq!(serde_json::from_slice::<Value>(&again).ok().as_ref(), general.get("data"), "base64");
            }
        }
    }
}

/// A frame's properties without its data and metadata, which may be what only their own text says exactly.
fn properties(frame: &ClientFrame) -> Map<String, Value> {
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
    if let Some(ack_id) = ack_id_of(frame) {
        put("ackId", ack_id.into());
    }
    let page_of = |page: &Page, put: &mut dyn FnMut(&str, Value)| {
        put("limit", page.limit.into());
        if let Some(token) = &page.continuation_token {
            put("continuationToken", Value::from(&**token));
        }
    };
    match frame {
        ClientFrame::JoinGroup { target, .. } => {
            put("type", "joinGroup".into());
            put("group", target.as_str().into());
        }
        ClientFrame::LeaveGroup { target, .. } => {
            put("type", "leaveGroup".into());
            put("group", target.as_str().into());
        }
        ClientFrame::SendToGroup { target, data, no_echo, must_exist, ttl_seconds, .. } => {
            put("type", "sendToGroup".into());
            put("group", target.as_str().into());
            put("dataType", data.data_type().name().into());
            put("noEcho", (*no_echo).into());
            put("mustExist", (*must_exist).into());
            put("ttlSeconds", (*ttl_seconds).into());
        }
        ClientFrame::Event { name, data, .. } => {
            put("type", "event".into());
            put("event", name.as_str().into());
            put("dataType", data.data_type().name().into());
        }
        ClientFrame::Ping => drop(put("type", "ping".into())),
        ClientFrame::SequenceAck { sequence_id } => {
            put("type", "sequenceAck".into());
            put("sequenceId", (*sequence_id).into());
        }
        ClientFrame::ListMembers { group, page, .. } => {
            put("type", "listMembers".into());
            put("group", group.as_str().into());
            page_of(page, &mut |name, value| drop(put(name, value)));
        }
        ClientFrame::ListGroups { mask, page, .. } => {
            put("type", "listGroups".into());
            if let Some(mask) = mask {
                put("mask", mask.as_str().into());
            }
            page_of(page, &mut |name, value| drop(put(name, value)));
        }
        ClientFrame::CountMembers { target, .. } => {
            put("type", "countMembers".into());
            put("group", target.as_str().into());
        }
    }
    all
}

/// A frame as a client could have written it.
fn written(frame: &ClientFrame) -> Bytes {
    let mut out = serde_json::to_vec(&properties(frame)).expect("plain data");
    if let ClientFrame::SendToGroup { data, metadata, .. } | ClientFrame::Event { data, metadata, .. } = frame {
        out.pop();
        out.extend_from_slice(br#","data":"#);
        data.write_json(&mut out);
        if let Some(metadata) = metadata {
            out.extend_from_slice(br#","metadata":"#);
            out.extend_from_slice(metadata);
        }
        out.push(b'}');
    }
    out.into()
}

fn assert_receivers_can_read(frame: &ClientFrame, message: &[u8]) {
    let (ClientFrame::SendToGroup { data, metadata, .. } | ClientFrame::Event { data, metadata, .. }) = frame else {
        return;
    };
    assert!(data.len() + metadata.as_ref().map_or(0, Bytes::len) <= message.len(), "what is kept was sent");
    let mut out = Vec::new();
    json::server_message(&mut out, data, metadata.as_deref());
    assert_json(&out);
    if let ClientFrame::SendToGroup { target, .. } = frame {
        let (group, mask) = match target {
            Target::Group(group) => (group.clone(), None),
            Target::Mask(mask) => (GroupName::parse("any", true).expect("a valid name"), Some(mask)),
        };
        let message =
            GroupMessage { mask, from_user_id: None, data, metadata: metadata.as_deref(), announcement: None };
        out.clear();
        json::group_message(&mut out, &group, &message.encode_tail());
        assert_json(&out);
    }
    let payload = raw::message(data);
    assert!(payload.binary || std::str::from_utf8(&payload.payload).is_ok(), "a text message is UTF-8");
}

fn assert_json(out: &[u8]) {
    let valid = serde_json::from_slice::<&serde_json::value::RawValue>(out).is_ok();
    assert!(valid, "not JSON: {}", String::from_utf8_lossy(out));
}

fn assert_complaint_fits(error: &FrameError, message: &[u8], general: Option<&Value>) {
    assert!(error.message.len() <= MAX_COMPLAINT_BYTES, "{error}");
    // Where the property stands twice or with escapes, which of them counts is not for this to say.
    let stands_once = memchr::memmem::find_iter(message, b"ackId").count() == 1 && !message.contains(&b'\\');
    if let (Some(Value::Object(general)), true) = (general, stands_once) {
        assert_eq!(error.ack_id, general.get("ackId").and_then(Value::as_u64), "{error}");
    }
}

fn assert_raw_payload_survives(message: &Bytes, max_json_depth: usize) {
    for data_type in [DataType::Text, DataType::Json, DataType::Binary, DataType::Protobuf] {
        let Ok(data) = Data::from_payload(data_type, message.clone(), max_json_depth) else {
            let refused_text = data_type == DataType::Text && std::str::from_utf8(message).is_err();
            assert!(refused_text || data_type == DataType::Json, "{data_type:?} was refused");
            continue;
        };
        match data_type {
            DataType::Json => assert_eq!(data.payload(), message.trim_ascii()),
            _ => assert_eq!(data.payload(), message),
        }
        let mut frame =
            format!(r#"{{"type":"event","event":"e","dataType":"{}","data":"#, data_type.name()).into_bytes();
        data.write_json(&mut frame);
        frame.push(b'}');
        // As a raw client's message reaches clients of the JSON subprotocol, and could come back from them.
        let again = parse(&frame.into(), &ParseOptions { masks: true, max_json_depth });
        assert!(matches!(again, Ok(ClientFrame::Event { data: again, .. }) if again == data), "{data_type:?}");
    }
}
