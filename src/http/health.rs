//! Is the process alive, and is it ready for work?

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use tokio::time::timeout;

use super::{Entrance, Services};
use crate::user::UserData;

/// How long the store may take to answer.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// `GET /health`: answers as long as a worker does.
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// `GET /ready`: 200 when connections are welcome, 503 when not. Operators on this machine also learn why.
pub(super) async fn ready<U: UserData>(services: Arc<Services<U>>, request: HttpRequest) -> HttpResponse {
    let draining = services.is_draining();
    let store = match services.store.clone() {
        None => true,
        Some(store) => {
            let ping = services.home.spawn(async move { store.ping().await });
            matches!(timeout(STORE_PATIENCE, ping).await, Ok(Ok(Ok(()))))
        }
    };
    let ready = store && !draining;
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    let client = services.client_of(&request);
    // Nor a page whose name was made to mean this machine (DNS rebinding).
    match services.may_read(Entrance::of(&request), &client)
        && services.origins_of(Entrance::of(&request)).check_host(request.headers()).is_ok()
    {
        true => response.json(json!({ "ready": ready, "draining": draining, "store": store })),
        false => response.json(json!({ "ready": ready })),
    }
}
