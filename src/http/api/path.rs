//! The segments of a request's path, each decoded once.
//!
//! Names of groups and users hold `/`, `%` and `+`, so `%2F` must not become a separator and `%252F` must not become `/`.
//! actix-web decodes some of it before it looks for a route and more in its extractors, so the path is read as it came.

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

use super::ApiError;

/// Every path of the API, for actix-web.
pub(in crate::http) const PATTERN: &str = "/api/{tail:.*}";

/// The segments behind `/api/`, wherever the routes are mounted.
pub(super) fn segments(request: &HttpRequest) -> Result<Vec<String>, ApiError> {
    // As the router has it, some of it is decoded, but no `%2F`: there are as many separators as in the path as it came.
    let count = request.match_info().query("tail").split('/').count();
    last_segments(request.path(), count)
}

pub(crate) fn last_segments(path: &str, count: usize) -> Result<Vec<String>, ApiError> {
    let mut segments: Vec<_> = path.rsplit('/').take(count).collect();
    segments.reverse();
    segments.into_iter().map(decode).collect()
}

fn decode(segment: &str) -> Result<String, ApiError> {
    let decoded = percent_decode_str(segment).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| ApiError::bad_request("The path is not valid UTF-8."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(path: &str, count: usize) -> Vec<String> {
        last_segments(path, count).unwrap()
    }

    #[test]
    fn each_segment_is_decoded_exactly_once() {
        let path = "/api/hubs/chat/groups/sales%2Feurope/a%2Bb/a+b/a%252Fb/%2A/*/%3Asend";
        let expected = ["sales/europe", "a+b", "a+b", "a%2Fb", "*", "*", ":send"];
        assert_eq!(names(path, 7), expected);
        assert!(last_segments("/api/hubs/%FF", 1).is_err());
    }

    proptest! {
        #[test]
        fn any_name_comes_out_as_it_was_encoded(name in "\\PC{1,40}") {
            let encoded = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
            prop_assert_eq!(names(&format!("/scope/api/hubs/{encoded}"), 1), [name]);
        }
    }
}
