//! Names that are valid from the moment they exist: hubs, groups, users, connections.
//!
//! Text from outside becomes one of these types at the edge (codec, token, configuration, store) and is trusted
//! afterwards. Permissions, limits and existence are not decided here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::mask::{Mask, MaskError};

/// Longest group name, in Unicode scalars (Web PubSub REST API 2024-12-01).
pub const MAX_GROUP_NAME_CHARS: usize = 1024;
/// Longest hub name, in characters (Web PubSub REST API 2024-12-01).
pub const MAX_HUB_NAME_CHARS: usize = 128;
/// Longest user id, in Unicode scalars. The reference names no limit; ours keeps logs and member lists readable.
pub const MAX_USER_ID_CHARS: usize = 256;

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing but white space.
    #[error("the {what} is blank")]
    Blank {
        /// Which kind of name.
        what: &'static str,
    },
    /// Longer than allowed.
    #[error("the {what} has more than {max} characters")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// The limit, in characters.
        max: usize,
    },
    /// A control character.
    #[error("the {what} has a control character")]
    Control {
        /// Which kind of name.
        what: &'static str,
    },
    /// `*`, `?` or `[` in a group name while masks are on.
    #[error("the group name has a wildcard ('{0}'), which only a mask may have")]
    Wildcard(char),
    /// A hub name that breaks the grammar of hub names.
    #[error("a hub name is a letter, then up to 127 letters, digits or _ ` , . [ ]")]
    Hub,
    /// Not a connection id of this server.
    #[error("not a connection id")]
    ConnectionId,
    /// A target that is neither a group name nor a valid mask.
    #[error(transparent)]
    Mask(#[from] MaskError),
}

fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), NameError> {
    if text.trim().is_empty() {
        return Err(NameError::Blank { what });
    }
    // A scalar has at least one byte, so short texts need no counting.
    if text.len() > max && text.chars().count() > max {
        return Err(NameError::TooLong { what, max });
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control { what });
    }
    Ok(())
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

text_name! {
    /// The name of a group: 1–1024 characters, not blank, no control characters, case-sensitive.
    ///
    /// With masks on (the hub option, on by default) it holds no `*`, `?` or `[`.
    ///
    /// ```
    /// use folkmoot::GroupName;
    ///
    /// assert_eq!(GroupName::parse("sales/europe", true)?.as_str(), "sales/europe");
    /// assert!(GroupName::parse("sales/*", true).is_err());
    /// assert!(GroupName::parse("sales/*", false).is_ok());
    /// # Ok::<(), folkmoot::NameError>(())
    /// ```
    GroupName
}

impl GroupName {
    /// Takes a group name from outside; `masks` tells whether the hub has masks on.
    ///
    /// # Errors
    /// [`NameError`] for a blank or too long name, a control character, or a wildcard while masks are on.
    pub fn parse(text: &str, masks: bool) -> Result<Self, NameError> {
        check_text("group name", text, MAX_GROUP_NAME_CHARS)?;
        if masks && let Some(wildcard) = text.chars().find(|c| Mask::is_wildcard(*c)) {
            return Err(NameError::Wildcard(wildcard));
        }
        Ok(GroupName(text.into()))
    }
}

text_name! {
    /// The name of a hub, kept in lower case because hubs are compared without regard to case.
    ///
    /// ```
    /// use folkmoot::HubName;
    ///
    /// assert_eq!(HubName::parse("Chat")?, HubName::parse("chat")?);
    /// assert!(HubName::parse("9lives").is_err());
    /// # Ok::<(), folkmoot::NameError>(())
    /// ```
    HubName
}

impl HubName {
    /// Takes a hub name from outside.
    ///
    /// # Errors
    /// [`NameError::Hub`] when it is not an ASCII letter followed by at most 127 letters, digits or ``_`,.[]``.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        let valid = text.len() <= MAX_HUB_NAME_CHARS
            && bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|b| b.is_ascii_alphanumeric() || b"_`,.[]".contains(&b));
        if !valid {
            return Err(NameError::Hub);
        }
        Ok(HubName(text.to_ascii_lowercase().into()))
    }

    /// Whether the name belongs to Folkmoot itself: entered only with an admin role, never created by a request.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("folkmoot.")
    }
}

impl FromStr for HubName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        HubName::parse(text)
    }
}

impl<'de> Deserialize<'de> for HubName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HubName::parse(&text).map_err(serde::de::Error::custom)
    }
}

text_name! {
    /// Who a connection belongs to: the login of a store user or the `sub` of a token.
    ///
    /// One user may have many connections.
    UserId
}

impl UserId {
    /// Takes a user id from outside.
    ///
    /// # Errors
    /// [`NameError`] when it is blank, has a control character or more than 256 characters.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_text("user id", text, MAX_USER_ID_CHARS)?;
        Ok(UserId(text.into()))
    }
}

/// A connection's identity: 128 random bits, which say nothing about its place.
///
/// Written as 32 hexadecimal digits. The registry knows which worker serves it now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u128);

impl ConnectionId {
    /// A new id from the operating system's randomness.
    ///
    /// ```
    /// use folkmoot::ConnectionId;
    ///
    /// let id = ConnectionId::random();
    /// assert_eq!(id.to_string().parse(), Ok(id));
    /// ```
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        // aws-lc aborts the process itself when the machine has no randomness, so an error cannot reach us.
        let filled = aws_lc_rs::rand::fill(&mut bytes);
        debug_assert!(filled.is_ok(), "the machine has no source of randomness");
        ConnectionId(u128::from_be_bytes(bytes))
    }
}

impl ConnectionId {
    /// A share of `whole` that is different for each connection and evenly spread over all of them.
    pub(crate) fn share_of(self, whole: Duration) -> Duration {
        let parts = 1 << 16;
        whole * ((self.0 % parts) as u32) / parts as u32
    }

    /// One of so many lanes, always the same.
    pub(crate) fn lane(self, lanes: usize) -> usize {
        (self.0 % lanes.max(1) as u128) as usize
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ConnectionId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NameError::ConnectionId);
        }
        u128::from_str_radix(text, 16).map(ConnectionId).map_err(|_| NameError::ConnectionId)
    }
}

impl Serialize for ConnectionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a broadcast goes: one group, or every group that a mask matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One group by its name.
    Group(GroupName),
    /// Every existing group whose name matches.
    Mask(Mask),
}

impl Target {
    /// Takes a target from outside: a mask when masks are on and the text has a wildcard, else a group name.
    ///
    /// ```
    /// use folkmoot::Target;
    ///
    /// assert!(matches!(Target::parse("sales/*", true)?, Target::Mask(_)));
    /// assert!(matches!(Target::parse("sales/*", false)?, Target::Group(_)));
    /// # Ok::<(), folkmoot::NameError>(())
    /// ```
    ///
    /// # Errors
    /// [`NameError`] for what is neither.
    pub fn parse(text: &str, masks: bool) -> Result<Self, NameError> {
        if masks && text.chars().any(Mask::is_wildcard) {
            check_text("mask", text, MAX_GROUP_NAME_CHARS)?;
            return Ok(Target::Mask(Mask::parse(text)?));
        }
        Ok(Target::Group(GroupName::parse(text, masks)?))
    }

    /// Whether it goes to the group of this name.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Target::Group(group) => group.as_str() == name,
            Target::Mask(mask) => mask.matches(name),
        }
    }

    /// What every name that it goes to begins with.
    pub fn literal_prefix(&self) -> &str {
        match self {
            Target::Group(group) => group.as_str(),
            Target::Mask(mask) => mask.literal_prefix(),
        }
    }

    /// The target as it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Target::Group(name) => name.as_str(),
            Target::Mask(mask) => mask.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_name_length_counts_characters_not_bytes() {
        assert!(GroupName::parse(&"é".repeat(1024), true).is_ok());
        let long = GroupName::parse(&"é".repeat(1025), true);
        assert_eq!(long, Err(NameError::TooLong { what: "group name", max: 1024 }));
    }

    #[test]
    fn blank_and_control_group_names_are_refused() {
        for blank in ["", " ", "\u{3000}\u{a0}"] {
            assert_eq!(GroupName::parse(blank, true), Err(NameError::Blank { what: "group name" }), "{blank:?}");
        }
        for control in ["a\nb", "a\u{7f}", "\u{85}a"] {
            assert_eq!(GroupName::parse(control, true), Err(NameError::Control { what: "group name" }), "{control:?}");
        }
    }

    #[test]
    fn hub_names_follow_the_reference_grammar() {
        for good in ["chat", "A_`,.[]9", &format!("h{}", "x".repeat(127))] {
            assert!(HubName::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "1a", "a-b", "a/b", "ä", &"x".repeat(129)] {
            assert_eq!(HubName::parse(bad), Err(NameError::Hub), "{bad:?}");
        }
        assert!(HubName::parse("Folkmoot.admin").unwrap().is_reserved());
    }

    #[test]
    fn connection_ids_are_read_only_in_their_written_form() {
        for bad in ["", "xyz", "+0000000000000000000000000000001", "0123456789abcdef0123456789abcdef0"] {
            assert_eq!(bad.parse::<ConnectionId>(), Err(NameError::ConnectionId), "{bad:?}");
        }
    }
}
