//! Which pages of other sites may read answers: those of `server.origins`, and no others.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

use super::Services;
use crate::user::UserData;

/// Tells a browser that a page of `server.origins` may read this answer; all other origins get no such word.
pub(super) fn allow_origin<U: UserData>(
    services: &Services<U>,
    request: &HttpRequest,
    headers: &mut HeaderMap,
) -> bool {
    let origin = request.headers().get(header::ORIGIN).filter(|origin| services.now().origins.allows_cors(origin));
    let Some(origin) = origin else { return false };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    true
}

/// The same for the question that a browser asks before it sends a request with a token.
pub(super) fn allow_methods<U: UserData>(
    services: &Services<U>,
    request: &HttpRequest,
    headers: &mut HeaderMap,
    methods: &'static str,
) {
    if allow_origin(services, request, headers) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        let lines = HeaderValue::from_static("authorization, content-type, idempotency-key");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, lines);
    }
}
