//! Who may connect, and as whom: from the head of a WebSocket handshake to a connection that is let in.
//!
//! The order of the checks is that of `docs/protocol.md`: the request itself, its origin, its credential, the hub, the
//! caller's hook, the application's webhook. Nothing of the connection exists before all of them have passed.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::handshake::{self, Handshake};
use super::identity::Visitor;
use super::{Entrance, Live, Problem, Services, Share, upstream};
use crate::auth::peer::ClientAddress;
use crate::auth::permissions::{Permissions, Role};
use crate::config::SlowConsumers;
use crate::event::{Authority, Connection, Upstream};
use crate::groups::watch::Looking;
use crate::groups::{EnterError, Lease};
use crate::hooks::Connecting;
use crate::ids::{ConnectionId, GroupName, HubName, UserId};
use crate::metrics::Limit;
use crate::monitor;
use crate::outbound::Moment;
use crate::protocol::Subprotocol;
use crate::session::RawMode;
use crate::user::{UserData, json_bytes};
use crate::webhooks::Pledge;

/// A connection that may begin.
pub struct Admission<U: UserData> {
    /// The connection and its user's data.
    pub connection: Arc<Connection<U>>,
    /// What it may do.
    pub permissions: Arc<Permissions>,
    /// The groups it is put into.
    pub groups: Vec<GroupName>,
    /// Keeps its hub open.
    pub lease: Lease<U>,
    /// How it speaks.
    pub subprotocol: Subprotocol,
    /// The subprotocol to be echoed, as the client spelled it.
    pub echo: Option<String>,
    /// What its frames mean, when it is a raw client.
    pub raw: RawMode,
    /// Whether the hub has masks on.
    pub masks: bool,
    /// What becomes of the connection when it does not read.
    pub slow_consumers: SlowConsumers,
    /// When it has to end, where its token's expiry counts.
    pub expires_at: Option<Moment>,
    /// Its places among the connections of its user and of its address.
    pub shares: (Option<Share<UserId>>, Option<Share<IpAddr>>),
    /// Has what happens be told, where it is the server itself that is watched.
    pub looking: Option<Looking>,
    /// What is owed to the application that let it in.
    pub pledge: Option<Pledge>,
}

/// Decides on a handshake.
///
/// # Errors
/// The [`Problem`] that the client is answered.
pub async fn admit<U: UserData>(services: &Arc<Services<U>>, asked: Handshake<'_>) -> Result<Admission<U>, Problem> {
    let live = services.live.load_full();
    let hub = check(services, &live, asked)?;
    let config = live.config.hubs.hub(&hub);
    let client = services.client(asked.peer, asked.tls, asked.headers);
    let of_address = share_of_address(services, &client)?;
    let raw = handshake::raw_mode(asked.query, config)?;

    let visitor = Visitor { services, live: &live, hub: &hub, client: &client };
    let known = visitor.identify(asked).await?;
    if hub.is_reserved() && !known.roles.iter().any(Role::is_for_operators) {
        return Err(Problem::forbidden("This hub is entered with an admin role only."));
    }
    let (subprotocol, echo) = handshake::negotiate(asked.headers);
    let id = ConnectionId::random();
    let connection = Connection {
        id,
        hub: hub.clone(),
        login: known.user_id.clone().filter(|_| known.authority == Authority::Store),
        user_id: known.user_id,
        authority: known.authority,
        user: known.user,
        address: Some(client.address()),
        subprotocol: subprotocol.name(),
        upstream: Upstream::default(),
    };
    let connecting = Connecting { connection, roles: known.roles, groups: known.groups };
    let connecting = ask_hook(services, connecting).await?;
    // Before the application is asked, which must not be told of hubs that cannot be.
    let lease = services.hubs.enter(&hub).map_err(|error| match error {
        EnterError::TooMany => services.over(Limit::MaxUndeclared, error.into()),
        EnterError::NotDeclared => error.into(),
    })?;
    let asked = upstream::ask(services, asked, config.masks, connecting, (subprotocol, echo)).await?;
    let (Connecting { connection, roles, groups }, (subprotocol, echo), pledge) = asked;
    let of_user = share_of_user(services, &hub, connection.user_id.as_ref())?;
    check_size(services, &connection)?;
    let expires_at = known
        .expires_at
        .filter(|_| config.enforce_expiry)
        .map(|at| Moment::now().after(at.duration_since(SystemTime::now()).unwrap_or_default()));
    // Those who watch the server are told of it, and can do nothing else there, whatever their roles are good for elsewhere.
    let looking = (hub == *monitor::HUB).then(|| services.monitor.look());
    let (roles, groups) = match looking {
        Some(_) => (Vec::new(), vec![monitor::OVERVIEW.clone(), monitor::TAIL.clone()]),
        None => (roles, groups),
    };
    let permissions = Permissions::of(roles).map_err(|error| {
        services.over(
            Limit::PermissionsPerConnection,
            Problem::forbidden(format!("The connection is not let in: {error}.")),
        )
    })?;
    Ok(Admission {
        connection: Arc::new(connection),
        permissions: Arc::new(permissions),
        groups: without_repeats(groups),
        lease,
        subprotocol,
        echo,
        raw,
        masks: config.masks,
        slow_consumers: config.slow_consumers,
        expires_at,
        shares: (of_user, of_address),
        looking,
        pledge,
    })
}

/// What is asked of every handshake, whoever makes it; tells the hub.
///
/// # Errors
/// The [`Problem`] that the client is answered.
pub fn check<U: UserData>(services: &Services<U>, live: &Live, asked: Handshake<'_>) -> Result<HubName, Problem> {
    let hub = services
        .hub_of_path(asked.path, asked.query)?
        .ok_or_else(|| Problem::not_found("There is no WebSocket here; try /ws or /client/hubs/{hub}."))?;
    check_entrance(services, asked.entrance, &hub)?;
    handshake::check(asked)?;
    if services.is_draining() {
        return Err(Problem::unavailable("The server is going away; try another node, or again later."));
    }
    live.origins_of(asked.entrance).check_host(asked.headers)?;
    Ok(hub)
}

/// The hubs of the dashboard are where the dashboard is, and clients are not where operators are.
fn check_entrance<U: UserData>(services: &Services<U>, entrance: Entrance, hub: &HubName) -> Result<(), Problem> {
    match (entrance, hub.is_reserved()) {
        (Entrance::Internal, false) => Err(Problem::not_found("This is the internal listener; clients use the other.")),
        (Entrance::Main, true) if services.keeps_inside() => {
            Err(Problem::not_found("This hub is on the internal listener (server.internal)."))
        }
        _ => Ok(()),
    }
}

/// Before anything is verified: what an address has too much of must not cost us a password's hash.
fn share_of_address<U: UserData>(
    services: &Services<U>,
    client: &ClientAddress,
) -> Result<Option<Share<IpAddr>>, Problem> {
    let Some(network) = client.network() else { return Ok(None) };
    let share = services.address_shares.take(&network);
    let most =
        "This address has as many connections as limits.connections_per_address allows; close one, or try later.";
    share.map(Some).ok_or_else(|| services.over(Limit::ConnectionsPerAddress, Problem::too_many(most)))
}

fn share_of_user<U: UserData>(
    services: &Services<U>,
    hub: &HubName,
    user_id: Option<&UserId>,
) -> Result<Option<Share<UserId>>, Problem> {
    let Some(user_id) = user_id else { return Ok(None) };
    let shares = if *hub == *monitor::HUB { &services.watcher_shares } else { &services.user_shares };
    let share = shares.take(user_id);
    let most = "This user has as many connections as limits.connections_per_user allows; close one, or try later.";
    share.map(Some).ok_or_else(|| services.over(Limit::ConnectionsPerUser, Problem::too_many(most)))
}

/// Whatever the source of a user's data, each connection keeps it.
fn check_size<U: UserData>(services: &Services<U>, connection: &Connection<U>) -> Result<(), Problem> {
    let Some(user) = &connection.user else { return Ok(()) };
    let (bytes, most) = (json_bytes(&**user), services.config().users.max_record_bytes);
    if bytes <= most {
        return Ok(());
    }
    let user_id = connection.user_id.as_ref().map(UserId::as_str);
    log::warn!("user.id" = user_id, bytes, most; "a user has more data than users.max_record_bytes and was not let in");
    let detail = format!("The data of this user has {bytes} bytes as JSON, more than users.max_record_bytes ({most}).");
    Err(services.over(Limit::MaxRecordBytes, Problem::forbidden(detail)))
}

fn without_repeats(groups: Vec<GroupName>) -> Vec<GroupName> {
    let mut seen = HashSet::new();
    groups.into_iter().filter(|group| seen.insert(group.clone())).collect()
}

async fn ask_hook<U: UserData>(services: &Services<U>, connecting: Connecting<U>) -> Result<Connecting<U>, Problem> {
    let Some(hooks) = &services.hooks else { return Ok(connecting) };
    let unavailable = |_| Problem::unavailable("The connection could not be checked; try again in a moment.");
    let (answer, connecting) = hooks.connect(connecting).await.map_err(unavailable)?;
    answer.map_err(Problem::forbidden)?;
    Ok(connecting)
}
