//! Which connections there are, and what is known of them.

use std::net::IpAddr;

use actix_web::HttpResponse;
use serde_json::Value;

use super::answers::{self, ConnectionDetails, ConnectionPage, NamePage, Queue};
use super::hubs::HubAsked;
use super::{ApiError, Call, exists_if};
use crate::clock::{self, rfc3339};
use crate::event::Connection;
use crate::groups::Hub;
use crate::groups::operate::{ConnectionFilter, Load, Results, Seen};
use crate::ids::{ConnectionId, GroupName, Target, UserId};
use crate::user::UserData;

/// Connections of a user that are asked for at a time.
const PAGE: usize = 200;
/// Groups that are told of one connection at once; the rest is a list of its own.
const GROUP_NAMES: usize = 200;

/// `GET …/connections?user=&address=&group=&filter=`: by connection id.
pub(super) async fn list<U: UserData>(call: &Call<U>, hub: HubAsked<U>) -> Result<HttpResponse, ApiError> {
    let given = |name: &'static str| call.query.one(name).map(|value| value.filter(|value| !value.is_empty()));
    let group = match given("group")?.map(|group| hub.target(group)).transpose()? {
        Some(Target::Mask(_)) => return Err(ApiError::bad_request("'group' is one group, not a mask.")),
        Some(Target::Group(group)) => Some(group),
        None => None,
    };
    let address = given("address")?.map(str::parse::<IpAddr>).transpose();
    let filter = ConnectionFilter {
        id: None,
        group,
        user: given("user")?.map(UserId::parse).transpose()?,
        address: address.map_err(|_| ApiError::bad_request("'address' is an IP address."))?,
        matching: call.query.filter()?,
    };
    let asked = call.page(|token| token.parse::<ConnectionId>().ok())?;
    let found = match hub.open() {
        Some(hub) => hub.find_connections(filter, asked.after, asked.limit).await,
        None => Results { items: Vec::new(), more: false },
    };
    let token = found.items.last().filter(|_| found.more).map(|last| last.connection.id.to_string());
    let now = clock::now();
    let value: Vec<_> = found.items.iter().map(|seen| entry(seen, now)).collect();
    let page = call.links(&asked, value.len(), token)?.page(value);
    Ok(HttpResponse::Ok().json(ConnectionPage { page }))
}

/// `GET …/connections/{id}`: one of them, with the first of its groups.
pub(super) async fn one<U: UserData>(hub: HubAsked<U>, id: &str) -> Result<HttpResponse, ApiError> {
    let (Some(hub), Ok(id)) = (hub.open(), id.parse()) else { return Err(ApiError::no_connection()) };
    let seen = find(hub, id).await.ok_or_else(ApiError::no_connection)?;
    let groups = hub.groups_of(id, None, GROUP_NAMES).await.ok_or_else(ApiError::no_connection)?;
    let details = ConnectionDetails { connection: entry(&seen, clock::now()), group_names: groups.items };
    Ok(HttpResponse::Ok().json(details))
}

/// `HEAD …/connections/{id}`.
pub(super) async fn exists<U: UserData>(hub: HubAsked<U>, id: &str) -> Result<HttpResponse, ApiError> {
    let exists = match (hub.open(), id.parse()) {
        (Some(hub), Ok(id)) => find(hub, id).await.is_some(),
        _ => false,
    };
    exists_if(exists, ApiError::no_connection)
}

/// `HEAD …/users/{user}`: whether the user has a connection.
pub(super) async fn user_exists<U: UserData>(hub: HubAsked<U>, user: &str) -> Result<HttpResponse, ApiError> {
    let filter = ConnectionFilter { user: Some(UserId::parse(user)?), ..ConnectionFilter::default() };
    let exists = match hub.open() {
        Some(hub) => !hub.find_connections(filter, None, 1).await.items.is_empty(),
        None => false,
    };
    exists_if(exists, ApiError::no_user)
}

/// `GET …/connections/{id}/groups`: all of them, by name.
pub(super) async fn groups<U: UserData>(call: &Call<U>, hub: HubAsked<U>, id: &str) -> Result<HttpResponse, ApiError> {
    // Names that are on a token are ours; whatever else it says begins a page somewhere.
    let asked = call.page(|token| GroupName::parse(token, false).ok())?;
    let (Some(hub), Ok(id)) = (hub.open(), id.parse()) else { return Err(ApiError::no_connection()) };
    let found = hub.groups_of(id, asked.after.clone(), asked.limit).await.ok_or_else(ApiError::no_connection)?;
    let token = found.items.last().filter(|_| found.more).map(ToString::to_string);
    let names: Vec<_> = found.items.iter().map(ToString::to_string).collect();
    let page = call.links(&asked, names.len(), token)?.page(names);
    Ok(HttpResponse::Ok().json(NamePage { page }))
}

/// The connections that a user has now.
pub(super) async fn of_user<U: UserData>(hub: &Hub<U>, user: &UserId) -> Vec<ConnectionId> {
    let filter = ConnectionFilter { user: Some(user.clone()), ..ConnectionFilter::default() };
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = hub.find_connections(filter.clone(), after, PAGE).await;
        ids.extend(page.items.iter().map(|seen| seen.connection.id));
        match ids.last() {
            Some(last) if page.more => after = Some(*last),
            _ => return ids,
        }
    }
}

async fn find<U: UserData>(hub: &Hub<U>, id: ConnectionId) -> Option<Seen<U>> {
    let filter = ConnectionFilter { id: Some(id), ..ConnectionFilter::default() };
    hub.find_connections(filter, None, 1).await.items.pop()
}

/// All that is known of a user: operators see more than members do.
pub(super) fn user_data<U: UserData>(connection: &Connection<U>) -> Value {
    connection.user.as_ref().and_then(|user| serde_json::to_value(&**user).ok()).unwrap_or_default()
}

fn entry<U: UserData>(seen: &Seen<U>, now: u64) -> answers::Connection {
    let connection = &seen.connection;
    let silent = |load: Load| u64::try_from(load.silent.as_millis()).unwrap_or(u64::MAX);
    answers::Connection {
        connection_id: connection.id,
        user_id: connection.user_id.as_ref().map(ToString::to_string),
        user: user_data(connection),
        address: connection.address.map(|address| address.to_string()),
        subprotocol: connection.subprotocol,
        connected_at: rfc3339(seen.connected_at),
        groups: seen.groups,
        // Where it has ended meanwhile, nothing waits and nobody was heard.
        queue: seen.load.map(|load| Queue { messages: load.messages, bytes: load.bytes }),
        last_activity: seen.load.map(|load| rfc3339(now.saturating_sub(silent(load)))),
    }
}
