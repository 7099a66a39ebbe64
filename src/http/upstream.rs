//! Asks the application behind the server (its webhooks) whether a connection may begin, and does as it wishes.

use actix_web::http::StatusCode;

use super::handshake::{self, Handshake};
use super::{Problem, Services};
use crate::auth::Credential;
use crate::event::{Authority, Connection};
use crate::hooks::Connecting;
use crate::protocol::Subprotocol;
use crate::user::UserData;
use crate::webhooks::{ConnectBody, NoAnswer, Pledge, Welcome, Wishes};

/// How a connection speaks: the subprotocol, and what is echoed of those that the client offers.
pub type Speech = (Subprotocol, Option<String>);

/// A connection that the application lets in, with what it is owed; as it came where nobody wants to be asked.
///
/// # Errors
/// The [`Problem`] that the client is answered: with the application's own status where it refuses, 503 where there is no
/// answer.
pub async fn ask<U: UserData>(
    services: &Services<U>,
    handshake: Handshake<'_>,
    masks: bool,
    connecting: Connecting<U>,
    speech: Speech,
) -> Result<(Connecting<U>, Speech, Option<Pledge>), Problem> {
    let hub = services.webhooks.of(&connecting.connection.hub);
    let Some(hub) = hub else { return Ok((connecting, speech, None)) };
    let token = || match Credential::of_request(handshake.headers, handshake.query) {
        Ok(Credential::Token(token)) => Some(token),
        _ => None,
    };
    let body = || ConnectBody::new(handshake.headers, handshake.query, token().as_deref());
    let Some(answer) = hub.connect(&connecting.connection, body, masks).await else {
        return Ok((connecting, speech, None));
    };
    let Welcome { wishes, pledge } = answer.map_err(refusal)?;
    let (connecting, speech) = follow(wishes, connecting, speech, handshake);
    Ok((connecting, speech, Some(pledge)))
}

/// Why the application's clients are not let in. What it said stays between it and us.
fn refusal(no: NoAnswer) -> Problem {
    match no {
        NoAnswer::Status(status) if status.is_client_error() || status.is_server_error() => {
            Problem::new(status, "The application has refused the connection.")
        }
        NoAnswer::Unusable(_) => {
            let detail = "The application has given an answer about this connection that makes no sense.";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
        }
        _ => Problem::unavailable(
            "The application that decides about connections does not answer; try again in a moment.",
        ),
    }
}

fn follow<U>(
    wishes: Wishes,
    connecting: Connecting<U>,
    speech: Speech,
    handshake: Handshake<'_>,
) -> (Connecting<U>, Speech) {
    let Connecting { connection, roles, groups } = connecting;
    let speech = match &wishes.subprotocol {
        Some(name) => handshake::choose(handshake.headers, name),
        None => speech,
    };
    if let (Subprotocol::Raw, Some(agreed)) = &speech {
        connection.upstream.set_subprotocol(agreed);
    }
    let (user_id, authority) = match wishes.user_id {
        // Whoever the application says it is, is nobody of the user store; who has logged in stays its `login`.
        Some(user_id) if connection.user_id.as_ref() != Some(&user_id) => (Some(user_id), Authority::Hook),
        _ => (connection.user_id, connection.authority),
    };
    let connection = Connection { user_id, authority, subprotocol: speech.0.name(), ..connection };
    let (roles, groups) = (wishes.roles.unwrap_or(roles), wishes.groups.unwrap_or(groups));
    (Connecting { connection, roles, groups }, speech)
}
