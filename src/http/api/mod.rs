//! The HTTP API under `/api`: what operators and back ends ask and do, on the paths of the Web PubSub REST API.
//!
//! One function reads a request, one table tells which methods a path has, and a file for each kind of question does the
//! rest. Who may ask is decided in [`access`], before anything else is read.

mod body;
mod closing;
mod connections;
mod error;
mod groups;
mod hubs;
mod me;
mod members;
mod path;
mod query;
mod send;
mod server;

use std::sync::Arc;

use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

pub(crate) use self::error::ApiError;
use self::hubs::HubAsked;
pub(super) use self::path::PATTERN;
#[cfg(any(test, fuzzing))]
pub(crate) use self::path::last_segments;
pub(crate) use self::query::Query;
use self::query::{PageAsked, next_link};
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
        let lines = HeaderValue::from_static("x-ms-error-code, folkmoot-delivered-groups");
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
        return Ok(HttpResponse::Ok().finish());
    }
    let access = access::check(&services, &request).await?;
    let methods = methods(&segments).ok_or_else(|| Problem::not_found("The API has no such path."))?;
    if !methods.split(", ").any(|method| method == request.method().as_str()) {
        let refused = Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("This path takes {methods}."));
        let mut response = ApiError::from(refused).response();
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
        return Ok(response);
    }
    let query = Query::read(request.query_string())?;
    let call = Call { services, request, query };
    match segments.as_slice() {
        ["server", "overview"] => Ok(server::overview(&call)),
        ["server", "config"] => Ok(server::config(&call)),
        ["me"] => Ok(me::me(access)),
        ["hubs"] => hubs::list(&call).await,
        ["hubs", hub, rest @ ..] => {
            let hub = HubAsked::find(&call, hub)?;
            in_hub(&call, hub, rest, body).await
        }
        _ => Err(Problem::not_found("The API has no such path.").into()),
    }
}

/// The methods of a path; `None` where there is none.
fn methods(segments: &[&str]) -> Option<&'static str> {
    Some(match segments {
        ["me"] | ["hubs"] | ["server", "overview" | "config"] => "GET",
        ["hubs", _, rest @ ..] => match rest {
            [":send" | ":closeConnections"] => "POST",
            ["groups" | "connections"] => "GET",
            ["groups" | "users" | "connections", _, ":send"] => "POST",
            ["groups" | "users", _, ":closeConnections"] => "POST",
            ["groups" | "users", _] => "HEAD",
            ["connections", _] => "HEAD, GET, DELETE",
            ["groups", _, ":count" | "connections"] => "GET",
            ["connections", _, "groups"] => "GET, DELETE",
            ["groups", _, "connections", _] | ["users", _, "groups", _] => "PUT, DELETE",
            ["users", _, "groups"] => "DELETE",
            _ => return None,
        },
        _ => return None,
    })
}

async fn in_hub<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    rest: &[&str],
    body: Payload,
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
        _ => Err(Problem::not_found("The API has no such path.").into()),
    }
}

impl<U: UserData> Call<U> {
    /// The page that is asked for; `parse` reads what a page before it ended with.
    fn page<K>(&self, parse: impl FnOnce(&str) -> Option<K>) -> Result<PageAsked<K>, ApiError> {
        self.query.page(self.services.config().limits.list_page, parse)
    }

    /// A page of a list; `token` stands for its last entry where more may follow.
    fn list<K>(&self, asked: &PageAsked<K>, value: Vec<Value>, token: Option<String>) -> Result<Value, ApiError> {
        let given = value.len();
        let mut page = json!({ "value": value });
        if let Some(token) = token.filter(|_| asked.goes_on(given)) {
            let base = self.services.base_url(&self.services.client_of(&self.request))?.to_string();
            page["nextLink"] = next_link(&base, &self.request, &self.query, &token, given).into();
            page["continuationToken"] = token.into();
        }
        Ok(page)
    }
}

fn no_content() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// The answer to a `HEAD`: 200, or what is missing, of which only the head is sent.
fn exists_if(exists: bool, missing: impl FnOnce() -> ApiError) -> Result<HttpResponse, ApiError> {
    if exists { Ok(HttpResponse::Ok().finish()) } else { Err(missing()) }
}
