//! The data a connection carries about its user: the trait, and the type that the server itself uses.
//!
//! Where users come from (store, token, the caller's own authentication) is not decided here.

use std::borrow::Cow;
use std::io;

use serde::Serialize;
use serde_json::{Map, Value};

/// User data that every connection carries and every hook can read.
///
/// Implement it on a plain struct that derives `Serialize`; what a template such as `"{username} has logged in."` may
/// name is told by [`FIELDS`](UserData::FIELDS).
///
/// ```
/// use std::borrow::Cow;
/// use folkmoot::UserData;
///
/// #[derive(serde::Serialize)]
/// struct Employee { name: String, desk: u32 }
///
/// impl UserData for Employee {
///     const FIELDS: &'static [&'static str] = &["name", "desk"];
///     fn field(&self, name: &str) -> Option<Cow<'_, str>> {
///         match name {
///             "name" => Some(Cow::Borrowed(&self.name)),
///             "desk" => Some(Cow::Owned(self.desk.to_string())),
///             _ => None,
///         }
///     }
/// }
///
/// let mark = Employee { name: "Mark".into(), desk: 7 };
/// assert_eq!(mark.public(&["name".into()]).get("name"), Some(&"Mark".into()));
/// ```
pub trait UserData: Serialize + Send + Sync + 'static {
    /// The names that join rules and announcement templates may use.
    const FIELDS: &'static [&'static str];

    /// The value of one field as text, or `None` where this user has none.
    fn field(&self, name: &str) -> Option<Cow<'_, str>>;

    /// What others see of this user: the members of the serialized form that `fields` names.
    fn public(&self, fields: &[String]) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(mut all)) => {
                all.retain(|name, _| fields.iter().any(|field| field == name));
                all
            }
            _ => Map::new(),
        }
    }
}

/// The user data of the server itself: a person of the user store, or what a token's claims tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct User {
    /// What the user logs in with; also the user id of the user's connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The name others see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The department, which the demo's join rule makes a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// A telephone number. Others see it only where `users.public_fields` lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Age in years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<u32>,
    /// Free-form data: an object.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
}

impl UserData for User {
    const FIELDS: &'static [&'static str] = &["login", "username", "department", "phone", "age", "data"];

    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let text = |value: &'_ Option<String>| value.clone().map(Cow::Owned);
        match name {
            "login" => text(&self.login),
            "username" => text(&self.username),
            "department" => text(&self.department),
            "phone" => text(&self.phone),
            "age" => self.age.map(|age| Cow::Owned(age.to_string())),
            _ => match self.data.get(name.strip_prefix("data.")?)? {
                Value::String(value) => Some(Cow::Borrowed(value)),
                Value::Number(value) => Some(Cow::Owned(value.to_string())),
                Value::Bool(value) => Some(Cow::Owned(value.to_string())),
                Value::Null | Value::Array(_) | Value::Object(_) => None,
            },
        }
    }
}

/// How long user data is as JSON, without making the text.
pub(crate) fn json_bytes(user: &impl Serialize) -> usize {
    struct Length(usize);

    impl io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut length = Length(0);
    match serde_json::to_writer(&mut length, user) {
        Ok(()) => length.0,
        // What cannot be written is nowhere shown.
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_and_age_stay_private_unless_listed() {
        let mark = User {
            username: Some("Mark".into()),
            department: Some("Sales".into()),
            phone: Some("+55431588744134".into()),
            age: Some(22),
            ..User::default()
        };
        let public = mark.public(&["username".into(), "department".into()]);
        assert_eq!(Value::Object(public), serde_json::json!({"username": "Mark", "department": "Sales"}));
    }

    #[test]
    fn a_template_reaches_into_the_free_form_data() {
        let data = serde_json::json!({"team": "red", "desk": 7, "tags": []});
        let Value::Object(data) = data else { unreachable!() };
        let user = User { data, ..User::default() };
        assert_eq!(user.field("data.team").as_deref(), Some("red"));
        assert_eq!(user.field("data.desk").as_deref(), Some("7"));
        assert_eq!(user.field("data.tags"), None);
        assert_eq!(user.field("team"), None);
    }
}
