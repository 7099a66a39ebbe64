//! Filters of the REST API: whatever is read can be applied to any connection, and means the same however it is wrapped.

use crate::filter::{Facts, Filter, FilterError, MAX_FILTER_BYTES};

/// Connections of every kind.
const CONNECTIONS: [Facts<'static>; 3] = [
    Facts {
        connection_id: "c1",
        user_id: Some("User-1 é"),
        subprotocol: Some("json.webpubsub.azure.v1"),
        groups: &["a"],
    },
    Facts { connection_id: "", user_id: None, subprotocol: None, groups: &NO_GROUPS },
    Facts { connection_id: "0123", user_id: Some(""), subprotocol: None, groups: &["g1", "it's", "sales/europe"] },
];
const NO_GROUPS: [&str; 0] = [];

/// A filter.
pub fn filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let filter = match text.parse::<Filter>() {
        Ok(filter) => filter,
        Err(error) => return refused(text, &error),
    };
    assert!(text.len() <= MAX_FILTER_BYTES);
    // Applying it is bounded by what was written.
    assert!((1..=text.len()).contains(&filter.weight()), "{} parts in {text}", filter.weight());
    for facts in &CONNECTIONS {
        let answer = filter.matches(facts);
        for (wrapped, expected) in [
            (format!("({text})"), answer),
            (format!(" {text} "), answer),
            (format!("not ({text})"), !answer),
            (format!("({text}) and ({text})"), answer),
            (format!("({text}) or not ({text})"), true),
            (format!("({text}) eq true"), answer),
            (format!("({text}) and 'no group' in groups"), false),
        ] {
            match wrapped.parse::<Filter>() {
                Ok(filter) => assert_eq!(filter.matches(facts), expected, "{wrapped}"),
                Err(FilterError::TooDeep { .. } | FilterError::TooLong(_)) => {}
                Err(error) => panic!("{error}: {wrapped}"),
            }
        }
        assert!(facts.groups.count() > 0 || !facts.groups.contains("a"));
    }
}

/// What is wrong is said of a place in the text, or just behind it.
fn refused(text: &str, error: &FilterError) {
    match error {
        FilterError::TooLong(bytes) => assert!(*bytes == text.len() && *bytes > MAX_FILTER_BYTES),
        FilterError::TooDeep { at } | FilterError::Syntax { at, .. } | FilterError::Type { at, .. } => {
            assert!((1..=text.chars().count() + 1).contains(at), "{error}: {text}");
        }
    }
}
