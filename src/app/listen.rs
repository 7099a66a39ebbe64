//! The listeners, and the actix-web `App` that answers ordinary requests on them.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request, Response};
use actix_rt::net::TcpStream;
use actix_server::ServerBuilder;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service, map_config,
};
use actix_web::dev::AppConfig;
use actix_web::{App, Error};
use socket2::{Domain, Protocol as SocketProtocol, SockRef, Socket, Type};

use super::tls::Handshakes;
use super::unread::closed_behind_answer;
use crate::http::upgrade::{Upgradable, UpgradeFactory};
use crate::http::{Entrance, Routes, Services};
use crate::transport::socket::tune;
use crate::user::UserData;

/// Connections that the system may keep until they are accepted: a burst of reconnects after a restart.
const BACKLOG: i32 = 4096;

/// A socket that listens, and how connections to it begin.
pub struct Listener {
    /// The socket.
    pub socket: net::TcpListener,
    /// What it is for.
    pub entrance: Entrance,
    /// Set where connections are under TLS.
    pub tls: Option<Handshakes>,
}

/// Serves a listener of a server, once its services are known.
pub type Listen<U> = Box<dyn FnOnce(ServerBuilder, Listener, Arc<Services<U>>) -> io::Result<ServerBuilder>>;

/// Keeps a factory of `App`s in a closure, where its types need no names.
pub fn listen_with<U, F, I, S, B>(factory: F) -> Listen<U>
where
    U: UserData,
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    Box::new(move |builder, listener, services| {
        let Listener { socket, entrance, tls } = listener;
        let address = socket.local_addr()?;
        let name = match entrance {
            Entrance::Main => "folkmoot",
            Entrance::Internal => "folkmoot-internal",
        };
        match tls {
            None => builder.listen(name, socket, move || {
                let http = http(factory(), &services, address, entrance, false);
                guarded(http, services.clone(), async |tcp: TcpStream| Some(tcp))
            }),
            Some(handshakes) => builder.listen(name, socket, move || {
                let http = http(factory(), &services, address, entrance, true);
                let handshakes = handshakes.clone();
                guarded(http, services.clone(), async move |tcp: TcpStream| handshakes.accept(tcp).await)
            }),
        }
    })
}

/// What serves connections that have begun: requests go to the `App`, upgrades to sessions.
fn http<U, Io, I, S, B>(
    app: I,
    services: &Arc<Services<U>>,
    address: SocketAddr,
    entrance: Entrance,
    tls: bool,
) -> impl ServiceFactory<
    Begun<Io>,
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
    Service: 'static,
    Future: 'static,
> + use<U, Io, I, S, B>
where
    U: UserData,
    Io: Upgradable,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let (app_config, config) = (app_config(address, tls), services.config());
    let limits = &config.limits;
    HttpService::build()
        .keep_alive(limits.http_keep_alive)
        .client_request_timeout(limits.http_head_timeout)
        // 0 or at least a second: between them a deadline may never come (actix-http 3.20).
        .client_disconnect_timeout(Duration::from_secs(1))
        .h1_allow_half_closed(false)
        .local_addr(address)
        .upgrade::<_, UpgradeFactory<U>>(UpgradeFactory::new(services.clone(), entrance, tls))
        .finish(map_config(closed_behind_answer(app.into_factory()).map_err(Into::<Error>::into), move |_| {
            app_config.clone()
        }))
}

/// A connection that has begun, as actix-http takes it.
type Begun<Io> = (Io, Protocol, Option<SocketAddr>);

/// Keeps connections on the porch, from the moment at which they are accepted, until they are served to their end; that
/// also means: handed over to a session, which has limits of its own. `begin` gives none where a connection does not
/// begin at all.
fn guarded<U, Io, H, F>(
    http: H,
    services: Arc<Services<U>>,
    begin: F,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()>
where
    U: UserData,
    Io: Upgradable,
    F: AsyncFn(TcpStream) -> Option<Io> + 'static,
    H: ServiceFactory<Begun<Io>, Config = (), Response = (), Error = DispatchError, InitError = ()>,
    H::Service: 'static,
    H::Future: 'static,
{
    let begin = Rc::new(begin);
    fn_factory(move || {
        let (making, porch, begin) = (http.new_service(()), services.porch.clone(), begin.clone());
        async move {
            let http = Rc::new(making.await?);
            Ok(fn_service(move |tcp: TcpStream| {
                let (guest, begin, http) = (porch.enter(), begin.clone(), http.clone());
                let peer = tcp.peer_addr().ok();
                let served = async move {
                    match begin(tcp).await {
                        Some(io) => http.call((io, Protocol::Http1, peer)).await,
                        None => Ok(()),
                    }
                };
                async move { guest.serve(served).await.unwrap_or(Ok(())) }
            }))
        }
    })
}

/// The server's own `App`: nothing but its routes and pages.
pub fn default_app<U: UserData>(routes: Routes<U>) -> Listen<U> {
    listen_with(move || {
        let routes = routes.clone();
        App::new().configure(move |config| {
            routes.configure(config);
            routes.configure_pages(config);
        })
    })
}

/// What an `App` is told of its listener. There is no public way to make it, and with the default an `App` would take
/// every request without a `Host` for one to `localhost:8080`, and none for one under TLS.
fn app_config(address: SocketAddr, tls: bool) -> AppConfig {
    AppConfig::__priv_test_new(tls, address.to_string(), address)
}

/// A listening socket, whose connections end when bytes stay unacknowledged for `user_timeout`. Nothing is accepted
/// before the server runs.
pub fn listener(address: SocketAddr, user_timeout: Duration) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(SocketProtocol::TCP))?;
    // So that a restart need not wait for the connections of its predecessor to be forgotten. On Windows it would let
    // another program share the port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    tune(&SockRef::from(&socket), user_timeout);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
