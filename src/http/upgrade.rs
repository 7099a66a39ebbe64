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
use super::{Entrance, Live, Problem, Seat, Services};
use crate::auth::Credential;
use crate::error::Disconnect;
use crate::groups::watch::Happening;
use crate::groups::{LocalFanout, Outboxes};
use crate::metrics::Limit;
use crate::outbound::{Link, LinkSettings, Scratch};
use crate::session::{Admitted, Session, SessionSettings};
use crate::transport::Transport;
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

    /// What a session and its fan-out will share of a connection that was let in.
    pub fn link<T: Transport>(&self, admission: &Admission<U>, io: T) -> Rc<Link> {
        let shared = self.settings();
        let settings = if admission.looking.is_some() { &shared.watching.0 } else { &shared.link };
        Rc::new(Link::new(io, settings.clone(), admission.slow_consumers))
    }

    /// Starts the session of a connection that was let in; `early` is what came together with the handshake.
    pub fn launch(&self, admission: Admission<U>, seat: Seat, link: Rc<Link>, early: Vec<u8>) {
        let Admission { connection, permissions, groups, lease, subprotocol, raw, expires_in, pledge, .. } = admission;
        let shared = self.settings();
        let settings = match (&admission.looking, admission.masks) {
            (Some(_), _) => shared.watching.1.clone(),
            (None, true) => shared.with_masks.clone(),
            (None, false) => shared.without_masks.clone(),
        };
        let seat = Box::new((seat, admission.shares, admission.looking));
        let outbox = self.outboxes.to(lease.hub());
        let admitted =
            Admitted { connection, permissions, groups, lease, outbox, subprotocol, raw, settings, expires_in, seat };
        let id = admitted.connection.id;
        Session::launch(admitted, link.clone(), &self.fanout, early);
        if let Some(pledge) = pledge {
            pledge.keep();
        }
        // The others may have been sent away while the answer to this handshake was written.
        if self.services.is_draining() {
            link.end(Disconnect::going_away(id.share_of(self.services.config().shutdown.timeout / 2)));
        }
    }

    /// Decides on a handshake within the time that it may take.
    ///
    /// # Errors
    /// The [`Problem`] that the client is answered.
    pub async fn decide(&self, handshake: Handshake<'_>) -> Result<(Admission<U>, Seat), Problem> {
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

    async fn decide_in_time(&self, handshake: Handshake<'_>) -> Result<(Admission<U>, Seat), Problem> {
        let services = &self.services;
        let busy = |limit| move || services.over(limit, Problem::unavailable("Too many connections; try again later."));
        let _handshake = services.handshakes.take().ok_or_else(busy(Limit::PendingHandshakes))?;
        let seat = services.seats.take().ok_or_else(busy(Limit::Connections))?;
        let limit = self.services.config().limits.handshake_timeout;
        let late = |_| {
            let late = Problem::unavailable("The handshake took too long; try again in a moment.");
            services.over(Limit::HandshakeTimeout, late)
        };
        let admission = timeout(limit, admit(&self.services, handshake)).await.map_err(late)??;
        if self.services.is_draining() {
            return Err(Problem::unavailable("The server is going away; try another node, or again later."));
        }
        Ok((admission, seat))
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
        let (admission, seat) = match decided {
            Ok(decided) => decided,
            Err(problem) => return refuse(framed, &problem).await,
        };
        let mut response = Response::build(StatusCode::SWITCHING_PROTOCOLS);
        response.upgrade("websocket").insert_header((header::SEC_WEBSOCKET_ACCEPT, accept_key(&head.headers)));
        if let Some(echo) = &admission.echo {
            response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, echo.as_str()));
        }
        let response = response.finish().drop_body();
        // Not sent yet: the registry knows the connection before its peer does, and the first frame goes out with it.
        Pin::new(&mut framed).feed(Message::Item((response, BodySize::None))).await?;
        let parts = framed.into_parts();
        let link = worker.link(&admission, parts.io);
        link.push(parts.write_buf.freeze().into(), &mut Scratch::default());
        worker.launch(admission, seat, link, parts.read_buf.to_vec());
        Ok(())
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
