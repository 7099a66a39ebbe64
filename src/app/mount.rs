//! The server inside an `actix_web::HttpServer` of the caller's: everything but the listener.

use std::any::Any;
use std::sync::Arc;

use actix_rt::net::TcpStream;
use actix_web::dev::Extensions;
use actix_web::web::ServiceConfig;
use socket2::SockRef;

use super::{Addresses, Server, StartError, drain};
use crate::groups::{EnterError, Lease};
use crate::hooks::HookThreads;
use crate::http::{Routes, Services, mounted};
use crate::ids::HubName;
use crate::transport::socket::tune;
use crate::user::{User, UserData};

impl<U: UserData> Server<U> {
    /// Builds the server without a listener, to be mounted into an `HttpServer` of yours. Must be called where an actix
    /// `System` runs, such as under `#[actix_web::main]`.
    ///
    /// An `App` given to [`Server::app`] is not used. `server.bind` is not bound, but should say where your server
    /// listens: while it is a loopback address, which is the default, requests whose `Host` is neither `localhost` nor
    /// one of `server.public_urls` are refused, so that no web page reaches the server by a name of its own.
    /// `server.tls` and `server.internal` are not looked at: listeners are your `HttpServer`'s.
    ///
    /// # Errors
    /// [`StartError`], in a sentence for the operator.
    pub async fn mount(self) -> Result<Mount<U>, StartError> {
        let routes = self.routes.clone();
        let addresses = Addresses { main: self.config.server.address(), internal: None };
        let budget = self.provide_descriptors(super::cores());
        let (services, hook_threads) = self.build(addresses, &budget).await?;
        Ok(Mount { services, routes, hook_threads })
    }
}

/// A server that runs inside an `HttpServer` of yours; cheap to clone, usable from any thread.
///
/// The same sessions as on the server's own listener, on the transport of actix-web-actors. That is heavier: bytes pass
/// actix-http's buffers, so each connection costs some ten kilobytes more. Three settings of `HttpServer` keep it small
/// and honest:
/// - `h1_write_buffer_size(8 * 1024)` bounds what actix-http keeps for each connection once it sent a large message;
/// - `on_connect(mount.on_connect())` has the kernel end peers that read no more: nobody else can, as actix-http does
///   not look at a response while its write buffer is full;
/// - `disable_signals()`, with [`stop`](Mount::stop) before `HttpServer`'s own: it knows nothing of close frames and
///   would cut the connections.
///
/// ```no_run
/// use actix_web::{App, HttpServer};
/// use folkmoot::{Server, config::Config};
///
/// #[actix_web::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let mount = Server::new(Config::default()).mount().await?;
///     let mounted = mount.clone();
///     let server = HttpServer::new(move || App::new().configure(|config| mounted.configure(config)))
///         .on_connect(mount.on_connect())
///         .h1_write_buffer_size(8 * 1024)
///         .disable_signals()
///         .bind(("127.0.0.1", 8080))?
///         .run();
///     let handle = server.handle();
///     actix_web::rt::spawn(server);
///     tokio::signal::ctrl_c().await?;
///     mount.stop().await;
///     handle.stop(true).await;
///     Ok(())
/// }
/// ```
pub struct Mount<U: UserData = User> {
    services: Arc<Services<U>>,
    routes: Routes<U>,
    hook_threads: HookThreads,
}

impl<U: UserData> Mount<U> {
    /// Adds the WebSocket routes `/ws`, `/client/hubs/{hub}` and `/client`, and the server's ordinary routes, to an
    /// `App` or a scope.
    pub fn configure(&self, config: &mut ServiceConfig) {
        mounted::configure(self.services.clone(), config);
        self.routes.configure(config);
    }

    /// What `HttpServer::on_connect` is to call: prepares each socket for connections that live long.
    ///
    /// It knows plain TCP only; sockets under TLS are left as they are.
    pub fn on_connect(&self) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static {
        let user_timeout = self.services.config().heartbeat.tcp_user_timeout;
        move |socket, _| {
            if let Some(socket) = socket.downcast_ref::<TcpStream>() {
                tune(&SockRef::from(socket), user_timeout);
            }
        }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.services.seats.taken()
    }

    /// Enters a hub from the server's side; the hub stays open as long as the lease lives.
    ///
    /// # Errors
    /// [`EnterError`] when the configuration does not allow it to be opened.
    pub fn hub(&self, name: &HubName) -> Result<Lease<U>, EnterError> {
        self.services.hubs.enter(name)
    }

    /// What is counted, in the Prometheus text format.
    pub fn metrics(&self) -> String {
        self.services.metrics.render()
    }

    /// Lets nobody in any more, closes those who are with 1001, one after another over half of `shutdown.timeout`, and
    /// returns when the last is gone or that time has passed. To be called before your `HttpServer` is stopped.
    pub async fn stop(&self) {
        drain::refuse_new(&self.services, None).await;
        drain::send_away(&self.services).await;
        drain::close_hubs(&self.services).await;
        self.hook_threads.stop();
    }
}

impl<U: UserData> Clone for Mount<U> {
    fn clone(&self) -> Self {
        Mount { services: self.services.clone(), routes: self.routes.clone(), hook_threads: self.hook_threads.clone() }
    }
}
