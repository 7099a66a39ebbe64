//! What a store keeps about one user, and the limits that every part of it has.
//!
//! A [`UserRecord`] is data about a person; the hash of the password never stands in it. How and where it is kept is
//! the stores' affair.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::auth::permissions::HubRole;
use crate::ids::{GroupName, HubName, MAX_GROUP_NAME_CHARS, NameError, UserId};
use crate::user::User;

/// Longest username, in characters: it stands in every announcement and every entry of a member list.
pub const MAX_USERNAME_CHARS: usize = 256;
/// Longest telephone number, in characters: international numbers have 15 digits, the rest is for extensions.
pub const MAX_PHONE_CHARS: usize = 64;
/// Most further groups: each is a join at every connect.
pub const MAX_USER_GROUPS: usize = 100;
/// Most roles: they are read at every connect.
pub const MAX_USER_ROLES: usize = 1000;
/// Most hubs named one by one; beyond that `*` is meant.
pub const MAX_USER_HUBS: usize = 100;
/// Most bytes of the free-form data as JSON: every connection of the user carries a copy.
pub const MAX_USER_DATA_BYTES: usize = 16 * 1024;

/// Why a record cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A login with which nobody could log in.
    #[error("a login has no ':', because HTTP Basic puts one between login and password")]
    Colon,
    /// A text that is there has nothing in it.
    #[error("the {0} is blank; leave it out instead")]
    Blank(&'static str),
    /// A text is longer than allowed.
    #[error("the {what} has more than {max} characters")]
    TooLong {
        /// Which field.
        what: &'static str,
        /// The limit, in characters.
        max: usize,
    },
    /// A text has a control character.
    #[error("the {0} has a control character")]
    Control(&'static str),
    /// A list has too many entries.
    #[error("a user has at most {max} {what}")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// The limit, in entries.
        max: usize,
    },
    /// A department or a further group that no join rule could join.
    #[error("the {what} '{value}' cannot be joined: {error}")]
    Group {
        /// Which field.
        what: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// A hub that is no hub name.
    #[error("the hub '{value}' is not one: {error}")]
    Hub {
        /// The value as given.
        value: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// `*` beside names of hubs.
    #[error("'*' stands for all hubs and cannot stand beside others")]
    HubsMixed,
    /// The free-form data is too big.
    #[error("the data has {bytes} bytes as JSON and may have {MAX_USER_DATA_BYTES}")]
    DataTooBig {
        /// Its size as JSON.
        bytes: usize,
    },
}

/// The hubs that a user may enter. Reserved hubs take an admin role besides.
///
/// Written as a list of names: empty for the default hub, `["*"]` for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HubAccess {
    /// The configured default hub only.
    #[default]
    Default,
    /// Every hub.
    All,
    /// The hubs named, and no other.
    Only(Vec<HubName>),
}

impl HubAccess {
    /// Reads the written form.
    ///
    /// ```
    /// use folkmoot::HubName;
    /// use folkmoot::users::HubAccess;
    ///
    /// let (chat, other) = (HubName::parse("chat")?, HubName::parse("other")?);
    /// assert!(HubAccess::parse::<&str>(&[])?.allows(&chat, &chat));
    /// assert!(!HubAccess::parse::<&str>(&[])?.allows(&other, &chat));
    /// assert!(HubAccess::parse(&["*"])?.allows(&other, &chat));
    /// assert!(!HubAccess::parse(&["other"])?.allows(&chat, &chat));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RecordError`] for a text that is no hub name, and for `*` beside others.
    pub fn parse<S: AsRef<str>>(hubs: &[S]) -> Result<Self, RecordError> {
        match hubs {
            [] => Ok(HubAccess::Default),
            [all] if all.as_ref() == "*" => Ok(HubAccess::All),
            _ if hubs.iter().any(|hub| hub.as_ref() == "*") => Err(RecordError::HubsMixed),
            _ => {
                let parse = |hub: &S| {
                    let value = hub.as_ref();
                    HubName::parse(value).map_err(|error| RecordError::Hub { value: value.to_owned(), error })
                };
                hubs.iter().map(parse).collect::<Result<_, _>>().map(HubAccess::Only)
            }
        }
    }

    /// The written form.
    pub fn names(&self) -> Vec<&str> {
        match self {
            HubAccess::Default => Vec::new(),
            HubAccess::All => vec!["*"],
            HubAccess::Only(hubs) => hubs.iter().map(HubName::as_str).collect(),
        }
    }

    /// Whether a user with this access may enter `hub`.
    pub fn allows(&self, hub: &HubName, default: &HubName) -> bool {
        match self {
            HubAccess::Default => hub == default,
            HubAccess::All => true,
            HubAccess::Only(hubs) => hubs.contains(hub),
        }
    }
}

impl Serialize for HubAccess {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl fmt::Display for HubAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HubAccess::Default => f.write_str("(default hub)"),
            HubAccess::All | HubAccess::Only(_) => f.write_str(&self.names().join(", ")),
        }
    }
}

/// One user of the store, without the password.
///
/// Serialized for the operator's eyes (`folkmoot user show --json`); what other users see is told by
/// [`UserData::public`](crate::UserData::public) of [`user`](UserRecord::user).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserRecord {
    /// What the user logs in with; also the user id of the user's connections.
    pub login: UserId,
    /// The name others see.
    pub username: Option<String>,
    /// The department, which `"{department}"` in a join rule makes a group.
    pub department: Option<String>,
    /// A telephone number, as written.
    pub phone: Option<String>,
    /// Age in years.
    pub age: Option<u32>,
    /// Groups to join at connect besides those of the join rules.
    pub groups: Vec<GroupName>,
    /// Rights besides the hub's default roles.
    pub roles: Vec<HubRole>,
    /// The hubs that the user may enter.
    pub hubs: HubAccess,
    /// Free-form data.
    pub data: Map<String, Value>,
    /// Cannot log in.
    pub disabled: bool,
    /// A demo user with a published password, who may log in from this machine only. Setting a password clears it.
    pub demo: bool,
}

impl UserRecord {
    /// A user of whom nothing but the login is known: the default hub, no groups, no roles.
    pub fn new(login: UserId) -> Self {
        UserRecord {
            login,
            username: None,
            department: None,
            phone: None,
            age: None,
            groups: Vec::new(),
            roles: Vec::new(),
            hubs: HubAccess::Default,
            data: Map::new(),
            disabled: false,
            demo: false,
        }
    }

    /// The data that the user's connections carry.
    pub fn user(&self) -> User {
        User {
            login: Some(self.login.as_str().to_owned()),
            username: self.username.clone(),
            department: self.department.clone(),
            phone: self.phone.clone(),
            age: self.age,
            data: self.data.clone(),
        }
    }

    /// Holds the record to its limits. Stores call it on what they are given and on what they read.
    ///
    /// Groups and the department must be names that a hub with masks on accepts: a stored group makes a member, never
    /// a listener of a mask.
    ///
    /// # Errors
    /// [`RecordError`], the first found.
    pub fn validate(&self) -> Result<(), RecordError> {
        if self.login.as_str().contains(':') {
            return Err(RecordError::Colon);
        }
        check_text("username", self.username.as_deref(), MAX_USERNAME_CHARS)?;
        check_text("phone", self.phone.as_deref(), MAX_PHONE_CHARS)?;
        check_text("department", self.department.as_deref(), MAX_GROUP_NAME_CHARS)?;
        if let Some(department) = &self.department {
            parse_group("department", department)?;
        }
        check_count("further groups", self.groups.len(), MAX_USER_GROUPS)?;
        for group in &self.groups {
            parse_group("group", group.as_str())?;
        }
        check_count("roles", self.roles.len(), MAX_USER_ROLES)?;
        check_count("hubs", self.hubs.names().len(), MAX_USER_HUBS)?;
        match serde_json::to_vec(&self.data).map_or(usize::MAX, |json| json.len()) {
            bytes if bytes > MAX_USER_DATA_BYTES => Err(RecordError::DataTooBig { bytes }),
            _ => Ok(()),
        }
    }
}

/// Reads a group that a user is to be put into at connect.
///
/// # Errors
/// [`RecordError::Group`] for what is no group name; a mask is none.
pub(crate) fn parse_group(what: &'static str, value: &str) -> Result<GroupName, RecordError> {
    GroupName::parse(value, true).map_err(|error| RecordError::Group { what, value: value.to_owned(), error })
}

fn check_text(what: &'static str, text: Option<&str>, max: usize) -> Result<(), RecordError> {
    match text {
        Some(text) if text.trim().is_empty() => Err(RecordError::Blank(what)),
        Some(text) if text.chars().count() > max => Err(RecordError::TooLong { what, max }),
        // Besides spoiling terminals, a NUL is what PostgreSQL cannot store.
        Some(text) if text.chars().any(char::is_control) => Err(RecordError::Control(what)),
        _ => Ok(()),
    }
}

fn check_count(what: &'static str, count: usize, max: usize) -> Result<(), RecordError> {
    if count > max { Err(RecordError::TooMany { what, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> UserRecord {
        UserRecord::new(UserId::parse("mark").unwrap())
    }

    #[test]
    fn a_mask_is_refused_as_department_and_as_group() {
        let department = UserRecord { department: Some("sales/*".into()), ..record() };
        assert!(matches!(department.validate(), Err(RecordError::Group { what: "department", .. })));
        let groups = vec![GroupName::parse("sales/*", false).unwrap()];
        let grouped = UserRecord { groups, ..record() };
        assert!(matches!(grouped.validate(), Err(RecordError::Group { what: "group", .. })));
        let plain = UserRecord { department: Some("sales/europe".into()), ..record() };
        assert_eq!(plain.validate(), Ok(()));
    }

    #[test]
    fn every_field_has_a_limit() {
        let name = |n| UserRecord { username: Some("é".repeat(n)), ..record() };
        assert_eq!(name(256).validate(), Ok(()));
        assert!(name(257).validate().is_err());
        let phone = |n| UserRecord { phone: Some("5".repeat(n)), ..record() };
        assert_eq!(phone(64).validate(), Ok(()));
        assert!(phone(65).validate().is_err());
        let data = |n| UserRecord { data: Map::from_iter([("k".into(), "x".repeat(n).into())]), ..record() };
        assert_eq!(data(MAX_USER_DATA_BYTES - 8).validate(), Ok(()));
        assert_eq!(data(MAX_USER_DATA_BYTES - 7).validate(), Err(RecordError::DataTooBig { bytes: 16 * 1024 + 1 }));
        let groups = |n| UserRecord { groups: vec![GroupName::parse("g", true).unwrap(); n], ..record() };
        assert_eq!(groups(100).validate(), Ok(()));
        assert!(groups(101).validate().is_err());
        let roles = |n| UserRecord { roles: vec!["folkmoot.listGroups".parse().unwrap(); n], ..record() };
        assert!(roles(1001).validate().is_err());
    }

    #[test]
    fn blank_texts_and_control_characters_are_refused() {
        let blank = UserRecord { username: Some(" ".into()), ..record() };
        assert_eq!(blank.validate(), Err(RecordError::Blank("username")));
        let control = UserRecord { phone: Some("5\u{1b}[2J".into()), ..record() };
        assert_eq!(control.validate(), Err(RecordError::Control("phone")));
    }

    #[test]
    fn a_login_that_http_basic_cannot_carry_is_refused() {
        assert_eq!(UserRecord::new(UserId::parse("a:b").unwrap()).validate(), Err(RecordError::Colon));
    }

    #[test]
    fn a_star_beside_a_hub_is_refused() {
        assert_eq!(HubAccess::parse(&["chat", "*"]), Err(RecordError::HubsMixed));
        assert!(matches!(HubAccess::parse(&["a-b"]), Err(RecordError::Hub { .. })));
    }
}
