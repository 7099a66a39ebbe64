//! Every operation of the API, in one table: requests are routed by it, and `/openapi.json` tells what stands in it.

use super::parameters as query;
use super::parameters::Parameter;

/// What may be asked of one path with one method.
pub(super) struct Operation {
    /// The method.
    pub method: &'static str,
    /// The path behind `/api`; `{…}` stands for one segment.
    pub path: &'static str,
    /// The name of the operation, as the SDKs have it where they have it.
    pub id: &'static str,
    /// What it is about.
    pub tag: Tag,
    /// What it does.
    pub summary: &'static str,
    /// The parameters of the query, beside `api-version`.
    pub query: &'static [Parameter],
    /// The body of the request.
    pub body: Body,
    /// The answer when all went well.
    pub answer: Answer,
    /// When it is 404.
    pub missing: Option<&'static str>,
    /// When it is 409.
    pub conflict: Option<&'static str>,
    /// Whether the Web PubSub REST API has it too.
    pub is_common: bool,
}

/// What operations are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Messages,
    Groups,
    Connections,
    Users,
    Permissions,
    Server,
}

impl Tag {
    pub(super) const ALL: [Tag; 6] =
        [Tag::Messages, Tag::Groups, Tag::Users, Tag::Connections, Tag::Permissions, Tag::Server];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Tag::Messages => "Messages",
            Tag::Groups => "Groups",
            Tag::Connections => "Connections",
            Tag::Users => "Users",
            Tag::Permissions => "Permissions and tokens",
            Tag::Server => "Server",
        }
    }
}

/// What the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    None,
    /// A message of one of the three media types.
    Message,
    /// Groups, and a filter that tells which connections.
    Enrolment,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// 200 without a body.
    Done,
    /// 202, with how many groups and connections a message went to.
    Accepted,
    /// 204.
    NoContent,
    /// 200 with a JSON object of this schema.
    Json(&'static str),
}

const GET: Operation = Operation {
    method: "GET",
    path: "",
    id: "",
    tag: Tag::Server,
    summary: "",
    query: &[],
    body: Body::None,
    answer: Answer::Done,
    missing: None,
    conflict: None,
    is_common: true,
};
const HEAD: Operation = Operation { method: "HEAD", ..GET };
const PUT: Operation = Operation { method: "PUT", ..GET };
const DELETE: Operation = Operation { method: "DELETE", answer: Answer::NoContent, ..GET };
const SEND: Operation =
    Operation { method: "POST", tag: Tag::Messages, body: Body::Message, answer: Answer::Accepted, ..GET };
const CLOSE: Operation = Operation { method: "POST", tag: Tag::Connections, answer: Answer::NoContent, ..GET };

const NO_CONNECTION: Option<&str> = Some("There is no such connection.");
const NO_USER: Option<&str> = Some("The user has no connection.");
const PERMISSION: &str = "/hubs/{hub}/permissions/{permission}/connections/{connection}";
const AT_LIMIT: Option<&str> = Some("A limit of memberships is reached.");

/// All of them, in the order in which they are told.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/hubs/{hub}/:send",
        id: "sendToAll",
        summary: "Sends a message to every connection of the hub",
        query: &[query::EXCLUDED, query::FILTER, query::TTL],
        ..SEND
    },
    Operation {
        path: "/hubs/{hub}/groups/{group}/:send",
        id: "sendToGroup",
        summary: "Sends a message to a group, or to every group that a mask matches",
        query: &[query::EXCLUDED, query::FILTER, query::TTL, query::MUST_EXIST],
        missing: Some("With mustExist=true: there is no such group, or none that the mask matches."),
        ..SEND
    },
    Operation {
        path: "/hubs/{hub}/users/{user}/:send",
        id: "sendToUser",
        summary: "Sends a message to every connection of a user",
        query: &[query::EXCLUDED, query::FILTER, query::TTL],
        ..SEND
    },
    Operation {
        path: "/hubs/{hub}/connections/{connection}/:send",
        id: "sendToConnection",
        summary: "Sends a message to one connection",
        query: &[query::FILTER, query::TTL],
        ..SEND
    },
    Operation {
        path: "/hubs/{hub}/groups",
        id: "listGroups",
        tag: Tag::Groups,
        summary: "Lists the groups of a hub by name",
        query: &[query::MASK, query::PREFIX, query::DELIMITER, query::PAGE_SIZE, query::TOP, query::TOKEN],
        answer: Answer::Json("GroupPage"),
        is_common: false,
        ..GET
    },
    Operation {
        path: "/hubs/{hub}/groups/{group}",
        id: "groupExists",
        tag: Tag::Groups,
        summary: "Tells whether somebody is in a group, or in one of those that a mask matches",
        missing: Some("Nobody is in such a group."),
        ..HEAD
    },
    Operation {
        path: "/hubs/{hub}/groups/{group}/:count",
        id: "countReceivers",
        tag: Tag::Groups,
        summary: "Counts whom a message to a group or mask would reach",
        answer: Answer::Json("Count"),
        is_common: false,
        ..GET
    },
    Operation {
        path: "/hubs/{hub}/groups/{group}/connections",
        id: "listConnectionsInGroup",
        tag: Tag::Groups,
        summary: "Lists the members of a group with their users' data, by connection id",
        query: &[query::PAGE_SIZE, query::TOP, query::TOKEN],
        answer: Answer::Json("MemberPage"),
        ..GET
    },
    Operation {
        path: "/hubs/{hub}/groups/{group}/connections/{connection}",
        id: "addConnectionToGroup",
        tag: Tag::Groups,
        summary: "Makes a connection a member of a group, or a listener of a mask",
        missing: NO_CONNECTION,
        conflict: AT_LIMIT,
        ..PUT
    },
    Operation {
        path: "/hubs/{hub}/groups/{group}/connections/{connection}",
        id: "removeConnectionFromGroup",
        tag: Tag::Groups,
        summary: "Takes a connection out of a group",
        ..DELETE
    },
    Operation {
        path: "/hubs/{hub}/groups/{group}/:closeConnections",
        id: "closeGroupConnections",
        summary: "Closes the connections of a group, or of every group that a mask matches",
        query: &[query::EXCLUDED, query::FILTER, query::REASON, query::KICK],
        ..CLOSE
    },
    Operation {
        method: "POST",
        path: "/hubs/{hub}/:addToGroups",
        id: "addConnectionsToGroups",
        tag: Tag::Groups,
        summary: "Makes all connections that a filter means members of some groups",
        body: Body::Enrolment,
        conflict: AT_LIMIT,
        ..GET
    },
    Operation {
        method: "POST",
        path: "/hubs/{hub}/:removeFromGroups",
        id: "removeConnectionsFromGroups",
        tag: Tag::Groups,
        summary: "Takes all connections that a filter means out of some groups",
        body: Body::Enrolment,
        ..GET
    },
    Operation {
        path: "/hubs/{hub}/users/{user}",
        id: "userExists",
        tag: Tag::Users,
        summary: "Tells whether a user has a connection",
        missing: NO_USER,
        ..HEAD
    },
    Operation {
        path: "/hubs/{hub}/users/{user}/groups/{group}",
        id: "addUserToGroup",
        tag: Tag::Users,
        summary: "Makes every connection that a user has now a member of a group",
        missing: NO_USER,
        conflict: AT_LIMIT,
        ..PUT
    },
    Operation {
        path: "/hubs/{hub}/users/{user}/groups/{group}",
        id: "removeUserFromGroup",
        tag: Tag::Users,
        summary: "Takes the connections of a user out of a group",
        ..DELETE
    },
    Operation {
        path: "/hubs/{hub}/users/{user}/groups",
        id: "removeUserFromAllGroups",
        tag: Tag::Users,
        summary: "Takes the connections of a user out of all groups",
        ..DELETE
    },
    Operation {
        path: "/hubs/{hub}/users/{user}/:closeConnections",
        id: "closeUserConnections",
        tag: Tag::Users,
        summary: "Closes the connections of a user",
        query: &[query::EXCLUDED, query::FILTER, query::REASON, query::KICK],
        ..CLOSE
    },
    Operation {
        path: "/hubs/{hub}/connections",
        id: "listConnections",
        tag: Tag::Connections,
        summary: "Lists the connections of a hub by id",
        query: &[
            query::USER,
            query::ADDRESS,
            query::IN_GROUP,
            query::FILTER,
            query::PAGE_SIZE,
            query::TOP,
            query::TOKEN,
        ],
        answer: Answer::Json("ConnectionPage"),
        is_common: false,
        ..GET
    },
    Operation {
        path: "/hubs/{hub}/connections/{connection}",
        id: "getConnection",
        tag: Tag::Connections,
        summary: "Tells what is known of a connection",
        answer: Answer::Json("ConnectionDetails"),
        missing: NO_CONNECTION,
        is_common: false,
        ..GET
    },
    Operation {
        path: "/hubs/{hub}/connections/{connection}",
        id: "connectionExists",
        tag: Tag::Connections,
        summary: "Tells whether a connection is there",
        missing: NO_CONNECTION,
        ..HEAD
    },
    Operation {
        path: "/hubs/{hub}/connections/{connection}",
        id: "closeConnection",
        tag: Tag::Connections,
        summary: "Closes a connection",
        query: &[query::REASON, query::KICK],
        ..DELETE
    },
    Operation {
        path: "/hubs/{hub}/:closeConnections",
        id: "closeAllConnections",
        summary: "Closes the connections of a hub",
        query: &[query::EXCLUDED, query::FILTER, query::REASON, query::KICK],
        ..CLOSE
    },
    Operation {
        path: "/hubs/{hub}/connections/{connection}/groups",
        id: "listGroupsOfConnection",
        tag: Tag::Connections,
        summary: "Lists the groups of a connection by name",
        query: &[query::PAGE_SIZE, query::TOP, query::TOKEN],
        answer: Answer::Json("NamePage"),
        missing: NO_CONNECTION,
        is_common: false,
        ..GET
    },
    Operation {
        path: "/hubs/{hub}/connections/{connection}/groups",
        id: "removeConnectionFromAllGroups",
        tag: Tag::Connections,
        summary: "Takes a connection out of all groups",
        ..DELETE
    },
    Operation {
        path: PERMISSION,
        id: "grantPermission",
        tag: Tag::Permissions,
        summary: "Allows a connection to join or to send, beside its roles",
        query: &[query::TARGET_NAME],
        missing: NO_CONNECTION,
        conflict: Some("The connection has permissions for as many groups as it may."),
        ..PUT
    },
    Operation {
        path: PERMISSION,
        id: "revokePermission",
        tag: Tag::Permissions,
        summary: "Forbids a connection to join or to send, whatever its roles are",
        query: &[query::TARGET_NAME],
        conflict: Some("The connection has permissions for as many groups as it may."),
        ..DELETE
    },
    Operation {
        path: PERMISSION,
        id: "checkPermission",
        tag: Tag::Permissions,
        summary: "Tells whether a connection may join or send",
        query: &[query::TARGET_NAME],
        missing: Some("It may not, or there is no such connection."),
        ..HEAD
    },
    Operation {
        method: "POST",
        path: "/hubs/{hub}/:generateToken",
        id: "generateClientToken",
        tag: Tag::Permissions,
        summary: "Makes a token with which a client enters the hub",
        query: &[query::USER_ID, query::ROLE, query::TOKEN_GROUP, query::MINUTES, query::CLIENT_TYPE],
        answer: Answer::Json("ClientToken"),
        ..GET
    },
    Operation { path: "/health", id: "getServiceStatus", summary: "Tells whether the server is there", ..HEAD },
    Operation {
        path: "/hubs",
        id: "listHubs",
        summary: "Lists the hubs that are open or declared",
        answer: Answer::Json("HubList"),
        is_common: false,
        ..GET
    },
    Operation {
        path: "/me",
        id: "getAccess",
        summary: "Tells what whoever asks may do",
        answer: Answer::Json("Me"),
        is_common: false,
        ..GET
    },
    Operation {
        path: "/server/overview",
        id: "getOverview",
        summary: "Tells 15 minutes of samples",
        answer: Answer::Json("Overview"),
        is_common: false,
        ..GET
    },
    Operation {
        path: "/server/config",
        id: "getConfiguration",
        summary: "Tells the configuration in effect, without its secrets",
        answer: Answer::Json("Configuration"),
        is_common: false,
        ..GET
    },
];

impl Operation {
    /// Whether it is asked of this path.
    pub(super) fn is_at(&self, segments: &[&str]) -> bool {
        let wanted = self.path.split('/').skip(1);
        wanted.clone().count() == segments.len()
            && wanted.zip(segments).all(|(wanted, segment)| wanted.starts_with('{') || wanted == *segment)
    }

    /// Whether it heeds this parameter of a query.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.query.iter().any(|parameter| parameter.name == name)
    }

    /// Whether it does something that should not be done twice.
    pub(super) fn changes_something(&self) -> bool {
        matches!(self.method, "POST" | "PUT" | "DELETE") && self.answer != Answer::Json("ClientToken")
    }
}

/// Why no operation answers a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoOperation {
    /// There is no such path.
    NotFound,
    /// The path has other methods.
    Methods(String),
}

/// The operation that a request asks for.
pub(super) fn find(method: &str, segments: &[&str]) -> Result<&'static Operation, NoOperation> {
    let mut methods = Vec::new();
    for operation in OPERATIONS.iter().filter(|operation| operation.is_at(segments)) {
        if operation.method == method {
            return Ok(operation);
        }
        methods.push(operation.method);
    }
    Err(if methods.is_empty() { NoOperation::NotFound } else { NoOperation::Methods(methods.join(", ")) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_operation_is_found_by_its_method_and_path_alone() {
        for operation in OPERATIONS {
            let segments: Vec<_> = operation.path.split('/').skip(1).collect();
            let found = find(operation.method, &segments).unwrap_or_else(|_| panic!("{} is not found", operation.id));
            assert_eq!(found.id, operation.id);
        }
        let ids: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.id).collect();
        assert_eq!(ids.len(), OPERATIONS.len(), "an id is there twice");
    }

    #[test]
    fn a_path_with_other_methods_tells_them() {
        let methods = NoOperation::Methods("GET, HEAD, DELETE".to_owned());
        assert_eq!(find("PATCH", &["hubs", "chat", "connections", "c"]).err(), Some(methods));
        for nowhere in [&[][..], &["hub"], &["hubs", "chat", "groups", "a", "b", ":send"]] {
            assert_eq!(find("POST", nowhere).err(), Some(NoOperation::NotFound), "{nowhere:?}");
        }
    }
}
