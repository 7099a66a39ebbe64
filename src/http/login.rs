//! `POST /auth/token`, also called `/negotiate`: a login becomes a short-lived token, for browsers, which cannot send
//! headers on a WebSocket, and for people who use the HTTP API.

mod asked;

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::http::header::{CacheControl, CacheDirective};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use self::asked::{Asked, By, For};
use super::access::may_use_api;
use super::identity::{LoggedIn, log_in};
use super::{Entrance, Problem, Services, body, cors};
use crate::auth::Credential;
use crate::auth::audience::{client_url, of_api};
use crate::auth::basic::BasicCredentials;
use crate::auth::host::BaseUrl;
use crate::auth::origin::CredentialKind;
use crate::auth::peer::ClientAddress;
use crate::auth::token::{RefreshToken, TokenError, fingerprint};
use crate::clock::seconds;
use crate::groups::watch::Happening;
use crate::ids::{HubName, UserId};
use crate::user::UserData;
use crate::users::UserRecord;

/// Largest form that is read.
const MAX_FORM_BYTES: usize = 4096;

/// Answers `{token, url, expiresAt}` to a login with HTTP Basic, a form with `login` and `password`, or a refresh token.
pub(super) async fn token<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    if services.is_draining() {
        return Err(Problem::unavailable("The server is going away; try another node, or again later."));
    }
    let client = services.client_of(&request);
    let live = services.live.load_full();
    let origins = live.origins_of(Entrance::of(&request));
    origins.check_host(request.headers())?;
    origins.check_origin(request.headers(), &client, CredentialKind::Ambient)?;
    let credential = Credential::of_request(request.headers(), None).inspect_err(|_| {
        services.metrics.auth_failures.increment(1);
    })?;
    let body = body::read(&services, body, "form", MAX_FORM_BYTES).await?;
    let Asked { by, what, refresh } = Asked::read(&request, credential, &body)?;
    let config = &live.config;
    let place = match what {
        For::Hub(None) => Place::Hub(config.hubs.default.clone()),
        For::Hub(Some(name)) => {
            Place::Hub(HubName::parse(&name).map_err(|error| Problem::bad_request(error.to_string()))?)
        }
        For::Api => Place::Api,
    };
    // A refresh token is not prolonged: a session ends at the time that its login said.
    let begins = refresh && matches!(by, By::Password(_));
    let record = match by {
        By::Password(basic) => by_password(&services, basic, &place, &client).await?,
        By::Refresh(token) => by_refresh_token(&services, &token, &client).await?,
    };
    place.check(&record, &config.hubs.default)?;
    let base = services.base_url(&client)?;
    let mut answer = issue(&services, &record, &place, &base)?;
    if begins {
        let (token, expires_at) = begin_session(&services, record.login, &base, &client).await?;
        answer["refreshToken"] = token.into();
        answer["refreshExpiresAt"] = expires_at.into();
    }
    let no_store = CacheControl(vec![CacheDirective::NoStore]);
    let mut response = HttpResponse::Ok().insert_header(no_store).json(answer);
    cors::allow_origin(&services, &request, response.headers_mut());
    Ok(response)
}

/// What a token opens.
enum Place {
    Hub(HubName),
    Api,
}

impl Place {
    fn hub(&self) -> Option<HubName> {
        match self {
            Place::Hub(hub) => Some(hub.clone()),
            Place::Api => None,
        }
    }

    /// Whether the user may have a token for it. Whoever connects or asks with it is looked up anew.
    fn check(&self, user: &UserRecord, default: &HubName) -> Result<(), Problem> {
        let may = match self {
            Place::Hub(hub) if hub.is_reserved() => may_use_api(user),
            Place::Hub(hub) => user.hubs.allows(hub, default),
            Place::Api => may_use_api(user),
        };
        match self {
            _ if may => Ok(()),
            Place::Hub(hub) if !hub.is_reserved() => Err(Problem::forbidden("This user may not enter this hub.")),
            _ => Err(Problem::forbidden("This takes the role folkmoot.admin or folkmoot.admin.read.")),
        }
    }
}

async fn by_password<U: UserData>(
    services: &Arc<Services<U>>,
    basic: BasicCredentials,
    place: &Place,
    client: &ClientAddress,
) -> Result<UserRecord, Problem> {
    // Hooks know hubs; who goes to no hub in particular is looked up like one who goes to the default hub.
    let default = services.live.load_full();
    let hub = match place {
        Place::Hub(hub) => hub,
        Place::Api => &default.config.hubs.default,
    };
    let login = basic.login.clone();
    let logged_in = log_in(services, basic, hub, client).await.inspect_err(|problem| {
        let refused = || Happening::refused(place.hub(), Some(login), problem.detail.clone(), client.address());
        services.monitor.watcher().see(refused);
    });
    match logged_in? {
        LoggedIn::Store(record) => Ok(*record),
        // A token of ours means a user of the store; what only the hook knows would have to stand in it.
        LoggedIn::Hook(_) => Err(Problem::forbidden("This user gets no token here; log in on the WebSocket itself.")),
    }
}

async fn by_refresh_token<U: UserData>(
    services: &Arc<Services<U>>,
    token: &str,
    client: &ClientAddress,
) -> Result<UserRecord, Problem> {
    let refused = |reason: TokenError| {
        services.metrics.auth_failures.increment(1);
        log::info!(address:% = client.address(), reason:% = reason; "a refresh token was refused");
        Problem::unauthorized("This token renews nothing (any more); log in again.")
    };
    let verified = {
        let live = services.now();
        live.tokens.verify_refresh(token, live.own_names(client), SystemTime::now())
    };
    let RefreshToken { login, password } = verified.map_err(refused)?;
    let user = services.stored_user(login, client).await?;
    match fingerprint(user.password_hash.expose()) == password {
        true => Ok(user.record),
        false => Err(refused(TokenError::Expired)),
    }
}

fn issue<U: UserData>(
    services: &Services<U>,
    user: &UserRecord,
    place: &Place,
    base: &BaseUrl,
) -> Result<Value, Problem> {
    let (ttl, now) = (services.config().auth.token_ttl, SystemTime::now());
    let (issued, url) = match place {
        Place::Hub(hub) => {
            let issued = services.now().tokens.issue_store_token(&user.login, hub, base, ttl, now)?;
            let url = client_url(base, hub, &issued.token);
            (issued, url)
        }
        Place::Api => (services.now().tokens.issue_api_token(&user.login, base, ttl, now)?, of_api(base)),
    };
    Ok(json!({ "token": issued.token, "url": url, "expiresAt": seconds(issued.expires_at) }))
}

/// The refresh token of a login, and when it ends.
async fn begin_session<U: UserData>(
    services: &Arc<Services<U>>,
    login: UserId,
    base: &BaseUrl,
    client: &ClientAddress,
) -> Result<(String, u64), Problem> {
    let user = services.stored_user(login, client).await?;
    let refresh = RefreshToken { login: user.record.login, password: fingerprint(user.password_hash.expose()) };
    let ttl = services.config().auth.session_ttl;
    let issued = services.now().tokens.issue_refresh_token(refresh, base, ttl, SystemTime::now())?;
    Ok((issued.token, seconds(issued.expires_at)))
}

/// Tells a browser that a page of `server.origins` may log in from there.
pub(super) async fn preflight<U: UserData>(
    services: Arc<Services<U>>,
    request: HttpRequest,
    methods: &'static str,
) -> Result<HttpResponse, Problem> {
    let mut response = HttpResponse::NoContent().finish();
    cors::allow_methods(&services, &request, response.headers_mut(), methods);
    Ok(response)
}
