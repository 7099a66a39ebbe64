//! Takes the socket over from actix-http when a client asks for a WebSocket.
//!
//! Every request whose `Upgrade` is `websocket` comes here, whatever its path or method, and so does every `CONNECT`:
//! those that are no handshake of ours are answered through the codec, and the connection is closed.

use std::cell::RefCell;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use actix_codec::Framed;
use actix_http::body::BodySize;
use actix_http::h1::{Codec, Message};
use actix_http::header;
use actix_http::{Request, Response};
use actix_service::{Service, ServiceFactory};
use actix_web::http::{Method, StatusCode};
use bytes::Bytes;
use futures_core::future::LocalBoxFuture;
use futures_util::SinkExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::admission::{Admission, admit};
use super::handshake::{Handshake, accept_key};
use super::problem::PROBLEM_JSON;
use super::recovery::{self, Parameters, Recovery, Refused, recover};
use super::{Entrance, Live, Problem, Seat, Services};
use crate::auth::Credential;
use crate::error::Disconnect;
use crate::groups::watch::Happening;
use crate::groups::{LocalFanout, Outboxes};
use crate::metrics::Limit;
use crate::outbound::{Link, LinkSettings, Replay, ReplayLimits, Scratch, SlowConsumers, close};
use crate::protocol::Subprotocol;
use crate::session::{Admitted, Arrival, RawMode, Session, SessionSettings};
use crate::transport::{Transport, encoder};
use crate::user::UserData;

/// Makes the upgrade service of each worker.
pub struct UpgradeFactory<U: UserData> {
    services: Arc<Services<U>>,
    entrance: Entrance,
    tls: bool,
}

impl<U: UserData> UpgradeFactory<U> {
    /// A factory over what all workers share, for a listener that is under TLS or not.
    pub fn new(services: Arc<Services<U>>, entrance: Entrance, tls: bool) -> Self {
        UpgradeFactory { services, entrance, tls }
    }
}

/// A connection that actix-http can serve and a session can take over.
pub trait Upgradable: Transport + AsyncRead + AsyncWrite + Unpin {}

impl<Io: Transport + AsyncRead + AsyncWrite + Unpin> Upgradable for Io {}

/// A request for an upgrade, with the connection that it came on. Each kind of listener has an `Io` of its own.
type Handed<Io> = (Request, Framed<Io, Codec>);

impl<U: UserData, Io: Upgradable> ServiceFactory<Handed<Io>> for UpgradeFactory<U> {
    type Response = ();
    type Error = actix_web::Error;
    type Config = ();
    type Service = Upgrade<U>;
    type InitError = ();
    type Future = Ready<Result<Upgrade<U>, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let worker = Rc::new(Worker::new(self.services.clone()));
        ready(Ok(Upgrade { worker, entrance: self.entrance, tls: self.tls }))
    }
}

/// What becomes of a handshake that is answered by 101.
pub enum Decided<U: UserData> {
    /// A connection begins.
    Enters(Box<Admission<U>>, Seat),
    /// One goes on.
    Returns(Box<Recovery<U>>),
    /// One cannot go on, which an SDK is to be told by a close frame.
    Turned(Refused),
}

impl<U: UserData> Decided<U> {
    /// The subprotocol to be echoed, as the client spelled it.
    pub fn echo(&self) -> Option<&str> {
        match self {
            Decided::Enters(admission, _) => admission.echo.as_deref(),
            Decided::Returns(recovery) => recovery.echo.as_deref(),
            Decided::Turned(refused) => refused.echo.as_deref(),
        }
    }
}

/// What one worker needs to start sessions.
pub struct Worker<U: UserData> {
    services: Arc<Services<U>>,
    fanout: LocalFanout,
    outboxes: Outboxes<U>,
    settings: RefCell<Rc<Settings<U>>>,
}

/// What the connections of a worker share that were let in under one configuration.
struct Settings<U: UserData> {
    of: Arc<Live>,
    link: Rc<LinkSettings>,
    with_masks: Rc<SessionSettings<U>>,
    without_masks: Rc<SessionSettings<U>>,
    /// The same for those who watch the server.
    watching: (Rc<LinkSettings>, Rc<SessionSettings<U>>),
}

impl<U: UserData> Settings<U> {
    fn now(services: &Services<U>) -> Rc<Self> {
        Rc::new(Settings {
            of: services.live.load_full(),
            link: services.link_settings(&services.metrics),
            with_masks: Rc::new(services.session_settings(true)),
            without_masks: Rc::new(services.session_settings(false)),
            watching: (services.link_settings(services.monitor.aside()), Rc::new(services.watching_settings())),
        })
    }
}

impl<U: UserData> Worker<U> {
    /// For the current thread.
    pub fn new(services: Arc<Services<U>>) -> Self {
        Worker {
            fanout: services.fanouts.local(),
            outboxes: Outboxes::default(),
            settings: RefCell::new(Settings::now(&services)),
            services,
        }
    }

    /// Made anew after a reload, once.
    fn settings(&self) -> Rc<Settings<U>> {
        let mut settings = self.settings.borrow_mut();
        if !Arc::ptr_eq(&settings.of, &self.services.now()) {
            *settings = Settings::now(&self.services);
        }
        settings.clone()
    }

    /// Begins what was decided on the connection that the handshake came by. `head` is to be written first, and goes out
    /// with the first frame; `early` is what came together with the handshake.
    pub fn begin<T: Transport>(&self, decided: Decided<U>, io: T, head: Bytes, early: Vec<u8>) {
        match decided {
            Decided::Enters(admission, seat) => {
                let link = self.link(&admission, io);
                put_first(&link, head);
                self.let_in(*admission, seat, link, early);
            }
            Decided::Returns(recovery) => {
                let replay = Replay::waiting(self.services.replay_limits());
                let link: Rc<Link> = Rc::new(Link::reliable(io, self.settings().link.clone(), replay));
                put_first(&link, head);
                self.let_back_in(*recovery, link, early);
            }
            Decided::Turned(refused) => {
                let link: Rc<Link> = Rc::new(Link::new(io, self.settings().link.clone(), SlowConsumers::Close));
                put_first(&link, head);
                let Refused { reason, seat, .. } = refused;
                let last = encoder::close(reason.close_code(), reason.reason()).into();
                actix_rt::spawn(async move {
                    close(link, vec![last], false).await;
                    drop(seat);
                });
            }
        }
    }

    /// What a session and its fan-out will share of a connection that was let in.
    fn link<T: Transport>(&self, admission: &Admission<U>, io: T) -> Rc<Link> {
        let shared = self.settings();
        let settings = if admission.looking.is_some() { &shared.watching.0 } else { &shared.link };
        if admission.subprotocol == Subprotocol::ReliableJson {
            // Those who watch do not come back to what they have missed.
            let limits = match admission.looking {
                Some(_) => ReplayLimits { messages: 0, bytes: 0 },
                None => self.services.replay_limits(),
            };
            return Rc::new(Link::reliable(io, settings.clone(), Replay::new(limits)));
        }
        Rc::new(Link::new(io, settings.clone(), admission.slow_consumers))
    }

    /// Starts the session of a connection that goes on by another socket.
    fn let_back_in(&self, recovery: Recovery<U>, link: Rc<Link>, early: Vec<u8>) {
        let Recovery { claimed, lease, masks, .. } = recovery;
        let shared = self.settings();
        let settings = if masks { shared.with_masks.clone() } else { shared.without_masks.clone() };
        self.launch(
            Admitted {
                connection: claimed.connection,
                arrival: Arrival::Back { incarnation: claimed.incarnation },
                outbox: self.outboxes.to(lease.hub()),
                lease,
                subprotocol: Subprotocol::ReliableJson,
                raw: RawMode::Event,
                settings,
                expires_at: claimed.expires_at,
            },
            link,
            early,
        );
    }

    /// Starts the session of a connection that was let in.
    fn let_in(&self, admission: Admission<U>, seat: Seat, link: Rc<Link>, early: Vec<u8>) {
        let reconnection_token = self.reconnection_token(&admission);
        let Admission { connection, permissions, groups, lease, subprotocol, raw, expires_at, pledge, .. } = admission;
        let shared = self.settings();
        let settings = match (&admission.looking, admission.masks) {
            (Some(_), _) => shared.watching.1.clone(),
            (None, true) => shared.with_masks.clone(),
            (None, false) => shared.without_masks.clone(),
        };
        let seat = Box::new((seat, admission.shares, admission.looking));
        let outbox = self.outboxes.to(lease.hub());
        let arrival = Arrival::New { permissions, groups, reconnection_token, seat };
        let admitted = Admitted { connection, arrival, lease, outbox, subprotocol, raw, settings, expires_at };
        self.launch(admitted, link, early);
        if let Some(pledge) = pledge {
            pledge.keep();
        }
    }

    /// What lets the peer of a reliable connection come back, where anybody may.
    fn reconnection_token(&self, admission: &Admission<U>) -> Option<String> {
        let live = self.services.now();
        let may_come_back = admission.subprotocol == Subprotocol::ReliableJson
            && admission.looking.is_none()
            && !live.config.reliable.recovery_window.is_zero();
        if !may_come_back {
            return None;
        }
        let (id, hub) = (admission.connection.id, &admission.connection.hub);
        let issued = live.tokens.issue_reconnection_token(id, hub, SystemTime::now());
        issued.inspect_err(|error| log::error!(error:%; "no reconnection token")).ok().map(|issued| issued.token)
    }

    fn launch(&self, admitted: Admitted<U>, link: Rc<Link>, early: Vec<u8>) {
        let id = admitted.connection.id;
        Session::launch(admitted, link.clone(), &self.fanout, early);
        // The others may have been sent away while the answer to this handshake was written.
        if self.services.is_draining() {
            link.end(Disconnect::going_away(id.share_of(self.services.config().shutdown.timeout / 2)));
        }
    }

    /// Decides on a handshake within the time that it may take.
    ///
    /// # Errors
    /// The [`Problem`] that the client is answered.
    pub async fn decide(&self, handshake: Handshake<'_>) -> Result<Decided<U>, Problem> {
        let decided = self.decide_in_time(handshake).await;
        if let Err(problem) = &decided {
            self.services.metrics.handshakes_refused.increment(1);
            let status = problem.status.as_u16();
            log::debug!(status, reason:% = problem; "a WebSocket handshake was refused");
            self.services.monitor.watcher().see(|| self.refusal(handshake, problem));
        }
        decided
    }

    /// A refused handshake as it is told to those who watch.
    fn refusal(&self, handshake: Handshake<'_>, problem: &Problem) -> Happening {
        let hub = self.services.hub_of_path(handshake.path, handshake.query).ok().flatten();
        let login = match Credential::of_request(handshake.headers, None) {
            Ok(Credential::Basic(basic)) => Some(basic.login),
            // What a token says that was refused is not known to be so.
            _ => None,
        };
        let client = self.services.client(handshake.peer, handshake.tls, handshake.headers);
        Happening::refused(hub, login, problem.detail.clone(), client.address())
    }

    async fn decide_in_time(&self, handshake: Handshake<'_>) -> Result<Decided<U>, Problem> {
        let services = &self.services;
        let busy = |limit| move || services.over(limit, Problem::unavailable("Too many connections; try again later."));
        let _handshake = services.handshakes.take().ok_or_else(busy(Limit::PendingHandshakes))?;
        let limit = self.services.config().limits.handshake_timeout;
        let late = |_| {
            let late = Problem::unavailable("The handshake took too long; try again in a moment.");
            services.over(Limit::HandshakeTimeout, late)
        };
        let seat = services.seats.take().ok_or_else(busy(Limit::Connections));
        let decided = match Parameters::of_query(handshake.query).filter(|_| recovery::is_spoken(handshake)) {
            // Whoever comes back has a place already, also where all are taken.
            Some(parameters) => match timeout(limit, recover(services, handshake, parameters)).await.map_err(late)?? {
                Ok(recovery) => Decided::Returns(Box::new(recovery)),
                Err(reason) => Decided::Turned(Refused::new(handshake, reason, seat?)),
            },
            None => {
                let seat = seat?;
                let admission = timeout(limit, admit(services, handshake)).await.map_err(late)??;
                Decided::Enters(Box::new(admission), seat)
            }
        };
        if self.services.is_draining() {
            return Err(Problem::unavailable("The server is going away; try another node, or again later."));
        }
        Ok(decided)
    }
}

/// The upgrade service of one worker and listener.
pub struct Upgrade<U: UserData> {
    worker: Rc<Worker<U>>,
    entrance: Entrance,
    tls: bool,
}

impl<U: UserData> Clone for Upgrade<U> {
    fn clone(&self) -> Self {
        Upgrade { worker: self.worker.clone(), ..*self }
    }
}

impl<U: UserData, Io: Upgradable> Service<Handed<Io>> for Upgrade<U> {
    type Response = ();
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<(), actix_web::Error>>;

    actix_service::always_ready!();

    fn call(&self, (request, framed): Handed<Io>) -> Self::Future {
        let upgrade = self.clone();
        Box::pin(async move { Ok(upgrade.run(request, framed).await?) })
    }
}

impl<U: UserData> Upgrade<U> {
    async fn run<Io: Upgradable>(&self, request: Request, mut framed: Framed<Io, Codec>) -> io::Result<()> {
        let worker = &self.worker;
        let head = request.head();
        let handshake = Handshake {
            method: &head.method,
            version: head.version,
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &head.headers,
            peer: head.peer_addr,
            tls: self.tls,
            entrance: self.entrance,
        };
        let decided = match head.method {
            Method::CONNECT => Err(Problem::bad_request("This is not a proxy.")),
            _ => worker.decide(handshake).await,
        };
        let decided = match decided {
            Ok(decided) => decided,
            Err(problem) => return refuse(framed, &problem).await,
        };
        let mut response = Response::build(StatusCode::SWITCHING_PROTOCOLS);
        response.upgrade("websocket").insert_header((header::SEC_WEBSOCKET_ACCEPT, accept_key(&head.headers)));
        if let Some(echo) = decided.echo() {
            response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, echo));
        }
        let response = response.finish().drop_body();
        // Not sent yet: the registry knows the connection before its peer does, and the first frame goes out with it.
        Pin::new(&mut framed).feed(Message::Item((response, BodySize::None))).await?;
        let parts = framed.into_parts();
        worker.begin(decided, parts.io, parts.write_buf.freeze(), parts.read_buf.to_vec());
        Ok(())
    }
}

/// Queues the answer to a handshake, where it is ours to write. Not sent yet: the first frame goes out with it.
fn put_first(link: &Rc<Link>, head: Bytes) {
    if !head.is_empty() {
        link.push(head.into(), &mut Scratch::default());
    }
}

async fn refuse<Io: Upgradable>(mut framed: Framed<Io, Codec>, problem: &Problem) -> io::Result<()> {
    let body = Bytes::from(problem.body());
    let mut response = Response::build(problem.status);
    response.force_close().content_type(PROBLEM_JSON);
    for header in problem.headers() {
        response.insert_header(header);
    }
    let response = response.finish().drop_body();
    // In one write: some clients show of a refusal only what comes together with its head.
    framed.feed(Message::Item((response, BodySize::Sized(body.len() as u64)))).await?;
    framed.feed(Message::Chunk(Some(body))).await?;
    framed.send(Message::Chunk(None)).await?;
    framed.into_parts().io.shutdown().await
}
