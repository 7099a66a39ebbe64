//! Which of the pages in the binary are served.

use std::fmt;
use std::net::IpAddr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The section `pages`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PagesConfig {
    /// The chat page at `/`. `auto` serves it where `server.bind` is a loopback address: it is for trying things out, and
    /// what others reach should be decided by somebody.
    ///
    /// Default `auto`; `FOLKMOOT__PAGES__CHAT`.
    pub chat: ServePage,
    /// The dashboard at `/admin`, whose users need the role `folkmoot.admin` or `folkmoot.admin.read`. `auto` serves it
    /// where `server.bind` is a loopback address, and on the internal listener.
    ///
    /// Default `auto`; `FOLKMOOT__PAGES__ADMIN`.
    pub admin: ServePage,
    /// The page at `/docs` that tells of the HTTP API what `/openapi.json` tells. `auto` serves it where the dashboard's does.
    ///
    /// Default `auto`; `FOLKMOOT__PAGES__DOCS`.
    pub docs: ServePage,
}

/// Whether a page is served: `auto`, `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServePage {
    /// Where only this machine, or operators, can reach it.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl ServePage {
    /// Whether the page is served by a server that listens on this address.
    pub fn is_on(self, bind: IpAddr) -> bool {
        match self {
            ServePage::Auto => bind.is_loopback(),
            ServePage::Always => true,
            ServePage::Never => false,
        }
    }
}

impl Serialize for ServePage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ServePage::Auto => serializer.serialize_str("auto"),
            ServePage::Always => serializer.serialize_bool(true),
            ServePage::Never => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for ServePage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = ServePage;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("auto, true or false")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<ServePage, E> {
                Ok(if on { ServePage::Always } else { ServePage::Never })
            }

            // Variables and flags are texts.
            fn visit_str<E: Error>(self, text: &str) -> Result<ServePage, E> {
                match text {
                    "auto" => Ok(ServePage::Auto),
                    "true" => Ok(ServePage::Always),
                    "false" => Ok(ServePage::Never),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Word)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_on_off_or_decided_by_the_address() {
        for (written, page) in [
            (json!("auto"), ServePage::Auto),
            (json!(true), ServePage::Always),
            (json!("true"), ServePage::Always),
            (json!(false), ServePage::Never),
            (json!("false"), ServePage::Never),
        ] {
            assert_eq!(serde_json::from_value::<ServePage>(written).unwrap(), page);
            assert_eq!(serde_json::from_value::<ServePage>(serde_json::to_value(page).unwrap()).unwrap(), page);
        }
        let refused = serde_json::from_value::<ServePage>(json!("on")).unwrap_err().to_string();
        assert!(refused.contains("auto, true or false"), "{refused}");
    }

    #[test]
    fn auto_means_this_machine_alone() {
        let (loopback, anywhere) = ("::1".parse().unwrap(), "0.0.0.0".parse().unwrap());
        assert!(ServePage::Auto.is_on(loopback) && !ServePage::Auto.is_on(anywhere));
        assert!(ServePage::Always.is_on(anywhere) && !ServePage::Never.is_on(loopback));
    }
}
