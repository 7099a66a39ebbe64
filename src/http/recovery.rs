//! Who may go on with a reliable connection: the handshake of a client that has lost its socket.
//!
//! Whatever is in its way, the client is answered by 101 and then closed with 1008: an SDK takes that for the end of the
//! connection and makes a new one, and anything else for a reason to try again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use super::handshake::{self, Handshake};
use super::{Problem, Seat, Services, admission};
use crate::auth::origin::CredentialKind;
use crate::error::{Disconnect, DisconnectKind};
use crate::groups::Lease;
use crate::groups::inner::{Claim, Claimed};
use crate::ids::{ConnectionId, HubName};
use crate::protocol::Subprotocol;
use crate::user::UserData;

/// What the query says of the connection to go on with.
pub struct Parameters {
    id: String,
    token: String,
}

impl Parameters {
    /// The parameters, where the query has one of them. The last value wins where one is repeated.
    pub fn of_query(query: Option<&str>) -> Option<Self> {
        let (mut id, mut token) = (None, None);
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "awps_connection_id" => id = Some(value.into_owned()),
                "awps_reconnection_token" => token = Some(value.into_owned()),
                _ => {}
            }
        }
        (id.is_some() || token.is_some())
            .then(|| Parameters { id: id.unwrap_or_default(), token: token.unwrap_or_default() })
    }
}

/// Whether the client speaks the subprotocol in which connections go on; to all others the parameters mean nothing.
pub fn is_spoken(asked: Handshake<'_>) -> bool {
    handshake::negotiate(asked.headers).0 == Subprotocol::ReliableJson
}

/// A connection that goes on.
pub struct Recovery<U: UserData> {
    /// What the registry knows of it.
    pub claimed: Claimed<U>,
    /// Keeps its hub open.
    pub lease: Lease<U>,
    /// The subprotocol to be echoed, as the client spelled it.
    pub echo: Option<String>,
    /// Whether the hub has masks on.
    pub masks: bool,
}

/// A connection that cannot go on.
pub struct Refused {
    /// What the client is told.
    pub reason: Disconnect,
    /// The subprotocol to be echoed, as the client spelled it.
    pub echo: Option<String>,
    /// The place of its socket, until it has been told.
    pub seat: Seat,
}

impl Refused {
    /// A refusal in answer to a handshake.
    pub fn new(asked: Handshake<'_>, reason: Disconnect, seat: Seat) -> Self {
        Refused { reason, echo: handshake::negotiate(asked.headers).1, seat }
    }
}

/// Decides whether a client goes on with a connection, or tells why not.
///
/// # Errors
/// A [`Problem`] for what is no fault of the recovery: a handshake that is none, a foreign origin, a server that is going
/// away.
pub async fn recover<U: UserData>(
    services: &Arc<Services<U>>,
    asked: Handshake<'_>,
    parameters: Parameters,
) -> Result<Result<Recovery<U>, Disconnect>, Problem> {
    let live = services.live.load_full();
    let hub = admission::check(services, &live, asked)?;
    let client = services.client(asked.peer, asked.tls, asked.headers);
    // The token is nothing that a browser adds by itself.
    live.origins_of(asked.entrance).check_origin(asked.headers, &client, CredentialKind::Explicit)?;
    let claimed = match prove(services, &parameters, &hub, client.address()) {
        Ok(connection) => claim(services, &hub, connection).await,
        Err(why) => Err(why),
    };
    Ok(match claimed {
        Ok((claimed, lease)) => {
            let (echo, masks) = (handshake::negotiate(asked.headers).1, live.config.hubs.hub(&hub).masks);
            Ok(Recovery { claimed, lease, echo, masks })
        }
        Err(why) => {
            services.metrics.recoveries_refused.increment(1);
            log::debug!(hub:%, address:% = client.address(), why; "a recovery was refused");
            Err(Disconnect::with_message(DisconnectKind::RecoveryRefused, why))
        }
    })
}

/// Checks that the client was given this connection. As with access tokens nobody is slowed for a wrong one: a signature
/// cannot be guessed, and clients of a server whose key is new all come with the old ones.
fn prove<U: UserData>(
    services: &Services<U>,
    parameters: &Parameters,
    hub: &HubName,
    address: IpAddr,
) -> Result<ConnectionId, &'static str> {
    let verified = parameters.id.parse::<ConnectionId>().map_err(|error| error.to_string()).and_then(|id| {
        let verified = services.now().tokens.verify_reconnection(&parameters.token, id, hub, SystemTime::now());
        verified.map(|()| id).map_err(|error| error.to_string())
    });
    verified.map_err(|reason| {
        services.metrics.auth_failures.increment(1);
        log::info!(address:%, reason:%; "a reconnection token was refused");
        "The reconnection token is not valid for this connection; connect anew."
    })
}

async fn claim<U: UserData>(
    services: &Arc<Services<U>>,
    hub: &HubName,
    connection: ConnectionId,
) -> Result<(Claimed<U>, Lease<U>), &'static str> {
    const GONE: &str = "The connection cannot be recovered: it has ended; connect anew.";
    // Not entered, which could open it: where the hub is not open, nobody is in it.
    let open = services.hubs.find(hub).ok_or(GONE)?;
    let claim = Claim { connection, user: std::marker::PhantomData };
    let claimed = open.registry().send(claim).await.ok().flatten().ok_or(GONE)?;
    let lease = services.hubs.enter(hub).map_err(|_| GONE)?;
    Ok((claimed, lease))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_parameter_is_enough_to_mean_a_recovery_and_the_last_value_wins() {
        let read = |query| Parameters::of_query(Some(query)).map(|parameters| (parameters.id, parameters.token));
        assert_eq!(read("hub=a&access_token=b"), None);
        assert_eq!(read("awps_connection_id=a"), Some(("a".into(), String::new())));
        assert_eq!(read("awps_reconnection_token=b&access_token=c"), Some((String::new(), "b".into())));
        let twice = "awps_connection_id=a&awps_connection_id=%61b&awps_reconnection_token=c";
        assert_eq!(read(twice), Some(("ab".into(), "c".into())));
    }
}
