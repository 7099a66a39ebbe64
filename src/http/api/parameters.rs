//! The parameters that a query of the API may have.

use crate::protocol::MAX_TTL_SECONDS;

/// A parameter of a query.
pub(super) struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub description: &'static str,
    /// What it may be.
    pub kind: Kind,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text.
    Text,
    /// Any number of texts, each as a parameter of its own.
    Texts,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number {
        /// The least.
        from: i64,
        /// The most, if there is one.
        to: Option<i64>,
    },
}

const fn text(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, description, kind: Kind::Text }
}

const fn texts(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, description, kind: Kind::Texts }
}

const fn flag(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, description, kind: Kind::Flag }
}

const fn number(name: &'static str, from: i64, to: Option<i64>, description: &'static str) -> Parameter {
    Parameter { name, description, kind: Kind::Number { from, to } }
}

pub(super) const ADDRESS: Parameter = text("address", "Only connections from this IP address.");
pub(super) const CLIENT_TYPE: Parameter = text("clientType", "Default, which is the only one.");
pub(super) const DELIMITER: Parameter =
    text("delimiter", "Groups whose names have it behind the prefix are told as one, as the folders of a tree.");
pub(super) const EXCLUDED: Parameter = texts("excluded", "Connections that are left out.");
pub(super) const FILTER: Parameter = text(
    "filter",
    "Only connections of which this is true: an OData filter on userId, connectionId, groups, protocol.",
);
pub(super) const IN_GROUP: Parameter = text("group", "Only members of this group.");
pub(super) const KICK: Parameter = flag("kick", "Close with 1008, after which an SDK does not come back by itself.");
pub(super) const MASK: Parameter = text("mask", "Only groups that this mask matches.");
pub(super) const MINUTES: Parameter =
    number("minutesToExpire", 1, None, "For how many minutes the token is good; 60 where nothing is said.");
pub(super) const MUST_EXIST: Parameter = flag("mustExist", "Refuse the message when there is no such group.");
pub(super) const PAGE_SIZE: Parameter = number("maxpagesize", 1, None, "Entries of one page at the most.");
pub(super) const PREFIX: Parameter = text("prefix", "Only groups whose names begin so.");
pub(super) const REASON: Parameter = text("reason", "The reason that clients are told, of at most 1,024 bytes.");
pub(super) const ROLE: Parameter = texts("role", "Roles of the client.");
pub(super) const TARGET_NAME: Parameter =
    text("targetName", "The group, by its name alone; all groups where none is named.");
pub(super) const TOKEN: Parameter = text("continuationToken", "Where the page before this one ended.");
pub(super) const TOKEN_GROUP: Parameter = texts("group", "Groups that the client is put into.");
pub(super) const TOP: Parameter = number("top", 1, None, "Entries of all pages together at the most.");
pub(super) const TTL: Parameter = number(
    "messageTtlSeconds",
    0,
    Some(MAX_TTL_SECONDS as i64),
    "After how many seconds the message need not be delivered any more; 0 is never.",
);
pub(super) const USER: Parameter = text("user", "Only connections of this user.");
pub(super) const USER_ID: Parameter = text("userId", "The user id of the client.");
