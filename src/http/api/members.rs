//! Who is in a group, and putting them in and taking them out.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::answers::{Member, MemberPage};
use super::connections::{of_user, user_data};
use super::hubs::HubAsked;
use super::{ApiError, Call, no_content};
use crate::error::ErrorCode;
use crate::groups::Hub;
use crate::groups::messages::{Join, Leave, Members, Refusal};
use crate::http::Problem;
use crate::ids::{ConnectionId, Target, UserId};
use crate::user::UserData;

/// `GET …/groups/{group}/connections`: the members with their user data, by connection id.
pub(super) async fn list<U: UserData>(call: &Call<U>, hub: HubAsked<U>, group: &str) -> Result<HttpResponse, ApiError> {
    let Target::Group(group) = hub.target(group)? else {
        return Err(ApiError::bad_request("Members are listed of one group, not of a mask."));
    };
    let asked = call.page(|token| token.parse::<ConnectionId>().ok())?;
    let members = Members { after: asked.after, ..Members::new(group, asked.limit) };
    let page = match hub.open() {
        Some(hub) => hub.registry().send(members).await.ok().and_then(Result::ok),
        None => None,
    };
    let (members, listeners, more) =
        page.map_or((Vec::new(), 0, false), |page| (page.members, page.listeners, page.more));
    let token = members.last().filter(|_| more).map(|last| last.id.to_string());
    let value: Vec<_> = members
        .iter()
        .map(|member| Member {
            connection_id: member.id,
            user_id: member.user_id.as_ref().map(ToString::to_string),
            user: user_data(member),
        })
        .collect();
    let page = call.links(&asked, value.len(), token)?.page(value);
    Ok(HttpResponse::Ok().json(MemberPage { page, listeners }))
}

/// `PUT …/groups/{group}/connections/{id}`: makes a connection a member, or a listener of a mask.
pub(super) async fn add<U: UserData>(hub: HubAsked<U>, target: &str, id: &str) -> Result<HttpResponse, ApiError> {
    let target = hub.target(target)?;
    let (Some(hub), Ok(connection)) = (hub.open(), id.parse()) else { return Err(ApiError::no_connection()) };
    join(hub, connection, target).await?;
    Ok(HttpResponse::Ok().finish())
}

/// `DELETE …/groups/{group}/connections/{id}`.
pub(super) async fn remove<U: UserData>(hub: HubAsked<U>, target: &str, id: &str) -> Result<HttpResponse, ApiError> {
    let target = hub.target(target)?;
    if let (Some(hub), Ok(connection)) = (hub.open(), id.parse()) {
        leave(hub, connection, target).await;
    }
    Ok(no_content())
}

/// `PUT …/users/{user}/groups/{group}`: every connection that the user has now.
pub(super) async fn add_user<U: UserData>(
    hub: HubAsked<U>,
    user: &str,
    target: &str,
) -> Result<HttpResponse, ApiError> {
    let (user, target) = (UserId::parse(user)?, hub.target(target)?);
    let Some(hub) = hub.open() else { return Err(ApiError::no_user()) };
    let connections = of_user(hub, &user).await;
    if connections.is_empty() {
        return Err(ApiError::no_user());
    }
    for connection in connections {
        match join(hub, connection, target.clone()).await {
            // It has ended meanwhile.
            Err(Refused::Gone) => {}
            joined => joined?,
        }
    }
    Ok(HttpResponse::Ok().finish())
}

/// `DELETE …/users/{user}/groups/{group}`.
pub(super) async fn remove_user<U: UserData>(
    hub: HubAsked<U>,
    user: &str,
    target: &str,
) -> Result<HttpResponse, ApiError> {
    let (user, target) = (UserId::parse(user)?, hub.target(target)?);
    if let Some(hub) = hub.open() {
        for connection in of_user(hub, &user).await {
            leave(hub, connection, target.clone()).await;
        }
    }
    Ok(no_content())
}

/// `DELETE …/users/{user}/groups`.
pub(super) async fn remove_user_from_all<U: UserData>(hub: HubAsked<U>, user: &str) -> Result<HttpResponse, ApiError> {
    let user = UserId::parse(user)?;
    if let Some(hub) = hub.open() {
        for connection in of_user(hub, &user).await {
            hub.leave_all(connection).await;
        }
    }
    Ok(no_content())
}

/// `DELETE …/connections/{id}/groups`.
pub(super) async fn remove_from_all<U: UserData>(hub: HubAsked<U>, id: &str) -> Result<HttpResponse, ApiError> {
    if let (Some(hub), Ok(connection)) = (hub.open(), id.parse()) {
        hub.leave_all(connection).await;
    }
    Ok(no_content())
}

/// Why a connection did not become a member.
pub(super) enum Refused {
    Gone,
    Other(Refusal),
}

async fn join<U: UserData>(hub: &Hub<U>, connection: ConnectionId, target: Target) -> Result<(), Refused> {
    match hub.registry().send(Join { connection, target }).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(refusal)) if refusal.code != ErrorCode::NotFound => Err(Refused::Other(refusal)),
        Ok(Err(_)) | Err(_) => Err(Refused::Gone),
    }
}

async fn leave<U: UserData>(hub: &Hub<U>, connection: ConnectionId, target: Target) {
    // Who is not there, or not a member, is out already.
    let _ = hub.registry().send(Leave { connection, target }).await;
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Gone => ApiError::no_connection(),
            Refused::Other(refusal) => Problem::new(StatusCode::CONFLICT, refusal.message).into(),
        }
    }
}
