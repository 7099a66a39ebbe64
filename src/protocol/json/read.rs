//! Reading a client's frame.
//!
//! This is the hot path: one pass of serde over borrowed text, data and metadata as slices of the message, and for
//! `sendToGroup` one allocation, the group's name. Only a frame that failed is read a second time, to say what is wrong
//! with it and to find its `ackId`. (An enum tagged by `type` would not do: serde buffers those, which `RawValue` cannot
//! stand.)
//!
//! `type` and `dataType` are compared without regard to case, as the reference does. Properties that no frame has are
//! ignored; those that some frame has must be of the right type in every frame, may stand only once, and `null` means
//! absent (but not for `data`).

use std::borrow::Cow;
use std::cell::Cell;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use self::diagnosis::diagnose;
use crate::ids::{GroupName, Target};
use crate::protocol::data::{Data, DataError, DataType, Text};
use crate::protocol::frame::{
    ClientFrame, EventName, FrameError, MAX_CONTINUATION_TOKEN_BYTES, MAX_PAGE, MAX_TTL_SECONDS, Page,
};

mod diagnosis;
mod metadata;

pub use metadata::check as check_metadata;
#[cfg(test)]
mod tests;

/// What a hub's settings say about reading frames.
#[derive(Debug, Clone, Copy)]
pub struct ParseOptions {
    /// Whether `*`, `?` and `[` in a group make it a mask.
    pub masks: bool,
    /// How deep the data of a message may be nested, to spare receivers that read it by recursion.
    pub max_json_depth: usize,
}

impl Default for ParseOptions {
    fn default() -> Self {
        ParseOptions { masks: true, max_json_depth: 64 }
    }
}

/// Every property of every frame.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    group: Option<Text<'a>>,
    #[serde(borrow)]
    mask: Option<Text<'a>>,
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    data_type: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    stream: Option<IgnoredAny>,
    no_echo: Option<bool>,
    must_exist: Option<bool>,
    ttl_seconds: Option<u64>,
    ack_id: Option<u64>,
    sequence_id: Option<u64>,
    limit: Option<u64>,
    #[serde(borrow)]
    continuation_token: Option<Text<'a>>,
}

/// Tells `null` from absent, which `Option` alone does not.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What is wrong with a frame whose `ackId` is known.
type Complaint = Cow<'static, str>;

/// Reads one frame of a client.
///
/// # Errors
/// [`FrameError`] for what is not a JSON object, an unknown `type`, and a property that is missing, ill-typed, repeated
/// or not valid. It has the `ackId` wherever the frame is JSON and has a single, valid one.
pub fn parse(message: &Bytes, options: &ParseOptions) -> Result<ClientFrame, FrameError> {
    // serde would also read the fields of a struct out of an array, by position.
    let is_object = message.trim_ascii_start().starts_with(b"{");
    let wire = match serde_json::from_slice::<Wire<'_>>(message) {
        Ok(wire) if is_object => wire,
        Ok(_) | Err(_) => return Err(diagnose(message)),
    };
    let ack_id = wire.ack_id;
    let reader = Reader { wire, message, options, too_deep: Cell::new(false) };
    reader.frame().map_err(|message| FrameError { ack_id, message, too_deep: reader.too_deep.get() })
}

struct Reader<'a> {
    wire: Wire<'a>,
    message: &'a Bytes,
    options: &'a ParseOptions,
    /// What is wrong is the nesting of the data, which is counted.
    too_deep: Cell<bool>,
}

impl Reader<'_> {
    fn frame(&self) -> Result<ClientFrame, Complaint> {
        let kind = &*required("type", &self.wire.kind)?.0;
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        let ack_id = self.wire.ack_id;
        if is("sendToGroup") {
            self.send_to_group()
        } else if is("event") {
            let text = required("event", &self.wire.event)?;
            let name = EventName::parse(&text.0)
                .ok_or("an event name is a letter, then up to 127 letters, digits or _ . -")?;
            let metadata = self.metadata()?;
            Ok(ClientFrame::Event { name, data: self.data()?.ok_or(NO_DATA)?, metadata, ack_id })
        } else if is("joinGroup") {
            Ok(ClientFrame::JoinGroup { target: self.group_or_mask()?, ack_id })
        } else if is("leaveGroup") {
            Ok(ClientFrame::LeaveGroup { target: self.group_or_mask()?, ack_id })
        } else if is("ping") {
            Ok(ClientFrame::Ping)
        } else if is("sequenceAck") {
            Ok(ClientFrame::SequenceAck { sequence_id: *required("sequenceId", &self.wire.sequence_id)? })
        } else {
            self.question(kind)
        }
    }

    fn send_to_group(&self) -> Result<ClientFrame, Complaint> {
        let wire = &self.wire;
        if wire.stream.is_some() {
            return Err("this server has no streams".into());
        }
        let ttl_seconds = match wire.ttl_seconds {
            None | Some(0) => None,
            Some(seconds) => {
                let valid = u16::try_from(seconds).ok().filter(|seconds| *seconds <= MAX_TTL_SECONDS);
                Some(valid.ok_or("'ttlSeconds' is not between 0 and 300")?)
            }
        };
        let metadata = self.metadata()?;
        let data = match self.data()? {
            Some(data) => data,
            // Metadata may go alone; receivers need some data beside it.
            None if metadata.is_some() => Data::text(""),
            None => return Err(NO_DATA.into()),
        };
        Ok(ClientFrame::SendToGroup {
            target: self.group_or_mask()?,
            data,
            metadata,
            no_echo: wire.no_echo.unwrap_or_default(),
            must_exist: wire.must_exist.unwrap_or_default(),
            ttl_seconds,
            ack_id: wire.ack_id,
        })
    }

    /// The frames whose answer is their ack, which makes `ackId` a must.
    fn question(&self, kind: &str) -> Result<ClientFrame, Complaint> {
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        let ack_id = required("ackId", &self.wire.ack_id);
        if is("listMembers") {
            let group = required("group", &self.wire.group)?;
            let group = GroupName::parse(&group.0, self.options.masks).map_err(|error| error.to_string())?;
            Ok(ClientFrame::ListMembers { group, page: self.page()?, ack_id: *ack_id? })
        } else if is("listGroups") {
            let mask = self.wire.mask.as_ref().map(|text| self.target(text)).transpose()?;
            Ok(ClientFrame::ListGroups { mask, page: self.page()?, ack_id: *ack_id? })
        } else if is("countMembers") {
            let target = match (&self.wire.group, &self.wire.mask) {
                (Some(text), None) | (None, Some(text)) => self.target(text)?,
                _ => return Err("the frame needs either 'group' or 'mask'".into()),
            };
            Ok(ClientFrame::CountMembers { target, ack_id: *ack_id? })
        } else {
            let shown = kind.get(..kind.floor_char_boundary(64)).unwrap_or_default();
            Err(format!("unknown type '{shown}'").into())
        }
    }

    fn group_or_mask(&self) -> Result<Target, Complaint> {
        self.target(required("group", &self.wire.group)?)
    }

    fn target(&self, text: &Text<'_>) -> Result<Target, Complaint> {
        Target::parse(&text.0, self.options.masks).map_err(|error| error.to_string().into())
    }

    fn data(&self) -> Result<Option<Data>, Complaint> {
        let data_type = match &self.wire.data_type {
            None => DataType::Json,
            Some(name) => DataType::by_name(&name.0).ok_or("'dataType' is not text, json, binary or protobuf")?,
        };
        let Some(raw) = self.wire.data else { return Ok(None) };
        let data = Data::from_json(data_type, self.slice(raw), self.options.max_json_depth);
        data.map(Some).map_err(|error| {
            self.too_deep.set(matches!(error, DataError::TooDeep(_)));
            error.to_string().into()
        })
    }

    fn metadata(&self) -> Result<Option<Bytes>, Complaint> {
        let Some(raw) = self.wire.metadata else { return Ok(None) };
        Ok(metadata::check(raw)?.then(|| self.slice(raw)))
    }

    fn page(&self) -> Result<Page, Complaint> {
        let limit = match self.wire.limit {
            None => MAX_PAGE,
            Some(limit) => u16::try_from(limit)
                .ok()
                .filter(|limit| (1..=MAX_PAGE).contains(limit))
                .ok_or("'limit' is not between 1 and 200")?,
        };
        let continuation_token = match &self.wire.continuation_token {
            Some(token) if token.0.len() > MAX_CONTINUATION_TOKEN_BYTES => {
                return Err("'continuationToken' is not one of ours".into());
            }
            token => token.as_ref().map(|token| Box::from(&*token.0)),
        };
        Ok(Page { limit, continuation_token })
    }

    /// A value's text as a part of the message, which is kept alive by it. `raw` was borrowed from that message.
    fn slice(&self, raw: &RawValue) -> Bytes {
        self.message.slice_ref(raw.get().as_bytes())
    }
}

const NO_DATA: &str = "the frame has no 'data'";

fn required<'a, T>(name: &str, value: &'a Option<T>) -> Result<&'a T, Complaint> {
    value.as_ref().ok_or_else(|| format!("the frame has no '{name}'").into())
}
