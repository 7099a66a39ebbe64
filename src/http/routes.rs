//! The routes beside the WebSocket, for the server's own `App` or a caller's.

use std::future::{Future, Ready, ready};
use std::sync::{Arc, OnceLock};

use actix_web::guard::{self, Guard};
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::Either;

use super::{Entrance, Problem, Services, api, health, login, metrics, pages};
use crate::user::UserData;

/// Where WebSockets are. Handshakes do not come by these routes on the server's own listener.
pub(super) const WEB_SOCKET_PATHS: [&str; 4] = ["/ws", "/client", "/client/", "/client/hubs/{hub}"];

/// What is on the internal listener alone where `server.internal.exclusive` says so.
const FOR_OPERATORS: [&str; 3] = ["/metrics", "/admin", "/api"];

/// The routes `/health`, `/ready`, `/metrics`, `/auth/token`, `/negotiate` and `/api`; cheap to clone, to be configured into any `App`.
///
/// They answer 503 until the server that gave them out has started.
pub struct Routes<U: UserData> {
    services: Arc<OnceLock<Arc<Services<U>>>>,
    entrance: Entrance,
}

impl<U: UserData> Routes<U> {
    /// Routes of a server that has not started yet.
    pub(crate) fn new() -> Self {
        Routes { services: Arc::default(), entrance: Entrance::Main }
    }

    /// Has the routes answer for a server that has started.
    pub(crate) fn start(&self, services: Arc<Services<U>>) {
        // Set once, by the one server that made them.
        let _ = self.services.set(services);
    }

    /// The same routes for another listener.
    pub(crate) fn of(&self, entrance: Entrance) -> Self {
        Routes { entrance, ..self.clone() }
    }

    /// The services of the server, once it has started.
    pub(crate) fn services(&self) -> Option<Arc<Services<U>>> {
        self.services.get().cloned()
    }

    /// Adds the routes to an `App` or a scope.
    pub fn configure(&self, config: &mut ServiceConfig) {
        config.app_data(self.entrance);
        // Whatever comes first answers, here with 404.
        if self.entrance == Entrance::Main && self.services().is_some_and(|services| services.keeps_inside()) {
            for path in FOR_OPERATORS {
                config.service(web::scope(path));
            }
        }
        let routes = self.clone();
        let ready = move |request: HttpRequest| {
            routes.with(move |services| async move { Ok(health::ready(services, request).await) })
        };
        let routes = self.clone();
        let metrics = move |request: HttpRequest| routes.with(move |services| metrics::metrics(services, request));
        let routes = self.clone();
        let token = move |request: HttpRequest, body: web::Payload| {
            routes.with(move |services| login::token(services, request, body))
        };
        let routes = self.clone();
        let preflight = move |methods: &'static str| {
            let routes = routes.clone();
            move |request: HttpRequest| routes.with(move |services| login::preflight(services, request, methods))
        };
        let routes = self.clone();
        let api = move |request: HttpRequest, body: web::Payload| {
            routes.with(move |services| api::answer(services, request, body))
        };
        config
            .service(web::resource("/health").route(web::route().guard(get_or_head()).to(health::health)))
            .service(web::resource("/ready").route(web::route().guard(get_or_head()).to(ready)))
            .service(web::resource("/metrics").route(web::route().guard(get_or_head()).to(metrics)))
            .service(
                web::resource("/auth/token")
                    .route(web::post().to(token.clone()))
                    .route(web::method(Method::OPTIONS).to(preflight("POST"))),
            )
            // What the samples of the SDKs ask.
            .service(
                web::resource("/negotiate")
                    .route(web::get().to(token.clone()))
                    .route(web::post().to(token))
                    .route(web::method(Method::OPTIONS).to(preflight("GET, POST"))),
            )
            .service(web::resource(api::PATTERN).to(api));
        for path in WEB_SOCKET_PATHS {
            config.service(web::resource(path).to(not_a_handshake));
        }
    }

    /// Adds the pages that the configuration serves (`pages`): the chat at `/`, the dashboard at `/admin`, their files under
    /// `/assets`. An `App` of your own has them only by this; they look for `/auth/token`, `/api` and the WebSocket beside
    /// them, so add them where [`configure`](Routes::configure) adds the rest.
    pub fn configure_pages(&self, config: &mut ServiceConfig) {
        let entrance = self.entrance;
        let routes = self.clone();
        let chat = move |request: HttpRequest| routes.with(move |services| pages::chat(services, request, entrance));
        let routes = self.clone();
        let admin = move |request: HttpRequest| routes.with(move |services| pages::admin(services, request, entrance));
        let routes = self.clone();
        let asset = move |request: HttpRequest| routes.with(move |services| pages::asset(services, request, entrance));
        let routes = self.clone();
        let demo = move |request: HttpRequest| routes.with(move |services| pages::demo(services, request, entrance));
        config
            .service(web::resource("/").route(web::route().guard(get_or_head()).to(chat)))
            .service(web::resource("/admin").route(web::route().guard(get_or_head()).to(admin)))
            // The links of the page begin beside it. Relative, because a proxy may serve this below a path of its own.
            .service(web::redirect("/admin/", "../admin"))
            .service(web::resource("/demo.json").route(web::route().guard(get_or_head()).to(demo)))
            .service(web::resource("/assets/{folder}/{name:.*}").route(web::route().guard(get_or_head()).to(asset)));
    }

    fn with<F: Future<Output = Result<HttpResponse, Problem>>>(
        &self,
        answer: impl FnOnce(Arc<Services<U>>) -> F,
    ) -> Either<F, Ready<Result<HttpResponse, Problem>>> {
        match self.services() {
            Some(services) => Either::Left(answer(services)),
            None => Either::Right(ready(Err(Problem::unavailable("The server has not started yet.")))),
        }
    }
}

fn get_or_head() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

/// Somebody looks at the address of a WebSocket with a browser, say.
async fn not_a_handshake() -> Result<HttpResponse, Problem> {
    Err(Problem::bad_request("Here is a WebSocket; the request has no 'Upgrade: websocket'."))
}

impl<U: UserData> Clone for Routes<U> {
    fn clone(&self) -> Self {
        Routes { services: self.services.clone(), entrance: self.entrance }
    }
}
