//! What the API answers: the types of its JSON, from which its schemas are made too.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::ids::{ConnectionId, GroupName};

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Error<'a> {
    /// What went wrong, for programs.
    #[schema(example = "Error.Connection.NotExisted")]
    pub code: &'a str,
    /// The same for people.
    #[schema(example = "There is no such connection.")]
    pub message: String,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    /// The entries.
    pub value: Vec<T>,
    /// Where the next page is; missing on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_link: Option<String>,
    /// The same for who builds URLs: the parameter of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation_token: Option<String>,
}

/// One page of the members of a group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemberPage {
    #[serde(flatten)]
    pub page: Page<Member>,
    /// How many connections hear the group by a joined mask only.
    pub listeners: usize,
}

/// A member of a group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    /// The connection.
    #[schema(value_type = String)]
    pub connection_id: ConnectionId,
    /// Its user, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// All that is known of the user.
    pub user: Value,
}

/// One page of the groups of a hub.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupPage {
    #[serde(flatten)]
    pub page: Page<Group>,
    /// What the names of several groups begin with; there where a delimiter was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<Vec<Prefix>>,
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Group {
    /// Its name.
    #[schema(value_type = String)]
    pub group: GroupName,
    /// How many members it has.
    pub members: usize,
    /// How many hear it by a joined mask only.
    pub listeners: usize,
}

/// Groups that are told as one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Prefix {
    /// What their names begin with.
    pub prefix: String,
    /// How many those are.
    pub groups: usize,
}

/// Whom a message would reach.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Count {
    /// Members and listeners, each once.
    pub connections: usize,
    /// Groups.
    pub groups: usize,
}

/// A connection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection {
    /// Its id.
    #[schema(value_type = String)]
    pub connection_id: ConnectionId,
    /// Its user, if it has one.
    pub user_id: Option<String>,
    /// All that is known of the user.
    pub user: Value,
    /// Where it comes from.
    pub address: Option<String>,
    /// Its subprotocol; a raw client has none.
    pub subprotocol: Option<&'static str>,
    /// When it began.
    #[schema(format = DateTime)]
    pub connected_at: String,
    /// How many groups it is in.
    pub groups: usize,
    /// What waits to be written to it; missing for one that has just ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// When its peer was last heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub last_activity: Option<String>,
}

/// What waits for a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    /// Messages.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// A connection and the first of its groups.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectionDetails {
    #[serde(flatten)]
    pub connection: Connection,
    /// At most 200 of them.
    #[schema(value_type = Vec<String>)]
    pub group_names: Vec<GroupName>,
}

/// One page of the connections of a hub.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectionPage {
    #[serde(flatten)]
    pub page: Page<Connection>,
}

/// One page of the groups of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NamePage {
    #[serde(flatten)]
    pub page: Page<String>,
}

/// The hubs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HubList {
    /// By name.
    pub value: Vec<Hub>,
}

/// A hub.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Hub {
    /// Its name.
    pub hub: String,
    /// How many connections it has.
    pub connections: usize,
    /// How many groups.
    pub groups: usize,
    /// Whether the configuration declares it.
    pub declared: bool,
}

/// What whoever asks may do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// `all` or `read`.
    pub access: &'static str,
}

/// A token with which a client enters a hub.
#[derive(Serialize, ToSchema)]
pub(super) struct ClientToken {
    /// A JSON Web Token: the `access_token` of a handshake.
    pub token: String,
}

/// Which connections become members of which groups, or no longer.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Enrolment {
    /// Names of groups, or masks where the hub has masks.
    #[schema(min_items = 1, max_items = 1000)]
    pub groups: Vec<String>,
    /// Which connections, as an OData filter; all of them where there is none.
    #[serde(default)]
    pub filter: Option<String>,
}
