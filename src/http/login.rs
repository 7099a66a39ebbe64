//! `POST /auth/token`: a login becomes a short-lived token, for browsers, which cannot send headers on a WebSocket.

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, CacheControl, CacheDirective};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::json;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::admission::{LoggedIn, log_in};
use super::{Entrance, Problem, Services};
use crate::auth::Credential;
use crate::auth::audience::client_url;
use crate::auth::basic::BasicCredentials;
use crate::auth::host::BaseUrl;
use crate::auth::origin::CredentialKind;
use crate::ids::HubName;
use crate::metrics::Limit;
use crate::user::UserData;

/// Largest form that is read.
const MAX_FORM_BYTES: usize = 4096;

/// Answers `{token, url, expiresAt}` to a login with HTTP Basic or a form with `login` and `password`.
pub(super) async fn token<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    if services.is_draining() {
        return Err(Problem::unavailable("The server is going away; try another node, or again later."));
    }
    let client = services.client_of(&request);
    services.origins_of(Entrance::of(&request)).check_host(request.headers())?;
    services.origins_of(Entrance::of(&request)).check_origin(request.headers(), &client, CredentialKind::Ambient)?;
    let credential = Credential::of_request(request.headers(), None).inspect_err(|_| {
        services.metrics.auth_failures.increment(1);
    })?;
    let body = read_body(&services, body).await?;
    let (basic, hub) = read_login(&request, credential, &body)?;
    let default = &services.live.load_full().hubs.default;
    let hub = match hub {
        Some(name) => HubName::parse(&name).map_err(|error| Problem::bad_request(error.to_string()))?,
        None => default.clone(),
    };
    let record = match log_in(&services, basic, &hub, &client).await? {
        LoggedIn::Store(record) => record,
        // A token of ours means a user of the store; what only the hook knows would have to stand in it.
        LoggedIn::Hook(_) => {
            return Err(Problem::forbidden("This user gets no token here; log in on the WebSocket itself."));
        }
    };
    if !record.hubs.allows(&hub, default) {
        return Err(Problem::forbidden("This user may not enter this hub."));
    }
    let base = base_url(&services, &client)?;
    let ttl = services.config().auth.token_ttl;
    let issued = services.tokens.issue_store_token(&record.login, &hub, &base, ttl, SystemTime::now())?;
    let expires_at = issued.expires_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut response = HttpResponse::Ok();
    allow_origin(&services, &request, &mut response);
    let answer =
        json!({ "token": issued.token, "url": client_url(&base, &hub, &issued.token), "expiresAt": expires_at });
    Ok(response.insert_header(CacheControl(vec![CacheDirective::NoStore])).json(answer))
}

/// Tells a browser that a page of `server.origins` may log in from there; all other origins get no such word.
pub(super) async fn preflight<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut response = HttpResponse::NoContent();
    if allow_origin(&services, &request, &mut response) {
        response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "POST"));
        response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"));
    }
    Ok(response.finish())
}

fn allow_origin<U: UserData>(
    services: &Services<U>,
    request: &HttpRequest,
    response: &mut HttpResponseBuilder,
) -> bool {
    let origin = request.headers().get(header::ORIGIN).filter(|origin| services.origins.allows_cors(origin));
    let Some(origin) = origin else { return false };
    response.insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
    response.insert_header((header::VARY, "Origin"));
    true
}

/// The server's own first name where it has one, else the name that the request used.
fn base_url<U: UserData>(
    services: &Services<U>,
    client: &crate::auth::peer::ClientAddress,
) -> Result<BaseUrl, Problem> {
    if let Some(url) = services.public_urls.first() {
        return Ok(url.clone());
    }
    let host = client.host().cloned().ok_or_else(|| Problem::bad_request("The request has no valid Host."))?;
    Ok(BaseUrl::of_host(client.is_secure(), host))
}

/// The form, within the time that a handshake may take: a body that never ends is one more way to say nothing.
async fn read_body<U: UserData>(services: &Services<U>, body: Payload) -> Result<Bytes, Problem> {
    let limit = services.config().limits.handshake_timeout;
    let late = |_| {
        let late = Problem::new(StatusCode::REQUEST_TIMEOUT, "The form did not come in time.");
        services.over(Limit::HandshakeTimeout, late)
    };
    let read = timeout(limit, body.to_bytes_limited(MAX_FORM_BYTES)).await.map_err(late)?;
    let too_big = format!("The form has more than {MAX_FORM_BYTES} bytes.");
    let read = read.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, too_big))?;
    read.map_err(|_| Problem::bad_request("The form could not be read."))
}

fn read_login(
    request: &HttpRequest,
    credential: Credential,
    body: &Bytes,
) -> Result<(BasicCredentials, Option<String>), Problem> {
    let query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let mut hub = query.filter(|(name, _)| name == "hub").last().map(|(_, hub)| hub.into_owned());
    // Only what a header says: a token in the query proves no password. A header that is there and wrong is refused, and
    // the form is not looked at.
    match credential {
        Credential::Basic(basic) => return Ok((basic, hub)),
        Credential::Token(_) => return Err(Problem::unauthorized("A token cannot be exchanged; send HTTP Basic.")),
        Credential::Anonymous => {}
    }
    let form = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = form.is_some_and(|value| {
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    if !is_form || body.is_empty() {
        return Err(Problem::unauthorized("Send HTTP Basic, or a form with 'login' and 'password'."));
    }
    let (mut login, mut password) = (None, None);
    for (name, value) in url::form_urlencoded::parse(body) {
        match &*name {
            "login" => login = Some(value.into_owned()),
            "password" => password = Some(Zeroizing::new(value.into_owned())),
            "hub" => hub = Some(value.into_owned()),
            _ => {}
        }
    }
    match (login, password) {
        (Some(login), Some(password)) => Ok((
            BasicCredentials::new(&login, &password).map_err(|error| Problem::unauthorized(error.to_string()))?,
            hub,
        )),
        _ => Err(Problem::unauthorized("The form needs 'login' and 'password'.")),
    }
}
