//! The composition root: builds every part, introduces them to one another and binds the listener. The only file that
//! knows them all.

mod descriptors;
mod drain;
mod error;
mod internal;
mod listen;
#[cfg(feature = "mount")]
mod mount;
mod opening;
mod reload;
mod revision;
mod running;
mod tls;
mod unread;
mod upstream;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::{Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::dev::AppConfig;
use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use self::descriptors::Budget;
pub use self::error::StartError;
use self::listen::{Listen, Listener, default_app, listen_with, listener};
#[cfg(feature = "mount")]
pub use self::mount::Mount;
use self::opening::{HubOpener, hub_rules};
pub use self::reload::ReloadError;
use self::reload::Reloader;
pub use self::running::Running;
pub use self::tls::CertificateError;
use self::tls::{Certificates, Handshakes};
use crate::auth::throttle::{FailureLimit, LoginThrottle, ThrottleLimits};
use crate::config::{Config, FailuresConfig, Origins};
use crate::groups::{Fanouts, HeartbeatSettings, Hubs};
use crate::hooks::{AnyHooks, HookCalls, HookSettings, HookThreads, Hooks};
use crate::http::health::Readiness;
use crate::http::porch::Porch;
use crate::http::services::InternalListener;
use crate::http::{Entrance, Live, Routes, Seats, Services, Shares};
use crate::issuers::KeySources;
use crate::metrics::{Limit, Metrics};
use crate::monitor::{self, Monitor, Surroundings};
use crate::user::{User, UserData};
use crate::users::{self, StoreError, UserStore, Verifier, VerifierOptions};
use crate::webhooks::Webhooks;

/// Connections of one worker at a time that are no WebSocket, or not yet: actix-server's own default.
const MOST_REQUESTS: usize = 25_600;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Where the users of a server are kept.
enum Users {
    /// Where the configuration says.
    Configured,
    /// In a store that the caller opened.
    Given(Arc<dyn UserStore>),
    /// Not in a store.
    Nowhere,
}

/// A Folkmoot server that is being put together.
///
/// ```no_run
/// use folkmoot::{Server, config::Config};
///
/// #[actix_web::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let running = Server::new(Config::default()).start().await?;
///     println!("ws://{}/ws", running.address());
///     tokio::signal::ctrl_c().await?;
///     running.stop().await;
///     Ok(())
/// }
/// ```
pub struct Server<U: UserData = User> {
    config: Config,
    hooks: Option<Arc<dyn AnyHooks<U>>>,
    users: Users,
    map_user: crate::http::services::MapUser<U>,
    routes: Routes<U>,
    listen: Option<Listen<U>>,
    config_origins: Origins,
}

impl Server<User> {
    /// A server whose connections carry [`User`] data.
    pub fn new(config: Config) -> Self {
        Server::with_user_data(config, Some)
    }
}

impl<U: UserData> Server<U> {
    /// A server whose connections carry data of your own; `map_user` makes it of what the user store or a token tells.
    ///
    /// Where only your `authenticate` hook knows users, `|_| None` will do.
    pub fn with_user_data(config: Config, map_user: impl Fn(User) -> Option<U> + Send + Sync + 'static) -> Self {
        let map_user = Arc::new(map_user);
        Server {
            config,
            hooks: None,
            users: Users::Configured,
            map_user,
            routes: Routes::new(),
            listen: None,
            config_origins: Origins::default(),
        }
    }

    /// Has your code called at the points of a connection's life.
    pub fn hooks(mut self, hooks: impl Hooks<U>) -> Self {
        self.hooks = Some(Arc::new(hooks));
        self
    }

    /// Tells where the keys of the configuration come from ([`Loaded::origins`](crate::config::Loaded::origins)), for
    /// those who ask a running server.
    pub fn config_origins(mut self, origins: Origins) -> Self {
        self.config_origins = origins;
        self
    }

    /// Uses this user store instead of the one that the configuration names.
    pub fn store(mut self, store: Arc<dyn UserStore>) -> Self {
        self.users = Users::Given(store);
        self
    }

    /// Opens no user store: only your `authenticate` hook and tokens let anybody in.
    pub fn without_store(mut self) -> Self {
        self.users = Users::Nowhere;
        self
    }

    /// The server's own HTTP routes, to be configured into an `App` of yours.
    pub fn routes(&self) -> Routes<U> {
        self.routes.clone()
    }

    /// Serves an `App` of yours, with any routes and middleware, beside the WebSocket on the same port.
    ///
    /// WebSocket routes of that `App` are unreachable, because every request for an upgrade goes to Folkmoot; mount
    /// Folkmoot into an `HttpServer` of your own where you need both. The server's own routes are there only where you
    /// configure them:
    ///
    /// ```
    /// use actix_web::{App, web};
    /// use folkmoot::{Server, config::Config};
    ///
    /// let server = Server::new(Config::default());
    /// let routes = server.routes();
    /// let server = server.app(move || {
    ///     let routes = routes.clone();
    ///     App::new()
    ///         .route("/hello", web::get().to(async || "Hello from the application."))
    ///         .service(web::scope("/folkmoot").configure(move |config| routes.configure(config)))
    /// });
    /// ```
    pub fn app<F, I, S, B>(mut self, factory: F) -> Self
    where
        F: Fn() -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<actix_web::Error> + 'static,
        S::InitError: fmt::Debug,
        S::Response: Into<Response<B>> + 'static,
        <S::Service as Service<Request>>::Future: 'static,
        S::Service: 'static,
        B: MessageBody + 'static,
    {
        self.listen = Some(listen_with(factory));
        self
    }

    /// Starts the server. Must be called where an actix `System` runs, such as under `#[actix_web::main]`.
    ///
    /// Raises the number of files that the process may open towards what `limits.connections` needs. Where the system
    /// does not allow so many, fewer connections are let in, which the log tells.
    ///
    /// # Errors
    /// [`StartError`], in a sentence for the operator.
    pub async fn start(mut self) -> Result<Running<U>, StartError> {
        let listen = self.listen.take().unwrap_or_else(|| default_app(self.routes.clone()));
        let address = self.config.server.address();
        let socket = listener(address, self.config.heartbeat.tcp_user_timeout).map_err(|error| StartError::Bind {
            setting: "server",
            address,
            error,
        })?;
        let address = socket.local_addr()?;
        let inside = internal::bind(&self.config)?;
        let certificates = Certificates::of_config(&self.config.server.tls)?;
        let workers = match self.config.server.workers {
            0 => cores(),
            workers => workers,
        };
        let budget = self.provide_descriptors(workers);
        let inside_app = default_app(self.routes.of(Entrance::Internal));
        let addresses = Addresses { main: address, internal: inside.as_ref().map(|(_, listener)| *listener) };
        let Built { services, hook_threads, opener } = self.build(addresses, &budget).await?;
        let mut listeners = vec![socket.try_clone()?];
        let requests = (budget.requests / workers).clamp(1, MOST_REQUESTS);
        let builder = actix_server::Server::build()
            .workers(workers)
            .max_concurrent_connections(requests)
            .disable_signals()
            .shutdown_timeout(1);
        let tls = certificates.as_ref().map(|certificates| handshakes(certificates, &services)).transpose()?;
        let mut builder = listen(builder, Listener { socket, entrance: Entrance::Main, tls }, services.clone())?;
        if let Some((socket, _)) = inside {
            listeners.push(socket.try_clone()?);
            let listener = Listener { socket, entrance: Entrance::Internal, tls: None };
            builder = inside_app(builder, listener, services.clone())?;
        }
        let server = builder.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        let reloader = Reloader::new(services.clone(), opener, address, workers);
        Ok(Running { services, address, handle: Some(handle), listeners, certificates, hook_threads, reloader })
    }

    /// Has the process open as many files as the server needs, as far as it may.
    fn provide_descriptors(&self, workers: usize) -> Budget {
        descriptors::provide(&self.config, workers, self.hooks.is_some())
    }

    /// Builds everything but the listeners; `addresses` are where requests will come in.
    async fn build(self, addresses: Addresses, budget: &Budget) -> Result<Built<U>, StartError> {
        let Server { config, hooks, users, map_user, routes, listen: _, config_origins } = self;
        config.validate_for::<U>()?;
        let metrics = Metrics::new();
        let monitor = Monitor::new(metrics.clone());
        let internal = addresses.internal.map(|listener| listener.address);
        let key_sources = KeySources::new(metrics.clone());
        let live = Arc::new(ArcSwap::from_pointee(Live::new(config.clone(), addresses.main, internal, &key_sources)?));
        let store = match users {
            Users::Configured => Some(open_store(&config).await?),
            Users::Given(store) => Some(store),
            Users::Nowhere => None,
        };
        let limits = &config.limits;
        let (calls, hook_threads) = start_hooks(hooks, &config, &metrics)?;
        let heartbeat = HeartbeatSettings {
            ping_interval: config.heartbeat.ping_interval,
            pong_timeout: config.heartbeat.pong_timeout,
        };
        let rules = upstream::rules(&config, addresses.main)?;
        let webhooks = Webhooks::new(config.webhooks.clone(), rules, metrics.clone());
        let opener = HubOpener::new(live.clone(), calls.clone(), webhooks.clone(), monitor.clone(), metrics.clone());
        let services = Services {
            internal: addresses.internal,
            key_sources,
            throttle: ArcSwap::from_pointee(LoginThrottle::new(throttle_limits(&config.auth.failures))),
            store,
            verifier: verifier(&config),
            home: Handle::current(),
            hubs: Hubs::new(hub_rules(&config, budget), opener.open_by()),
            hooks: calls,
            webhooks,
            fanouts: Fanouts::new(heartbeat, metrics.clone()),
            map_user,
            seats: Seats::new(budget.connections),
            user_shares: Shares::new(limits.connections_per_user),
            watcher_shares: Shares::new(limits.connections_per_user),
            address_shares: Shares::new(limits.connections_per_address),
            porch: Porch::new(budget.porch(limits.http_connections), Limit::HttpConnections, metrics.clone()),
            handshakes: Seats::new(limits.pending_handshakes),
            draining: AtomicBool::new(false),
            metrics,
            monitor,
            readiness: Readiness::default(),
            done_once: Arc::default(),
            config_origins: ArcSwap::from_pointee(config_origins),
            live,
        };
        let services = Arc::new(services);
        routes.start(services.clone());
        revision::watch(&services);
        watch(&services);
        services.webhooks.start();
        Ok(Built { services, hook_threads, opener })
    }
}

/// The parts of a server that run before it listens.
struct Built<U: UserData> {
    services: Arc<Services<U>>,
    hook_threads: HookThreads,
    opener: Arc<HubOpener<U>>,
}

/// Where a server listens.
struct Addresses {
    main: SocketAddr,
    internal: Option<InternalListener>,
}

/// How the connections of a server begin under TLS.
fn handshakes<U: UserData>(
    certificates: &Arc<Certificates>,
    services: &Services<U>,
) -> Result<Handshakes, rustls::Error> {
    let (config, metrics) = (services.config(), &services.metrics);
    let pending = Porch::new(config.limits.pending_handshakes, Limit::PendingHandshakes, metrics.clone());
    Ok(Handshakes::new(certificates.acceptor()?, pending, config.limits.handshake_timeout, metrics.clone()))
}

/// The threads of the caller's hooks, and how they are called.
fn start_hooks<U: UserData>(
    hooks: Option<Arc<dyn AnyHooks<U>>>,
    config: &Config,
    metrics: &Metrics,
) -> Result<(Option<HookCalls<U>>, HookThreads), StartError> {
    let all = HookThreads::default();
    let Some(hooks) = hooks else { return Ok((None, all)) };
    let settings = HookSettings {
        timeout: config.hooks.timeout,
        queue: config.hooks.queue,
        concurrency: config.hooks.concurrency,
    };
    let threads = all.start(config.hooks.threads)?;
    Ok((Some(HookCalls::new(hooks, threads, settings, metrics.clone())), all))
}

fn verifier(config: &Config) -> Verifier {
    Verifier::new(VerifierOptions {
        parallel: config.auth.hashing.effective_concurrency(),
        max_waiting: config.auth.hashing.waiting,
        remember: config.users.cache_ttl,
        ..VerifierOptions::default()
    })
}

/// Has the server watched by its monitor.
fn watch<U: UserData>(services: &Arc<Services<U>>) {
    let Services { monitor, hubs, fanouts, .. } = &**services;
    let services = Arc::downgrade(services);
    monitor::start(monitor, hubs, fanouts, move || {
        let services = services.upgrade()?;
        let pool = services.store.as_ref().and_then(|store| store.pool());
        Some(Surroundings { users: services.user_shares.keys(), pool })
    });
}

async fn open_store(config: &Config) -> Result<Arc<dyn UserStore>, StoreError> {
    let store = users::open(config.database().expose()).await?;
    if config.users.demo && store.is_new() {
        users::seed(&*store).await?;
    }
    Ok(store)
}

fn throttle_limits(failures: &FailuresConfig) -> ThrottleLimits {
    let per_minute = |count: u32| FailureLimit { burst: count, forget_one_in: Duration::from_secs(60) / count.max(1) };
    ThrottleLimits {
        address: per_minute(failures.address_per_minute),
        login_and_address: per_minute(failures.login_address_per_minute),
        login: per_minute(failures.login_per_minute),
        slow_by: failures.login_delay,
        slow_at_most: failures.login_delay,
        entries: failures.table_entries,
    }
}
