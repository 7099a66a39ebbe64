//! The message in the body of a request.

use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use actix_web::web::Payload;

use super::ApiError;
use crate::http::{Problem, Services, body};
use crate::protocol::{Data, DataType};
use crate::user::UserData;

/// Reads the message: as large as a client's may be.
pub(super) async fn read<U: UserData>(
    services: &Services<U>,
    request: &HttpRequest,
    body: Payload,
) -> Result<Data, ApiError> {
    let data_type = data_type(request)?;
    let (most, depth) = {
        let config = services.config();
        (config.limits.max_message_bytes, config.limits.json_depth)
    };
    let bytes = body::read(services, body, "message", most).await?;
    Data::from_payload(data_type, bytes, depth)
        .map_err(|error| ApiError::bad_request(error.to_string().replace("'data'", "the body")))
}

/// What the message is: bytes, where nothing is said.
fn data_type(request: &HttpRequest) -> Result<DataType, ApiError> {
    let mut lines = request.headers().get_all(header::CONTENT_TYPE);
    let Some(line) = lines.next() else { return Ok(DataType::Binary) };
    let line = line.to_str().ok().filter(|_| lines.next().is_none());
    of_media_type(line.unwrap_or_default()).ok_or_else(|| {
        let known = "A message is text/plain, application/json or application/octet-stream, in UTF-8.";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, known).into()
    })
}

fn of_media_type(line: &str) -> Option<DataType> {
    let (name, parameters) = line.split_once(';').unwrap_or((line, ""));
    let data_type = match name.trim().to_ascii_lowercase().as_str() {
        "text/plain" => DataType::Text,
        "application/json" => DataType::Json,
        "application/octet-stream" => DataType::Binary,
        _ => return None,
    };
    let charsets = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let mut charsets = charsets.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let is_utf8 = |charset: &str| {
        let charset = charset.trim().trim_matches('"');
        ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
    };
    charsets.all(|(_, charset)| is_utf8(charset)).then_some(data_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_media_types_are_known_in_utf8() {
        for (line, data_type) in [
            ("text/plain", Some(DataType::Text)),
            ("Text/Plain; charset=UTF-8", Some(DataType::Text)),
            ("text/plain;charset=\"utf-8\"", Some(DataType::Text)),
            ("application/json", Some(DataType::Json)),
            ("application/octet-stream", Some(DataType::Binary)),
            ("text/plain; charset=latin1", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(of_media_type(line), data_type, "{line}");
        }
    }
}
