//! The HTTP API under `/api`: what operators and back ends ask and do, on the paths of the Web PubSub REST API.
//!
//! One function reads a request, one table tells which operations there are, and a file for each kind of question does the
//! rest. Who may ask is decided in [`access`], before anything else is read.

mod answers;
mod body;
mod closing;
mod connections;
mod enrol;
mod error;
mod groups;
mod hubs;
mod idempotency;
mod me;
mod members;
pub(super) mod openapi;
mod operations;
mod parameters;
mod path;
mod permissions;
mod query;
mod send;
mod server;
mod tokens;

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};

use self::answers::Page;
use self::body::Body;
pub(crate) use self::error::ApiError;
use self::hubs::HubAsked;
pub(crate) use self::idempotency::DoneOnce;
use self::idempotency::{Begun, Done, Fingerprint, Use};
use self::operations::NoOperation;
pub(super) use self::path::PATTERN;
#[cfg(any(test, fuzzing))]
pub(crate) use self::path::last_segments;
pub(crate) use self::query::Query;
use self::query::{PageAsked, next_link};
use super::access::Access;
use super::{Problem, Services, access, cors};
use crate::user::UserData;

/// All methods that a path may have, for browsers that ask before they send.
const METHODS: &str = "GET, HEAD, POST, PUT, DELETE";

/// An API request that is let in.
pub(crate) struct Call<U: UserData> {
    pub(super) services: Arc<Services<U>>,
    pub(super) request: HttpRequest,
    query: Query,
}

/// Answers a request.
pub(super) async fn answer<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let mut response = match *request.method() {
        Method::OPTIONS => {
            let mut response = HttpResponse::NoContent().finish();
            cors::allow_methods(&services, &request, response.headers_mut(), METHODS);
            return Ok(response);
        }
        _ => dispatch(services.clone(), request.clone(), body).await.unwrap_or_else(ApiError::response),
    };
    let headers = response.headers_mut();
    if cors::allow_origin(&services, &request, headers) {
        let lines = HeaderValue::from_static(
            "x-ms-error-code, folkmoot-delivered-groups, folkmoot-delivered-connections, idempotent-replayed",
        );
        headers.insert(actix_web::http::header::ACCESS_CONTROL_EXPOSE_HEADERS, lines);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn dispatch<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    let segments = path::segments(&request)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    // Whether the server is there is no secret, and SDKs ask without a token.
    if let (&Method::HEAD, ["health"]) = (request.method(), segments.as_slice()) {
        Query::read(request.query_string())?;
        return Ok(HttpResponse::Ok().finish());
    }
    let access = access::check(&services, &request).await?;
    let operation = match operations::find(request.method().as_str(), &segments) {
        Ok(operation) => operation,
        Err(NoOperation::NotFound) => return Err(no_such_path()),
        Err(NoOperation::Methods(methods)) => return Ok(other_methods(&methods)),
    };
    let query = Query::read(request.query_string())?;
    query.check_for(operation)?;
    let call = Call { services, request, query };
    let key = if operation.changes_something() { idempotency::key_of(&call.request)? } else { None };
    match key {
        None => carry_out(&call, access, &segments, Body::Coming(body)).await,
        Some(key) => {
            let bytes = match operation.body {
                operations::Body::None => idempotency::NO_BODY,
                _ => Body::Coming(body).read(&call).await?,
            };
            let segments = segments.into_iter().map(str::to_owned).collect();
            once(call, access, segments, key, bytes).await
        }
    }
}

/// Does what is asked, unless a request with this key has asked for the same before: then the answer is that one's.
async fn once<U: UserData>(
    call: Call<U>,
    access: Access,
    segments: Vec<String>,
    key: String,
    bytes: Bytes,
) -> Result<HttpResponse, ApiError> {
    let (key, fingerprint) = (Use::of(&call.request, &key), Fingerprint::of(&call.request, &bytes));
    let bounds = {
        let config = call.services.config();
        (config.limits.idempotency_keys, config.limits.idempotency_ttl)
    };
    let ticket = match call.services.done_once.begin(key, fingerprint, Instant::now(), bounds) {
        Begun::Now(ticket) => ticket,
        Begun::Before(done) => return Ok(done.again()),
        Begun::Running => return Err(idempotency::refusal(false)),
        Begun::Other => return Err(idempotency::refusal(true)),
    };
    // To its end, also when whoever asked does not wait for it: they will ask again, and must hear what came of it.
    let doing = actix_web::rt::spawn(async move {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let answer = carry_out(&call, access, &segments, Body::Here(bytes)).await?;
        if let Some(done) = Done::of(&answer) {
            ticket.done(done);
        }
        Ok(answer)
    });
    doing.await.unwrap_or_else(|_| Err(Problem::unavailable("The request was given up; try again.").into()))
}

/// Does what is asked. Which paths there are with which methods, the table of operations tells.
async fn carry_out<U: UserData>(
    call: &Call<U>,
    access: Access,
    segments: &[&str],
    body: Body,
) -> Result<HttpResponse, ApiError> {
    match segments {
        ["server", "overview"] => Ok(server::overview(call)),
        ["server", "config"] => Ok(server::config(call)),
        ["me"] => Ok(me::me(access)),
        ["hubs"] => hubs::list(call).await,
        ["hubs", hub, rest @ ..] => {
            let hub = HubAsked::find(call, hub)?;
            in_hub(call, hub, rest, body).await
        }
        _ => Err(no_such_path()),
    }
}

async fn in_hub<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    rest: &[&str],
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let method = call.request.method().as_str();
    match (method, rest) {
        (_, [":send"]) => send::to_all(call, hub, body).await,
        (_, ["groups", target, ":send"]) => send::to_groups(call, hub, target, body).await,
        (_, ["users", user, ":send"]) => send::to_user(call, hub, user, body).await,
        (_, ["connections", id, ":send"]) => send::to_connection(call, hub, id, body).await,
        (_, [":closeConnections"]) => closing::all(call, hub).await,
        (_, ["groups", target, ":closeConnections"]) => closing::of_groups(call, hub, target).await,
        (_, ["users", user, ":closeConnections"]) => closing::of_user(call, hub, user).await,
        (_, [":addToGroups"]) => enrol::enrol(call, hub, true, body).await,
        (_, [":removeFromGroups"]) => enrol::enrol(call, hub, false, body).await,
        (_, [":generateToken"]) => tokens::generate(call, &hub),
        ("PUT", ["permissions", permission, "connections", id]) => permissions::grant(call, hub, permission, id).await,
        ("DELETE", ["permissions", permission, "connections", id]) => {
            permissions::revoke(call, hub, permission, id).await
        }
        (_, ["permissions", permission, "connections", id]) => permissions::has(call, hub, permission, id).await,
        (_, ["groups"]) => groups::list(call, hub).await,
        (_, ["groups", target]) => groups::exists(hub, target).await,
        (_, ["groups", target, ":count"]) => groups::count(hub, target).await,
        (_, ["groups", group, "connections"]) => members::list(call, hub, group).await,
        ("PUT", ["groups", target, "connections", id]) => members::add(hub, target, id).await,
        (_, ["groups", target, "connections", id]) => members::remove(hub, target, id).await,
        (_, ["users", user]) => connections::user_exists(hub, user).await,
        ("PUT", ["users", user, "groups", target]) => members::add_user(hub, user, target).await,
        (_, ["users", user, "groups", target]) => members::remove_user(hub, user, target).await,
        (_, ["users", user, "groups"]) => members::remove_user_from_all(hub, user).await,
        (_, ["connections"]) => connections::list(call, hub).await,
        ("HEAD", ["connections", id]) => connections::exists(hub, id).await,
        ("DELETE", ["connections", id]) => closing::one(call, hub, id).await,
        (_, ["connections", id]) => connections::one(hub, id).await,
        ("DELETE", ["connections", id, "groups"]) => members::remove_from_all(hub, id).await,
        (_, ["connections", id, "groups"]) => connections::groups(call, hub, id).await,
        _ => Err(no_such_path()),
    }
}

fn no_such_path() -> ApiError {
    Problem::not_found("The API has no such path.").into()
}

/// 405: the path is one, the method is not.
fn other_methods(methods: &str) -> HttpResponse {
    let refused = Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("This path takes {methods}."));
    let mut response = ApiError::from(refused).response();
    if let Ok(methods) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

impl<U: UserData> Call<U> {
    /// The page that is asked for; `parse` reads what a page before it ended with.
    fn page<K>(&self, parse: impl FnOnce(&str) -> Option<K>) -> Result<PageAsked<K>, ApiError> {
        self.query.page(self.services.config().limits.list_page, parse)
    }

    /// What leads from a page with so many entries to the next; `token` stands for its last entry where more may follow.
    fn links<K>(&self, asked: &PageAsked<K>, given: usize, token: Option<String>) -> Result<Links, ApiError> {
        let Some(token) = token.filter(|_| asked.goes_on(given)) else { return Ok(Links::default()) };
        let base = self.services.base_url(&self.services.client_of(&self.request))?.to_string();
        let next_link = next_link(&base, &self.request, &self.query, &token, given);
        Ok(Links { next_link: Some(next_link), continuation_token: Some(token) })
    }
}

/// Where a list goes on.
#[derive(Default)]
struct Links {
    next_link: Option<String>,
    continuation_token: Option<String>,
}

impl Links {
    fn page<T>(self, value: Vec<T>) -> Page<T> {
        Page { value, next_link: self.next_link, continuation_token: self.continuation_token }
    }
}

fn no_content() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// The answer to a `HEAD`: 200, or what is missing, of which only the head is sent.
fn exists_if(exists: bool, missing: impl FnOnce() -> ApiError) -> Result<HttpResponse, ApiError> {
    if exists { Ok(HttpResponse::Ok().finish()) } else { Err(missing()) }
}
