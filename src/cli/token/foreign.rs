//! Tokens of other issuers, as `folkmoot token check` looks at them: under the keys that their issuer tells now.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::check::{Findings, payload};
use crate::auth::issuer::{ForeignToken, Presented};
use crate::auth::token::TokenError;
use crate::clock;
use crate::config::{Config, IssuerConfig};
use crate::ids::HubName;
use crate::issuers::{self, fetch_once};

/// What a token says that an issuer of the configuration made; `None` where it is to be one of ours.
pub(super) fn examine(token: &str, hub: Option<&HubName>, config: &Config) -> anyhow::Result<Option<Findings>> {
    let listed = &config.auth.jwt.issuers;
    let presented = match Presented::read(token) {
        Ok(Some(presented)) if !listed.is_empty() => presented,
        _ => return Ok(None),
    };
    let Some(issuer) = listed.iter().find(|issuer| issuer.issuer == presented.issuer()) else {
        return Ok(Some(refused(token, TokenError::Issuer.to_string(), Vec::new())));
    };
    let hub = hub.unwrap_or(&config.hubs.default);
    let had = actix_rt::System::new().block_on(fetch_once(&issuer.jwks));
    let keys = match had {
        Ok(keys) => keys,
        Err(error) => {
            let reason = format!("the keys of its issuer ({}): {error}", issuer.jwks);
            return Ok(Some(refused(token, reason, Vec::new())));
        }
    };
    let rules = issuers::rules(issuer, config.auth.clock_skew);
    Ok(Some(match rules.verify(&presented, &keys, config.hubs.hub(hub).masks, SystemTime::now()) {
        Ok(verified) => accepted(verified, token, issuer, hub, config),
        Err(error) => refused(token, error.to_string(), keys.skipped().to_vec()),
    }))
}

fn refused(token: &str, reason: String, notes: Vec<String>) -> Findings {
    let claims = payload(token).unwrap_or_default();
    Findings { claims, audience: None, signer: None, refusal: Some(reason), notes }
}

/// In the words of our own tokens: what the claims come to here, and not how the issuer has them.
fn accepted(verified: ForeignToken, token: &str, issuer: &IssuerConfig, hub: &HubName, config: &Config) -> Findings {
    let of_issuer = payload(token).unwrap_or_default();
    let kept = |name: &str| Some((name.to_owned(), of_issuer.get(name)?.clone()));
    let mut claims: Map<String, Value> = ["aud", "iat"].into_iter().filter_map(kept).collect();
    claims.insert("sub".into(), verified.user_id.as_str().into());
    claims.insert("exp".into(), clock::seconds(verified.expires_at).into());
    claims.insert("role".into(), verified.roles.iter().map(ToString::to_string).collect());
    claims.insert("webpubsub.group".into(), verified.groups.iter().map(ToString::to_string).collect());
    for (name, value) in [
        ("username", verified.user.username.map(Value::from)),
        ("department", verified.user.department.map(Value::from)),
        ("phone", verified.user.phone.map(Value::from)),
        ("age", verified.user.age.map(Value::from)),
    ] {
        claims.extend(value.map(|value| (name.to_owned(), value)));
    }
    claims.extend(verified.user.data);
    let opens = !hub.is_reserved() && issuer.hubs.allows(hub, &config.hubs.default);
    let exists = config.hubs.allow_undeclared || config.hubs.is_declared(hub);
    let refusal = match (opens, exists) {
        (false, _) => Some(format!("tokens of this issuer do not open the hub '{hub}'")),
        (true, false) => Some(format!("there is no hub '{hub}' (hubs.allow_undeclared is false)")),
        (true, true) => None,
    };
    let notes = vec![format!("it was looked at for the hub '{hub}'")];
    Findings { claims, audience: None, signer: Some(format!("under a key of {}", issuer.issuer)), refusal, notes }
}
