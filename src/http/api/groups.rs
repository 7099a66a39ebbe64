//! Which groups there are.

use actix_web::HttpResponse;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use super::answers::{Count, Group, GroupPage, Prefix};
use super::hubs::HubAsked;
use super::{ApiError, Call, exists_if};
use crate::groups::Hub;
use crate::groups::messages::Counted;
use crate::groups::operate::{GroupFilter, Named, Results};
use crate::ids::Target;
use crate::user::UserData;

/// `GET …/groups?mask=&prefix=&delimiter=`: the groups by name, those with a delimiter in the rest of the name told as one.
pub(super) async fn list<U: UserData>(call: &Call<U>, hub: HubAsked<U>) -> Result<HttpResponse, ApiError> {
    let delimiter = call.query.one("delimiter")?.map(str::to_owned);
    if delimiter.as_deref() == Some("") {
        return Err(ApiError::bad_request("'delimiter' is a text, such as '/'."));
    }
    let filter = GroupFilter {
        prefix: call.query.one("prefix")?.unwrap_or_default().to_owned(),
        among: call.query.one("mask")?.filter(|mask| !mask.is_empty()).map(|mask| hub.target(mask)).transpose()?,
        delimiter,
    };
    let by_prefix = filter.delimiter.is_some();
    let asked = call.page(token_text)?;
    let found = match hub.open() {
        Some(hub) => hub.find_groups(filter, asked.after.clone(), asked.limit).await,
        None => Results { items: Vec::new(), more: false },
    };
    let token = found.items.last().filter(|_| found.more).map(token_of);
    // Groups and prefixes are one list, and count together.
    let links = call.links(&asked, found.items.len(), token)?;
    let (mut groups, mut prefixes) = (Vec::new(), Vec::new());
    for named in found.items {
        match named {
            Named::Group { name, members, listeners } => groups.push(Group { group: name, members, listeners }),
            Named::Prefix { prefix, groups } => prefixes.push(Prefix { prefix, groups }),
        }
    }
    let prefixes = by_prefix.then_some(prefixes);
    Ok(HttpResponse::Ok().json(GroupPage { page: links.page(groups), prefixes }))
}

/// What a page ends with, as a token that nobody takes for something to be read.
fn token_of(last: &Named) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(match last {
        Named::Group { name, .. } => name.to_string(),
        // Behind every name that begins so.
        Named::Prefix { prefix, .. } => format!("{prefix}{}", char::MAX),
    })
}

fn token_text(token: &str) -> Option<String> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

/// `HEAD …/groups/{group}`: whether somebody is in it, or in one of the groups that a mask matches.
pub(super) async fn exists<U: UserData>(hub: HubAsked<U>, target: &str) -> Result<HttpResponse, ApiError> {
    let target = hub.target(target)?;
    let nobody = || ApiError::no_group("Nobody is in such a group.");
    let Some(hub) = hub.open() else { return Err(nobody()) };
    let mut pages = GroupPages::new(hub, target);
    while let Some(page) = pages.next().await {
        if page.iter().any(|named| matches!(named, Named::Group { members: 1.., .. })) {
            return exists_if(true, nobody);
        }
    }
    exists_if(false, nobody)
}

/// `GET …/groups/{group}/:count`: whom a message would reach.
pub(super) async fn count<U: UserData>(hub: HubAsked<U>, target: &str) -> Result<HttpResponse, ApiError> {
    let target = hub.target(target)?;
    let nobody = Counted { groups: 0, connections: 0 };
    let counted = match hub.open() {
        Some(hub) => hub.count(target).await,
        None => nobody,
    };
    Ok(HttpResponse::Ok().json(Count { connections: counted.connections, groups: counted.groups }))
}

/// The groups of a target, a page at a time.
pub(super) struct GroupPages<'a, U: UserData> {
    hub: &'a Hub<U>,
    target: Target,
    after: Option<String>,
    is_over: bool,
}

impl<'a, U: UserData> GroupPages<'a, U> {
    const SIZE: usize = 200;

    pub(super) fn new(hub: &'a Hub<U>, target: Target) -> Self {
        GroupPages { hub, target, after: None, is_over: false }
    }

    pub(super) async fn next(&mut self) -> Option<Vec<Named>> {
        if self.is_over {
            return None;
        }
        let filter = GroupFilter { among: Some(self.target.clone()), ..GroupFilter::default() };
        let Results { items, more } = self.hub.find_groups(filter, self.after.take(), Self::SIZE).await;
        self.is_over = !more;
        if let Some(Named::Group { name, .. }) = items.last() {
            self.after = Some(name.to_string());
        }
        Some(items)
    }
}
