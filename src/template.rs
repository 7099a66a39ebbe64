//! Texts with fields in braces, as join rules and announcements are written: `"{username} has logged in."`
//!
//! Which fields there are, and what a missing one means, is decided by who renders.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text whose fields are filled in when it is used. `{{` and `}}` stand for single braces.
///
/// ```
/// use folkmoot::Template;
///
/// let joined: Template = "{username} has logged in.".parse()?;
/// assert_eq!(joined.fields().collect::<Vec<_>>(), ["username"]);
/// assert_eq!(joined.render(|_| Some("Mark".into())).as_deref(), Some("Mark has logged in."));
/// assert_eq!(joined.render(|_| None), None);
/// # Ok::<(), folkmoot::TemplateError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without its `}`.
    #[error("'{{' without '}}' (write '{{{{' for a brace)")]
    Unclosed,
    /// A `}` without its `{`.
    #[error("'}}' without '{{' (write '}}}}' for a brace)")]
    Unopened,
    /// What stands between the braces cannot be a field.
    #[error("'{{{0}}}' is not a field: letters, digits and _, and after a dot a name within it")]
    Field(String),
}

impl Template {
    /// The names of the fields, in their order, as often as they stand there.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with every field replaced by what `value` says, or `None` where `value` has nothing for one of them.
    pub fn render<'a>(&self, value: impl Fn(&str) -> Option<Cow<'a, str>>) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Field(name) => text.push_str(&value(name)?),
            }
        }
        Some(text)
    }
}

/// Letters, digits and `_`; after the first dot any name within free-form data.
fn is_field(name: &str) -> bool {
    let (top, rest) = name.split_once('.').map_or((name, None), |(top, rest)| (top, Some(rest)));
    let plain = !top.is_empty() && top.chars().all(|c| c.is_alphanumeric() || c == '_');
    plain && rest.is_none_or(|rest| !rest.is_empty() && !rest.contains(char::is_control))
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(template: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some(brace) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(brace);
            text.push_str(before);
            if let Some(after) = from_brace.strip_prefix("{{") {
                text.push('{');
                rest = after;
            } else if let Some(after) = from_brace.strip_prefix("}}") {
                text.push('}');
                rest = after;
            } else if let Some(field) = from_brace.strip_prefix('{') {
                let (name, after) = field.split_once('}').ok_or(TemplateError::Unclosed)?;
                if !is_field(name) {
                    return Err(TemplateError::Field(name.to_owned()));
                }
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Field(name.to_owned()));
                rest = after;
            } else {
                return Err(TemplateError::Unopened);
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Template { parts })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Field(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Template, TemplateError> {
        text.parse()
    }

    #[test]
    fn fields_are_filled_in_and_doubled_braces_are_braces() {
        let template = parse("{{{a}}} {data.my team}").unwrap();
        assert_eq!(template.fields().collect::<Vec<_>>(), ["a", "data.my team"]);
        let value = |name: &str| Some(Cow::Owned(name.to_uppercase()));
        assert_eq!(template.render(value).as_deref(), Some("{A} DATA.MY TEAM"));
    }

    #[test]
    fn a_missing_value_renders_nothing_at_all() {
        let template = parse("{a}{b}").unwrap();
        assert_eq!(template.render(|name| (name == "a").then_some(Cow::Borrowed("x"))), None);
    }

    #[test]
    fn broken_braces_are_named() {
        assert_eq!(parse("a {b"), Err(TemplateError::Unclosed));
        assert_eq!(parse("a } b"), Err(TemplateError::Unopened));
        for bad in ["", " a", "a b", ".x", "data.", "a{b"] {
            assert_eq!(parse(&format!("{{{bad}}}")), Err(TemplateError::Field(bad.to_owned())), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_and_written_as_it_was_read(text in "[a{}.é \n]{0,12}") {
            if let Ok(template) = parse(&text) {
                prop_assert_eq!(template.to_string(), text);
            }
        }

        #[test]
        fn text_with_doubled_braces_renders_as_itself(text in ".*") {
            let template = parse(&text.replace('{', "{{").replace('}', "}}")).unwrap();
            prop_assert_eq!(template.render(|_| None), Some(text));
        }
    }
}
