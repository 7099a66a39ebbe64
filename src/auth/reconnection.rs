//! Reconnection tokens: what lets the peer of a reliable connection come back by another socket.
//!
//! Such a token is signed under the first access key as all of ours are, and good for nothing else: its audience is one
//! connection and its hub stands in a claim that no other kind of token has. In turn no other kind opens a connection.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::token::{IssuedToken, TokenError, Tokens, take_audiences, take_validity};
use crate::ids::{ConnectionId, HubName};

/// How long one is valid. The connection itself is gone long before, unless it has its first socket all that time.
const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The claim that makes a token one of these; its value is the hub.
const HUB_CLAIM: &str = "folkmoot.recovers";

impl Tokens {
    /// Makes the token by which whoever has it goes on with a connection.
    ///
    /// # Errors
    /// [`TokenError::Signing`].
    pub fn issue_reconnection_token(
        &self,
        connection: ConnectionId,
        hub: &HubName,
        now: SystemTime,
    ) -> Result<IssuedToken, TokenError> {
        let mut claims = Map::new();
        claims.insert("aud".into(), connection.to_string().into());
        claims.insert(HUB_CLAIM.into(), hub.as_str().into());
        self.issue(claims, LIFE, now)
    }

    /// Verifies that a token lets its bearer go on with this connection.
    ///
    /// # Errors
    /// [`TokenError`]: [`Audience`](TokenError::Audience) for another connection or hub, and for every other kind of token.
    pub fn verify_reconnection(
        &self,
        token: &str,
        connection: ConnectionId,
        hub: &HubName,
        now: SystemTime,
    ) -> Result<(), TokenError> {
        let mut claims = self.verify(token)?;
        take_validity(&mut claims, self.leeway, now)?;
        let audiences = take_audiences(&mut claims)?;
        let meant = matches!(&audiences[..], [aud] if *aud == connection.to_string());
        let of_hub = matches!(claims.remove(HUB_CLAIM), Some(Value::String(named)) if named == hub.as_str());
        if meant && of_hub { Ok(()) } else { Err(TokenError::Audience) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::access_keys::AccessKeys;
    use crate::auth::host::{BaseUrl, OwnNames};
    use crate::ids::UserId;

    const KEYS: [&str; 2] =
        ["ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH", "the key that was before it, which is as long"];

    fn tokens(keys: &[&str]) -> Tokens {
        Tokens::new(&AccessKeys::new(keys).unwrap(), Duration::ZERO)
    }

    fn hub(name: &str) -> HubName {
        HubName::parse(name).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_connection_and_hub_for_seven_days() {
        let (tokens, id, now) = (tokens(&KEYS[..1]), ConnectionId::random(), SystemTime::now());
        let issued = tokens.issue_reconnection_token(id, &hub("chat"), now).unwrap();
        let verify = |id, of: &str, now| tokens.verify_reconnection(&issued.token, id, &hub(of), now);
        assert_eq!(verify(id, "chat", now), Ok(()));
        assert_eq!(verify(id, "chat", now + LIFE - Duration::from_secs(2)), Ok(()));
        assert_eq!(verify(id, "chat", now + LIFE + Duration::from_secs(1)), Err(TokenError::Expired));
        assert_eq!(verify(id, "other", now), Err(TokenError::Audience));
        assert_eq!(verify(ConnectionId::random(), "chat", now), Err(TokenError::Audience));
    }

    #[test]
    fn it_stays_good_while_keys_are_exchanged_and_not_under_foreign_ones() {
        let (id, now) = (ConnectionId::random(), SystemTime::now());
        let issued = tokens(&KEYS[..1]).issue_reconnection_token(id, &hub("chat"), now).unwrap();
        let both = tokens(&[KEYS[1], KEYS[0]]);
        assert_eq!(both.verify_reconnection(&issued.token, id, &hub("chat"), now), Ok(()));
        let foreign = tokens(&KEYS[1..]);
        assert_eq!(foreign.verify_reconnection(&issued.token, id, &hub("chat"), now), Err(TokenError::Signature));
    }

    #[test]
    fn it_opens_nothing_else_and_nothing_else_opens_a_connection() {
        let (tokens, id, now) = (tokens(&KEYS[..1]), ConnectionId::random(), SystemTime::now());
        let base = BaseUrl::parse("http://localhost:8080").unwrap();
        let names = OwnNames { host: None, public_urls: std::slice::from_ref(&base) };
        let recovers = tokens.issue_reconnection_token(id, &hub("chat"), now).unwrap().token;
        assert!(tokens.verify_client(&recovers, &hub("chat"), true, names, now).is_err());
        assert!(tokens.verify_request(&recovers, "/api/health", names, now).is_err());
        let mark = UserId::parse("mark").unwrap();
        let enters = tokens.issue_store_token(&mark, &hub("chat"), &base, LIFE, now).unwrap().token;
        assert_eq!(tokens.verify_reconnection(&enters, id, &hub("chat"), now), Err(TokenError::Audience));
        // What a back end signs for a connection's id is not enough either.
        let mut claims = Map::new();
        claims.insert("aud".into(), id.to_string().into());
        let signed = tokens.issue(claims, LIFE, now).unwrap().token;
        assert_eq!(tokens.verify_reconnection(&signed, id, &hub("chat"), now), Err(TokenError::Audience));
    }
}
