//! `:generateToken`: a token with which a client enters a hub, for back ends that do not hold the access key.

use std::time::{Duration, SystemTime};

use actix_web::HttpResponse;
use serde_json::{Map, Value};

use super::answers::ClientToken;
use super::hubs::HubAsked;
use super::{ApiError, Call};
use crate::auth::audience;
use crate::auth::permissions::Role;
use crate::auth::token::TokenError;
use crate::http::Problem;
use crate::ids::UserId;
use crate::user::UserData;

/// For how long a token is good where nothing is said.
const MINUTES: usize = 60;
/// The longest that it may be: a year.
const MAX_MINUTES: usize = 366 * 24 * 60;

/// `POST …/:generateToken?userId=&role=&group=&minutesToExpire=&clientType=`.
pub(super) fn generate<U: UserData>(call: &Call<U>, hub: &HubAsked<U>) -> Result<HttpResponse, ApiError> {
    if hub.name().is_reserved() {
        // It would be good for longer than whoever asks is an operator.
        return Err(Problem::forbidden("Tokens for this hub are for users with a role for it; they log in.").into());
    }
    let services = &call.services;
    let base = services.base_url(&services.client_of(&call.request))?;
    let mut claims = Map::new();
    claims.insert("aud".into(), audience::of_client(&base, hub.name()).into());
    if let Some(user) = call.query.one("userId")?.filter(|user| !user.is_empty()) {
        claims.insert("sub".into(), UserId::parse(user)?.as_str().into());
    }
    insert_all(&mut claims, "role", roles(call)?);
    insert_all(&mut claims, "webpubsub.group", groups(call, hub)?);
    let minutes = match call.query.number("minutesToExpire")?.unwrap_or(MINUTES) {
        minutes @ ..=MAX_MINUTES => minutes as u64,
        _ => return Err(ApiError::bad_request(format!("'minutesToExpire' is at most {MAX_MINUTES}, a year."))),
    };
    if let Some(kind) = call.query.one("clientType")?
        && !kind.eq_ignore_ascii_case("default")
    {
        return Err(ApiError::bad_request("'clientType' is Default: there are no others here."));
    }
    let life = Duration::from_secs(minutes * 60);
    let issued = services.now().tokens.issue(claims, life, SystemTime::now());
    let issued = issued.map_err(|error| match error {
        TokenError::TooLong => ApiError::bad_request("The token would be longer than this server takes."),
        error => Problem::from(error).into(),
    })?;
    Ok(HttpResponse::Ok().json(ClientToken { token: issued.token }))
}

/// The roles that are asked for; one that nobody knows would grant nothing.
fn roles<U: UserData>(call: &Call<U>) -> Result<Vec<Value>, ApiError> {
    let roles = call.query.all("role").map(|role| match role.parse::<Role>() {
        Ok(_) => Ok(role.into()),
        Err(error) => Err(ApiError::bad_request(format!("'role': {error}"))),
    });
    roles.collect()
}

fn groups<U: UserData>(call: &Call<U>, hub: &HubAsked<U>) -> Result<Vec<Value>, ApiError> {
    call.query.all("group").map(|group| Ok(hub.group(group)?.as_str().into())).collect()
}

fn insert_all(claims: &mut Map<String, Value>, name: &str, values: Vec<Value>) {
    if !values.is_empty() {
        claims.insert(name.to_owned(), values.into());
    }
}
