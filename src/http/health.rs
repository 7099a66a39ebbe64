//! Is the process alive, and is it ready for work?

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Problem, Services, access};
use crate::user::UserData;

/// How long the store may take to answer.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer of the store holds: whoever asks more often learns nothing new, and does not load the database.
const HOLDS_FOR: Duration = Duration::from_secs(1);

/// What the store said last, and when; nobody asks it while somebody else does.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<Option<(Instant, Result<(), String>)>>);

impl Readiness {
    /// Whether the store is reachable, or was a moment ago.
    async fn of_store<U: UserData>(&self, services: &Services<U>) -> Result<(), String> {
        let Some(store) = services.store.clone() else { return Ok(()) };
        let mut last = self.0.lock().await;
        if let Some((at, said)) = &*last
            && at.elapsed() < HOLDS_FOR
        {
            return said.clone();
        }
        let ping = services.home.spawn(async move { store.ping().await });
        let said = match timeout(STORE_PATIENCE, ping).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(format!("The user store cannot be used: {error}.")),
            Ok(Err(_)) => Err("The user store could not be asked.".to_owned()),
            Err(_) => Err(format!("The user store gave no answer within {} s.", STORE_PATIENCE.as_secs())),
        };
        *last = Some((Instant::now(), said.clone()));
        said
    }
}

/// `GET /health`: answers as long as a worker does.
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// `GET /ready`: 200 when connections are welcome, 503 when not. Operators also learn why.
pub(super) async fn ready<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let draining = services.is_draining();
    let store = services.readiness.of_store(&services).await;
    let ready = store.is_ok() && !draining;
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    if access::check_read(&services, &request).await.is_err() {
        return Ok(response.json(json!({ "ready": ready })));
    }
    let mut details = json!({ "ready": ready, "draining": draining, "store": store.is_ok() });
    if !ready {
        let going = draining.then(|| "The server is going away.".to_owned());
        details["reasons"] = going.into_iter().chain(store.err()).collect();
    }
    Ok(response.json(details))
}
