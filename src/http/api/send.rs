//! Messages from a back end or an operator, to whoever is there.

use actix_web::HttpResponse;
use actix_web::http::header::HeaderName;
use actix_web::web::Payload;

use super::hubs::HubAsked;
use super::{ApiError, Call, body};
use crate::groups::messages::{Reached, Receiver};
use crate::ids::UserId;
use crate::user::UserData;

/// How many groups a message went to.
const DELIVERED_GROUPS: HeaderName = HeaderName::from_static("folkmoot-delivered-groups");

/// `POST …/:send`: to every connection of the hub.
pub(super) async fn to_all<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    let open = hub.open_to_sends()?;
    let data = body::read(&call.services, &call.request, body).await?;
    if let Some(hub) = open {
        hub.send_to_all(data, call.query.excluded()).await;
    }
    Ok(HttpResponse::Accepted().finish())
}

/// `POST …/groups/{group}/:send`: to a group, or to every group that a mask matches.
pub(super) async fn to_groups<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    target: &str,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    let (open, target) = (hub.open_to_sends()?, hub.target(target)?);
    let must_exist = call.query.flag("mustExist")?;
    let data = body::read(&call.services, &call.request, body).await?;
    let reached = match open {
        Some(hub) => {
            let posted = hub.post(target, data, call.query.excluded(), must_exist).await;
            posted.map_err(|refusal| ApiError::no_group(refusal.message))?
        }
        None if must_exist => return Err(ApiError::no_group("The hub is not open and has no groups.")),
        None => Reached { groups: 0 },
    };
    Ok(HttpResponse::Accepted().insert_header((DELIVERED_GROUPS, reached.groups)).finish())
}

/// `POST …/users/{user}/:send`: to every connection of a user.
pub(super) async fn to_user<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    user: &str,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    let user = UserId::parse(user)?;
    to(call, hub, Some(Receiver::User(user)), body).await
}

/// `POST …/connections/{id}/:send`: to one connection. Whether it is there, `HEAD` tells.
pub(super) async fn to_connection<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    id: &str,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    // What is no id is nobody's.
    to(call, hub, id.parse().ok().map(Receiver::Connection), body).await
}

async fn to<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    receiver: Option<Receiver>,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    let open = hub.open_to_sends()?;
    let data = body::read(&call.services, &call.request, body).await?;
    if let (Some(hub), Some(receiver)) = (open, receiver) {
        // A hub that has ended has nobody.
        let _ = hub.send(receiver, data).await;
    }
    Ok(HttpResponse::Accepted().finish())
}
