//! What is wrong with a frame that serde refused: a second reading, which names the property and finds the `ackId`.
//!
//! serde's own messages would not do: they do not name the property, and they repeat the peer's text at any length.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::protocol::data::Text;
use crate::protocol::frame::FrameError;

/// A property, what it must be, and whether a JSON text is that.
type Property = (&'static str, &'static str, fn(&str) -> bool);

const PROPERTIES: [Property; 15] = [
    ("type", "a string", is_text),
    ("group", "a string", is_text),
    ("mask", "a string", is_text),
    ("event", "a string", is_text),
    ("dataType", "a string", is_text),
    ("data", "a JSON value", |_| true),
    ("metadata", "a JSON value", |_| true),
    ("stream", "a JSON value", |_| true),
    ("noEcho", "true or false", is_bool),
    ("mustExist", "true or false", is_bool),
    ("ttlSeconds", "an unsigned integer", is_unsigned),
    ("ackId", "an unsigned integer", is_unsigned),
    ("sequenceId", "an unsigned integer", is_unsigned),
    ("limit", "an unsigned integer", is_unsigned),
    ("continuationToken", "a string", is_text),
];

fn is_text(json: &str) -> bool {
    serde_json::from_str::<Option<Text<'_>>>(json).is_ok()
}

fn is_bool(json: &str) -> bool {
    serde_json::from_str::<Option<bool>>(json).is_ok()
}

fn is_unsigned(json: &str) -> bool {
    serde_json::from_str::<Option<u64>>(json).is_ok()
}

/// Reads a refused frame again.
pub fn diagnose(message: &[u8]) -> FrameError {
    let mut diagnosis = Diagnosis::default();
    let mut deserializer = serde_json::Deserializer::from_slice(message);
    let read = deserializer.deserialize_map(&mut diagnosis).and_then(|()| deserializer.end());
    match read {
        Ok(()) => FrameError::new(
            diagnosis.ack_id,
            diagnosis.complaint.unwrap_or_else(|| "the frame is not valid".to_owned()).into(),
        ),
        // What is no object is the only error about types here, and its text would repeat the peer's.
        Err(error) if error.is_data() => FrameError::new(None, "a frame is one JSON object".into()),
        Err(error) => FrameError::new(None, format!("the frame is not JSON: {error}").into()),
    }
}

#[derive(Default)]
struct Diagnosis {
    ack_id: Option<u64>,
    complaint: Option<String>,
    seen: [bool; PROPERTIES.len()],
}

impl Diagnosis {
    fn note(&mut self, name: &str, json: &str) {
        let known = PROPERTIES.iter().zip(&mut self.seen).find(|((known, ..), _)| *known == name);
        let Some(((name, expected, is_valid), seen)) = known else { return };
        let repeated = std::mem::replace(seen, true);
        if *name == "ackId" {
            // Of two, neither can be told to be the right one.
            self.ack_id = if repeated { None } else { serde_json::from_str(json).ok().flatten() };
        }
        if self.complaint.is_none() && repeated {
            self.complaint = Some(format!("the frame has '{name}' more than once"));
        } else if self.complaint.is_none() && !is_valid(json) {
            self.complaint = Some(format!("'{name}' is not {expected}"));
        }
    }
}

impl<'de> Visitor<'de> for &mut Diagnosis {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            self.note(&name.0, value.get());
        }
        Ok(())
    }
}
