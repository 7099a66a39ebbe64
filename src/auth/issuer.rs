//! Tokens of other issuers: whom they are from, whether they count here, and what of them means anything to us.
//!
//! They open connections of clients and nothing else. Nothing in them names a user of the store, an operator or a
//! claim of ours: what they mean is what the configuration says of their issuer. The keys are found by who calls.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Map, Value};

use super::jwks::{KeySet, SigningAlgorithm};
use super::permissions::Role;
use super::token::{
    MAX_TOKEN_BYTES, TokenError, in_strings, install_crypto, signed_claims, take_audiences, take_validity,
    user_from_claims,
};
use crate::ids::{GroupName, UserId};
use crate::user::User;

/// A token that is none of ours, as it claims to be; nothing of it is verified.
pub struct Presented<'a> {
    token: &'a str,
    algorithm: SigningAlgorithm,
    key_id: Option<String>,
    issuer: String,
}

impl<'a> Presented<'a> {
    /// Looks at a token; `None` where it is signed as ours are, or is not readable at all.
    ///
    /// The algorithm alone decides, and each way knows the keys of its own kind only: no public key can ever be taken
    /// for a shared secret.
    ///
    /// # Errors
    /// [`TokenError`] for one that is too long, or does not say who it is from.
    pub fn read(token: &'a str) -> Result<Option<Self>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let Ok(header) = jsonwebtoken::decode_header(token) else { return Ok(None) };
        let Some(algorithm) = SigningAlgorithm::of(header.alg) else { return Ok(None) };
        let issuer = payload(token).and_then(|claims| match claims.get("iss") {
            Some(Value::String(issuer)) => Some(issuer.clone()),
            _ => None,
        });
        let issuer = issuer.ok_or(TokenError::Issuer)?;
        Ok(Some(Presented { token, algorithm, key_id: header.kid, issuer }))
    }

    /// Whose token it says it is (`iss`).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

fn payload(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// What the tokens of an issuer must be like, and what they mean.
///
/// A claim is named by its name; where a token has none of that name, dots lead into objects (`realm_access.roles`).
#[derive(Debug, Clone)]
pub struct IssuerRules {
    /// `iss`, to the letter.
    pub issuer: String,
    /// One of these must be among `aud`.
    pub audiences: Vec<String>,
    /// How it may sign.
    pub algorithms: Vec<SigningAlgorithm>,
    /// The claim that is the user id.
    pub user_claim: String,
    /// What is put before it.
    pub user_prefix: String,
    /// What everybody with a token of it may do.
    pub roles: Vec<Role>,
    /// The claim with further roles.
    pub role_claim: Option<String>,
    /// What each name in it means here.
    pub role_map: BTreeMap<String, Vec<Role>>,
    /// How names begin that are roles of ours after it; those that do not begin so, and are not in the map, mean nothing.
    pub role_prefix: Option<String>,
    /// The claim with the groups to be put into.
    pub group_claim: Option<String>,
    /// Fields of the user data, by the claim that each comes from.
    pub data: BTreeMap<String, String>,
    /// How far its clock may be from ours.
    pub leeway: Duration,
}

/// What a verified token of another issuer says.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignToken {
    /// The user of the connection.
    pub user_id: UserId,
    /// What they may do.
    pub roles: Vec<Role>,
    /// The groups to be put into.
    pub groups: Vec<GroupName>,
    /// The user data.
    pub user: User,
    /// When the token ends, without leeway.
    pub expires_at: SystemTime,
}

impl IssuerRules {
    /// Verifies a token under the keys of its issuer, and tells what it says.
    ///
    /// # Errors
    /// [`TokenError`]; [`TokenError::Key`] with [`NoKey::Unknown`](super::jwks::NoKey::Unknown) where newer keys might help.
    pub fn verify(
        &self,
        presented: &Presented<'_>,
        keys: &KeySet,
        masks: bool,
        now: SystemTime,
    ) -> Result<ForeignToken, TokenError> {
        if !self.algorithms.contains(&presented.algorithm) {
            return Err(TokenError::Algorithm);
        }
        let key = keys.choose(presented.key_id.as_deref(), presented.algorithm).map_err(TokenError::Key)?;
        install_crypto();
        let mut claims =
            signed_claims(presented.token, key, presented.algorithm.algorithm()).map_err(|error| match error {
                TokenError::Signature => TokenError::ForeignSignature,
                error => error,
            })?;
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(TokenError::Issuer);
        }
        let expires_at = take_validity(&mut claims, self.leeway, now)?;
        let audiences = take_audiences(&mut claims)?;
        if !audiences.iter().any(|aud| self.audiences.contains(aud)) {
            return Err(TokenError::ForeignAudience);
        }
        let user_id = self.user_id(&claims)?;
        Ok(ForeignToken {
            roles: self.roles(&claims)?,
            groups: self.groups(&claims, masks)?,
            user: self.user(&claims, &user_id),
            user_id,
            expires_at,
        })
    }

    fn user_id(&self, claims: &Map<String, Value>) -> Result<UserId, TokenError> {
        let refused = |reason: &str| TokenError::claim(self.user_claim.clone(), reason);
        let id = match claim(claims, &self.user_claim) {
            Some(Value::String(id)) => Cow::Borrowed(id.as_str()),
            // Some number their users.
            Some(Value::Number(id)) if id.is_u64() => Cow::Owned(id.to_string()),
            Some(_) => return Err(refused("it is neither a text nor a whole number")),
            None => return Err(refused("it is not there, and is to be the user id")),
        };
        if id.is_empty() {
            return Err(refused("it is empty, and is to be the user id"));
        }
        let id = UserId::parse(&format!("{}{id}", self.user_prefix));
        id.map_err(|error| TokenError::claim(self.user_claim.clone(), error))
    }

    /// Unknown names grant nothing, and neither does one that would make an operator: whoever runs an issuer does not
    /// thereby run this server.
    fn roles(&self, claims: &Map<String, Value>) -> Result<Vec<Role>, TokenError> {
        let mut roles = self.roles.clone();
        for name in texts(claims, self.role_claim.as_deref())? {
            if let Some(mapped) = self.role_map.get(&name) {
                roles.extend_from_slice(mapped);
            } else if let Some(prefix) = &self.role_prefix {
                roles.extend(name.strip_prefix(prefix.as_str()).and_then(|role| role.parse().ok()));
            }
        }
        roles.retain(|role| !role.is_for_operators());
        Ok(roles)
    }

    fn groups(&self, claims: &Map<String, Value>, masks: bool) -> Result<Vec<GroupName>, TokenError> {
        let Some(name) = &self.group_claim else { return Ok(Vec::new()) };
        let named = texts(claims, Some(name))?.into_iter().filter(|group| !group.is_empty());
        let parsed = named.map(|group| GroupName::parse(&group, masks));
        parsed.collect::<Result<_, _>>().map_err(|error| TokenError::claim(name.clone(), error))
    }

    fn user(&self, claims: &Map<String, Value>, user_id: &UserId) -> User {
        let data = self.data.iter().filter_map(|(field, name)| Some((field.clone(), claim(claims, name)?.clone())));
        user_from_claims(&data.collect(), Some(user_id))
    }
}

/// A claim by its name, or else by its path; `null` is as good as none.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let by_path = || {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, key| value.get(key))
    };
    claims.get(name).or_else(by_path).filter(|value| !value.is_null())
}

/// The texts of a claim: one, or a list.
fn texts(claims: &Map<String, Value>, name: Option<&str>) -> Result<Vec<String>, TokenError> {
    let Some(name) = name else { return Ok(Vec::new()) };
    in_strings(claim(claims, name).cloned(), name)
}

#[cfg(test)]
#[path = "issuer_tests.rs"]
mod tests;
