//! The four people of the demo, whose passwords stand in the README.
//!
//! Whether they are wanted is decided by whoever calls [`seed`]; that they may log in from this machine only, by the
//! upgrade.

use crate::ids::UserId;
use crate::users::record::parse_group;
use crate::users::{StoreError, UserRecord, UserStore, hash_password};

/// A user of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoUser {
    /// What they log in with.
    pub login: &'static str,
    /// The published password.
    pub password: &'static str,
    /// The name others see.
    pub username: &'static str,
    /// The department, which the demo hub makes a group.
    pub department: &'static str,
    /// A further group.
    pub group: Option<&'static str>,
    /// A telephone number.
    pub phone: Option<&'static str>,
    /// Age in years.
    pub age: Option<u32>,
}

const SOMEBODY: DemoUser =
    DemoUser { login: "", password: "", username: "", department: "", group: None, phone: None, age: None };

/// The people of the demo. `Sales` is not matched by `sales/*`, and that is its point.
pub const DEMO_USERS: [DemoUser; 4] = [
    DemoUser {
        login: "user-1",
        password: "password-1",
        username: "Mark",
        department: "Sales",
        phone: Some("+55431588744134"),
        age: Some(22),
        ..SOMEBODY
    },
    DemoUser { login: "user-2", password: "password-2", username: "Anna", department: "sales/europe", ..SOMEBODY },
    DemoUser { login: "user-3", password: "password-3", username: "Kenji", department: "sales/asia", ..SOMEBODY },
    DemoUser {
        login: "user-4",
        password: "password-4",
        username: "Ines",
        department: "accounting",
        group: Some("admin"),
        ..SOMEBODY
    },
];

impl DemoUser {
    /// The user as stored: without roles, because the demo hub's default roles give them theirs.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the constants above are no valid user, which a test rules out.
    pub fn record(&self) -> Result<UserRecord, StoreError> {
        let login = UserId::parse(self.login).map_err(|error| StoreError::Invalid(error.to_string()))?;
        Ok(UserRecord {
            username: Some(self.username.to_owned()),
            department: Some(self.department.to_owned()),
            phone: self.phone.map(str::to_owned),
            age: self.age,
            groups: self.group.iter().map(|group| parse_group("group", group)).collect::<Result<_, _>>()?,
            demo: true,
            ..UserRecord::new(login)
        })
    }
}

/// The demo users that a store has, and that may log in.
pub async fn present(store: &dyn UserStore) -> Vec<&'static DemoUser> {
    let mut present = Vec::new();
    for user in &DEMO_USERS {
        let Ok(login) = UserId::parse(user.login) else { continue };
        // They are only ever told of: a store that fails is told by the logs of those who need it.
        if matches!(store.find(&login).await, Ok(Some(found)) if found.record.demo && !found.record.disabled) {
            present.push(user);
        }
    }
    present
}

/// Adds the demo users. Those whose login is taken are left as they are.
///
/// Call it only for a store that [`is_new`](UserStore::is_new): their passwords are known to everybody. Hashes four
/// passwords on the runtime's blocking threads.
///
/// # Errors
/// [`StoreError`] of the store.
pub async fn seed(store: &dyn UserStore) -> Result<(), StoreError> {
    for demo in DEMO_USERS {
        let record = demo.record()?;
        let hash = tokio::task::spawn_blocking(|| hash_password(demo.password)).await;
        let hash = match hash {
            Ok(hash) => hash.map_err(|error| StoreError::Invalid(error.to_string()))?,
            Err(_) => return Err(StoreError::Unavailable("the runtime is shutting down".into())),
        };
        match store.insert(&record, &hash).await {
            Ok(()) | Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::check_new_password;

    #[test]
    fn demo_users_are_valid_marked_and_without_roles() {
        for demo in DEMO_USERS {
            let record = demo.record().unwrap();
            assert_eq!(record.validate(), Ok(()));
            assert!(record.demo && record.roles.is_empty() && !record.disabled);
            assert_eq!(check_new_password(demo.password), Ok(()));
        }
    }
}
