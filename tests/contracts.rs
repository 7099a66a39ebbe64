//! What every implementation of a seam must do: one suite for each trait, run on each implementation.
//!
//! PostgreSQL comes from `TEST_POSTGRES_URL`, the address of a user who may create databases; without it the test
//! says that it was skipped (`.ci/run` takes that for a failure).
#![cfg(any(feature = "postgres", feature = "sqlite"))]

#[cfg(feature = "postgres")]
#[path = "common/notes.rs"]
mod notes;

use std::sync::Arc;

use folkmoot::users::{
    self, HubAccess, LoginError, LoginVerdict, PasswordHash, StoreError, UserRecord, UserStore, Verifier,
    VerifierOptions,
};
use folkmoot::{GroupName, UserId};

/// The cheapest hashes that there are: the suite is about keeping them.
const HASH_A: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const HASH_B: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn login(text: &str) -> UserId {
    UserId::parse(text).unwrap()
}

fn hash(phc: &str) -> PasswordHash {
    PasswordHash::parse(phc).unwrap()
}

fn full(name: &str) -> UserRecord {
    UserRecord {
        username: Some("Mark \"the\" Ünïcode'; DROP TABLE folkmoot_users".into()),
        department: Some("sales/europe".into()),
        phone: Some("+55431588744134".into()),
        age: Some(u32::MAX),
        groups: vec![GroupName::parse("admin", true).unwrap(), GroupName::parse("a,b \"c\"", true).unwrap()],
        roles: vec!["chat:webpubsub.sendToGroup.a:b".parse().unwrap(), "folkmoot.admin".parse().unwrap()],
        hubs: HubAccess::parse(&["chat", "other"]).unwrap(),
        data: serde_json::from_str(r#"{"team":"red","nul":"\u0000","nested":{"n":[1,2.5,null]}}"#).unwrap(),
        disabled: true,
        demo: true,
        ..UserRecord::new(login(name))
    }
}

/// Every promise of [`UserStore`], on a store without users.
async fn user_store_suite(store: Arc<dyn UserStore>) {
    let store = &*store;
    store.ping().await.unwrap();
    what_is_stored_comes_back(store).await;
    changes_touch_what_they_name(store).await;
    refused_changes_change_nothing(store).await;
    pages_follow_each_other_in_the_order_of_bytes(store).await;
    removed_users_are_gone(store).await;
    concurrent_changes_all_count(store).await;
}

async fn what_is_stored_comes_back(store: &dyn UserStore) {
    assert!(store.find(&login("full")).await.unwrap().is_none());
    store.insert(&full("full"), &hash(HASH_A)).await.unwrap();
    let empty = UserRecord::new(login("Full"));
    store.insert(&empty, &hash(HASH_B)).await.unwrap();
    let found = store.find(&login("full")).await.unwrap().unwrap();
    assert_eq!(found.record, full("full"));
    assert_eq!(found.password_hash, hash(HASH_A));
    let found = store.find(&login("Full")).await.unwrap().unwrap();
    assert_eq!(found.record, empty, "logins differ by case");
    assert_eq!(found.password_hash, hash(HASH_B));
}

async fn changes_touch_what_they_name(store: &dyn UserStore) {
    let full_login = login("full");
    let mut expected = full("full");
    let mut revision = store.revision().await.unwrap();
    let mut changed = async |expected: &UserRecord| {
        let now = store.revision().await.unwrap();
        assert!(now > revision, "the revision rises with each change");
        revision = now;
        let found = store.find(&full_login).await.unwrap().unwrap();
        assert_eq!(&found.record, expected);
        assert_eq!(found.password_hash, hash(HASH_B));
    };

    store.set_password(&full_login, &hash(HASH_B)).await.unwrap();
    expected.demo = false;
    changed(&expected).await;

    store.set_disabled(&full_login, false).await.unwrap();
    expected.disabled = false;
    changed(&expected).await;

    store.set_disabled(&full_login, false).await.unwrap();

    // The flags of an edit do not count: they have their own methods.
    let edit = UserRecord { age: None, hubs: HubAccess::All, disabled: true, demo: true, ..full("full") };
    store.update(&edit).await.unwrap();
    expected = UserRecord { disabled: false, demo: false, ..edit };
    changed(&expected).await;
}

async fn refused_changes_change_nothing(store: &dyn UserStore) {
    let before = store.revision().await.unwrap();
    let (taken, missing) = (login("full"), login("missing"));
    assert_eq!(store.insert(&full("full"), &hash(HASH_A)).await, Err(StoreError::Conflict(taken.clone())));
    assert_eq!(store.update(&full("missing")).await, Err(StoreError::NotFound(missing.clone())));
    assert_eq!(store.set_password(&missing, &hash(HASH_A)).await, Err(StoreError::NotFound(missing.clone())));
    assert_eq!(store.set_disabled(&missing, true).await, Err(StoreError::NotFound(missing.clone())));
    assert_eq!(store.remove(&missing).await, Err(StoreError::NotFound(missing)));

    let mask = Some("sales/*".to_owned());
    let added = UserRecord { department: mask.clone(), ..UserRecord::new(login("mask")) };
    assert!(matches!(store.insert(&added, &hash(HASH_A)).await, Err(StoreError::Invalid(_))));
    let edited = UserRecord { department: mask, ..full("full") };
    assert!(matches!(store.update(&edited).await, Err(StoreError::Invalid(_))));

    assert_eq!(store.revision().await.unwrap(), before);
    assert_eq!(store.find(&taken).await.unwrap().unwrap().password_hash, hash(HASH_B));
}

async fn pages_follow_each_other_in_the_order_of_bytes(store: &dyn UserStore) {
    for name in ["b", "a", "ä", "B", "a b"] {
        store.insert(&UserRecord::new(login(name)), &hash(HASH_A)).await.unwrap();
    }
    let mut names: Vec<String> = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(after.as_ref(), 3).await.unwrap();
        names.extend(page.iter().map(|user| user.login.to_string()));
        match page.last() {
            Some(last) if page.len() == 3 => after = Some(last.login.clone()),
            _ => break,
        }
    }
    assert_eq!(names, ["B", "Full", "a", "a b", "b", "full", "ä"]);
    assert!(store.list(None, 0).await.unwrap().is_empty());
}

async fn removed_users_are_gone(store: &dyn UserStore) {
    let before = store.revision().await.unwrap();
    store.remove(&login("full")).await.unwrap();
    assert!(store.find(&login("full")).await.unwrap().is_none());
    assert!(store.revision().await.unwrap() > before);
    store.insert(&full("full"), &hash(HASH_A)).await.unwrap();
}

async fn concurrent_changes_all_count(store: &dyn UserStore) {
    let before = store.revision().await.unwrap();
    let names: Vec<UserId> = (0..20).map(|n| login(&format!("same-time-{n}"))).collect();
    let records: Vec<UserRecord> = names.iter().cloned().map(UserRecord::new).collect();
    let a = hash(HASH_A);
    let inserts = futures_util::future::join_all(records.iter().map(|record| store.insert(record, &a))).await;
    assert!(inserts.iter().all(Result::is_ok), "{inserts:?}");
    let twice = login("same-time-0");
    let disable = futures_util::future::join_all((0..10).map(|n| store.set_disabled(&twice, n % 2 == 0))).await;
    assert!(disable.iter().all(Result::is_ok), "{disable:?}");
    assert!(store.revision().await.unwrap() - before >= 30);
}

/// Two stores over one database, as a server and the command line are.
async fn two_stores_suite(one: Arc<dyn UserStore>, other: Arc<dyn UserStore>) {
    let revision = one.revision().await.unwrap();
    other.insert(&UserRecord::new(login("from-outside")), &hash(HASH_A)).await.unwrap();
    assert_ne!(one.revision().await.unwrap(), revision);
    assert!(one.find(&login("from-outside")).await.unwrap().is_some());
}

/// A login through the store, with the counter-cases.
async fn login_suite(store: Arc<dyn UserStore>) {
    users::seed(&*store).await.unwrap();
    users::seed(&*store).await.unwrap();
    let verifier = Verifier::new(VerifierOptions::default());
    let attempt = async |name: &str, password: &str| {
        verifier.authenticate(&*store, name, password.to_owned().into(), || LoginVerdict::Allow).await
    };
    let mark = attempt("user-1", "password-1").await.unwrap();
    assert_eq!((mark.user().age, mark.demo), (Some(22), true));
    for (name, password) in [("user-1", "password-2"), ("nobody", "password-1"), ("", ""), ("user-1", "")] {
        assert_eq!(attempt(name, password).await, Err(LoginError::Denied), "{name:?} {password:?}");
    }
    store.set_disabled(&mark.login, true).await.unwrap();
    assert_eq!(attempt("user-1", "password-1").await, Err(LoginError::Denied), "disabled, although remembered");
    store.set_disabled(&mark.login, false).await.unwrap();
    store.set_password(&mark.login, &users::hash_password("another: one").unwrap()).await.unwrap();
    assert_eq!(attempt("user-1", "password-1").await, Err(LoginError::Denied), "the old one, although remembered");
    assert!(!attempt("user-1", "another: one").await.unwrap().demo);
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use sqlx::{Connection, SqliteConnection};

    use super::*;

    fn url(folder: &tempfile::TempDir) -> String {
        format!("sqlite://{}/data/deep/folkmoot.db", folder.path().display())
    }

    async fn by_hand(folder: &tempfile::TempDir) -> SqliteConnection {
        SqliteConnection::connect(&url(folder)).await.unwrap()
    }

    #[test]
    fn sqlite_keeps_the_promises_of_a_user_store() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            user_store_suite(users::open(&url(&folder)).await.unwrap()).await;
            let (one, other) = (users::open(&url(&folder)).await.unwrap(), users::open(&url(&folder)).await.unwrap());
            two_stores_suite(one, other).await;
        });
    }

    #[test]
    fn users_of_sqlite_log_in() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async { login_suite(users::open(&url(&folder)).await.unwrap()).await });
    }

    #[test]
    fn sqlite_is_new_once() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            assert!(users::open(&url(&folder)).await.unwrap().is_new());
            assert!(!users::open(&url(&folder)).await.unwrap().is_new());
        });
    }

    #[test]
    fn looking_makes_no_database() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let missing = users::open_existing(&url(&folder)).await.err().unwrap();
            assert!(matches!(&missing, StoreError::Missing(path) if path.ends_with("folkmoot.db")), "{missing}");
            assert!(!folder.path().join("data").exists());
            drop(users::open(&url(&folder)).await.unwrap());
            assert!(!users::open_existing(&url(&folder)).await.unwrap().is_new());
        });
    }

    #[cfg(unix)]
    #[test]
    fn sqlite_files_are_their_owners_only() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let store = users::open(&url(&folder)).await.unwrap();
            store.insert(&UserRecord::new(login("mark")), &hash(HASH_A)).await.unwrap();
            let data = folder.path().join("data/deep");
            let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&folder.path().join("data")), mode(&data)), (0o700, 0o700));
            for name in ["folkmoot.db", "folkmoot.db-wal", "folkmoot.db-shm"] {
                assert_eq!(mode(&data.join(name)), 0o600, "{name}");
            }
        });
    }

    #[test]
    fn changes_made_by_hand_are_noticed_and_damage_is_told_by_login() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let store = users::open(&url(&folder)).await.unwrap();
            store.insert(&UserRecord::new(login("mark")), &hash(HASH_A)).await.unwrap();
            let revision = store.revision().await.unwrap();
            let mut hand = by_hand(&folder).await;
            let damage = "UPDATE folkmoot_users SET roles = '[\"webpubsub.fly\"]'";
            sqlx::raw_sql(damage).execute(&mut hand).await.unwrap();
            assert_ne!(store.revision().await.unwrap(), revision);
            let damaged = store.find(&login("mark")).await.err().unwrap();
            let told = |why: &str| why.contains("mark") && why.contains("webpubsub.fly");
            assert!(matches!(&damaged, StoreError::Corrupt(why) if told(why)), "{damaged}");
            sqlx::raw_sql("UPDATE folkmoot_users SET roles = '[]', password_hash = 'plain'")
                .execute(&mut hand)
                .await
                .unwrap();
            assert!(matches!(store.find(&login("mark")).await, Err(StoreError::Corrupt(_))));
            store.set_password(&login("mark"), &hash(HASH_A)).await.unwrap();
            assert!(store.find(&login("mark")).await.unwrap().is_some());
        });
    }

    #[test]
    fn a_locked_database_is_unavailable_and_works_again_when_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let store = users::open(&url(&folder)).await.unwrap();
            let mut hand = by_hand(&folder).await;
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut hand).await.unwrap();
            let mark = UserRecord::new(login("mark"));
            let locked = store.insert(&mark, &hash(HASH_A)).await;
            assert!(matches!(locked, Err(StoreError::Unavailable(_))), "{locked:?}");
            assert_eq!(store.revision().await, Ok(0), "readers do not wait for the writer");
            sqlx::raw_sql("ROLLBACK").execute(&mut hand).await.unwrap();
            assert_eq!(store.insert(&mark, &hash(HASH_A)).await, Ok(()));
        });
    }

    #[test]
    fn a_file_that_is_no_database_is_told_apart_from_one_that_is_out_of_reach() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "this is no database. ".repeat(100)).unwrap();
        block_on(async {
            let foreign = users::open(&format!("sqlite://{}", path.display())).await.err().unwrap();
            assert!(matches!(&foreign, StoreError::Corrupt(why) if why.contains("notes.txt")), "{foreign}");
            let below = users::open(&format!("sqlite://{}/below.db", path.display())).await.err().unwrap();
            assert!(matches!(&below, StoreError::Unavailable(why) if why.contains("notes.txt")), "{below}");
        });
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use sqlx::{Connection, PgConnection};

    use super::*;

    /// A database of its own, so that tests do not meet; dropped at the end, however the test ends.
    fn with_database<F: Future<Output = ()>>(test: &str, body: impl FnOnce(String) -> F) {
        let Ok(base) = std::env::var("TEST_POSTGRES_URL") else {
            return notes::skipped(test, "TEST_POSTGRES_URL is not set");
        };
        let name = format!("folkmoot_test_{}_{test}", std::process::id());
        let mut url = url::Url::parse(&base).unwrap();
        url.set_path(&name);
        let run = |statement: String| {
            block_on(async {
                let mut connection = PgConnection::connect(&base).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
            });
        };
        run(format!("CREATE DATABASE {name}"));
        let outcome = catch_unwind(AssertUnwindSafe(|| block_on(body(url.into()))));
        run(format!("DROP DATABASE {name} WITH (FORCE)"));
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }

    #[test]
    fn postgres_keeps_the_promises_of_a_user_store() {
        with_database("promises", async |url: String| {
            let store = users::open(&url).await.unwrap();
            assert!(!store.is_new());
            user_store_suite(store).await;
            two_stores_suite(users::open(&url).await.unwrap(), users::open(&url).await.unwrap()).await;
        });
    }

    #[test]
    fn users_of_postgres_log_in() {
        with_database("logins", async |url: String| login_suite(users::open(&url).await.unwrap()).await);
    }

    #[test]
    fn connections_that_the_server_ends_are_made_anew() {
        with_database("reconnect", async |url: String| {
            let store = users::open(&url).await.unwrap();
            store.insert(&UserRecord::new(login("mark")), &hash(HASH_A)).await.unwrap();
            let mut killer = PgConnection::connect(&url).await.unwrap();
            let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                          WHERE datname = current_database() AND pid <> pg_backend_pid()";
            sqlx::raw_sql(others).execute(&mut killer).await.unwrap();
            assert!(store.find(&login("mark")).await.unwrap().is_some());
        });
    }

    #[test]
    fn an_address_where_nobody_answers_is_one_sentence_without_the_password() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = block_on(users::open(&format!("postgres://folk:s3cret@{free}/moot"))).err().unwrap();
        let sentence = error.to_string();
        assert!(matches!(error, StoreError::Unavailable(_)) && sentence.contains(&free.to_string()), "{sentence}");
        assert!(!sentence.contains("s3cret") && !sentence.contains('\n'), "{sentence}");
    }
}

#[test]
fn an_address_that_is_none_is_refused_without_repeating_it() {
    for bad in ["", "users.db", "mysql://root:s3cret@localhost/x", "postgres//x:s3cret@y"] {
        let error = block_on(users::open(bad)).err().unwrap();
        assert!(matches!(&error, StoreError::Invalid(why) if !why.contains("s3cret")), "{bad}: {error}");
    }
}
