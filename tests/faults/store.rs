//! The user store is locked, gone, or somebody who writes to it is killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};
use tokio::runtime::Runtime;

use crate::client::{Client, basic, timed};
use crate::process::{PATIENCE, Workplace};

const PASSWORD: &str = "correct horse battery";

/// The database of a workplace, opened by somebody else.
struct Database {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Database {
    fn open(workplace: &Workplace) -> Self {
        let runtime = Runtime::new().unwrap();
        let options = SqliteConnectOptions::new().filename(workplace.path().join("data/folkmoot.db"));
        let connection = runtime.block_on(SqliteConnection::connect_with(&options)).unwrap();
        Database { runtime, connection }
    }

    fn run(&mut self, statement: &'static str) {
        self.runtime.block_on(self.connection.execute(statement)).unwrap();
    }

    fn ask(&mut self, query: &'static str) -> String {
        self.runtime.block_on(sqlx::query_scalar(query).fetch_one(&mut self.connection)).unwrap()
    }
}

/// A handshake on a connection of its own: the status, and when it is worth trying again.
pub fn knock(address: SocketAddr, login: &str, password: &str) -> (u16, Option<u64>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let login = basic(login, password);
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nAuthorization: {login}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let lines: Vec<_> =
        BufReader::new(stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
    let after = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("retry-after: ")?.parse().ok());
    (status, after)
}

#[test]
fn a_lock_on_the_embedded_database_keeps_nobody_from_logging_in() {
    let workplace = Workplace::demo();
    workplace.add_user("mark", PASSWORD, &[]);
    workplace.add_user("anna", PASSWORD, &[]);
    let server = workplace.serve(&["--set", "hubs.declared.chat.announcements.enabled=false"]);
    let mut member = Client::connect(server.address, "mark", PASSWORD);
    let mut database = Database::open(&workplace);
    database.run("BEGIN EXCLUSIVE");
    assert_eq!(knock(server.address, "anna", PASSWORD).0, 101, "readers do not wait for a writer");
    let (output, took) = timed(|| workplace.run_with_input(&["user", "add", "kenji", "--password-stdin"], PASSWORD));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.lines().count() == 1 && said.contains("locked"), "{said}");
    assert!(took < PATIENCE, "{took:?}");
    member.join("news", 1);

    database.run("ROLLBACK");
    workplace.add_user("kenji", PASSWORD, &[]);
    assert_eq!(knock(server.address, "kenji", PASSWORD).0, 101);
}

#[test]
fn the_store_is_whole_after_its_writers_were_killed() {
    let workplace = Workplace::demo();
    workplace.add_user("first", PASSWORD, &[]);
    let server = workplace.serve(&[]);
    let (next, added) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= 120 {
                        break;
                    }
                    let login = format!("user-{number:03}");
                    let mut child = workplace.begin(&["user", "add", &login, "--password-stdin"], PASSWORD);
                    if number % 3 > 0 {
                        // Somewhere between its start and its end, each at another place.
                        thread::sleep(Duration::from_millis(number as u64 * 13 % 120));
                        child.kill().unwrap();
                    }
                    if child.wait_with_output().unwrap().status.success() {
                        added.lock().unwrap().insert(login);
                    }
                }
            });
        }
    });
    // The server had it open all the time; it is killed like the others.
    server.signal("KILL");
    drop(server);

    let mut added = added.into_inner().unwrap();
    assert!(added.len() >= 40, "those who were left alone succeeded: {added:?}");
    let mut database = Database::open(&workplace);
    assert_eq!(database.ask("PRAGMA integrity_check"), "ok");
    let listed = workplace.ok(&["user", "list", "--json"], "");
    let login = |line: &str| serde_json::from_str::<Value>(line).unwrap()["login"].as_str().unwrap().to_owned();
    let listed: BTreeSet<_> = listed.lines().map(login).collect();
    added.insert("first".to_owned());
    assert!(listed.is_superset(&added), "lost: {:?}", added.difference(&listed));
    let server = workplace.serve(&[]);
    for login in listed.iter().step_by(listed.len() / 5) {
        assert_eq!(knock(server.address, login, PASSWORD).0, 101, "{login} is there as a whole");
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::io;
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use sqlx::AssertSqlSafe;
    use sqlx::postgres::PgConnection;
    use url::Url;

    use super::*;
    use crate::client::{Heard, http, publish};
    use crate::notes::skipped;
    use crate::process::eventually;

    /// A database of its own in the cluster of `TEST_POSTGRES_URL`, dropped at the end.
    struct Cluster {
        runtime: Runtime,
        base: Url,
        name: String,
    }

    impl Cluster {
        fn with_database(test: &str) -> Option<Self> {
            let Ok(base) = std::env::var("TEST_POSTGRES_URL") else {
                skipped(test, "TEST_POSTGRES_URL is not set");
                return None;
            };
            let name = format!("folkmoot_faults_{}_{test}", std::process::id());
            let cluster = Cluster { runtime: Runtime::new().unwrap(), base: Url::parse(&base).unwrap(), name };
            cluster.run(&cluster.base, &format!("CREATE DATABASE {}", cluster.name));
            Some(cluster)
        }

        fn database(&self) -> Url {
            let mut url = self.base.clone();
            url.set_path(&self.name);
            url
        }

        fn connect(&self, url: &Url) -> PgConnection {
            self.runtime.block_on(PgConnection::connect(url.as_str())).unwrap()
        }

        fn run(&self, url: &Url, statement: &str) {
            let mut connection = self.connect(url);
            let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
            self.runtime.block_on(statement.execute(&mut connection)).unwrap();
        }
    }

    impl Drop for Cluster {
        fn drop(&mut self) {
            self.run(&self.base, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }

    trait Both: io::Read + Write + Send {}
    impl<T: io::Read + Write + Send> Both for T {}

    /// A network between the server and the database that can be cut.
    #[derive(Clone)]
    struct Network {
        address: SocketAddr,
        cut: Arc<AtomicBool>,
        open: Arc<Mutex<Vec<TcpStream>>>,
    }

    impl Network {
        fn to(database: &Url) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let network = Network { address, cut: Arc::default(), open: Arc::default() };
            let (between, database) = (network.clone(), database.clone());
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let mut open = between.open.lock().unwrap();
                    if between.cut.load(Ordering::Acquire) {
                        continue;
                    }
                    open.push(stream.try_clone().unwrap());
                    forward(stream, &database);
                }
            });
            network
        }

        /// The address of the database through this network.
        fn address_of(&self, database: &Url) -> Url {
            let mut url = database.clone();
            url.set_query(None);
            url.set_host(Some("127.0.0.1")).unwrap();
            url.set_port(Some(self.address.port())).unwrap();
            url
        }

        fn cut(&self) {
            let mut open = self.open.lock().unwrap();
            self.cut.store(true, Ordering::Release);
            for stream in open.drain(..) {
                // It may have ended by itself.
                let _: io::Result<()> = stream.shutdown(std::net::Shutdown::Both);
            }
        }

        fn mend(&self) {
            self.cut.store(false, Ordering::Release);
        }
    }

    /// Carries both directions until one of them ends.
    fn forward(client: TcpStream, database: &Url) {
        let folder = database.query_pairs().find(|(name, _)| name == "host").map(|(_, folder)| folder.into_owned());
        let ends: [(Box<dyn Both>, Box<dyn Both>); 2] = match folder {
            Some(folder) => {
                let server = UnixStream::connect(format!("{folder}/.s.PGSQL.5432")).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                [(Box::new(client), Box::new(server)), (Box::new(back.0), Box::new(back.1))]
            }
            None => {
                let host = database.host_str().unwrap();
                let server = TcpStream::connect((host, database.port().unwrap_or(5432))).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                [(Box::new(client), Box::new(server)), (Box::new(back.0), Box::new(back.1))]
            }
        };
        for (mut from, mut to) in ends {
            thread::spawn(move || io::copy(&mut from, &mut to));
        }
    }

    /// Whoever is there goes on, whoever comes is told to come again, and then all is well by itself.
    fn outlives(test: &str, trouble: impl FnOnce(&Cluster, &Network) -> Box<dyn FnOnce()>) {
        let Some(cluster) = Cluster::with_database(test) else { return };
        let network = Network::to(&cluster.database());
        let address = network.address_of(&cluster.database());
        let workplace = Workplace::demo().env("FOLKMOOT__USERS__DATABASE", address.as_str());
        for login in ["mark", "anna", "kenji"] {
            workplace.add_user(
                login,
                PASSWORD,
                &["--role", "webpubsub.joinLeaveGroup", "--role", "webpubsub.sendToGroup"],
            );
        }
        let server = workplace.serve(&["--set", "hubs.declared.chat.announcements.enabled=false"]);
        let mut reader = Client::connect(server.address, "mark", PASSWORD);
        let mut publisher = Client::connect(server.address, "anna", PASSWORD);
        reader.join("news", 1);

        let end = trouble(&cluster, &network);
        for (login, known) in [("kenji", "never seen before"), ("mark", "whose password is remembered")] {
            let (status, after) = knock(server.address, login, PASSWORD);
            assert!(status == 503 && after.is_some(), "{login}, {known}: {status} {after:?}");
        }
        let login = basic("kenji", PASSWORD);
        assert_eq!(http(server.address, "POST /auth/token", &[("Authorization", &login)], "").0, 503);
        server.wait_for("the user store does not answer");
        assert_eq!(http(server.address, "GET /health", &[], "").0, 200);
        for number in 1..=50 {
            assert_eq!(publisher.ask(publish("news", "still here"), number)["success"], true);
            assert!(matches!(reader.hear(), Heard::Frame(frame) if frame["data"] == "still here"));
        }

        end();
        eventually("logins are answered again", || knock(server.address, "kenji", PASSWORD).0 == 101);
        eventually("it is ready again", || http(server.address, "GET /ready", &[], "").0 == 200);
        server.wait_for("the user store answers again");
        assert_eq!(publisher.ask(publish("news", "still here"), 100)["success"], true, "nobody was disconnected");
        assert!(matches!(reader.hear(), Heard::Frame(frame) if frame["data"] == "still here"));
        drop(server);
    }

    #[test]
    fn members_outlive_a_database_that_is_gone_and_logins_come_back_by_themselves() {
        outlives("gone", |_, network| {
            network.cut();
            let network = network.clone();
            Box::new(move || network.mend())
        });
    }

    #[test]
    fn members_outlive_a_database_that_is_locked_and_logins_come_back_by_themselves() {
        outlives("locked", |cluster, _| {
            let runtime = Runtime::new().unwrap();
            let mut connection = runtime.block_on(PgConnection::connect(cluster.database().as_str())).unwrap();
            let lock = "BEGIN; LOCK TABLE folkmoot_users, folkmoot_users_revision IN ACCESS EXCLUSIVE MODE";
            runtime.block_on(sqlx::raw_sql(lock).execute(&mut connection)).unwrap();
            Box::new(move || {
                runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut connection)).unwrap();
            })
        });
    }
}
