//! `:addToGroups` and `:removeFromGroups`: many connections at once, by a filter.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::body::{self, Body};
use super::hubs::HubAsked;
use super::query::parse_filter;
use super::{ApiError, Call, answers};
use crate::groups::operate::{ConnectionFilter, Enrolment};
use crate::http::Problem;
use crate::ids::Target;
use crate::user::UserData;

/// Groups that one request may name.
const MAX_GROUPS: usize = 1000;

/// Makes the connections that a filter means members of some groups, or takes them out.
pub(super) async fn enrol<U: UserData>(
    call: &Call<U>,
    hub: HubAsked<U>,
    joins: bool,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let answers::Enrolment { groups, filter } = body::object(call, body).await?;
    if groups.is_empty() || groups.len() > MAX_GROUPS {
        return Err(ApiError::bad_request(format!("'groups' are 1 to {MAX_GROUPS} groups.")));
    }
    let targets = groups.iter().map(|group| hub.target(group)).collect::<Result<Arc<[Target]>, _>>()?;
    let matching = filter.as_deref().map(parse_filter).transpose()?;
    let connections = Arc::new(ConnectionFilter { matching, ..ConnectionFilter::default() });
    let Some(hub) = hub.open() else { return Ok(HttpResponse::Ok().finish()) };
    hub.enrol(Enrolment { connections, targets, joins }).await.map_err(|(refused, first)| {
        let detail = format!("{refused} memberships were refused. The first: {}", first.message);
        Problem::new(StatusCode::CONFLICT, detail)
    })?;
    Ok(HttpResponse::Ok().finish())
}
