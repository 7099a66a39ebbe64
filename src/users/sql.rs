//! The store over SQL: every query once, for SQLite and PostgreSQL alike.
//!
//! Each change is one statement; the revision is raised by triggers within it (`migrations/`). How a database is opened
//! and made ready is told in `sqlite.rs` and `postgres.rs`.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sqlx::migrate::MigrateError;

use crate::auth::permissions::HubRole;
use crate::ids::UserId;
use crate::users::record::parse_group;
use crate::users::{HubAccess, PasswordHash, PoolState, StoreError, StoreFuture, StoredUser, UserRecord, UserStore};

/// How long to wait for a free connection, a lock, or the connection being made.
pub(super) const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call may take in all. A database that went away without a word is noticed by this alone.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Most rows of one page, whatever was asked for: a row has up to 1 MiB of roles and groups.
const MAX_PAGE: u32 = 1000;

/// The migrations' own table. The default name would collide where the database is somebody's who uses sqlx too.
pub(super) const MIGRATIONS_TABLE: &str = "folkmoot_users_migrations";

/// The connections to the database.
pub(super) enum Pool {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
}

/// A [`UserStore`] in SQLite or PostgreSQL.
pub(super) struct SqlStore {
    pub(super) pool: Pool,
    pub(super) description: String,
    pub(super) is_new: bool,
}

/// Runs one query on whichever pool there is. `sqlx::query` takes the type of its database from the pool, so the body
/// stands once in the source and is compiled for each.
macro_rules! on_pool {
    ($store:expr, $pool:ident => $query:expr) => {
        bounded(async {
            match &$store.pool {
                #[cfg(feature = "sqlite")]
                Pool::Sqlite($pool) => $query,
                #[cfg(feature = "postgres")]
                Pool::Postgres($pool) => $query,
            }
        })
        .await
    };
}

impl UserStore for SqlStore {
    fn find<'a>(&'a self, login: &'a UserId) -> StoreFuture<'a, Option<StoredUser>> {
        Box::pin(async move {
            let row: Option<Row> = on_pool!(self, pool => {
                sqlx::query_as("SELECT * FROM folkmoot_users WHERE login = $1")
                    .bind(login.as_str())
                    .fetch_optional(pool)
                    .await
            })?;
            row.map(Row::into_user).transpose()
        })
    }

    fn insert<'a>(&'a self, record: &'a UserRecord, password_hash: &'a PasswordHash) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            record.validate()?;
            let (groups, roles, hubs, data) = lists(record)?;
            let inserted = on_pool!(self, pool => {
                sqlx::query(
                    "INSERT INTO folkmoot_users \
                     (login, username, department, phone, age, groups, roles, hubs, data, disabled, demo, password_hash) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (login) DO NOTHING",
                )
                .bind(record.login.as_str())
                .bind(record.username.as_deref())
                .bind(record.department.as_deref())
                .bind(record.phone.as_deref())
                .bind(record.age.map(i64::from))
                .bind(groups.as_str())
                .bind(roles.as_str())
                .bind(hubs.as_str())
                .bind(data.as_str())
                .bind(record.disabled)
                .bind(record.demo)
                .bind(password_hash.expose())
                .execute(pool)
                .await
                .map(|done| done.rows_affected())
            })?;
            if inserted == 0 { Err(StoreError::Conflict(record.login.clone())) } else { Ok(()) }
        })
    }

    fn update<'a>(&'a self, record: &'a UserRecord) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            record.validate()?;
            let (groups, roles, hubs, data) = lists(record)?;
            let changed = on_pool!(self, pool => {
                sqlx::query(
                    "UPDATE folkmoot_users SET username = $2, department = $3, phone = $4, age = $5, groups = $6, \
                     roles = $7, hubs = $8, data = $9 WHERE login = $1",
                )
                .bind(record.login.as_str())
                .bind(record.username.as_deref())
                .bind(record.department.as_deref())
                .bind(record.phone.as_deref())
                .bind(record.age.map(i64::from))
                .bind(groups.as_str())
                .bind(roles.as_str())
                .bind(hubs.as_str())
                .bind(data.as_str())
                .execute(pool)
                .await
                .map(|done| done.rows_affected())
            })?;
            found(&record.login, changed)
        })
    }

    fn set_password<'a>(&'a self, login: &'a UserId, password_hash: &'a PasswordHash) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let changed = on_pool!(self, pool => {
                sqlx::query("UPDATE folkmoot_users SET password_hash = $2, demo = FALSE WHERE login = $1")
                    .bind(login.as_str())
                    .bind(password_hash.expose())
                    .execute(pool)
                    .await
                    .map(|done| done.rows_affected())
            })?;
            found(login, changed)
        })
    }

    fn set_disabled<'a>(&'a self, login: &'a UserId, disabled: bool) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let changed = on_pool!(self, pool => {
                sqlx::query("UPDATE folkmoot_users SET disabled = $2 WHERE login = $1")
                    .bind(login.as_str())
                    .bind(disabled)
                    .execute(pool)
                    .await
                    .map(|done| done.rows_affected())
            })?;
            found(login, changed)
        })
    }

    fn remove<'a>(&'a self, login: &'a UserId) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let changed = on_pool!(self, pool => {
                sqlx::query("DELETE FROM folkmoot_users WHERE login = $1")
                    .bind(login.as_str())
                    .execute(pool)
                    .await
                    .map(|done| done.rows_affected())
            })?;
            found(login, changed)
        })
    }

    fn list<'a>(&'a self, after: Option<&'a UserId>, limit: u32) -> StoreFuture<'a, Vec<UserRecord>> {
        Box::pin(async move {
            // Every login sorts after the empty text, so it stands for the beginning.
            let after = after.map_or("", UserId::as_str);
            let rows: Vec<Row> = on_pool!(self, pool => {
                sqlx::query_as("SELECT * FROM folkmoot_users WHERE login > $1 ORDER BY login LIMIT $2")
                    .bind(after)
                    .bind(i64::from(limit.min(MAX_PAGE)))
                    .fetch_all(pool)
                    .await
            })?;
            rows.into_iter().map(Row::into_record).collect()
        })
    }

    fn revision(&self) -> StoreFuture<'_, i64> {
        Box::pin(async move {
            on_pool!(self, pool => {
                sqlx::query_scalar("SELECT revision FROM folkmoot_users_revision").fetch_one(pool).await
            })
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move { on_pool!(self, pool => sqlx::query("SELECT 1").execute(pool).await.map(|_| ())) })
    }

    fn describe(&self) -> String {
        self.description.clone()
    }

    fn pool(&self) -> Option<PoolState> {
        let (open, idle) = match &self.pool {
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => (pool.size(), pool.num_idle()),
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => (pool.size(), pool.num_idle()),
        };
        let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(open);
        Some(PoolState { in_use: open - idle, idle })
    }

    fn is_new(&self) -> bool {
        self.is_new
    }
}

/// A row of `folkmoot_users`.
#[derive(sqlx::FromRow)]
struct Row {
    login: String,
    username: Option<String>,
    department: Option<String>,
    phone: Option<String>,
    age: Option<i64>,
    groups: String,
    roles: String,
    hubs: String,
    data: String,
    disabled: bool,
    demo: bool,
    password_hash: String,
}

impl Row {
    fn into_user(self) -> Result<StoredUser, StoreError> {
        let password_hash = PasswordHash::parse(&self.password_hash).map_err(|error| damaged(&self.login, error))?;
        Ok(StoredUser { record: self.into_record()?, password_hash })
    }

    fn into_record(self) -> Result<UserRecord, StoreError> {
        let login = self.login.clone();
        self.parse().map_err(|error| damaged(&login, error))
    }

    fn parse(self) -> Result<UserRecord, Box<dyn std::error::Error>> {
        let groups: Vec<String> = column("groups", &self.groups)?;
        let hubs: Vec<String> = column("hubs", &self.hubs)?;
        let record = UserRecord {
            login: UserId::parse(&self.login)?,
            username: self.username,
            department: self.department,
            phone: self.phone,
            age: self.age.map(u32::try_from).transpose()?,
            groups: groups.iter().map(|group| parse_group("group", group)).collect::<Result<_, _>>()?,
            roles: column::<Vec<HubRole>>("roles", &self.roles)?,
            hubs: HubAccess::parse(&hubs)?,
            data: column::<Map<String, Value>>("data", &self.data)?,
            disabled: self.disabled,
            demo: self.demo,
        };
        record.validate()?;
        Ok(record)
    }
}

fn column<T: DeserializeOwned>(name: &str, json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| format!("column {name}: {error}"))
}

fn damaged(login: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("user {login:?}: {error}"))
}

/// The columns that are kept as JSON: groups, roles, hubs, data.
fn lists(record: &UserRecord) -> Result<(String, String, String, String), StoreError> {
    let json = |result: serde_json::Result<String>| result.map_err(|error| StoreError::Invalid(error.to_string()));
    Ok((
        json(serde_json::to_string(&record.groups))?,
        json(serde_json::to_string(&record.roles))?,
        json(serde_json::to_string(&record.hubs))?,
        json(serde_json::to_string(&record.data))?,
    ))
}

fn found(login: &UserId, rows: u64) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::NotFound(login.clone())) } else { Ok(()) }
}

/// Holds a call to [`CALL_TIMEOUT`] and translates its error.
pub(super) async fn bounded<T>(call: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(result) => result.map_err(StoreError::from),
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {} s", CALL_TIMEOUT.as_secs()))),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            // SQLite's result codes: 11 is SQLITE_CORRUPT, 26 SQLITE_NOTADB.
            sqlx::Error::Database(error) if matches!(error.code().as_deref(), Some("11" | "26")) => {
                StoreError::Corrupt(error.message().to_owned())
            }
            sqlx::Error::Database(error) => StoreError::Unavailable(error.message().to_owned()),
            sqlx::Error::Io(error) => StoreError::Unavailable(error.to_string()),
            sqlx::Error::PoolTimedOut => StoreError::Unavailable("no connection to the database could be had".into()),
            sqlx::Error::Migrate(error) => (*error).into(),
            sqlx::Error::RowNotFound => StoreError::Corrupt("the table folkmoot_users_revision is empty".into()),
            error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_)) => {
                StoreError::Corrupt(error.to_string())
            }
            error => StoreError::Unavailable(error.to_string()),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                StoreError::Invalid("the user store was made by a newer folkmoot; run that one, or a later".into())
            }
            error => StoreError::Corrupt(error.to_string()),
        }
    }
}
