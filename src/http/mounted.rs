//! WebSocket routes for an `App` of the caller's own: the same decisions as on our listener, over another transport.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use super::handshake::Handshake;
use super::routes::WEB_SOCKET_PATHS;
use super::upgrade::Worker;
use super::{Entrance, Problem, Services};
use crate::transport::body;
use crate::user::UserData;

/// Adds the WebSocket routes to an `App` or a scope, on the thread that will serve it.
pub fn configure<U: UserData>(services: Arc<Services<U>>, config: &mut ServiceConfig) {
    let worker = Rc::new(Worker::new(services));
    for path in WEB_SOCKET_PATHS {
        // What stands before it is the scope that the routes are configured in.
        let literal = path.split('{').next().unwrap_or(path);
        let worker = worker.clone();
        // Every method: admission answers those that are no handshake as on our own listener.
        let connect = move |request: HttpRequest, payload: web::Payload| {
            let worker = worker.clone();
            async move { connect(&worker, literal, &request, payload).await }
        };
        config.service(web::resource(path).to(connect));
    }
}

async fn connect<U: UserData>(
    worker: &Worker<U>,
    literal: &str,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let handshake = Handshake {
        method: request.method(),
        version: request.version(),
        path: own_path(request.path(), literal),
        query: request.uri().query(),
        headers: request.headers(),
        peer: request.peer_addr(),
        tls: request.app_config().secure(),
        entrance: Entrance::Main,
    };
    let decided = worker.decide(handshake).await?;
    let accepted = body::accept(request, payload, decided.echo());
    let (response, transport) = accepted.map_err(|error| Problem::bad_request(error.to_string()))?;
    worker.begin(decided, transport, Bytes::new(), Vec::new());
    Ok(response)
}

/// The path without the caller's scope. A hub's name has no `/`, so the last occurrence is ours.
fn own_path<'a>(path: &'a str, literal: &str) -> &'a str {
    path.rfind(literal).and_then(|at| path.get(at..)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_in_front_of_a_path_is_not_ours() {
        assert_eq!(own_path("/ws", "/ws"), "/ws");
        assert_eq!(own_path("/ws/ws", "/ws"), "/ws");
        assert_eq!(own_path("/api/client/hubs/a%2Fb", "/client/hubs/"), "/client/hubs/a%2Fb");
        assert_eq!(own_path("/client/hubs/x/client/", "/client/"), "/client/");
    }
}
