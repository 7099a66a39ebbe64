//! A real server for each test: on a port of its own, with a folder, a user store and threads of its own.
//!
//! A test starts one with [`Setup`], connects [`Client`]s to it and lets everything go at its end: dropping a
//! [`TestServer`] shuts it down and waits for it. Clients that are declared later are dropped earlier.

mod api;
mod client;
mod http;
pub mod issuer;
mod receiver;
pub mod reliable;
mod started;
mod stream;
mod token;
mod wire;

#[path = "../common/authority.rs"]
pub mod authority;
#[path = "../common/notes.rs"]
pub mod notes;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use folkmoot::config::{Config, HubConfig, WebhookConfig};
use folkmoot::users::{self, DEMO_USERS, HubAccess, PasswordHash, UserRecord, UserStore};
use folkmoot::{GroupName, HubName, Server, User, UserData, UserId};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

pub use self::api::{JSON, TEXT};
pub use self::authority::Authority;
pub use self::client::{Client, Handshake, SUBPROTOCOL, basic, text_to};
pub use self::http::{Answer, http, http_over};
pub use self::receiver::{Receiver, Reply, Seen, welcome};
pub use self::started::Started;
pub use self::stream::Stream;
use self::token::{ACCESS_KEY, Token};
pub use self::wire::{Wire, client_frame, client_header, handshake as handshake_of};

/// The password of every user that [`Setup::user`] adds.
pub const PASSWORD: &str = "correct horse";
/// How long anything may take before a test gives up. Far more than it does take, for machines that are busy.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Runs each behaviour on every way there is to serve a connection.
macro_rules! on_both_transports {
    ($($behaviour:ident,)*) => {
        /// The server's own listener, which takes the socket over from actix-http.
        mod on_the_own_socket {
            $(#[tokio::test] async fn $behaviour() { super::$behaviour($crate::support::Setup::new()).await; })*
        }

        /// A stock `HttpServer` into which the server is mounted.
        #[cfg(feature = "mount")]
        mod mounted {
            $(#[tokio::test] async fn $behaviour() { super::$behaviour($crate::support::Setup::new().mounted()).await; })*
        }
    };
}
pub(crate) use on_both_transports;

/// The same, and under TLS.
macro_rules! on_every_transport {
    ($($behaviour:ident,)*) => {
        $crate::support::on_both_transports! { $($behaviour,)* }

        /// The server's own listener under TLS.
        mod under_tls {
            $(#[tokio::test] async fn $behaviour() { super::$behaviour($crate::support::Setup::new().under_tls()).await; })*
        }
    };
}
pub(crate) use on_every_transport;

/// A server that is being put together: the demo's hub and users, without announcements.
pub struct Setup {
    config: Config,
    records: Vec<(UserRecord, PasswordHash)>,
    folder: TempDir,
    mounted: bool,
    authority: Option<Authority>,
}

impl Setup {
    /// The hub `chat`, in which users of the store may join and send anywhere, and the four users of the demo.
    pub fn new() -> Self {
        let demo = DEMO_USERS.iter().map(|user| (user.record().unwrap(), cheap_hash(user.password)));
        Setup { records: demo.collect(), ..Setup::empty() }
    }

    /// The same hub, and a store that is not there yet.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data_dir = folder.path().join("data");
        config.server.port = 0;
        config.server.workers = 2;
        config.auth.access_keys = vec![ACCESS_KEY.parse().unwrap()];
        config.shutdown.timeout = Duration::from_secs(2);
        let setup = Setup { config, records: Vec::new(), folder, mounted: false, authority: None };
        setup.hub("chat", |hub| {
            hub.default_roles =
                ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"].map(|r| r.parse().unwrap()).into();
        })
    }

    /// Mounts the server into a stock `HttpServer` instead of giving it a listener.
    #[cfg(feature = "mount")]
    pub fn mounted(self) -> Self {
        Setup { mounted: true, ..self }
    }

    /// Has the server speak TLS, with a certificate of an authority that its clients trust.
    pub fn under_tls(mut self) -> Self {
        let authority = Authority::new();
        let files = authority.issue_into(self.folder.path());
        (self.config.server.tls.cert, self.config.server.tls.key) = (Some(files.cert), Some(files.key));
        Setup { authority: Some(authority), ..self }
    }

    /// The configuration so far.
    pub fn configuration(&self) -> &Config {
        &self.config
    }

    /// Changes the configuration.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Declares a hub, or changes one that is declared.
    pub fn hub(mut self, name: &str, change: impl FnOnce(&mut HubConfig)) -> Self {
        let settings = self.config.hubs.settings.clone();
        change(self.config.hubs.declared.entry(HubName::parse(name).unwrap()).or_insert(settings));
        self
    }

    /// Has the hub `chat` announce who joins and leaves.
    pub fn announcing(self) -> Self {
        self.hub("chat", |hub| hub.announcements.enabled = true)
    }

    /// Has a webhook told and asked of what happens in the hub `chat`: of these system events, and of these of clients.
    pub fn webhook(self, url: &str, system_events: &[&str], user_events: &[&str]) -> Self {
        let mut webhook = WebhookConfig::new(url.parse().unwrap());
        webhook.system_events = system_events.iter().map(|event| event.parse().unwrap()).collect();
        webhook.user_events = user_events.iter().map(|event| event.parse().unwrap()).collect();
        self.hub("chat", |hub| hub.webhooks.push(webhook))
    }

    /// Has the hub `chat` give its users no roles, so that only a user's own count.
    pub fn without_default_roles(self) -> Self {
        self.hub("chat", |hub| hub.default_roles.clear())
    }

    /// Adds a user of the store, with [`PASSWORD`].
    pub fn user(mut self, login: &str, change: impl FnOnce(&mut UserRecord)) -> Self {
        static HASH: LazyLock<PasswordHash> = LazyLock::new(|| cheap_hash(PASSWORD));
        let mut record = UserRecord::new(UserId::parse(login).unwrap());
        change(&mut record);
        self.records.push((record, HASH.clone()));
        self
    }

    /// Adds a user of the store with roles.
    pub fn user_with_roles(self, login: &str, roles: &[&str]) -> Self {
        self.user(login, |user| user.roles = roles.iter().map(|role| role.parse().unwrap()).collect())
    }

    /// Starts it.
    pub async fn start(self) -> TestServer {
        self.start_with(Server::new).await
    }

    /// Starts a server that `build` makes of the configuration, with hooks for instance.
    pub async fn start_with<U: UserData>(
        self,
        build: impl FnOnce(Config) -> Server<U> + Send + 'static,
    ) -> TestServer<U> {
        let Setup { config, records, folder, mounted, authority } = self;
        let database = config.database().expose().to_owned();
        // A store that is opened here first is not a new one to the server.
        if !records.is_empty() {
            let store = users::open(&database).await.unwrap();
            for (record, hash) in &records {
                store.insert(record, hash).await.unwrap();
            }
        }
        let (jobs, mut to_do) = mpsc::unbounded_channel::<Job<U>>();
        let (started, address) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let running = Started::start(build(config), mounted).await;
                // Nobody waits for it where the test has failed meanwhile.
                let _ = started.send(running.address());
                while let Some(job) = to_do.recv().await {
                    job(&running);
                }
                running.stop().await;
                actix_rt::System::current().stop();
            });
        });
        let address = address.await.expect("the server did not start");
        let store = users::open(&database).await.unwrap();
        TestServer { address, store, authority, jobs: Some(jobs), thread: Some(thread), folder }
    }
}

type Job<U> = Box<dyn FnOnce(&Started<U>) + Send>;

/// A server that runs until it is dropped.
pub struct TestServer<U: UserData = User> {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its users, opened a second time as another process would.
    pub store: Arc<dyn UserStore>,
    /// Who signed its certificate, where it speaks TLS.
    pub authority: Option<Authority>,
    jobs: Option<mpsc::UnboundedSender<Job<U>>>,
    thread: Option<JoinHandle<()>>,
    folder: TempDir,
}

impl<U: UserData> TestServer<U> {
    /// Its folder, where its certificate is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asks the running server something, on its own thread.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce(&Started<U>) -> T + Send + 'static) -> T {
        let (done, answer) = oneshot::channel();
        let job: Job<U> = Box::new(move |running| drop(done.send(job(running))));
        assert!(self.jobs.as_ref().unwrap().send(job).is_ok(), "the server has ended");
        answer.await.unwrap()
    }

    /// The value of a metric that has no labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.run(|running| running.metrics()).await;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("there is no metric {name}")).parse().unwrap()
    }

    /// Waits until a metric has a value; for what happens behind the back of every client.
    pub async fn metric_becomes(&self, name: &str, wanted: f64) {
        let reached = tokio::time::timeout(DEADLINE, async {
            while self.metric(name).await != wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        if reached.await.is_err() {
            panic!("{name} is {} and not {wanted}", self.metric(name).await);
        }
    }

    /// A handshake to be filled in, for the default hub.
    pub fn handshake(&self) -> Handshake {
        let tls = self.authority.as_ref().map(|authority| authority.client_config());
        Handshake::new(self.address, tls)
    }

    /// Connects a user of the demo by number, on the JSON subprotocol.
    pub async fn demo(&self, number: usize) -> Client {
        self.connect(&format!("user-{number}"), &format!("password-{number}")).await
    }

    /// Connects a user of [`Setup::user`], on the JSON subprotocol.
    pub async fn user(&self, login: &str) -> Client {
        self.connect(login, PASSWORD).await
    }

    /// Connects with a login and its password, on the JSON subprotocol.
    pub async fn connect(&self, login: &str, password: &str) -> Client {
        self.handshake().basic(login, password).connect().await.unwrap()
    }

    /// Connects a user of the demo without a subprotocol.
    pub async fn raw(&self, number: usize) -> Client {
        let handshake = self.handshake().basic(&format!("user-{number}"), &format!("password-{number}"));
        handshake.subprotocols(&[]).connect().await.unwrap()
    }

    /// A token for the hub `chat` of this server.
    pub fn token(&self) -> Token {
        self.token_for("chat")
    }

    /// A token for a hub of this server.
    pub fn token_for(&self, hub: &str) -> Token {
        Token::new(&format!("http://{}/client/hubs/{hub}", self.address))
    }

    /// A token of this server's key for any audience.
    pub fn token_with_audience(&self, audience: &str) -> Token {
        Token::new(audience)
    }

    /// Makes an ordinary request and reads the answer.
    pub async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.http_at(self.address, method, path, headers, body).await
    }

    /// Sends a request as it is, bytes that are no text among them, and reads the answer.
    pub async fn http_bytes(&self, request: &[u8]) -> Answer {
        let tls = self.authority.as_ref().map(|authority| authority.client_config());
        http::exchange(Stream::connect(self.address, tls).await, request).await
    }

    /// The same at another of its addresses.
    pub async fn http_at(
        &self,
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let host = address.to_string();
        let tls =
            self.authority.as_ref().filter(|_| address == self.address).map(|authority| authority.client_config());
        let stream = Stream::connect(address, tls).await;
        http_over(stream, method, path, &[&[("Host", host.as_str())], headers].concat(), body).await
    }
}

impl<U: UserData> Drop for TestServer<U> {
    fn drop(&mut self) {
        self.jobs = None;
        let ended = self.thread.take().map(JoinHandle::join);
        // A test that is failing already has said why.
        if !std::thread::panicking() {
            assert!(!matches!(ended, Some(Err(_))), "the server panicked");
        }
    }
}

/// A valid group name.
pub fn group(name: &str) -> GroupName {
    GroupName::parse(name, true).unwrap()
}

/// All hubs.
pub fn all_hubs() -> HubAccess {
    HubAccess::All
}

/// A hash of the lowest cost, so that tests spend their time on what they test.
fn cheap_hash(password: &str) -> PasswordHash {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    PasswordHash::parse(&argon2.hash_password(password.as_bytes()).unwrap().to_string()).unwrap()
}
