//! Ending connections.

use actix_web::HttpResponse;

use super::groups::GroupPages;
use super::hubs::HubAsked;
use super::{ApiError, Call, no_content};
use crate::error::{Disconnect, DisconnectKind};
use crate::groups::operate::{ConnectionFilter, Named};
use crate::ids::{Target, UserId};
use crate::user::UserData;

/// Longest reason that is given: each of the connections gets a copy. A close frame has room for 123 bytes of it.
const MAX_REASON_BYTES: usize = 1024;

/// `POST …/:closeConnections`: every connection of the hub.
pub(super) async fn all<U: UserData>(call: &Call<U>, hub: HubAsked<U>) -> Result<HttpResponse, ApiError> {
    close(call, hub, ConnectionFilter::default()).await
}

/// `POST …/users/{user}/:closeConnections`.
pub(super) async fn of_user<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    user: &str,
) -> Result<HttpResponse, ApiError> {
    let user = Some(UserId::parse(user)?);
    close(call, hub, ConnectionFilter { user, ..ConnectionFilter::default() }).await
}

/// `DELETE …/connections/{id}`.
pub(super) async fn one<U: UserData>(call: &Call<U>, hub: HubAsked<U>, id: &str) -> Result<HttpResponse, ApiError> {
    match id.parse() {
        Ok(id) => close(call, hub, ConnectionFilter { id: Some(id), ..ConnectionFilter::default() }).await,
        // What is no id is nobody's, and gone already.
        Err(_) => Ok(no_content()),
    }
}

/// `POST …/groups/{group}/:closeConnections`: the members of a group, or of every group that a mask matches.
pub(super) async fn of_groups<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    target: &str,
) -> Result<HttpResponse, ApiError> {
    let target = match hub.target(target)? {
        Target::Group(group) => {
            return close(call, hub, ConnectionFilter { group: Some(group), ..ConnectionFilter::default() }).await;
        }
        mask => mask,
    };
    let (reason, excluded, matching) = (reason(call)?, call.query.excluded(), call.query.filter()?);
    if let Some(hub) = hub.open() {
        let mut pages = GroupPages::new(hub, target);
        while let Some(page) = pages.next().await {
            for named in page {
                if let Named::Group { name, .. } = named {
                    let matching = matching.clone();
                    let filter = ConnectionFilter { group: Some(name), matching, ..ConnectionFilter::default() };
                    hub.close(filter, &excluded, reason.clone()).await;
                }
            }
        }
    }
    Ok(no_content())
}

/// Closes those whom the path means and of whom the query's filter is true.
async fn close<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    filter: ConnectionFilter,
) -> Result<HttpResponse, ApiError> {
    let (reason, excluded, matching) = (reason(call)?, call.query.excluded(), call.query.filter()?);
    if let Some(hub) = hub.open() {
        hub.close(ConnectionFilter { matching, ..filter }, &excluded, reason).await;
    }
    Ok(no_content())
}

/// 1000 with the reason, as in Azure, after which an SDK tries to come back; 1008 for one who is put out (`kick=true`).
fn reason<U: UserData>(call: &Call<U>) -> Result<Disconnect, ApiError> {
    let kind = match call.query.flag("kick")? {
        true => DisconnectKind::Kicked,
        false => DisconnectKind::ClosedByServer,
    };
    Ok(match call.query.one("reason")?.filter(|reason| !reason.is_empty()) {
        Some(reason) if reason.len() > MAX_REASON_BYTES => {
            return Err(ApiError::bad_request(format!("'reason' has at most {MAX_REASON_BYTES} bytes.")));
        }
        Some(reason) => Disconnect::with_message(kind, reason.to_owned()),
        None => Disconnect::new(kind),
    })
}
