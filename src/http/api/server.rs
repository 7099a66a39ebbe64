//! `/api/server/…`: the server itself, for the dashboard.

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::http::header::{CacheControl, CacheDirective};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;

use crate::config;
use crate::http::{Problem, Services, access};
use crate::monitor::{self, Sample};
use crate::user::UserData;

/// The answer of `GET /api/server/overview`.
#[derive(Serialize)]
struct Overview {
    /// In milliseconds since 1970, by the clock that the samples have.
    now: u64,
    interval_ms: u64,
    samples: Vec<Sample>,
}

/// `GET /api/server/overview`: the samples of the last quarter of an hour.
pub async fn overview<U: UserData>(services: Arc<Services<U>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    access::check(&services, &request).await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let overview = Overview {
        now: now.as_millis() as u64,
        interval_ms: monitor::INTERVAL.as_millis() as u64,
        samples: services.monitor.samples(),
    };
    Ok(not_stored().json(overview))
}

/// `GET /api/server/config`: every key of the configuration in effect, with its value and origin; secrets are hidden.
pub async fn config<U: UserData>(services: Arc<Services<U>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    access::check(&services, &request).await?;
    let listed = config::list(&services.config(), &services.config_origins.load());
    Ok(not_stored().json(json!({ "value": listed })))
}

/// What is true for a moment and only for operators is kept by nobody on the way.
fn not_stored() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header(CacheControl(vec![CacheDirective::NoStore]));
    response
}
