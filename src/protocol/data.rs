//! The payload of a message, in the form it arrived in.
//!
//! A JSON client's `data` is kept as the JSON text it wrote, a raw client's as bare bytes; each is turned into the other
//! form only for a receiver that needs it. Nothing here looks into the meaning of a payload.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use memchr::memmem;
use serde_json::value::RawValue;

/// How a payload is meant: the `dataType` of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// UTF-8 text.
    Text,
    /// A JSON value.
    Json,
    /// Bytes.
    Binary,
    /// Bytes that are a serialized `google.protobuf.Any`.
    Protobuf,
}

impl DataType {
    const ALL: [DataType; 4] = [DataType::Json, DataType::Text, DataType::Binary, DataType::Protobuf];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            DataType::Text => "text",
            DataType::Json => "json",
            DataType::Binary => "binary",
            DataType::Protobuf => "protobuf",
        }
    }

    /// The type with this name; case does not count, as with `type`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(name))
    }

    /// The type of bare bytes by their `Content-Type` line, and which charset the line names, the last where there are more.
    pub fn by_content_type(line: &str) -> Option<(Self, Option<&str>)> {
        let (name, parameters) = line.split_once(';').unwrap_or((line, ""));
        let data_type = match name.trim().to_ascii_lowercase().as_str() {
            "text/plain" => DataType::Text,
            "application/json" => DataType::Json,
            "application/octet-stream" => DataType::Binary,
            "application/x-protobuf" => DataType::Protobuf,
            _ => return None,
        };
        let parameters = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
        let charset = parameters.rev().find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        Some((data_type, charset.map(|(_, charset)| charset.trim().trim_matches('"'))))
    }
}

/// Why bytes are not the data that they are said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// `null`, which SDKs cannot tell from a message without data.
    #[error("'data' is null")]
    Null,
    /// The data of a text message is no JSON string, or has half of a surrogate pair.
    #[error("'data' is not a string of valid characters, as dataType text needs")]
    NotText,
    /// Not base64 with padding in a JSON string.
    #[error("'data' is not a base64 string with padding, as dataType binary and protobuf need")]
    NotBase64,
    /// Not a JSON value.
    #[error("'data' is not JSON")]
    NotJson,
    /// Nested deeper than allowed.
    #[error("'data' is nested deeper than {0} levels")]
    TooDeep(usize),
}

/// The payload of a message. Cloning is cheap, and `Debug` does not show it.
///
/// ```
/// use folkmoot::{Data, DataType};
///
/// let data = Data::text("say \"hi\"");
/// let mut json = Vec::new();
/// data.write_json(&mut json);
/// assert_eq!(json, br#""say \"hi\"""#);
/// assert_eq!((data.data_type(), data.payload().as_ref()), (DataType::Text, &b"say \"hi\""[..]));
/// ```
#[derive(Clone)]
pub struct Data {
    data_type: DataType,
    form: Form,
}

/// The invariant of each form is made by the constructors.
#[derive(Clone)]
enum Form {
    /// JSON text: for [`DataType::Json`] any value, else a string (with its quotes) that decodes.
    Json(Bytes),
    /// Bare bytes, never for [`DataType::Json`]; UTF-8 for [`DataType::Text`].
    Payload(Bytes),
}

impl Data {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Data { data_type: DataType::Text, form: Form::Payload(Bytes::from(text.into())) }
    }

    /// A JSON message. `null` is sent as it is, though the JavaScript SDK drops it.
    pub fn json(value: &serde_json::Value) -> Self {
        Data { data_type: DataType::Json, form: Form::Json(Bytes::from(value.to_string())) }
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Data { data_type: DataType::Binary, form: Form::Payload(bytes.into()) }
    }

    /// A serialized `google.protobuf.Any`, which is not looked into.
    pub fn protobuf(bytes: impl Into<Bytes>) -> Self {
        Data { data_type: DataType::Protobuf, form: Form::Payload(bytes.into()) }
    }

    /// Takes bare bytes from outside as the payload of a message: what a raw client or an HTTP body brings.
    ///
    /// JSON is kept byte for byte and may be nested `max_json_depth` deep.
    ///
    /// # Errors
    /// [`DataError`] for text that is not UTF-8, and for what is not JSON, nested too deep, or `null`.
    pub fn from_payload(data_type: DataType, payload: Bytes, max_json_depth: usize) -> Result<Self, DataError> {
        match data_type {
            DataType::Json => {
                let value: &RawValue = serde_json::from_slice(&payload).map_err(|_| DataError::NotJson)?;
                // A raw value has no white space around it, but the payload may have.
                Data::from_json(data_type, payload.slice_ref(value.get().as_bytes()), max_json_depth)
            }
            DataType::Text if std::str::from_utf8(&payload).is_err() => Err(DataError::NotText),
            DataType::Text | DataType::Binary | DataType::Protobuf => {
                Ok(Data { data_type, form: Form::Payload(payload) })
            }
        }
    }

    /// Takes the `data` of a JSON frame: `json` is one valid JSON value without white space around it.
    pub(super) fn from_json(data_type: DataType, json: Bytes, max_json_depth: usize) -> Result<Self, DataError> {
        match data_type {
            _ if json.as_ref() == b"null" => return Err(DataError::Null),
            DataType::Json if !is_within_depth(&json, max_json_depth) => {
                return Err(DataError::TooDeep(max_json_depth));
            }
            DataType::Text if !is_string(&json) => return Err(DataError::NotText),
            DataType::Binary | DataType::Protobuf if !is_base64_string(&json) => return Err(DataError::NotBase64),
            _ => {}
        }
        Ok(Data { data_type, form: Form::Json(json) })
    }

    /// How the payload is meant.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Bytes that it takes as it is held: escapes and base64 of a JSON client count as they came.
    pub fn len(&self) -> usize {
        match (&self.form, self.data_type) {
            (Form::Payload(bytes), _) | (Form::Json(bytes), DataType::Json) => bytes.len(),
            (Form::Json(quoted), _) => quoted.len().saturating_sub(2),
        }
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the payload as a JSON value: a string, the value untouched, or base64 in quotes.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match (&self.form, self.data_type) {
            (Form::Json(json), _) => out.extend_from_slice(json),
            // Payload text is UTF-8 by construction; "lossy" costs the same check as an error that cannot happen.
            (Form::Payload(bytes), DataType::Text | DataType::Json) => {
                super::json::write_string(out, &String::from_utf8_lossy(bytes));
            }
            (Form::Payload(bytes), DataType::Binary | DataType::Protobuf) => {
                out.push(b'"');
                let start = out.len();
                out.resize(start + bytes.len().div_ceil(3) * 4, 0);
                let written = out.get_mut(start..).and_then(|room| STANDARD.encode_slice(bytes, room).ok());
                out.truncate(start + written.unwrap_or_default());
                out.push(b'"');
            }
        }
    }

    /// The bare payload, as a raw client gets it.
    pub fn payload(&self) -> Bytes {
        match (&self.form, self.data_type) {
            (Form::Payload(bytes), _) | (Form::Json(bytes), DataType::Json) => bytes.clone(),
            // `from_json` has seen that both of these decode.
            (Form::Json(json), DataType::Text) => unquote(json).unwrap_or_default(),
            (Form::Json(json), DataType::Binary | DataType::Protobuf) => {
                let decoded = unquote(json).and_then(|text| STANDARD.decode(text).ok());
                decoded.map(Bytes::from).unwrap_or_default()
            }
        }
    }
}

/// Equal is what a raw client could not tell apart.
impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.data_type == other.data_type && self.payload() == other.payload()
    }
}

impl Eq for Data {}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({}, {} bytes)", self.data_type.name(), self.len())
    }
}

/// The text of a JSON string, without copying it where it has no escapes.
fn unquote(json: &Bytes) -> Option<Bytes> {
    match serde_json::from_slice::<Text<'_>>(json).ok()?.0 {
        Cow::Borrowed(text) => Some(json.slice_ref(text.as_bytes())),
        Cow::Owned(text) => Some(Bytes::from(text)),
    }
}

/// A JSON string, borrowed where it has no escapes. (serde borrows a `Cow` only as a field that says so.)
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Whether valid JSON is a string that decodes. Only a `\u` escape can make it fail, with half of a surrogate pair.
fn is_string(json: &[u8]) -> bool {
    let suspect = || memmem::find(json, b"\\u").is_some();
    json.first() == Some(&b'"') && (!suspect() || serde_json::from_slice::<Text<'_>>(json).is_ok())
}

/// Whether valid JSON is a string of base64. Escapes are allowed, since some writers escape every `/`.
fn is_base64_string(json: &[u8]) -> bool {
    serde_json::from_slice::<Text<'_>>(json).is_ok_and(|text| is_base64(text.0.as_bytes()))
}

/// Whether it would decode, without room for the result: only the last four characters need the decoder.
fn is_base64(text: &[u8]) -> bool {
    let Some(split) = text.len().checked_sub(4) else { return text.is_empty() };
    let (head, last) = text.split_at(split);
    text.len().is_multiple_of(4)
        && head.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        && STANDARD.decode_slice(last, &mut [0; 3]).is_ok()
}

/// Whether valid JSON opens no more than `max` arrays and objects inside one another.
fn is_within_depth(json: &[u8], max: usize) -> bool {
    // Each level takes two bytes, so short values need no look.
    if json.len() / 2 <= max {
        return true;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn from_json(data_type: DataType, json: &str) -> Result<Data, DataError> {
        Data::from_json(data_type, Bytes::copy_from_slice(json.as_bytes()), 64)
    }

    fn json_of(data: &Data) -> String {
        let mut out = Vec::new();
        data.write_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_json_client_wrote_passes_untouched() {
        for (data_type, json) in [
            (DataType::Json, r#"{ "a" : [1.0, 1e2, "\u00e9"] }"#),
            (DataType::Text, r#""caf\u00e9 \/ \ud83d\ude00""#),
            (DataType::Binary, r#""AQL\/""#),
            (DataType::Protobuf, r#""CAE=""#),
        ] {
            assert_eq!(json_of(&from_json(data_type, json).unwrap()), json);
        }
    }

    #[test]
    fn a_raw_receiver_gets_it_without_quotes_escapes_and_base64() {
        let payload = |data_type, json| from_json(data_type, json).unwrap().payload();
        assert_eq!(payload(DataType::Text, r#""hi""#), "hi");
        assert_eq!(payload(DataType::Text, r#""caf\u00e9 \ud83d\ude00""#), "café 😀");
        assert_eq!(payload(DataType::Json, r#""hi""#), r#""hi""#);
        assert_eq!(payload(DataType::Binary, r#""AQL\/""#), Bytes::from_static(&[1, 2, 255]));
        assert_eq!(payload(DataType::Binary, r#""""#), "");
    }

    #[test]
    fn text_without_escapes_is_not_copied() {
        let json = Bytes::from_static(b"\"hello\"");
        let payload = Data::from_json(DataType::Text, json.clone(), 64).unwrap().payload();
        assert_eq!(payload, "hello");
        assert!(json.as_ptr_range().contains(&payload.as_ptr()));
    }

    #[test]
    fn data_that_does_not_fit_its_type_is_refused() {
        for data_type in DataType::ALL {
            assert_eq!(from_json(data_type, "null").err(), Some(DataError::Null));
        }
        for text in ["1", "{}", r#""\ud800""#, r#""\ude00\ud83d""#] {
            assert_eq!(from_json(DataType::Text, text).err(), Some(DataError::NotText), "{text}");
        }
        for binary in ["1", r#""A""#, r#""AQL""#, r#""AQ==AQ==""#, r#""AQL_""#, r#""AR==""#, r#""A===""#, r#"" AQL/""#]
        {
            assert_eq!(from_json(DataType::Binary, binary).err(), Some(DataError::NotBase64), "{binary}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(from_json(DataType::Json, &deep(64)).is_ok());
        assert_eq!(from_json(DataType::Json, &deep(65)).err(), Some(DataError::TooDeep(64)));
        assert!(from_json(DataType::Json, &format!(r#""\"{}""#, "[".repeat(100))).is_ok());
        assert!(from_json(DataType::Json, &format!("[{}[]]", "[],".repeat(100))).is_ok());
    }

    #[test]
    fn payloads_from_outside_are_checked() {
        let take = |data_type, bytes: &'static [u8]| Data::from_payload(data_type, Bytes::from_static(bytes), 64);
        assert_eq!(take(DataType::Text, b"\xff").err(), Some(DataError::NotText));
        assert_eq!(take(DataType::Json, b"{").err(), Some(DataError::NotJson));
        assert_eq!(take(DataType::Json, b" null").err(), Some(DataError::Null));
        assert_eq!(take(DataType::Json, b" {\"a\": 1}\n").unwrap().payload(), r#"{"a": 1}"#);
    }

    #[test]
    fn debug_shows_no_payload() {
        assert_eq!(format!("{:?}", Data::text("secret")), "Data(text, 6 bytes)");
    }

    proptest! {
        #[test]
        fn every_payload_survives_the_way_through_json(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            let text_data = Data::text(text.clone());
            prop_assert_eq!(serde_json::from_str::<String>(&json_of(&text_data)).unwrap(), text.clone());
            prop_assert_eq!(from_json(DataType::Text, &json_of(&text_data)).unwrap().payload(), text);
            let binary = from_json(DataType::Binary, &json_of(&Data::binary(bytes.clone()))).unwrap();
            prop_assert_eq!(binary.payload(), bytes);
        }

        #[test]
        fn base64_is_accepted_exactly_when_it_decodes(text in "[AQRgw+/=]{0,12}") {
            prop_assert_eq!(is_base64(text.as_bytes()), STANDARD.decode(&text).is_ok());
        }
    }
}
