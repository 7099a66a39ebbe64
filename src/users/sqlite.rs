//! Opening the embedded store: a file of SQLite that only its owner may read.
//!
//! The queries stand in `sql.rs`.

use std::fs;
use std::io;
use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

use crate::users::StoreError;
use crate::users::sql::{MIGRATIONS_TABLE, Pool, SqlStore, WAIT_TIMEOUT, bounded};

/// Readers do not wait for the writer in WAL mode; more than a few only wait for the disk.
const MAX_CONNECTIONS: u32 = 4;

/// Opens the file that `sqlite://PATH` names, and makes it where it is missing if `create` says so.
pub(super) async fn open(database: &str, create: bool) -> Result<SqlStore, StoreError> {
    let path = path_of(database)?;
    let unusable = |error: io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
    if !create && !path.try_exists().map_err(unusable)? {
        return Err(StoreError::Missing(path.display().to_string()));
    }
    let is_new = make(path).map_err(unusable)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(WAIT_TIMEOUT)
        .foreign_keys(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(WAIT_TIMEOUT)
        .connect_lazy_with(options);
    migrate(&pool).await.map_err(|error| at(path, error))?;
    Ok(SqlStore { pool: Pool::Sqlite(pool), description: format!("SQLite ({})", path.display()), is_new })
}

fn path_of(database: &str) -> Result<&Path, StoreError> {
    let rest = database.strip_prefix("sqlite:").unwrap_or(database);
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.contains('?') || path == ":memory:" {
        return Err(StoreError::Invalid(
            "users.database: sqlite:// is followed by the path of a file and nothing else".into(),
        ));
    }
    Ok(Path::new(path))
}

/// Makes the file and the folders above it where they are missing, and tells whether the file is empty.
///
/// SQLite gives `-wal` and `-shm` the mode of the file, which is why the file is made here and not by SQLite.
fn make(path: &Path) -> io::Result<bool> {
    let mut folders = fs::DirBuilder::new();
    let mut options = fs::OpenOptions::new();
    folders.recursive(true);
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folders.mode(0o700);
        options.mode(0o600);
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        folders.create(parent)?;
    }
    Ok(options.open(path)?.metadata()?.len() == 0)
}

async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let mut migrator: Migrator = sqlx::migrate!("src/users/migrations/sqlite");
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    let run = || bounded(async { Ok(migrator.run(pool).await?) });
    // sqlx has no lock around migrations of SQLite: of two processes that start at once, one finds the tables half made
    // by the other. The second look finds them whole.
    match run().await {
        Err(StoreError::Unavailable(_)) => run().await,
        done => done,
    }
}

fn at(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(error) => StoreError::Unavailable(format!("{}: {error}", path.display())),
        StoreError::Corrupt(error) => StoreError::Corrupt(format!("{}: {error}", path.display())),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_relative_with_two_slashes_and_absolute_with_three() {
        assert_eq!(path_of("sqlite://data/folkmoot.db"), Ok(Path::new("data/folkmoot.db")));
        assert_eq!(path_of("sqlite:///var/lib/folkmoot.db"), Ok(Path::new("/var/lib/folkmoot.db")));
        assert_eq!(path_of("sqlite:folkmoot.db"), Ok(Path::new("folkmoot.db")));
        for bad in ["sqlite://", "sqlite:", "sqlite::memory:", "sqlite://a.db?mode=ro"] {
            assert!(path_of(bad).is_err(), "{bad}");
        }
    }
}
