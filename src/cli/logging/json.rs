//! Log lines for programs: one JSON object per line, with `time`, `level`, `target` and `message`, then the fields.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use log::Record;
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use serde_json::Map;

use crate::cli::text::printable_json;

/// What stands before a field that has the name of another one.
const PREFIX: &str = "field.";

/// Writes one line. Fields keep their kind: numbers are numbers.
pub(super) fn write_line(out: &mut impl Write, time: impl Display, record: &Record<'_>) -> io::Result<()> {
    let mut line = Line(Map::new());
    line.add("time", text(&time).into());
    line.add("level", record.level().as_str().to_lowercase().into());
    line.add("target", record.target().into());
    line.add("message", text(record.args()).into());
    // Fails where a field fails, which then says so itself; what there is of the line is still worth reading.
    let _: Result<(), kv::Error> = record.key_values().visit(&mut line);
    let json = serde_json::to_string(&line.0)?;
    // Programs read it, and people through them, at a terminal.
    writeln!(out, "{}", printable_json(&json))
}

/// What a value shows of itself, as far as it can.
fn text(value: impl Display) -> String {
    let mut text = String::new();
    let written: fmt::Result = write!(text, "{value}");
    if written.is_err() {
        text.push_str(" …");
    }
    text
}

struct Line(Map<String, serde_json::Value>);

impl Line {
    fn add(&mut self, key: &str, value: serde_json::Value) {
        let mut key = key.to_owned();
        while self.0.contains_key(&key) {
            key.insert_str(0, PREFIX);
        }
        self.0.insert(key, value);
    }
}

impl<'kvs> VisitSource<'kvs> for Line {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut plain = Plain(serde_json::Value::Null);
        // What is none of JSON's kinds is shown as a text, by `visit_any`.
        value.visit(&mut plain)?;
        self.add(key.as_str(), plain.0);
        Ok(())
    }
}

/// A value of a field as JSON has it.
struct Plain(serde_json::Value);

impl<'v> VisitValue<'v> for Plain {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.0 = text(value).into();
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.0 = serde_json::Value::Null;
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        // JSON has no infinity.
        self.0 = if value.is_finite() { value.into() } else { value.to_string().into() };
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(message: &str, fields: &[(&str, Value<'_>)]) -> serde_json::Value {
        let mut out = Vec::new();
        let mut record = Record::builder();
        record.target("folkmoot::session").level(log::Level::Warn).key_values(&fields);
        write_line(&mut out, "2026-11-23T04:06:14.123Z", &record.args(format_args!("{message}")).build()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.find('\n'), Some(text.len() - 1), "one line: {text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_line_is_an_object_whose_numbers_are_numbers() {
        let display = 7_u8;
        let fields = [
            ("limit", Value::from(5_u64)),
            ("offset", Value::from(-3_i32)),
            ("share", Value::from(0.5)),
            ("endless", Value::from(f64::INFINITY)),
            ("tls", Value::from(true)),
            ("group.name", Value::from("sales/europe")),
            ("shown", Value::from_display(&display)),
            ("nothing", Value::null()),
        ];
        assert_eq!(
            line("connected", &fields),
            json!({
                "time": "2026-11-23T04:06:14.123Z", "level": "warn", "target": "folkmoot::session", "message": "connected",
                "limit": 5, "offset": -3, "share": 0.5, "endless": "inf", "tls": true, "group.name": "sales/europe",
                "shown": "7", "nothing": null,
            })
        );
    }

    #[test]
    fn a_field_takes_the_place_of_nothing() {
        let fields = ["level", "level", "message", "x"].map(|key| (key, Value::from("forged")));
        let line = line("a\n{\"level\":\"error\"}", &fields);
        assert_eq!(line["level"], "warn");
        assert_eq!(line["message"], "a\n{\"level\":\"error\"}");
        for key in ["field.level", "field.field.level", "field.message", "x"] {
            assert_eq!(line[key], "forged", "{key}");
        }
    }

    #[test]
    fn what_a_peer_wrote_steers_no_terminal_that_shows_the_line() {
        let evil = "a\u{9b}2J\u{7f}\u{202e}\u{2028}\u{1b}[31mb";
        let mut out = Vec::new();
        let mut record = Record::builder();
        let fields = [("user.id", evil)];
        record.target("folkmoot").key_values(&fields);
        write_line(&mut out, "now", &record.args(format_args!("{evil}")).build()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.trim_end().contains(crate::cli::text::is_unprintable), "{text:?}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["user.id"], &line["message"]), (&json!(evil), &json!(evil)));
    }

    #[test]
    fn a_value_that_cannot_be_shown_loses_no_line() {
        struct Broken;
        impl Display for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        let line = line("x", &[("broken", Value::from_display(&Broken)), ("after", Value::from(1))]);
        assert_eq!((&line["message"], &line["after"]), (&json!("x"), &json!(1)));
        assert!(line["broken"].as_str().unwrap().starts_with("half"));
    }
}
