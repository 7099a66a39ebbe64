//! The hubs themselves.

use actix_web::HttpResponse;

use super::{ApiError, Call, answers};
use crate::groups::Hub;
use crate::http::Problem;
use crate::ids::{GroupName, HubName, Target};
use crate::user::UserData;

/// The hub that a path names.
pub(super) struct HubAsked<U: UserData> {
    name: HubName,
    masks: bool,
    hub: Option<Hub<U>>,
}

impl<U: UserData> HubAsked<U> {
    /// Looks for the hub. No request opens one that the configuration does not declare: to the API it is empty.
    pub(super) fn find(call: &Call<U>, name: &str) -> Result<Self, ApiError> {
        let name = HubName::parse(name)?;
        let masks = call.services.config().hubs.hub(&name).masks;
        let hub = call.services.hubs.find(&name);
        Ok(HubAsked { name, masks, hub })
    }

    /// The hub, where it is open.
    pub(super) fn open(&self) -> Option<&Hub<U>> {
        self.hub.as_ref()
    }

    /// The same for who wants to send to it: what is told in a reserved hub, the server tells.
    pub(super) fn open_to_sends(&self) -> Result<Option<&Hub<U>>, ApiError> {
        if self.name.is_reserved() {
            return Err(Problem::forbidden("In this hub only the server itself sends.").into());
        }
        Ok(self.open())
    }

    /// Its name.
    pub(super) fn name(&self) -> &HubName {
        &self.name
    }

    /// A group. A mask is none, whether the hub has masks or not.
    pub(super) fn group(&self, text: &str) -> Result<GroupName, ApiError> {
        Ok(GroupName::parse(text, self.masks)?)
    }

    /// A group, or a mask where the hub has masks.
    pub(super) fn target(&self, text: &str) -> Result<Target, ApiError> {
        Ok(Target::parse(text, self.masks)?)
    }
}

/// `GET /api/hubs`: those that are open, and those that are declared.
pub(super) async fn list<U: UserData>(call: &Call<U>) -> Result<HttpResponse, ApiError> {
    let hubs = &call.services.hubs;
    // Declared ones are as good as open.
    for name in hubs.declared() {
        hubs.find(&name);
    }
    let mut open = hubs.all();
    open.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    let mut value = Vec::with_capacity(open.len());
    for hub in open {
        let size = hub.size().await;
        value.push(answers::Hub {
            hub: hub.name().to_string(),
            connections: size.connections,
            groups: size.groups,
            declared: hubs.declared().contains(hub.name()),
        });
    }
    Ok(HttpResponse::Ok().json(answers::HubList { value }))
}
