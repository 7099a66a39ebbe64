//! Messages from a back end or an operator, to whoever is there.

use actix_web::HttpResponse;
use actix_web::http::header::HeaderName;

use super::body::{self, Body};
use super::hubs::HubAsked;
use super::{ApiError, Call};
use crate::groups::messages::Receiver;
use crate::groups::operate::Posted;
use crate::ids::UserId;
use crate::user::UserData;

/// How many groups a message went to.
pub(super) const DELIVERED_GROUPS: HeaderName = HeaderName::from_static("folkmoot-delivered-groups");
/// How many connections it went to.
pub(super) const DELIVERED_CONNECTIONS: HeaderName = HeaderName::from_static("folkmoot-delivered-connections");

/// `POST …/:send`: to every connection of the hub.
pub(super) async fn to_all<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let open = hub.open_to_sends()?;
    let mail = body::message(call, body).await?;
    let connections = match open {
        Some(hub) => hub.send_to_all(mail).await,
        None => 0,
    };
    Ok(accepted(None, Some(connections)))
}

/// `POST …/groups/{group}/:send`: to a group, or to every group that a mask matches.
pub(super) async fn to_groups<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    target: &str,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let (open, target) = (hub.open_to_sends()?, hub.target(target)?);
    let must_exist = call.query.flag("mustExist")?;
    let mail = body::message(call, body).await?;
    let posted = match open {
        Some(hub) => {
            let posted = hub.post(target, mail, must_exist).await;
            posted.map_err(|refusal| ApiError::no_group(refusal.message))?
        }
        None if must_exist => return Err(ApiError::no_group("The hub is not open and has no groups.")),
        None => Posted { groups: 0, connections: Some(0) },
    };
    Ok(accepted(Some(posted.groups), posted.connections))
}

/// `POST …/users/{user}/:send`: to every connection of a user.
pub(super) async fn to_user<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    user: &str,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let user = UserId::parse(user)?;
    to(call, hub, Some(Receiver::User(user)), body).await
}

/// `POST …/connections/{id}/:send`: to one connection. Whether it is there, `HEAD` tells.
pub(super) async fn to_connection<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    id: &str,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    // What is no id is nobody's.
    to(call, hub, id.parse().ok().map(Receiver::Connection), body).await
}

async fn to<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    receiver: Option<Receiver>,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let open = hub.open_to_sends()?;
    let mail = body::message(call, body).await?;
    let connections = match (open, receiver) {
        (Some(hub), Some(receiver)) => hub.send_mail(receiver, mail).await,
        _ => 0,
    };
    Ok(accepted(None, Some(connections)))
}

fn accepted(groups: Option<usize>, connections: Option<usize>) -> HttpResponse {
    let mut response = HttpResponse::Accepted();
    for (header, number) in [(DELIVERED_GROUPS, groups), (DELIVERED_CONNECTIONS, connections)] {
        if let Some(number) = number {
            response.insert_header((header, number));
        }
    }
    response.finish()
}
