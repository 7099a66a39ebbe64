//! The rules for `metadata`: an object of short strings whose names can be HTTP header names.
//!
//! Webhooks get each entry as a header `X-WebPubSub-Metadata-…`. Limits as in the Web PubSub emulator.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::protocol::data::Text;

const MAX_NAME_BYTES: usize = 256;
const MAX_VALUE_BYTES: usize = 1024;
const MAX_TOTAL_BYTES: usize = 8 * 1024;
/// The same as it is written, with quotes, escapes and white space; it is what receivers get and what reading costs.
const MAX_TEXT_BYTES: usize = 4 * MAX_TOTAL_BYTES;

/// Whether there is any entry, or what is wrong.
pub fn check(raw: &RawValue) -> Result<bool, &'static str> {
    if raw.get().len() > MAX_TEXT_BYTES {
        return Err("'metadata' is too big");
    }
    let Ok(Entries(entries)) = serde_json::from_str(raw.get()) else {
        return Err("'metadata' is not an object from string to string");
    };
    if entries.iter().map(|(name, value)| name.0.len() + value.0.len()).sum::<usize>() > MAX_TOTAL_BYTES {
        return Err("'metadata' is too big");
    }
    for (name, value) in &entries {
        if name.0.is_empty() || name.0.len() > MAX_NAME_BYTES || !name.0.bytes().all(is_token) {
            return Err("a name in 'metadata' is not 1 to 256 letters, digits or !#$%&'*+-.^_`|~");
        }
        if value.0.len() > MAX_VALUE_BYTES {
            return Err("a value in 'metadata' is longer than 1024 bytes");
        }
    }
    // Header names do not tell case apart, so neither do these.
    let mut names: Vec<_> = entries.iter().map(|(name, _)| name.0.to_ascii_lowercase()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err("'metadata' has a name twice");
    }
    Ok(!entries.is_empty())
}

/// The characters of a header name (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The entries of an object in their order, repeated names included.
struct Entries<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from string to string")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<bool, &'static str> {
        check(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn names_that_can_be_headers_are_taken() {
        assert_eq!(checked(r#"{"trace-id": "é\n", "a!#$%&'*+-.^_`|~": ""}"#), Ok(true));
        assert_eq!(checked("{}"), Ok(false));
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let long_name = format!(r#"{{"{}":""}}"#, "n".repeat(257));
        let long_value = format!(r#"{{"n":"{}"}}"#, "v".repeat(1025));
        for bad in [
            "[]",
            "1",
            r#"{"a":1}"#,
            r#"{"a":null}"#,
            r#"{"":"x"}"#,
            r#"{"a b":"x"}"#,
            r#"{"é":"x"}"#,
            r#"{"a":"x","A":"y"}"#,
            r#"{"a":"\ud800"}"#,
            &long_name,
            &long_value,
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn all_of_it_together_is_at_most_8_kib() {
        let entries = |n: usize| {
            let entries: Vec<_> = (0..n).map(|i| format!(r#""n{i}":"{}""#, "v".repeat(1022))).collect();
            format!("{{{}}}", entries.join(","))
        };
        assert_eq!(checked(&entries(8)), Ok(true));
        assert_eq!(checked(&entries(9)), Err("'metadata' is too big"));
        assert_eq!(checked(&format!("{{{}}}", " ".repeat(MAX_TEXT_BYTES))), Err("'metadata' is too big"));
    }
}
