//! `GET /api/me`: what whoever asks may do, so that a page shows no button that would be refused.

use actix_web::HttpResponse;

use super::answers::Me;
use crate::http::access::Access;

/// `{"access":"all"}`, or `{"access":"read"}` for a user with no more than `folkmoot.admin.read`.
pub(super) fn me(access: Access) -> HttpResponse {
    let access = match access {
        Access::All => "all",
        Access::Read => "read",
    };
    HttpResponse::Ok().json(Me { access })
}
