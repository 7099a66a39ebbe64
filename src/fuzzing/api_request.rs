//! Requests to the HTTP API: names come out of a path as they were put in, and the link of a page leads to the next one.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::http::api::{Query, last_segments};

/// Entries of a page at the most.
const MOST: usize = 200;
/// The longest life of a message.
const LONGEST: Duration = Duration::from_secs(300);
/// What a page ended with: everything that a query cannot hold as it is.
const TOKEN: &str = "a/b&c=d+e%20\u{10ffff}";

/// A path, and behind its first `?` a query.
pub fn api_request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    any_path(path);
    any_query(query);
}

fn any_path(path: &str) {
    let count = path.split('/').count();
    let Ok(segments) = last_segments(path, count) else {
        let is_text = |segment: &str| percent_decode_str(segment).decode_utf8().is_ok();
        return assert!(!path.split('/').all(is_text), "refused for nothing: {path}");
    };
    assert_eq!(segments.len(), count);
    let encoded: Vec<String> =
        segments.iter().map(|segment| utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string()).collect();
    assert_eq!(last_segments(&encoded.join("/"), count).ok().as_ref(), Some(&segments));
    // Whatever they are mounted under.
    let tail = last_segments(path, count.div_ceil(2)).ok();
    assert_eq!(tail.as_deref(), segments.get(count / 2..));
}

fn any_query(text: &str) {
    let Ok(query) = Query::read(text) else { return };
    // Whatever they say, it is said without a panic, and within bounds.
    let _ = query.filter();
    if let Ok(Some(life)) = query.time_to_live() {
        assert!(!life.is_zero() && life <= LONGEST);
    }
    let Ok(page) = query.page(MOST, |token| Some(token.to_owned())) else { return };
    assert!((1..=MOST).contains(&page.limit));
    if !page.goes_on(page.limit) {
        return;
    }
    let next = Query::read(&query.next(TOKEN, page.limit)).expect("a link that can be followed");
    let page = next.page(MOST, |token| Some(token.to_owned())).expect("a link to a page");
    assert_eq!(page.after.as_deref(), Some(TOKEN));
    assert_eq!(next.all("access_token").next(), None, "a secret in a link");
    for name in ["mask", "prefix", "delimiter", "user", "group", "address", "filter", "maxpagesize"] {
        assert!(next.all(name).eq(query.all(name)), "{name} is another one");
    }
}
