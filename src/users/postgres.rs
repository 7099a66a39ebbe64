//! Opening a store in PostgreSQL.
//!
//! The queries stand in `sql.rs`.

use std::str::FromStr;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use crate::users::StoreError;
use crate::users::sql::{MIGRATIONS_TABLE, Pool, SqlStore, WAIT_TIMEOUT, bounded};

/// A server has a hundred by default, and other nodes and the command line want some too.
const MAX_CONNECTIONS: u32 = 8;

/// Connects to the database that a `postgres://` address names, and brings its tables up to date.
pub(super) async fn open(database: &str) -> Result<SqlStore, StoreError> {
    // The error of the parser is not repeated: it may quote a piece of the password.
    let options = PgConnectOptions::from_str(database).map_err(|_| {
        StoreError::Invalid(
            "users.database is not an address of PostgreSQL: postgres://USER:PASSWORD@HOST:PORT/DATABASE".into(),
        )
    })?;
    let options = options.application_name("folkmoot");
    let place = place_of(&options);
    // Not through the pool: it would try again for as long as it may, and then not say why.
    let connected = match tokio::time::timeout(WAIT_TIMEOUT, options.connect()).await {
        Ok(connected) => connected.map_err(StoreError::from),
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {} s", WAIT_TIMEOUT.as_secs()))),
    };
    let mut connection = connected.map_err(|error| at(&place, error))?;
    migrate(&mut connection).await.map_err(|error| at(&place, error))?;
    // The connection has done its work; an error in saying goodbye changes nothing.
    let _ = connection.close().await;
    let pool =
        PgPoolOptions::new().max_connections(MAX_CONNECTIONS).acquire_timeout(WAIT_TIMEOUT).connect_lazy_with(options);
    Ok(SqlStore { pool: Pool::Postgres(pool), description: format!("PostgreSQL ({place})"), is_new: false })
}

async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut migrator: Migrator = sqlx::migrate!("src/users/migrations/postgres");
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    bounded(async { Ok(migrator.run(connection).await?) }).await
}

/// Where the database is, without the password.
fn place_of(options: &PgConnectOptions) -> String {
    let user = options.get_username();
    let name = options.get_database().unwrap_or(user);
    match options.get_socket() {
        Some(socket) => format!("{user}@{}/{name}", socket.display()),
        None => format!("{user}@{}:{}/{name}", options.get_host(), options.get_port()),
    }
}

fn at(place: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(error) => StoreError::Unavailable(format!("PostgreSQL at {place}: {error}")),
        StoreError::Corrupt(error) => StoreError::Corrupt(format!("PostgreSQL at {place}: {error}")),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_told_without_the_password() {
        let options = PgConnectOptions::from_str("postgres://folk:s3cret@db.example:6543/moot").unwrap();
        assert_eq!(place_of(&options), "folk@db.example:6543/moot");
    }
}
