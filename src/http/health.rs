//! Is the process alive, and is it ready for work?

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use tokio::time::timeout;

use super::{Services, access};
use crate::user::UserData;

/// How long the store may take to answer.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// `GET /health`: answers as long as a worker does.
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// `GET /ready`: 200 when connections are welcome, 503 when not. Operators also learn why.
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
    match access::check_read(&services, &request).await.is_ok() {
        true => response.json(json!({ "ready": ready, "draining": draining, "store": store })),
        false => response.json(json!({ "ready": ready })),
    }
}
