//! The bodies of requests: messages, and objects of JSON.
//!
//! What is wrong with a message is looked for in the order of the Web PubSub REST API: how long it lives, who it is for, what
//! it is, and only then the message itself, so that a large body is not read for nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Payload};
use encoding_rs::{Encoding, UTF_8};
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use super::{ApiError, Call};
use crate::groups::messages::Content;
use crate::groups::operate::Mail;
use crate::http::{Problem, body};
use crate::metrics::Limit;
use crate::protocol::json::check_metadata;
use crate::protocol::{Data, DataType};
use crate::user::UserData;

/// The headers with what travels beside a message.
pub(super) const METADATA_PREFIX: &str = "x-webpubsub-metadata-";

/// The body of a request.
pub(super) enum Body {
    /// It was not read yet.
    Coming(Payload),
    /// It was needed before.
    Here(Bytes),
}

impl Body {
    /// Reads it whole. It is as large as a client's message may be, and says beforehand how large it is.
    pub(super) async fn read<U: UserData>(self, call: &Call<U>) -> Result<Bytes, ApiError> {
        let most = call.services.config().limits.max_message_bytes;
        let payload = match self {
            Body::Coming(payload) => payload,
            Body::Here(bytes) => return Ok(bytes),
        };
        let length = call.request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.trim().parse::<usize>().ok());
        match length {
            None => return Err(ApiError::bad_request("The request says by Content-Length how large its body is.")),
            Some(length) if length > most => return Err(too_large(call, most)),
            Some(_) => {}
        }
        Ok(body::read(&call.services, payload, "body", most).await?)
    }
}

fn too_large<U: UserData>(call: &Call<U>, most: usize) -> ApiError {
    let detail = format!("The body has more than {most} bytes.");
    call.services.over(Limit::MaxMessageBytes, Problem::bad_request(detail)).into()
}

/// Reads a message, and whom it is for.
pub(super) async fn message<U: UserData>(call: &Call<U>, body: Body) -> Result<Mail, ApiError> {
    let life = call.query.time_to_live()?;
    let filter = call.query.filter()?;
    let (data_type, encoding) = type_of(&call.request)?;
    let metadata = metadata(&call.request)?;
    let bytes = body.read(call).await?;
    let (most, depth) = {
        let config = call.services.config();
        (config.limits.max_message_bytes, config.limits.json_depth)
    };
    let bytes = match data_type {
        DataType::Binary | DataType::Protobuf => bytes,
        DataType::Text | DataType::Json => in_utf8(bytes, encoding)?,
    };
    // Other encodings write some letters shorter.
    if bytes.len() > most {
        return Err(too_large(call, most));
    }
    let data = Data::from_payload(data_type, bytes, depth)
        .map_err(|error| ApiError::bad_request(error.to_string().replace("'data'", "the body")))?;
    let content = Content { metadata, ..Content::from(data) };
    let content = match life {
        Some(life) => content.lasting(life),
        None => content,
    };
    Ok(Mail { content, excluded: call.query.excluded(), filter })
}

/// Reads an object of JSON.
pub(super) async fn object<U: UserData, T: DeserializeOwned>(call: &Call<U>, body: Body) -> Result<T, ApiError> {
    let unsupported = || {
        let known = "The body is application/json.";
        ApiError::from(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, known))
    };
    let encoding = match type_of(&call.request) {
        Ok((DataType::Json, encoding)) => encoding,
        _ => return Err(unsupported()),
    };
    let bytes = in_utf8(body.read(call).await?, encoding)?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::bad_request(format!("The body cannot be used: {error}")))
}

/// What the body is: bytes, where nothing is said.
fn type_of(request: &HttpRequest) -> Result<(DataType, &'static Encoding), ApiError> {
    let mut lines = request.headers().get_all(header::CONTENT_TYPE);
    let Some(line) = lines.next() else { return Ok((DataType::Binary, UTF_8)) };
    let line = line.to_str().ok().filter(|_| lines.next().is_none());
    of_media_type(line.unwrap_or_default()).ok_or_else(|| {
        let known =
            "A message is text/plain, application/json or application/octet-stream, in an encoding that is known.";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, known).into()
    })
}

fn of_media_type(line: &str) -> Option<(DataType, &'static Encoding)> {
    match DataType::by_content_type(line)? {
        (DataType::Protobuf, _) => None,
        (DataType::Binary, _) => Some((DataType::Binary, UTF_8)),
        (data_type, None) => Some((data_type, UTF_8)),
        (data_type, Some(charset)) => Some((data_type, Encoding::for_label_no_replacement(charset.as_bytes())?)),
    }
}

/// The same text in UTF-8, which stays as it is, byte for byte.
fn in_utf8(bytes: Bytes, encoding: &'static Encoding) -> Result<Bytes, ApiError> {
    if encoding == UTF_8 {
        return Ok(bytes);
    }
    match encoding.decode(&bytes) {
        (_, used, true) => Err(ApiError::bad_request(format!("The body is not valid in {}.", used.name()))),
        (Cow::Borrowed(text), _, false) if text.len() == bytes.len() => Ok(bytes),
        (text, _, false) => Ok(Bytes::from(text.into_owned())),
    }
}

/// The object of texts that the headers make: names in lower case; of several values the last one counts, as of one that is
/// a list.
fn metadata(request: &HttpRequest) -> Result<Option<Bytes>, ApiError> {
    let mut entries = BTreeMap::new();
    for (name, value) in request.headers() {
        let Some(key) = name.as_str().strip_prefix(METADATA_PREFIX) else { continue };
        let value = std::str::from_utf8(value.as_bytes());
        let value = value.map_err(|_| ApiError::bad_request("A header with metadata is not valid UTF-8."))?;
        let last = value.rsplit(',').next().unwrap_or_default();
        entries.insert(key, last.trim());
    }
    let complaint = |error: &str| ApiError::bad_request(error.replace("'metadata'", "the metadata headers"));
    let raw: Box<RawValue> = to_raw_value(&entries).map_err(|error| complaint(&error.to_string()))?;
    let is_there = check_metadata(&raw).map_err(complaint)?;
    Ok(is_there.then(|| Bytes::from(String::from(Box::<str>::from(raw)))))
}

#[cfg(test)]
mod tests {
    use encoding_rs::{UTF_16LE, WINDOWS_1252};

    use super::*;

    #[test]
    fn three_media_types_are_known_in_any_encoding() {
        for (line, expected) in [
            ("text/plain", Some((DataType::Text, UTF_8))),
            ("Text/Plain; charset=UTF-8", Some((DataType::Text, UTF_8))),
            ("text/plain;charset=\"utf-8\"", Some((DataType::Text, UTF_8))),
            ("text/plain; format=flowed; charset=latin1", Some((DataType::Text, WINDOWS_1252))),
            ("application/json", Some((DataType::Json, UTF_8))),
            ("application/json; charset=utf-16", Some((DataType::Json, UTF_16LE))),
            ("application/octet-stream; charset=klingon", Some((DataType::Binary, UTF_8))),
            ("text/plain; charset=klingon", None),
            ("text/plain; charset=iso-2022-kr", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(of_media_type(line), expected, "{line}");
        }
    }

    #[test]
    fn other_encodings_become_utf8_and_utf8_stays_as_it_is() {
        let converted = |bytes: &[u8], encoding| in_utf8(Bytes::copy_from_slice(bytes), encoding).ok();
        let text = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        assert_eq!(converted(b"caf\xe9", WINDOWS_1252), text("café"));
        assert_eq!(converted(b"h\0i\0", UTF_16LE), text("hi"));
        assert_eq!(converted(b"\xef\xbb\xbfhi", UTF_8), text("\u{feff}hi"));
        assert_eq!(converted(b"h\0i", UTF_16LE), None);
    }
}
