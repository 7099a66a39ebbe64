//! What single connections may do, beside their roles: `permissions/{permission}/connections/{id}`.

use actix_web::HttpResponse;

use super::hubs::HubAsked;
use super::{ApiError, Call, exists_if, no_content};
use crate::auth::permissions::Action;
use crate::error::ErrorCode;
use crate::groups::messages::{Grant, HasPermission, Refusal, Revoke};
use crate::ids::GroupName;
use crate::user::UserData;

/// `PUT`: from now on it may.
pub(super) async fn grant<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    permission: &str,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    let (action, group) = (action(permission)?, target(call)?);
    let (Some(hub), Ok(connection)) = (hub.open(), id.parse()) else {
        return Err(ApiError::no_connection_to_permit());
    };
    match hub.registry().send(Grant { connection, action, group }).await {
        Ok(Ok(())) => Ok(HttpResponse::Ok().finish()),
        Ok(Err(refusal)) if refusal.code != ErrorCode::NotFound => Err(too_many(refusal)),
        Ok(Err(_)) | Err(_) => Err(ApiError::no_connection_to_permit()),
    }
}

/// `DELETE`: from now on it may not, whatever its roles say. Who is not there may nothing anyway.
pub(super) async fn revoke<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    permission: &str,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    let (action, group) = (action(permission)?, target(call)?);
    if let (Some(hub), Ok(connection)) = (hub.open(), id.parse()) {
        match hub.registry().send(Revoke { connection, action, group }).await {
            Ok(Err(refusal)) if refusal.code != ErrorCode::NotFound => return Err(too_many(refusal)),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(no_content())
}

/// `HEAD`: whether it may.
pub(super) async fn has<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    permission: &str,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    let (action, group) = (action(permission)?, target(call)?);
    let has = match (hub.open(), id.parse()) {
        (Some(hub), Ok(connection)) => {
            hub.registry().send(HasPermission { connection, action, group }).await.unwrap_or(false)
        }
        _ => false,
    };
    exists_if(has, ApiError::no_permission)
}

fn action(permission: &str) -> Result<Action, ApiError> {
    match permission {
        "joinLeaveGroup" => Ok(Action::JoinLeaveGroup),
        "sendToGroup" => Ok(Action::SendToGroup),
        _ => Err(ApiError::bad_request("A permission is joinLeaveGroup or sendToGroup.")),
    }
}

/// The group that is meant, by its name alone: a star is a star. Without one, all groups are.
fn target<U: UserData>(call: &Call<U>) -> Result<Option<GroupName>, ApiError> {
    let name = call.query.one("targetName")?;
    Ok(name.map(|name| GroupName::parse(name, false)).transpose()?)
}

fn too_many(refusal: Refusal) -> ApiError {
    ApiError::conflict_of_connection(refusal.message)
}
