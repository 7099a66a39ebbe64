//! What every worker needs to let connections in; made once by the composition root and shared.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_http::header::HeaderMap;
use actix_web::HttpRequest;
use arc_swap::{ArcSwap, Guard};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use super::api::DoneOnce;
use super::health::Readiness;
use super::live::{ConfigNow, Live};
use super::porch::Porch;
use super::{Problem, Seats, Shares};
use crate::auth::host::BaseUrl;
use crate::auth::peer::ClientAddress;
use crate::auth::throttle::{LoginThrottle, Verdict};
use crate::config::Origins;
use crate::groups::{Fanouts, Hubs};
use crate::hooks::HookCalls;
use crate::ids::{HubName, UserId};
use crate::issuers::KeySources;
use crate::metrics::{Limit, Metrics};
use crate::monitor::Monitor;
use crate::outbound::{LinkSettings, OutboundLimits, ReplayLimits};
use crate::protocol::json::ParseOptions;
use crate::session::{InboundRates, SessionSettings};
use crate::transport::decoder::DecoderLimits;
use crate::user::{User, UserData};
use crate::users::{LoginError, StoreError, StoredUser, UserRecord, UserStore, Verifier};
use crate::webhooks::Webhooks;

/// Makes the caller's user data out of what the store or a token tells.
pub type MapUser<U> = Arc<dyn Fn(User) -> Option<U> + Send + Sync>;

/// The second listener, `server.internal`.
#[derive(Debug, Clone, Copy)]
pub struct InternalListener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether what operators ask is there alone.
    pub exclusive: bool,
}

/// What every worker shares.
pub struct Services<U: UserData> {
    /// What a reload exchanges; read it by [`now`](Services::now) and [`config`](Services::config).
    pub live: Arc<ArcSwap<Live>>,
    /// The internal listener, where there is one.
    pub internal: Option<InternalListener>,
    /// The keys of other issuers of tokens, as far as they are known.
    pub key_sources: KeySources,
    /// Limits failed logins.
    pub throttle: ArcSwap<LoginThrottle>,
    /// The users, if there is a store.
    pub store: Option<Arc<dyn UserStore>>,
    /// Checks passwords.
    pub verifier: Verifier,
    /// The runtime on which the store is used: its connections belong to it, workers come and go.
    pub home: Handle,
    /// The caller's hooks.
    pub hooks: Option<HookCalls<U>>,
    /// The application's webhooks.
    pub webhooks: Webhooks,
    /// The open hubs.
    pub hubs: Arc<Hubs<U>>,
    /// The fan-outs of all workers.
    pub fanouts: Arc<Fanouts>,
    /// Makes user data.
    pub map_user: MapUser<U>,
    /// Places for connections.
    pub seats: Arc<Seats>,
    /// Places for the connections of each user.
    pub user_shares: Arc<Shares<UserId>>,
    /// The same of those who watch the server: they are nobody whom they watch.
    pub watcher_shares: Arc<Shares<UserId>>,
    /// Places for the connections of each address.
    pub address_shares: Arc<Shares<IpAddr>>,
    /// Where connections wait that are no WebSockets.
    pub porch: Arc<Porch>,
    /// Places for handshakes.
    pub handshakes: Arc<Seats>,
    /// Set when the server is about to end.
    pub draining: AtomicBool,
    /// Where what happens is counted.
    pub metrics: Metrics,
    /// What is known of the server's last minutes, and who looks at it.
    pub monitor: Arc<Monitor>,
    /// Whether the store was reachable a moment ago.
    pub readiness: Readiness,
    /// Requests to the API that must not be done twice.
    pub(crate) done_once: Arc<DoneOnce>,
    /// Where the keys of the configuration come from.
    pub config_origins: ArcSwap<Origins>,
}

impl<U: UserData> Services<U> {
    /// What the server goes by now: a reload exchanges it as a whole. Across an `await`, keep `live.load_full()`.
    pub fn now(&self) -> Guard<Arc<Live>> {
        self.live.load()
    }

    /// The configuration as it is now.
    pub fn config(&self) -> ConfigNow {
        ConfigNow(self.now())
    }

    /// Counts that a client ran into a limit, and answers it.
    pub fn over(&self, limit: Limit, problem: Problem) -> Problem {
        self.metrics.reached(limit);
        problem
    }

    /// Whether the server is about to end and lets nobody in.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether what operators ask is on the internal listener alone.
    pub fn keeps_inside(&self) -> bool {
        self.internal.is_some_and(|listener| listener.exclusive)
    }

    /// The client at the other end of an ordinary request.
    pub fn client_of(&self, request: &HttpRequest) -> ClientAddress {
        self.client(request.peer_addr(), request.app_config().secure(), request.headers())
    }

    /// The client at the other end of a request, which came over TLS or not.
    pub fn client(&self, peer: Option<SocketAddr>, tls: bool, headers: &HeaderMap) -> ClientAddress {
        // Without a peer address (a foreign listener may have none) nobody is taken for loopback.
        let peer = peer.map_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        ClientAddress::of_request(peer, tls, headers, &self.now().proxies)
    }

    /// How this server is to be called in answers: its own first name where it has one, else the name that the request
    /// used.
    ///
    /// # Errors
    /// 400 for a request without a valid `Host`.
    pub fn base_url(&self, client: &ClientAddress) -> Result<BaseUrl, Problem> {
        if let Some(url) = self.now().public_urls.first() {
            return Ok(url.clone());
        }
        let host = client.host().cloned().ok_or_else(|| Problem::bad_request("The request has no valid Host."))?;
        Ok(BaseUrl::of_host(client.is_secure(), host))
    }

    /// Checks a login and its password against the store.
    ///
    /// # Errors
    /// A [`Problem`] for the client.
    pub async fn log_in(
        self: &Arc<Self>,
        login: &str,
        password: Zeroizing<String>,
        client: &ClientAddress,
    ) -> Result<UserRecord, Problem> {
        let (services, name, address) = (self.clone(), login.to_owned(), client.address());
        let verified = self.home.spawn(async move {
            let Some(store) = &services.store else { return Err(LoginError::Denied) };
            let throttle = || services.throttle.load().check(address, &name, Instant::now());
            let verified = services.verifier.authenticate(&**store, &name, password, throttle).await;
            match &verified {
                Ok(_) => services.throttle.load().succeeded(address, &name),
                Err(LoginError::Denied) => services.throttle.load().failed(address, &name, Instant::now()),
                Err(_) => {}
            }
            verified
        });
        let verified = verified.await.unwrap_or(Err(LoginError::Busy));
        let denied = match verified {
            Ok(record) if self.demo_may(&record, client) => return Ok(record),
            Ok(_) => {
                log::warn!("user.id" = login, address:% = client.address(); "a demo user may log in only from this machine");
                LoginError::Denied
            }
            Err(error) => error,
        };
        Err(self.refused(login, client, denied))
    }

    /// Holds the verdict of an `authenticate` hook to the limits of failed logins.
    ///
    /// Beyond them a right password is refused like a wrong one, or whoever guesses would still be told.
    ///
    /// # Errors
    /// A [`Problem`] for the client.
    pub fn limited<T>(
        &self,
        login: &str,
        client: &ClientAddress,
        verdict: Result<T, LoginError>,
    ) -> Result<T, Problem> {
        let (address, now) = (client.address(), Instant::now());
        if let Verdict::Refuse { retry_after } = self.throttle.load().check(address, login, now) {
            return Err(self.refused(login, client, LoginError::Throttled { retry_after }));
        }
        match &verdict {
            Ok(_) => self.throttle.load().succeeded(address, login),
            Err(_) => self.throttle.load().failed(address, login, now),
        }
        verdict.map_err(|error| self.refused(login, client, error))
    }

    /// Counts and logs a login that was refused.
    fn refused(&self, login: &str, client: &ClientAddress, why: LoginError) -> Problem {
        match &why {
            LoginError::Denied => self.metrics.auth_failures.increment(1),
            LoginError::Throttled { .. } => self.metrics.auth_throttled.increment(1),
            LoginError::Busy => self.metrics.reached(Limit::LoginsWaiting),
            LoginError::Unavailable(_) => {}
        }
        log::info!("user.id" = login, address:% = client.address(), reason:% = why; "a login was refused");
        why.into()
    }

    /// The store user of this login, as the store has it now.
    ///
    /// # Errors
    /// A [`Problem`] for the client: 401 for one who is unknown or disabled.
    pub async fn store_user(self: &Arc<Self>, login: UserId, client: &ClientAddress) -> Result<UserRecord, Problem> {
        self.stored_user(login, client).await.map(|user| user.record)
    }

    /// The same with the hash of the password.
    ///
    /// # Errors
    /// As for [`store_user`](Services::store_user).
    pub async fn stored_user(self: &Arc<Self>, login: UserId, client: &ClientAddress) -> Result<StoredUser, Problem> {
        let denied = || {
            self.metrics.auth_failures.increment(1);
            Problem::unauthorized("The token's user may not log in.")
        };
        let Some(store) = self.store.clone() else { return Err(denied()) };
        let found = self.home.spawn(async move { store.find(&login).await }).await;
        let found = found.unwrap_or_else(|_| Err(StoreError::Unavailable("the query was given up".into())));
        match found {
            Ok(Some(user)) if !user.record.disabled && self.demo_may(&user.record, client) => Ok(user),
            Ok(_) => Err(denied()),
            Err(error) => {
                log::warn!(error:%; "the user store does not answer");
                Err(LoginError::Unavailable(error).into())
            }
        }
    }

    /// Demo users have passwords that everybody knows: they log in from this machine only.
    fn demo_may(&self, record: &UserRecord, client: &ClientAddress) -> bool {
        !record.demo || self.demo_users_may_log_in(client)
    }

    /// Whether demo users may log in from there.
    pub fn demo_users_may_log_in(&self, client: &ClientAddress) -> bool {
        self.config().auth.allow_demo_users || client.is_direct_loopback()
    }

    /// How the links of a worker are bounded, and where is counted what happens on them.
    pub fn link_settings(&self, metrics: &Metrics) -> Rc<LinkSettings> {
        let config = self.config();
        let limits = &config.limits;
        Rc::new(LinkSettings {
            limits: OutboundLimits { bytes: limits.outbound_bytes, messages: limits.outbound_messages },
            write_timeout: limits.write_timeout,
            requests_in_flight: u32::try_from(limits.requests_in_flight).unwrap_or(u32::MAX),
            metrics: metrics.clone(),
        })
    }

    /// What is kept of reliable connections, so that they can go on by another socket.
    pub fn replay_limits(&self) -> ReplayLimits {
        let config = self.config();
        let reliable = &config.reliable;
        match reliable.recovery_window.is_zero() {
            true => ReplayLimits { messages: 0, bytes: 0 },
            false => ReplayLimits { messages: reliable.buffer_messages, bytes: reliable.buffer_bytes },
        }
    }

    /// What the sessions of a worker share, in hubs with masks and in hubs without.
    pub fn session_settings(&self, masks: bool) -> SessionSettings<U> {
        let config = self.config();
        let limits = &config.limits;
        SessionSettings {
            parse: ParseOptions { masks, max_json_depth: limits.json_depth },
            decoder: DecoderLimits {
                max_frame_bytes: limits.max_frame_bytes,
                max_message_bytes: limits.max_message_bytes,
                max_fragments: u32::try_from(limits.max_fragments).unwrap_or(u32::MAX),
            },
            rates: InboundRates {
                messages_per_second: limits.messages_per_second,
                bytes_per_second: limits.bytes_per_second,
            },
            hooks: self.hooks.clone(),
            recovery_window: config.reliable.recovery_window,
            webhooks: Some(self.webhooks.clone()),
            metrics: self.metrics.clone(),
        }
    }

    /// What the sessions of those share who watch the server: no hook hears them, they count nowhere, and what they miss
    /// is the past.
    pub fn watching_settings(&self) -> SessionSettings<U> {
        let metrics = self.monitor.aside().clone();
        SessionSettings {
            hooks: None,
            webhooks: None,
            recovery_window: Duration::ZERO,
            metrics,
            ..self.session_settings(true)
        }
    }

    /// The hub that a path leads to, or `None` where it leads elsewhere.
    ///
    /// # Errors
    /// 400 for a hub that has no valid name.
    pub fn hub_of_path(&self, path: &str, query: Option<&str>) -> Result<Option<HubName>, Problem> {
        let name = match path {
            "/ws" => return Ok(Some(self.config().hubs.default.clone())),
            "/client" | "/client/" => {
                let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
                let hub = pairs.filter(|(name, _)| name == "hub").last();
                hub.map(|(_, hub)| hub.into_owned()).ok_or_else(|| Problem::bad_request("The query has no 'hub'."))?
            }
            _ => match path.strip_prefix("/client/hubs/") {
                // One segment, decoded once: `%2F` in it is not a separator.
                Some(segment) if !segment.contains('/') => decode_segment(segment)?,
                _ => return Ok(None),
            },
        };
        HubName::parse(&name).map(Some).map_err(|error| Problem::bad_request(error.to_string()))
    }
}

fn decode_segment(segment: &str) -> Result<String, Problem> {
    percent_encoding::percent_decode_str(segment)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| Problem::bad_request("The path is not valid UTF-8."))
}
