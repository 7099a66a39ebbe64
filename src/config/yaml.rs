//! YAML as a tree that remembers its lines. The only file that knows which YAML library is used.
//!
//! What the keys mean is decided in `overlay.rs`.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use serde_saphyr::Spanned;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A mapping, in the order of the document.
    Map(Vec<Entry>),
    /// Anything else. What is inside a list needs no lines of its own.
    Value(Value),
}

/// One `key: value`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The line that the key stands in, from 1; none outside a file.
    pub(super) line: Option<u64>,
    pub(super) node: Node,
}

/// Reads a document; an empty one is a null.
///
/// # Errors
/// A sentence and, where known, its line. The document is not quoted: it may hold secrets.
pub(super) fn parse(text: &str) -> Result<Node, (Option<u64>, String)> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map(|location| location.line());
        // A plain error repeats the lines around it, and says again where it is.
        let formatter = serde_saphyr::UserMessageFormatter;
        (line, error.without_snippet().render_with_formatter(&formatter))
    })
}

impl Node {
    /// The tree without its lines.
    pub(super) fn into_value(self) -> Value {
        match self {
            Node::Map(entries) => entries.into_iter().map(|entry| (entry.key, entry.node.into_value())).collect(),
            Node::Value(value) => value,
        }
    }

    /// A mapping with one entry.
    pub(super) fn wrapped_in(self, key: &str) -> Self {
        Node::Map(vec![Entry { key: key.to_owned(), line: None, node: self }])
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(map) => {
                let entry = |(key, value)| Entry { key, line: None, node: Node::from(value) };
                Node::Map(map.into_iter().map(entry).collect())
            }
            value => Node::Value(value),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, a list, a text, a number, true or false")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = map.next_entry::<Spanned<String>, Node>()? {
            entries.push(Entry { key: key.value, line: Some(key.referenced.line()), node });
        }
        Ok(Node::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut values = Vec::new();
        while let Some(node) = seq.next_element::<Node>()? {
            values.push(node.into_value());
        }
        Ok(Node::Value(Value::Array(values)))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Value(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Value(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Value(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("neither infinity nor .nan is a number here"))?;
        Ok(Node::Value(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Value(Value::String(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Value(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Value(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_know_their_lines() {
        let Node::Map(entries) = parse("# a comment\na:\n  b: 1\n  c: [x, 2, {d: true}]\ne: ~\n").unwrap() else {
            panic!("not a mapping")
        };
        assert_eq!(entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [Some(2), Some(5)]);
        let Node::Map(inner) = &entries[0].node else { panic!("not a mapping") };
        assert_eq!(inner.iter().map(|entry| entry.line).collect::<Vec<_>>(), [Some(3), Some(4)]);
        let whole = Node::Map(entries).into_value();
        assert_eq!(whole, json!({"a": {"b": 1, "c": ["x", 2, {"d": true}]}, "e": null}));
    }

    #[test]
    fn an_empty_document_is_null() {
        for empty in ["", "# nothing\n", "---\n"] {
            assert_eq!(parse(empty), Ok(Node::Value(Value::Null)), "{empty:?}");
        }
    }

    #[test]
    fn broken_documents_name_a_line_and_quote_nothing() {
        for (broken, line) in [("a: 1\na: 2\n", 2), ("a: 1\nb: [secret-word\n", 2), ("secret-word: a: b\n", 1)] {
            let (found, message) = parse(broken).unwrap_err();
            assert_eq!(found, Some(line), "{message}");
            assert!(!message.contains("secret-word"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[a-c:{}\\[\\]\\-&*#\"' \n]{0,40}") {
            let _ = parse(&text);
        }
    }
}
