//! The routes beside the WebSocket, for the server's own `App` or a caller's.

use std::future::{Future, ready};
use std::sync::{Arc, OnceLock};

use actix_web::guard::{self, Guard};
use actix_web::http::Method;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route};
use futures_util::future::Either;

use super::{Entrance, Problem, Services, api, health, login, metrics, pages};
use crate::user::UserData;

/// Where WebSockets are. Handshakes do not come by these routes on the server's own listener.
pub(super) const WEB_SOCKET_PATHS: [&str; 4] = ["/ws", "/client", "/client/", "/client/hubs/{hub}"];

type Answered = Result<HttpResponse, Problem>;

/// What is on the internal listener alone where `server.internal.exclusive` says so.
const FOR_OPERATORS: [&str; 5] = ["/metrics", "/admin", "/api", "/openapi.json", "/docs"];

/// The routes `/health`, `/ready`, `/metrics`, `/auth/token`, `/negotiate`, `/api` and `/openapi.json`; cheap to clone, to be
/// configured into any `App`.
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
        config
            .service(web::resource("/health").route(web::route().guard(get_or_head()).to(health::health)))
            .service(self.page("/ready", |services, request, _| health::ready(services, request)))
            .service(self.page("/metrics", |services, request, _| metrics::metrics(services, request)))
            .service(
                web::resource("/auth/token")
                    .route(self.answer(login::token).method(Method::POST))
                    .route(self.preflight("POST").method(Method::OPTIONS)),
            )
            // What the samples of the SDKs ask.
            .service(
                web::resource("/negotiate")
                    .route(self.answer(login::token).guard(guard::Any(guard::Get()).or(guard::Post())))
                    .route(self.preflight("GET, POST").method(Method::OPTIONS)),
            )
            .service(self.page("/openapi.json", |_, request, _| ready(Ok(api::openapi::answer(&request)))))
            .service(web::resource(api::PATTERN).route(self.answer(api::answer)));
        for path in WEB_SOCKET_PATHS {
            config.service(web::resource(path).to(not_a_handshake));
        }
    }

    /// Adds the pages that the configuration serves (`pages`): the chat at `/`, the dashboard at `/admin`, the HTTP API at
    /// `/docs`, their files under `/assets`. An `App` of your own has them only by this; they look for `/auth/token`, `/api` and the WebSocket beside
    /// them, so add them where [`configure`](Routes::configure) adds the rest.
    pub fn configure_pages(&self, config: &mut ServiceConfig) {
        let entrance = self.entrance;
        config
            .service(self.page("/", move |services, request, _| pages::chat(services, request, entrance)))
            .service(self.page("/admin", move |services, request, _| pages::admin(services, request, entrance)))
            .service(self.page("/docs", move |services, request, _| pages::docs(services, request, entrance)))
            .service(web::redirect("/docs/", "../docs"))
            // The links of the page begin beside it. Relative, because a proxy may serve this below a path of its own.
            .service(web::redirect("/admin/", "../admin"))
            .service(self.page("/demo.json", move |services, request, _| pages::demo(services, request, entrance)))
            .service(self.page("/assets/{folder}/{name:.*}", move |services, request, _| {
                pages::asset(services, request, entrance)
            }));
    }

    /// What is there to be looked at, and to be asked about.
    fn page<F: Future<Output = Answered> + 'static>(
        &self,
        path: &str,
        answer: impl Fn(Arc<Services<U>>, HttpRequest, Payload) -> F + Clone + 'static,
    ) -> Resource {
        web::resource(path).route(self.answer(answer).guard(get_or_head()))
    }

    /// What a browser asks before it sends a request with a token.
    fn preflight(&self, methods: &'static str) -> Route {
        self.answer(move |services, request, _| login::preflight(services, request, methods))
    }

    /// A route that answers when the server has started.
    fn answer<F: Future<Output = Answered> + 'static>(
        &self,
        answer: impl Fn(Arc<Services<U>>, HttpRequest, Payload) -> F + Clone + 'static,
    ) -> Route {
        let routes = self.clone();
        web::route().to(move |request: HttpRequest, body: Payload| match routes.services() {
            Some(services) => Either::Left(answer(services, request, body)),
            None => Either::Right(ready(Err(Problem::unavailable("The server has not started yet.")))),
        })
    }
}

fn get_or_head() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

/// Somebody looks at the address of a WebSocket with a browser, say.
async fn not_a_handshake() -> Answered {
    Err(Problem::bad_request("Here is a WebSocket; the request has no 'Upgrade: websocket'."))
}

impl<U: UserData> Clone for Routes<U> {
    fn clone(&self) -> Self {
        Routes { services: self.services.clone(), entrance: self.entrance }
    }
}
