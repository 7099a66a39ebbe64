//! How values are written in a configuration: durations (`30s`), sizes (`64KiB`), addresses and other short texts.
//!
//! Each module is for serde's `with`, so that the fields of `Config` are plain `Duration`s, `usize`s and so on.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;

/// Units of time, the largest first, in milliseconds.
const TIME_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Units of size, the largest first, in bytes. Decimal ones are left out: `64kB` and `64KiB` are too easily confused.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Splits `30s` into 30 and `s`, and multiplies by what the unit stands for.
fn parse_quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes a quantity in the largest unit that divides it.
fn write_quantity(value: u64, units: &[(&str, u64)]) -> String {
    let fits = units.iter().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
    match fits.or(units.last()) {
        Some((name, factor)) => format!("{}{name}", value / factor),
        None => value.to_string(),
    }
}

/// Reads a duration such as `500ms`, `30s`, `5m`, `1h` or `1d`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    parse_quantity(text, &TIME_UNITS).map(Duration::from_millis)
}

fn write_duration(duration: Duration) -> String {
    write_quantity(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &TIME_UNITS)
}

fn parse_bytes(text: &str) -> Option<usize> {
    let bytes = text.trim().parse().ok().or_else(|| parse_quantity(text, &SIZE_UNITS))?;
    usize::try_from(bytes).ok()
}

/// Durations: a whole number and `ms`, `s`, `m`, `h` or `d`. A number without a unit is refused: nobody can tell.
pub(super) mod duration {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write_duration(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Duration;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration such as 500ms, 30s, 5m or 1h")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
                parse_duration(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Sizes: a number of bytes, or a whole number and `B`, `KiB`, `MiB` or `GiB`.
pub(super) mod bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write_quantity(*value as u64, &SIZE_UNITS))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        struct Size;
        impl Visitor<'_> for Size {
            type Value = usize;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a size such as 65536, 64KiB or 1MiB")
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<usize, E> {
                usize::try_from(bytes).map_err(|_| E::invalid_value(Unexpected::Unsigned(bytes), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
                parse_bytes(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Size)
    }
}

/// Values that have a text form of their own (`FromStr`, `Display`) but no serde of their own.
pub(super) mod text {
    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(Error::custom)
    }
}

/// Lists of such values.
pub(super) mod texts {
    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(T::to_string))
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let parse = |text: &String| text.parse().map_err(|error| Error::custom(format!("'{text}': {error}")));
        texts.iter().map(parse).collect()
    }
}

/// Lists inside a list, where one value is a list of one as it is everywhere else.
pub(super) mod one_or_more {
    use super::*;

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: DeserializeOwned,
        D: Deserializer<'de>,
    {
        let values = match Value::deserialize(deserializer)? {
            Value::Array(values) => values,
            value => vec![value],
        };
        values.into_iter().map(|value| serde_json::from_value(value).map_err(Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("5 m"), Some(Duration::from_secs(300)));
        for bad in ["30", "", "s", "-1s", "1.5s", "30S", "30sec", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_binary_units() {
        assert_eq!(parse_bytes("65536"), Some(65536));
        assert_eq!(parse_bytes("64KiB"), Some(65536));
        for bad in ["", "64kB", "64K", "KiB", "-1", "1.5MiB", "18446744073709551615GiB"] {
            assert_eq!(parse_bytes(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in 0..u64::MAX / 2) {
            let duration = Duration::from_millis(value);
            prop_assert_eq!(parse_duration(&write_duration(duration)), Some(duration));
            prop_assert_eq!(parse_bytes(&write_quantity(value, &SIZE_UNITS)), usize::try_from(value).ok());
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".*") {
            let _ = (parse_duration(&text), parse_bytes(&text));
        }
    }
}
