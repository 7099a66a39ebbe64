//! The pages in the binary: the chat at `/`, the dashboard at `/admin`, the HTTP API at `/docs`, and what they load from
//! `/assets`.
//!
//! Files as they were when the program was built, served with headers that leave a page nothing but its own files and
//! its own server. What the pages show they ask for as any client does; nothing here knows of users or groups.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use rust_embed::{EmbeddedFile, RustEmbed};
use serde_json::{Value, json};

use super::{Entrance, Problem, Services};
use crate::auth::peer::ClientAddress;
use crate::config::ServePage;
use crate::user::UserData;
use crate::users::demo_users_of;

/// The chat page, `src/http/pages/chat/`.
#[derive(RustEmbed)]
#[folder = "src/http/pages/chat/"]
struct Chat;

/// The dashboard, `src/http/pages/admin/`.
#[derive(RustEmbed)]
#[folder = "src/http/pages/admin/"]
struct Admin;

/// The page of the HTTP API, `src/http/pages/docs/`.
#[derive(RustEmbed)]
#[folder = "src/http/pages/docs/"]
struct Docs;

/// What they have in common, `src/http/pages/shared/`.
#[derive(RustEmbed)]
#[folder = "src/http/pages/shared/"]
struct Shared;

/// A part of the pages, each with a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Chat,
    Admin,
    Docs,
    Shared,
}

impl Part {
    fn of_folder(folder: &str) -> Option<Self> {
        match folder {
            "chat" => Some(Part::Chat),
            "admin" => Some(Part::Admin),
            "docs" => Some(Part::Docs),
            "shared" => Some(Part::Shared),
            _ => None,
        }
    }

    /// A file of this part. Names are looked up among those embedded, so there is no way out of the folder.
    fn file(self, name: &str) -> Option<EmbeddedFile> {
        match self {
            Part::Chat => Chat::get(name),
            Part::Admin => Admin::get(name),
            Part::Docs => Docs::get(name),
            Part::Shared => Shared::get(name),
        }
    }
}

/// `GET /`
pub(super) async fn chat<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
    entrance: Entrance,
) -> Result<HttpResponse, Problem> {
    Ok(page(&services, &request, entrance, Part::Chat))
}

/// `GET /admin`
pub(super) async fn admin<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
    entrance: Entrance,
) -> Result<HttpResponse, Problem> {
    Ok(page(&services, &request, entrance, Part::Admin))
}

/// `GET /docs`
pub(super) async fn docs<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
    entrance: Entrance,
) -> Result<HttpResponse, Problem> {
    Ok(page(&services, &request, entrance, Part::Docs))
}

/// `GET /assets/{folder}/{name}`
pub(super) async fn asset<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
    entrance: Entrance,
) -> Result<HttpResponse, Problem> {
    let part = request.match_info().get("folder").and_then(Part::of_folder);
    let part = part.filter(|part| is_on(&services, entrance, *part));
    let name = request.match_info().get("name").unwrap_or_default();
    // The page itself has an address of its own, and only there its relative links are right.
    let file = part.filter(|_| name != INDEX).and_then(|part| part.file(name));
    Ok(guarded(&services, &request, || match file {
        Some(file) => serve(&request, name, file),
        None => Problem::not_found("There is no such file.").error_response(),
    }))
}

/// `GET /demo.json`: the demo users of this server, for the chat's login to offer.
///
/// Their passwords are public. It tells of them only where they may log in, and of those that the store has.
pub(super) async fn demo<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
    entrance: Entrance,
) -> Result<HttpResponse, Problem> {
    let client = services.client_of(&request);
    let is_chat = is_on(&services, entrance, Part::Chat);
    let users = match services.store.clone() {
        Some(store) if is_chat && services.demo_users_may_log_in(&client) => {
            // The store's connections belong to the runtime it was opened on.
            services.home.spawn(async move { demo_users_of(&*store).await }).await.unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let users = users.into_iter().map(|user| {
        json!({ "login": user.login, "password": user.password, "username": user.username, "department": user.department })
    });
    let users = Value::Array(users.collect()).to_string();
    Ok(guarded(&services, &request, || {
        let mut answer = HttpResponse::Ok();
        answer.insert_header((header::CACHE_CONTROL, "no-store")).content_type("application/json").body(users)
    }))
}

/// The page of a part.
const INDEX: &str = "index.html";

fn page<U: UserData>(services: &Services<U>, request: &HttpRequest, entrance: Entrance, part: Part) -> HttpResponse {
    let file = is_on(services, entrance, part).then(|| part.file(INDEX)).flatten();
    guarded(services, request, || match (file, part) {
        (Some(file), _) => serve(request, INDEX, file),
        (None, Part::Admin) => {
            off("The dashboard is not served here. Set pages.admin to true, or see server.internal.")
        }
        (None, Part::Docs) => {
            off("The page of the HTTP API is not served here. Set pages.docs to true; /openapi.json tells the same.")
        }
        (None, _) => off("This is a Folkmoot server. Its chat page is not served here; pages.chat: true serves it."),
    })
}

fn off(detail: &'static str) -> HttpResponse {
    Problem::not_found(detail).error_response()
}

fn is_on<U: UserData>(services: &Services<U>, entrance: Entrance, part: Part) -> bool {
    let config = services.config();
    let (bind, pages) = (config.server.bind, &config.pages);
    let chat = entrance == Entrance::Main && pages.chat.is_on(bind);
    let for_operators = |page: ServePage| match entrance {
        Entrance::Main => page.is_on(bind) && !services.keeps_inside(),
        Entrance::Internal => page != ServePage::Never,
    };
    let (admin, docs) = (for_operators(pages.admin), for_operators(pages.docs));
    match part {
        Part::Chat => chat,
        Part::Admin => admin,
        Part::Docs => docs,
        Part::Shared => chat || admin || docs,
    }
}

/// A file, or 304 where the browser has this version of it.
fn serve(request: &HttpRequest, name: &str, file: EmbeddedFile) -> HttpResponse {
    let tag = entity_tag(&file);
    let known = request.headers().get_all(header::IF_NONE_MATCH).any(|tags| has_tag(tags, &tag));
    let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response.insert_header((header::ETAG, tag));
    // Asked for each time: a page of one version must not run the modules of another.
    response.insert_header((header::CACHE_CONTROL, "no-cache"));
    if known {
        return response.finish();
    }
    let body = match file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    response.content_type(content_type(name)).body(body)
}

/// The strong tag of a file: half of its SHA-256.
fn entity_tag(file: &EmbeddedFile) -> String {
    let mut tag = String::from("\"");
    for byte in file.metadata.sha256_hash().iter().take(16) {
        // Writing into a String does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Whether an `If-None-Match` line names this tag, weakly compared as RFC 9110 wants it here.
fn has_tag(line: &HeaderValue, tag: &str) -> bool {
    let tags = line.to_str().unwrap_or_default().split(',').map(str::trim);
    tags.into_iter().any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" | "webmanifest" => "application/json",
        _ => "application/octet-stream",
    }
}

/// The answer with the headers that every page and asset has; refused for a foreign `Host` (DNS rebinding), under which
/// the page would belong to somebody else's site, and what is typed into it too.
fn guarded<U: UserData>(
    services: &Services<U>,
    request: &HttpRequest,
    answer: impl FnOnce() -> HttpResponse,
) -> HttpResponse {
    let mut response = match services.now().origins_of(Entrance::of(request)).check_host(request.headers()) {
        Ok(()) => answer(),
        Err(error) => Problem::from(error).error_response(),
    };
    let policy = content_policy(services, &services.client_of(request));
    let headers = response.headers_mut();
    // Made of names that were parsed; should one not fit into a header, the page gets no server rather than no policy.
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What a page may load and where it may connect: this server, also by its public URLs, under which the addresses of its
/// WebSockets are given out. `'self'` alone does not mean WebSockets in every browser.
fn content_policy<U: UserData>(services: &Services<U>, client: &ClientAddress) -> String {
    let mut connect = String::from("'self'");
    let own = client.host().map(|host| (client.is_secure(), host.to_string()));
    let live = services.now();
    let public = live.public_urls.iter().map(|url| (url.secure, url.host.to_string()));
    for (secure, host) in own.into_iter().chain(public) {
        let scheme = if secure { "wss" } else { "ws" };
        // Writing into a String does not fail.
        let _ = write!(connect, " {scheme}://{host}");
    }
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {connect}; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_an_index_and_no_file_of_an_unknown_type() {
        for part in [Part::Chat, Part::Admin, Part::Docs] {
            assert!(part.file(INDEX).is_some(), "{part:?} has no {INDEX}");
        }
        for name in Chat::iter().chain(Admin::iter()).chain(Docs::iter()).chain(Shared::iter()) {
            assert_ne!(content_type(&name), "application/octet-stream", "{name}");
        }
    }

    #[test]
    fn a_tag_is_found_among_those_that_a_browser_knows() {
        let tag = entity_tag(&Part::Admin.file(INDEX).unwrap());
        assert_eq!(tag.len(), 34);
        for known in [tag.clone(), format!("\"other\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            assert!(has_tag(&HeaderValue::try_from(known.as_str()).unwrap(), &tag), "{known}");
        }
        for unknown in ["", "\"other\"", tag.trim_matches('"')] {
            assert!(!has_tag(&HeaderValue::try_from(unknown).unwrap(), &tag), "{unknown}");
        }
    }

    #[test]
    fn nothing_outside_a_folder_is_found() {
        for name in ["", "../mod.rs", "../admin/index.html", "/etc/passwd", "./index.html", "..", "index.html/"] {
            assert!(Part::Chat.file(name).is_none(), "{name}");
        }
    }
}
