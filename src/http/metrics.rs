//! `GET /metrics`: what is counted, in the Prometheus text format.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};

use super::{Problem, Services, access};
use crate::user::UserData;

/// For operators: from this machine, or with a token that opens the API.
pub(super) async fn metrics<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    access::check_read(&services, &request).await?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(services.metrics.render()))
}
