//! A row of a file becomes a user: every field is read and held to its limits, and every mistake is told.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::rows::Row;
use crate::auth::permissions::HubRole;
use crate::ids::{GroupName, UserId};
use crate::user::json_bytes;
use crate::users::{HubAccess, PasswordHash, UserRecord, check_new_password};

/// A user as the store is to have them.
pub(super) struct Entry {
    pub(super) record: UserRecord,
    pub(super) secret: Option<Secret>,
}

/// What a user is to log in with.
pub(super) enum Secret {
    /// A password, to be hashed.
    Password(Zeroizing<String>),
    /// A hash that another store had.
    Hash(PasswordHash),
}

/// Who a row is about.
pub(super) fn login(row: &Row) -> Result<UserId, String> {
    match row.fields.get("login") {
        Some(Value::String(text)) => UserId::parse(text).map_err(|error| format!("login: {error}")),
        None | Some(Value::Null) => Err("there is no login".to_owned()),
        Some(_) => Err("login: a text is wanted".to_owned()),
    }
}

/// Lays what the row says over `base`: what it does not mention stays, what is null is cleared.
pub(super) fn read(row: Row, base: UserRecord, max_bytes: usize) -> Result<Entry, Vec<String>> {
    let mut fields = Fields { fields: row.fields, mistakes: Vec::new() };
    let mut record = base;
    fields.set("username", text, &mut record.username);
    fields.set("department", text, &mut record.department);
    fields.set("phone", text, &mut record.phone);
    fields.set("age", age, &mut record.age);
    fields.set("groups", groups, &mut record.groups);
    fields.set("roles", roles, &mut record.roles);
    fields.set("hubs", hubs, &mut record.hubs);
    fields.set("data", data, &mut record.data);
    fields.set("disabled", flag, &mut record.disabled);
    let secret = fields.secret();
    let mut mistakes = fields.mistakes;
    if let Err(error) = record.validate() {
        mistakes.push(error.to_string());
    }
    let bytes = json_bytes(&record.user());
    if bytes > max_bytes {
        mistakes.push(format!("the data has {bytes} bytes as JSON, more than users.max_record_bytes ({max_bytes})"));
    }
    if mistakes.is_empty() { Ok(Entry { record, secret }) } else { Err(mistakes) }
}

/// The fields that are yet to be read, and what was wrong with the others.
struct Fields {
    fields: Map<String, Value>,
    mistakes: Vec<String>,
}

impl Fields {
    fn set<T: Default>(&mut self, name: &str, read: fn(Value) -> Result<T, String>, field: &mut T) {
        match self.fields.remove(name) {
            None => {}
            Some(Value::Null) => *field = T::default(),
            Some(value) => match read(value) {
                Ok(value) => *field = value,
                Err(message) => self.mistakes.push(format!("{name}: {message}")),
            },
        }
    }

    fn secret(&mut self) -> Option<Secret> {
        let mut take = |name: &str| match self.fields.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(Zeroizing::new(text)),
            Some(_) => {
                self.mistakes.push(format!("{name}: a text is wanted"));
                None
            }
        };
        match (take("password"), take("password_hash")) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                self.mistakes.push("there is both a password and a password_hash".to_owned());
                None
            }
            (Some(password), None) => match check_new_password(&password) {
                Ok(()) => Some(Secret::Password(password)),
                Err(error) => {
                    self.mistakes.push(format!("password: {error}"));
                    None
                }
            },
            (None, Some(hash)) => match PasswordHash::parse(&hash) {
                Ok(hash) => Some(Secret::Hash(hash)),
                Err(error) => {
                    self.mistakes.push(format!("password_hash: {error}"));
                    None
                }
            },
        }
    }
}

fn text(value: Value) -> Result<Option<String>, String> {
    match value {
        Value::String(text) => Ok(Some(text)),
        _ => Err("a text is wanted".to_owned()),
    }
}

fn age(value: Value) -> Result<Option<u32>, String> {
    let age = value.as_u64().and_then(|age| u32::try_from(age).ok());
    age.map(Some).ok_or_else(|| "a whole number of years is wanted".to_owned())
}

fn flag(value: Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "true or false is wanted".to_owned())
}

fn data(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(data) => Ok(data),
        _ => Err("a JSON object is wanted".to_owned()),
    }
}

fn texts(value: Value) -> Result<Vec<String>, String> {
    serde_json::from_value(value).map_err(|_| "a list of texts is wanted".to_owned())
}

fn groups(value: Value) -> Result<Vec<GroupName>, String> {
    let parse = |name: &String| GroupName::parse(name, true).map_err(|error| format!("'{name}': {error}"));
    texts(value)?.iter().map(parse).collect()
}

fn roles(value: Value) -> Result<Vec<HubRole>, String> {
    texts(value)?.iter().map(|role| role.parse::<HubRole>().map_err(|error| error.to_string())).collect()
}

fn hubs(value: Value) -> Result<HubAccess, String> {
    HubAccess::parse(&texts(value)?).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(fields: Value, base: UserRecord) -> Result<Entry, Vec<String>> {
        let Value::Object(fields) = fields else { panic!("an object") };
        read(Row { line: 1, fields }, base, 1000)
    }

    fn mark() -> UserRecord {
        UserRecord { username: Some("Mark".into()), age: Some(22), ..UserRecord::new(UserId::parse("mark").unwrap()) }
    }

    #[test]
    fn what_is_not_mentioned_stays_and_what_is_null_is_cleared() {
        let entry = entry(json!({"login": "mark", "age": null, "groups": ["a"], "disabled": true}), mark()).unwrap();
        let groups = vec![GroupName::parse("a", true).unwrap()];
        assert_eq!(entry.record, UserRecord { age: None, groups, disabled: true, ..mark() });
        assert!(entry.secret.is_none());
    }

    #[test]
    fn every_mistake_of_a_row_is_told() {
        let wrong = json!({"username": 1, "age": -1, "groups": ["a*"], "roles": ["fly"], "hubs": ["*", "chat"],
            "data": [], "disabled": "no", "password": "short"});
        let mistakes = entry(wrong, mark()).err().unwrap();
        let fields = ["username", "age", "groups", "roles", "hubs", "data", "disabled", "password"];
        assert_eq!(mistakes.len(), if mistakes.iter().any(|m| m.starts_with("hubs")) { 8 } else { 7 });
        for field in fields {
            let told = mistakes.iter().any(|mistake| mistake.starts_with(&format!("{field}: ")));
            assert!(told, "{field}: {mistakes:?}");
        }
    }

    #[test]
    fn limits_hold_and_foreign_hashes_are_refused_without_being_repeated() {
        let phone = entry(json!({"phone": "5".repeat(65)}), mark()).err().unwrap();
        assert!(phone[0].contains("phone"), "{phone:?}");
        let big = entry(json!({"data": {"x": "y".repeat(1000)}}), mark()).err().unwrap();
        assert!(big[0].contains("users.max_record_bytes (1000)"), "{big:?}");
        let bcrypt = "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
        let hash = entry(json!({"password_hash": bcrypt}), mark()).err().unwrap();
        assert!(hash[0].contains("Argon2id") && !hash[0].contains("2b$12"), "{hash:?}");
        let both = entry(json!({"password": "long enough", "password_hash": bcrypt}), mark()).err().unwrap();
        assert!(both[0].contains("both"), "{both:?}");
    }
}
