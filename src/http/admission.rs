//! Who may connect, and as whom: from the head of a WebSocket handshake to a connection that is let in.
//!
//! The order of the checks is that of `docs/protocol.md`: the request itself, its origin, its credential, the hub, the
//! caller's hook. Nothing of the connection exists before all of them have passed.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_http::header::{self, HeaderMap};
use actix_http::ws;
use actix_web::http::{Method, StatusCode, Version};

use super::{Entrance, Problem, Services, Share};
use crate::auth::Credential;
use crate::auth::basic::BasicCredentials;
use crate::auth::host::HostPort;
use crate::auth::origin::CredentialKind;
use crate::auth::peer::ClientAddress;
use crate::auth::permissions::{Permissions, Role};
use crate::auth::token::user_from_claims;
use crate::config::{HubConfig, RawClients, SlowConsumers};
use crate::event::{Authority, Connection};
use crate::groups::watch::Looking;
use crate::groups::{EnterError, Lease};
use crate::hooks::{Authentication, Connecting, Identity, LoginAttempt};
use crate::ids::{ConnectionId, GroupName, HubName, NameError, Target, UserId};
use crate::metrics::Limit;
use crate::monitor;
use crate::protocol::Subprotocol;
use crate::session::RawMode;
use crate::user::{User, UserData, json_bytes};
use crate::users::{LoginError, UserRecord};

/// The head of a WebSocket handshake.
#[derive(Debug, Clone, Copy)]
pub struct Handshake<'a> {
    /// The method.
    pub method: &'a Method,
    /// The HTTP version.
    pub version: Version,
    /// The path, percent-encoded as it came.
    pub path: &'a str,
    /// The query, as it came.
    pub query: Option<&'a str>,
    /// The header lines.
    pub headers: &'a HeaderMap,
    /// The socket's other end.
    pub peer: Option<SocketAddr>,
    /// Whether the socket is under TLS.
    pub tls: bool,
    /// Which listener it came in by.
    pub entrance: Entrance,
}

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
    /// How long it may stay, where its token's expiry counts.
    pub expires_in: Option<Duration>,
    /// Its places among the connections of its user and of its address.
    pub shares: (Option<Share<UserId>>, Option<Share<IpAddr>>),
    /// Has what happens be told, where it is the server itself that is watched.
    pub looking: Option<Looking>,
}

/// Who somebody is, before the hub has its say.
struct Known<U> {
    authority: Authority,
    user_id: Option<UserId>,
    user: Option<Arc<U>>,
    roles: Vec<Role>,
    groups: Vec<GroupName>,
    expires_at: Option<SystemTime>,
}

/// Decides on a handshake.
///
/// # Errors
/// The [`Problem`] that the client is answered.
pub async fn admit<U: UserData>(
    services: &Arc<Services<U>>,
    handshake: Handshake<'_>,
) -> Result<Admission<U>, Problem> {
    let hub = services
        .hub_of_path(handshake.path, handshake.query)?
        .ok_or_else(|| Problem::not_found("There is no WebSocket here; try /ws or /client/hubs/{hub}."))?;
    check_entrance(services, handshake.entrance, &hub)?;
    check_handshake(handshake)?;
    if services.is_draining() {
        return Err(Problem::unavailable("The server is going away; try another node, or again later."));
    }
    let config = services.live.load_full();
    let config = config.hubs.hub(&hub);
    let client = services.client(handshake.peer, handshake.tls, handshake.headers);
    services.origins_of(handshake.entrance).check_host(handshake.headers)?;
    let of_address = share_of_address(services, &client)?;
    let raw = raw_mode(handshake.query, config)?;

    let known = identify(services, handshake, &hub, config, &client).await?;
    if hub.is_reserved() && !known.roles.iter().any(is_admin_role) {
        return Err(Problem::forbidden("This hub is entered with an admin role only."));
    }
    let (subprotocol, echo) = negotiate(handshake.headers);
    let id = ConnectionId::random();
    let connection = Connection {
        id,
        hub: hub.clone(),
        user_id: known.user_id,
        authority: known.authority,
        user: known.user,
        address: Some(client.address()),
        subprotocol: subprotocol.name(),
    };
    let connecting = Connecting { connection, roles: known.roles, groups: known.groups };
    let Connecting { connection, roles, groups } = ask_hook(services, connecting).await?;
    let of_user = share_of_user(services, &hub, connection.user_id.as_ref())?;
    check_size(services, &connection)?;
    let lease = services.hubs.enter(&hub).map_err(|error| match error {
        EnterError::TooMany => services.over(Limit::MaxUndeclared, error.into()),
        EnterError::NotDeclared => error.into(),
    })?;
    let expires_in = known
        .expires_at
        .filter(|_| config.enforce_expiry)
        .map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
    // Those who watch the server are told of it, and can do nothing else there, whatever their roles are good for elsewhere.
    let looking = (hub == *monitor::HUB).then(|| services.monitor.look());
    let (roles, groups) = match looking {
        Some(_) => (Vec::new(), vec![monitor::OVERVIEW.clone(), monitor::TAIL.clone()]),
        None => (roles, groups),
    };
    Ok(Admission {
        connection: Arc::new(connection),
        permissions: Arc::new(roles.into_iter().collect()),
        groups: without_repeats(groups),
        lease,
        subprotocol,
        echo,
        raw,
        masks: config.masks,
        slow_consumers: config.slow_consumers,
        expires_in,
        shares: (of_user, of_address),
        looking,
    })
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

/// RFC 6455, 4.2.1: the parts that actix-http lets pass are checked here too.
fn check_handshake(handshake: Handshake<'_>) -> Result<(), Problem> {
    if handshake.method != Method::GET {
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "A WebSocket handshake is a GET."));
    }
    if handshake.version != Version::HTTP_11 {
        return Err(Problem::bad_request("A WebSocket handshake is HTTP/1.1."));
    }
    let headers = handshake.headers;
    // RFC 9112, 3.2, asks every server for this, wherever it listens.
    if !matches!(HostPort::of_request(headers), Ok(Some(_))) {
        return Err(Problem::bad_request("The request has no 'Host', more than one, or one that is none."));
    }
    // A list would be allowed, but actix-http hands over what follows the head only for `websocket` alone.
    let mut upgrades = headers.get_all(header::UPGRADE);
    let alone = upgrades.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !alone || upgrades.next().is_some() {
        return Err(Problem::bad_request("The request has no 'Upgrade: websocket', or something beside it."));
    }
    let connection = headers.get_all(header::CONNECTION).filter_map(|value| value.to_str().ok());
    if !connection.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("upgrade")) {
        return Err(Problem::bad_request("The request has no 'Connection: Upgrade'."));
    }
    // What a proxy takes for a body must not become frames of a session here.
    let has_body = headers.get_all(header::CONTENT_LENGTH).any(|length| length != "0");
    if has_body || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Problem::bad_request("A WebSocket handshake has no body."));
    }
    // Once, also when both say 13 (RFC 6455, 11.3.5): whatever stands in front of us may have read the other one.
    let mut versions = headers.get_all(header::SEC_WEBSOCKET_VERSION);
    if versions.next().is_none_or(|version| version != "13") || versions.next().is_some() {
        return Err(Problem::new(StatusCode::UPGRADE_REQUIRED, "Only WebSocket version 13 is spoken here."));
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY);
    let valid = keys.next().is_some_and(|key| is_key(key.as_bytes())) && keys.next().is_none();
    if !valid {
        return Err(Problem::bad_request("'Sec-WebSocket-Key' must be there once, 16 bytes in base64."));
    }
    Ok(())
}

fn is_key(key: &[u8]) -> bool {
    use base64::prelude::{BASE64_STANDARD, Engine};

    let mut bytes = [0; 18];
    key.len() == 24 && BASE64_STANDARD.decode_slice(key, &mut bytes) == Ok(16)
}

/// The answer to the key that was checked above (RFC 6455, 4.2.2).
pub fn accept_key(headers: &HeaderMap) -> String {
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(|key| key.as_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&ws::hash_key(key)).into_owned()
}

fn negotiate(headers: &HeaderMap) -> (Subprotocol, Option<String>) {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).filter_map(|line| line.to_str().ok());
    let (subprotocol, echo) = Subprotocol::negotiate(lines);
    (subprotocol, echo.map(str::to_owned))
}

/// What the frames of a raw client mean: the query says, or the hub's settings.
fn raw_mode(query: Option<&str>, config: &HubConfig) -> Result<RawMode, Problem> {
    let (mut mode, mut group, mut no_echo) = (None, None, false);
    // The last value wins when one is repeated (Web PubSub emulator).
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "webpubsub_mode" => mode = Some(value.into_owned()),
            "group" => group = Some(value.into_owned()),
            "noEcho" if value.eq_ignore_ascii_case("true") => no_echo = true,
            "noEcho" if value.eq_ignore_ascii_case("false") => no_echo = false,
            "noEcho" => return Err(Problem::bad_request("'noEcho' is true or false.")),
            _ => {}
        }
    }
    match mode {
        Some(mode) if mode.eq_ignore_ascii_case("sendEvent") => Ok(RawMode::Event),
        Some(mode) if mode.eq_ignore_ascii_case("sendToGroup") => {
            let group = group.ok_or_else(|| Problem::bad_request("'webpubsub_mode=sendToGroup' needs a 'group'."))?;
            let target =
                Target::parse(&group, config.masks).map_err(|error| Problem::bad_request(error.to_string()))?;
            Ok(RawMode::SendToGroup { target, no_echo })
        }
        Some(_) => Err(Problem::bad_request("'webpubsub_mode' is sendEvent or sendToGroup.")),
        None => Ok(match config.raw_clients {
            RawClients::OwnGroups => RawMode::OwnGroups { no_echo },
            RawClients::Event => RawMode::Event,
        }),
    }
}

/// From the credential to a user. One that is there and wrong never falls through to the next kind.
async fn identify<U: UserData>(
    services: &Arc<Services<U>>,
    handshake: Handshake<'_>,
    hub: &HubName,
    config: &HubConfig,
    client: &ClientAddress,
) -> Result<Known<U>, Problem> {
    let credential = Credential::of_request(handshake.headers, handshake.query).inspect_err(|_| {
        services.metrics.auth_failures.increment(1);
    })?;
    let kind = match credential {
        Credential::Token(_) => CredentialKind::Explicit,
        Credential::Basic(_) | Credential::Anonymous => CredentialKind::Ambient,
    };
    services.origins_of(handshake.entrance).check_origin(handshake.headers, client, kind)?;
    match credential {
        Credential::Token(token) => of_token(services, &token, hub, config, client).await,
        Credential::Basic(basic) => of_basic(services, basic, hub, config, client).await,
        Credential::Anonymous if config.anonymous => {
            let authority = Authority::Anonymous;
            Ok(Known { authority, user_id: None, user: None, roles: Vec::new(), groups: Vec::new(), expires_at: None })
        }
        Credential::Anonymous => Err(Problem::unauthorized("Log in, or bring a token.")),
    }
}

async fn of_token<U: UserData>(
    services: &Arc<Services<U>>,
    token: &str,
    hub: &HubName,
    config: &HubConfig,
    client: &ClientAddress,
) -> Result<Known<U>, Problem> {
    let names = services.own_names(client);
    let verified = services.tokens.verify_client(token, hub, config.masks, names, SystemTime::now());
    let token = verified.inspect_err(|error| {
        services.metrics.auth_failures.increment(1);
        log::info!(address:% = client.address(), reason:% = error; "a token was refused");
    })?;
    let expires_at = Some(token.expires_at);
    if let (true, Some(login)) = (token.store_user, token.sub.clone()) {
        let record = services.store_user(login, client).await?;
        return Ok(Known { expires_at, ..of_record(services, record, hub, config)? });
    }
    let user = user_from_claims(&token.claims, token.sub.as_ref());
    let ruled = ruled_groups(&user, token.sub.as_ref(), config);
    let ruled = ruled.map_err(|error| Problem::bad_request(error.to_string()))?;
    let groups = ruled.into_iter().chain(token.groups).collect();
    let user = (services.map_user)(user).map(Arc::new);
    Ok(Known { authority: Authority::Token, user_id: token.sub, user, roles: token.roles, groups, expires_at })
}

async fn of_basic<U: UserData>(
    services: &Arc<Services<U>>,
    basic: BasicCredentials,
    hub: &HubName,
    config: &HubConfig,
    client: &ClientAddress,
) -> Result<Known<U>, Problem> {
    match log_in(services, basic, hub, client).await? {
        LoggedIn::Store(record) => of_record(services, *record, hub, config),
        LoggedIn::Hook(identity) => Ok(of_identity(services, identity, hub, config)),
    }
}

/// Who knows somebody that has logged in.
pub enum LoggedIn<U> {
    /// The user store.
    Store(Box<UserRecord>),
    /// The caller's hook.
    Hook(Identity<U>),
}

/// Asks the caller's hook, and where that is undecided the user store, about a login and its password.
///
/// # Errors
/// The [`Problem`] that the client is answered.
pub async fn log_in<U: UserData>(
    services: &Arc<Services<U>>,
    basic: BasicCredentials,
    hub: &HubName,
    client: &ClientAddress,
) -> Result<LoggedIn<U>, Problem> {
    let BasicCredentials { login, mut password } = basic;
    if let Some(hooks) = &services.hooks {
        let attempt =
            LoginAttempt { hub: hub.clone(), login: login.clone(), password, address: Some(client.address()) };
        let unavailable = |_| Problem::unavailable("The login could not be checked; try again in a moment.");
        let (answer, attempt) = hooks.authenticate(attempt).await.map_err(unavailable)?;
        let verdict = match answer {
            Authentication::Undecided => None,
            Authentication::Accepted(identity) => Some(Ok(identity)),
            Authentication::Denied => Some(Err(LoginError::Denied)),
        };
        match verdict {
            None => password = attempt.password,
            Some(verdict) => return services.limited(&login, client, verdict).map(LoggedIn::Hook),
        }
    }
    let record = services.log_in(&login, password, client).await?;
    Ok(LoggedIn::Store(Box::new(record)))
}

/// Whether the roles of a store user lead into a reserved hub.
pub fn may_enter_reserved(user: &UserRecord, hub: &HubName) -> bool {
    user.roles.iter().filter(|role| role.counts_in(hub)).any(|role| is_admin_role(&role.role))
}

fn is_admin_role(role: &Role) -> bool {
    matches!(role, Role::Admin | Role::AdminRead)
}

fn of_identity<U: UserData>(
    services: &Services<U>,
    identity: Identity<U>,
    hub: &HubName,
    config: &HubConfig,
) -> Known<U> {
    let Identity { user_id, user, mut roles, groups } = identity;
    roles.extend_from_slice(services.config().hubs.default_roles(hub));
    let ruled = rendered(config, user_id.as_ref(), |name| user.as_ref()?.field(name));
    let ruled = ruled.into_iter().filter_map(|name| match GroupName::parse(&name, config.masks) {
        Ok(group) => Some(group),
        Err(error) => {
            log::warn!(hub:%, reason:% = error; "a join rule gave no valid group name");
            None
        }
    });
    let groups = ruled.chain(groups).collect();
    Known { authority: Authority::Hook, user_id, user, roles, groups, expires_at: None }
}

fn of_record<U: UserData>(
    services: &Services<U>,
    record: UserRecord,
    hub: &HubName,
    config: &HubConfig,
) -> Result<Known<U>, Problem> {
    // A reserved hub is entered by a role, which was given to the user by name.
    if !hub.is_reserved() && !record.hubs.allows(hub, &services.config().hubs.default) {
        return Err(Problem::forbidden("This user may not enter this hub."));
    }
    let own = record.roles.iter().filter(|role| role.counts_in(hub)).map(|role| role.role.clone());
    let roles = services.config().hubs.default_roles(hub).iter().cloned().chain(own).collect();
    let user = record.user();
    // Checked when it was stored; a hub whose masks setting was changed since is the one way to get here.
    let mut groups = ruled_groups(&user, Some(&record.login), config).unwrap_or_else(|error| {
        log::warn!("user.id":% = record.login, hub:%, reason:% = error; "a join rule gave no valid group name");
        Vec::new()
    });
    if config.user_groups {
        groups.extend(record.groups);
    }
    let user = (services.map_user)(user).map(Arc::new);
    Ok(Known { authority: Authority::Store, user_id: Some(record.login), user, roles, groups, expires_at: None })
}

/// The groups that the hub's join rules make of a user's data; empty values are skipped.
fn ruled_groups(user: &User, user_id: Option<&UserId>, config: &HubConfig) -> Result<Vec<GroupName>, NameError> {
    rendered(config, user_id, |name| user.field(name)).iter().map(|name| GroupName::parse(name, config.masks)).collect()
}

fn rendered<'a>(
    config: &HubConfig,
    user_id: Option<&'a UserId>,
    field: impl Fn(&str) -> Option<Cow<'a, str>>,
) -> Vec<String> {
    let field = |name: &str| match name {
        "userId" => user_id.map(|id| Cow::Borrowed(id.as_str())),
        _ => field(name),
    };
    let values = config.join.iter().filter_map(|rule| rule.render(field));
    values.filter(|value| !value.trim().is_empty()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_rule_may_name_the_user_id_whatever_the_user_data() {
        let join = ["inbox/{userId}", "{department}", "team/{data.team}"].map(|rule| rule.parse().unwrap()).into();
        let config = HubConfig { join, ..HubConfig::default() };
        let user = User { department: Some("Sales".into()), ..User::default() };
        let names = |user_id: Option<&UserId>| {
            let groups = ruled_groups(&user, user_id, &config).unwrap();
            groups.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(Some(&UserId::parse("mark").unwrap())), ["inbox/mark", "Sales"]);
        assert_eq!(names(None), ["Sales"]);
    }
}
