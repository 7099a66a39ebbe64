//! The listener, and the actix-web `App` that answers ordinary requests on it.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::{HttpService, Request, Response};
use actix_rt::net::TcpStream;
use actix_server::ServerBuilder;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, map_config};
use actix_web::dev::AppConfig;
use actix_web::{App, Error};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::http::upgrade::UpgradeFactory;
use crate::http::{Routes, Services};
use crate::transport::socket::tune;
use crate::user::UserData;

/// Connections that the system may keep until they are accepted: a burst of reconnects after a restart.
const BACKLOG: i32 = 4096;

/// Binds the listener of a server, once its services are known.
pub type Listen<U> = Box<dyn FnOnce(ServerBuilder, net::TcpListener, Arc<Services<U>>) -> io::Result<ServerBuilder>>;

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
        let address = listener.local_addr()?;
        builder.listen("folkmoot", listener, move || {
            let (app, config) = (app_config(address), services.config());
            let limits = &config.limits;
            let http = HttpService::build()
                .keep_alive(limits.http_keep_alive)
                .client_request_timeout(limits.http_head_timeout)
                // 0 or at least a second: between them a deadline may never come (actix-http 3.20).
                .client_disconnect_timeout(Duration::from_secs(1))
                .h1_allow_half_closed(false)
                .local_addr(address)
                .upgrade(UpgradeFactory::new(services.clone()))
                .finish(map_config(factory().into_factory().map_err(Into::<Error>::into), move |_| app.clone()))
                .tcp();
            let porch = services.porch.clone();
            // Served to its end also means: handed over to a session, which has limits of its own.
            apply_fn_factory(http, move |stream: TcpStream, http| {
                let (guest, served) = (porch.enter(), http.call(stream));
                async move { guest.serve(served).await.unwrap_or(Ok(())) }
            })
        })
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
/// every request without a `Host` for one to `localhost:8080`.
fn app_config(address: SocketAddr) -> AppConfig {
    AppConfig::__priv_test_new(false, address.to_string(), address)
}

/// A listening socket, whose connections end when bytes stay unacknowledged for `user_timeout`. Nothing is accepted
/// before the server runs.
pub fn listener(address: SocketAddr, user_timeout: Duration) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart need not wait for the connections of its predecessor to be forgotten. On Windows it would let
    // another program share the port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    tune(&SockRef::from(&socket), user_timeout);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
