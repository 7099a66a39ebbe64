//! `/api/me`: what whoever asks may do, so that a page shows no button that would be refused.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::http::access::{self, Access};
use crate::http::{Problem, Services};
use crate::user::UserData;

/// `GET /api/me`: `{"access":"all"}`, or `{"access":"read"}` for a user with no more than `folkmoot.admin.read`.
pub async fn me<U: UserData>(services: Arc<Services<U>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let access = match access::check(&services, &request).await? {
        Access::All => "all",
        Access::Read => "read",
    };
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(json!({ "access": access })))
}
