//! Tokens: JSON Web Tokens signed with HS256 under the access keys, verified and issued.
//!
//! What a token says is handed on as [`ClientToken`] or [`RequestToken`]. This file knows no store: a token with
//! `folkmoot.user` only *names* a store user, and whoever connects them reads the store. Tokens of other issuers, with keys of
//! their own, are `issuer.rs`.
//!
//! Two kinds of refusal: what does not prove anything (signature, time, audience) is 401; a genuine token whose claims
//! cannot be used (a `sub` that is no user id, a group name that is none) is 400, because logging in again helps nobody.

use std::borrow::Cow;
use std::sync::Once;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_http::StatusCode;
use aws_lc_rs::digest;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value};

use crate::auth::access_keys::AccessKeys;
use crate::auth::audience;
use crate::auth::host::{BaseUrl, OwnNames};
use crate::auth::jwks::NoKey;
use crate::auth::permissions::Role;
use crate::clock::seconds;
use crate::ids::{GroupName, HubName, UserId};
use crate::user::User;

/// Longest token. It bounds every claim, and so what a connection's user data can hold.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The claim by which a token means a user of the store. Only who holds an access key can make it.
pub const STORE_USER_CLAIM: &str = "folkmoot.user";

/// The claim that binds a refresh token to the password of the login: with the password, the session ends.
const PASSWORD_CLAIM: &str = "folkmoot.password";

/// Why a token is refused, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token has more than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// Not a JSON Web Token signed with HS256.
    #[error("not a JSON Web Token that is signed with HS256")]
    Malformed,
    /// Signed under none of the access keys, or changed since.
    #[error("the token is not signed under an access key of this server")]
    Signature,
    /// No `exp`, or one that is no time.
    #[error("the token has no expiry (claim 'exp')")]
    NoExpiry,
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is still to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Made for another server, hub or request.
    #[error("the token is not meant for this address (claim 'aud')")]
    Audience,
    /// From nobody whom the configuration names.
    #[error("the token is from no issuer that this server knows (claim 'iss')")]
    Issuer,
    /// Its issuer may not sign that way.
    #[error("tokens of this issuer are not to be signed that way (header 'alg')")]
    Algorithm,
    /// There is no key of its issuer for it.
    #[error("the token cannot be verified: {0}")]
    Key(NoKey),
    /// The keys of its issuer could not be had yet.
    #[error("the keys of the token's issuer are not known yet; try again in a moment")]
    NoKeysYet,
    /// Not signed under the key of its issuer that it names, or changed since.
    #[error("the token is not signed under the key of its issuer that it names")]
    ForeignSignature,
    /// Another issuer made it, for something else.
    #[error("the token's issuer did not mean this server (claim 'aud')")]
    ForeignAudience,
    /// A genuine token with a claim that cannot be used.
    #[error("the token's claim '{claim}' cannot be used: {reason}")]
    Claim {
        /// The name of the claim.
        claim: Cow<'static, str>,
        /// What is wrong with it.
        reason: String,
    },
    /// The token could not be signed.
    #[error("the token could not be signed: {0}")]
    Signing(String),
}

impl TokenError {
    /// What a request with such a token is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            TokenError::Claim { .. } => StatusCode::BAD_REQUEST,
            TokenError::Signing(_) => StatusCode::INTERNAL_SERVER_ERROR,
            TokenError::NoKeysYet => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    pub(super) fn claim(claim: impl Into<Cow<'static, str>>, reason: impl ToString) -> Self {
        TokenError::Claim { claim: claim.into(), reason: reason.to_string() }
    }
}

/// What a verified client token says.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientToken {
    /// `sub`: the user of the connection. Always there when `store_user` is set.
    pub sub: Option<UserId>,
    /// Whether `sub` is the login of a store user, whose data, groups, roles, hubs and `disabled` are read from the
    /// store now. Otherwise the store is not asked, even if `sub` happens to equal a login.
    pub store_user: bool,
    /// `role`, as far as this server knows the names.
    pub roles: Vec<Role>,
    /// How many role names were not known. Such a role grants nothing: tokens made for Azure may carry rights that we
    /// do not have, and their bearers should get in with the rest.
    pub unknown_roles: usize,
    /// `webpubsub.group`: the groups to be put into. Empty names are skipped.
    pub groups: Vec<GroupName>,
    /// All other claims, bounded by [`MAX_TOKEN_BYTES`].
    pub claims: Map<String, Value>,
    /// When the token ends, without leeway.
    pub expires_at: SystemTime,
}

/// What a verified token of an HTTP request says.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestToken {
    /// `sub`, where the token has one.
    pub sub: Option<UserId>,
    /// Whether `sub` is a store user, who may do only what their `folkmoot.admin…` roles in the store say. Otherwise
    /// the bearer was given the token by a holder of an access key, and may do everything that the URL is for.
    pub store_user: bool,
    /// When the token ends, without leeway.
    pub expires_at: SystemTime,
}

/// What a verified refresh token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The login of the store user.
    pub login: UserId,
    /// Which password the login had, as a [`fingerprint`].
    pub password: String,
}

/// A token that this server made. It is a secret: not for logs.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token as it is sent.
    pub token: String,
    /// When it ends.
    pub expires_at: SystemTime,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Verifies and issues tokens under the access keys. Made once, shared by all workers.
#[derive(Debug, Clone)]
pub struct Tokens {
    signing: EncodingKey,
    verifying: Vec<DecodingKey>,
    pub(super) leeway: Duration,
}

impl Tokens {
    /// Takes the access keys, and how far the clocks of issuers and this server may differ (`auth.leeway`).
    pub fn new(keys: &AccessKeys, leeway: Duration) -> Self {
        install_crypto();
        let signing = keys.iter().next().map_or(&[][..], |key| key.as_bytes());
        Tokens {
            signing: EncodingKey::from_secret(signing),
            verifying: keys.iter().map(|key| DecodingKey::from_secret(key.as_bytes())).collect(),
            leeway,
        }
    }

    /// Verifies the token of a client that wants to enter `hub`, which was asked for under one of `names`.
    ///
    /// `masks` tells whether the hub has masks on, which decides what a group name may hold.
    ///
    /// # Errors
    /// [`TokenError`]; its status is 401 for a token that proves nothing here, 400 for claims that cannot be used.
    pub fn verify_client(
        &self,
        token: &str,
        hub: &HubName,
        masks: bool,
        names: OwnNames<'_>,
        now: SystemTime,
    ) -> Result<ClientToken, TokenError> {
        let mut claims = self.verify(token)?;
        let expires_at = take_validity(&mut claims, self.leeway, now)?;
        let audiences = take_audiences(&mut claims)?;
        if !audiences.iter().any(|aud| audience::is_client_of(aud, hub, names)) {
            return Err(TokenError::Audience);
        }
        let (sub, store_user) = take_subject(&mut claims)?;
        let written = take_strings(&mut claims, "role")?;
        let roles: Vec<Role> = written.iter().filter_map(|role| role.parse().ok()).collect();
        Ok(ClientToken {
            sub,
            store_user,
            unknown_roles: written.len() - roles.len(),
            roles,
            groups: take_groups(&mut claims, masks)?,
            claims,
            expires_at,
        })
    }

    /// Verifies the token of an HTTP request whose path, percent-encoded as it came, is `path`.
    ///
    /// The audience is the request's URL; scheme and query do not count. That of a store user may also be the API as a
    /// whole, which opens whatever their roles do. A client token never passes, not even one that names the request's
    /// URL beside a hub.
    ///
    /// # Errors
    /// [`TokenError`], as for a client.
    pub fn verify_request(
        &self,
        token: &str,
        path: &str,
        names: OwnNames<'_>,
        now: SystemTime,
    ) -> Result<RequestToken, TokenError> {
        let mut claims = self.verify(token)?;
        let expires_at = take_validity(&mut claims, self.leeway, now)?;
        let audiences = take_audiences(&mut claims)?;
        let (sub, store_user) = take_subject(&mut claims)?;
        let meant =
            |aud: &String| audience::is_request(aud, path, names) || (store_user && audience::is_api(aud, names));
        if audiences.iter().any(|aud| audience::is_client(aud, names)) || !audiences.iter().any(meant) {
            return Err(TokenError::Audience);
        }
        Ok(RequestToken { sub, store_user, expires_at })
    }

    /// Verifies a token of [`issue_refresh_token`](Tokens::issue_refresh_token).
    ///
    /// # Errors
    /// [`TokenError`]: [`Audience`](TokenError::Audience) for every other kind of token.
    pub fn verify_refresh(
        &self,
        token: &str,
        names: OwnNames<'_>,
        now: SystemTime,
    ) -> Result<RefreshToken, TokenError> {
        let mut claims = self.verify(token)?;
        take_validity(&mut claims, self.leeway, now)?;
        let audiences = take_audiences(&mut claims)?;
        let meant = matches!(&audiences[..], [aud] if audience::is_login(aud, names));
        let subject = take_subject(&mut claims)?;
        match (meant, subject, claims.remove(PASSWORD_CLAIM)) {
            (true, (Some(login), true), Some(Value::String(password))) => Ok(RefreshToken { login, password }),
            _ => Err(TokenError::Audience),
        }
    }

    /// Makes the token that `POST /auth/token` answers: the store user `login`, in `hub`, for `ttl`.
    ///
    /// # Errors
    /// [`TokenError::Signing`].
    pub fn issue_store_token(
        &self,
        login: &UserId,
        hub: &HubName,
        base: &BaseUrl,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<IssuedToken, TokenError> {
        self.issue(store_claims(login, audience::of_client(base, hub)), ttl, now)
    }

    /// Makes the token by which the store user `login` uses the HTTP API, for `ttl`. What it opens is asked of the
    /// store with each request.
    ///
    /// # Errors
    /// [`TokenError::Signing`].
    pub fn issue_api_token(
        &self,
        login: &UserId,
        base: &BaseUrl,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<IssuedToken, TokenError> {
        self.issue(store_claims(login, audience::of_api(base)), ttl, now)
    }

    /// Makes the token for which [`refresh.login`](RefreshToken::login) gets fresh tokens without a password, for `ttl`.
    ///
    /// # Errors
    /// [`TokenError::Signing`].
    pub fn issue_refresh_token(
        &self,
        refresh: RefreshToken,
        base: &BaseUrl,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<IssuedToken, TokenError> {
        let mut claims = store_claims(&refresh.login, audience::of_login(base));
        claims.insert(PASSWORD_CLAIM.into(), refresh.password.into());
        self.issue(claims, ttl, now)
    }

    /// Signs any claims, adding `iat` and `exp`.
    ///
    /// # Errors
    /// [`TokenError::Signing`], and [`TokenError::TooLong`] for a token that this server would refuse itself.
    pub fn issue(
        &self,
        mut claims: Map<String, Value>,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<IssuedToken, TokenError> {
        let issued = seconds(now);
        let expires = issued.saturating_add(ttl.as_secs());
        claims.insert("iat".into(), issued.into());
        claims.insert("exp".into(), expires.into());
        let expires_at = time(expires).ok_or_else(|| TokenError::Signing("it would never expire".into()))?;
        Ok(IssuedToken { token: self.sign(&claims)?, expires_at })
    }

    /// Signs the claims as they are, under the first access key.
    ///
    /// # Errors
    /// As for [`issue`](Tokens::issue).
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String, TokenError> {
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.signing)
            .map_err(|error| TokenError::Signing(error.to_string()))?;
        if token.len() > MAX_TOKEN_BYTES { Err(TokenError::TooLong) } else { Ok(token) }
    }

    /// Checks form, algorithm and signature, and nothing else.
    pub(super) fn verify(&self, token: &str) -> Result<Map<String, Value>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        for key in &self.verifying {
            match signed_claims(token, key, Algorithm::HS256) {
                Err(TokenError::Signature) => {}
                verified => return verified,
            }
        }
        Err(TokenError::Signature)
    }
}

/// The claims of a token that is signed with this key and this algorithm. Nothing of what they say is checked.
pub(super) fn signed_claims(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> Result<Map<String, Value>, TokenError> {
    let mut validation = Validation::new(algorithm);
    // Times and audiences are for the caller: against its clock, and by comparing URLs, not texts.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    match jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation) {
        // RFC 7515, 4.1.11: what is marked critical must be understood, and we understand no extension.
        Ok(data) if data.header.crit.is_some() => Err(TokenError::Malformed),
        Ok(data) => Ok(data.claims),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => Err(TokenError::Signature),
        Err(_) => Err(TokenError::Malformed),
    }
}

/// Checks `exp` and `nbf`, takes them and `iat` out, and tells when the token ends.
pub(super) fn take_validity(
    claims: &mut Map<String, Value>,
    leeway: Duration,
    now: SystemTime,
) -> Result<SystemTime, TokenError> {
    let (now, leeway) = (seconds(now), leeway.as_secs());
    let expires = claims.remove("exp").as_ref().and_then(numeric_date).ok_or(TokenError::NoExpiry)?;
    if expires.saturating_add(leeway) <= now {
        return Err(TokenError::Expired);
    }
    if let Some(start) = claims.remove("nbf") {
        let start = numeric_date(&start).ok_or_else(|| TokenError::claim("nbf", "it is no time"))?;
        if start > now.saturating_add(leeway) {
            return Err(TokenError::NotYetValid);
        }
    }
    claims.remove("iat");
    time(expires).ok_or(TokenError::NoExpiry)
}

/// What stands for a secret in a token: another one for every secret, and nothing can be learnt from it, as the hashes
/// of passwords are salted.
pub fn fingerprint(secret: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, secret.as_bytes()))
}

fn store_claims(login: &UserId, audience: String) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("sub".into(), login.as_str().into());
    claims.insert(STORE_USER_CLAIM.into(), true.into());
    claims.insert("aud".into(), audience.into());
    claims
}

/// The user data that a token's custom claims carry.
///
/// `username`, `department`, `phone` (texts) and `age` (a number) become fields; every other claim, and one of these
/// that has another type, goes into `data`. `login` is the `sub`, which does not mean that the store knows it.
pub fn user_from_claims(claims: &Map<String, Value>, sub: Option<&UserId>) -> User {
    let mut user = User { login: sub.map(|sub| sub.as_str().to_owned()), ..User::default() };
    for (name, value) in claims {
        match (name.as_str(), value) {
            ("username", Value::String(text)) => user.username = Some(text.clone()),
            ("department", Value::String(text)) => user.department = Some(text.clone()),
            ("phone", Value::String(text)) => user.phone = Some(text.clone()),
            ("age", Value::Number(number)) if number.as_u64().is_some_and(|age| u32::try_from(age).is_ok()) => {
                user.age = number.as_u64().and_then(|age| age.try_into().ok());
            }
            _ => {
                user.data.insert(name.clone(), value.clone());
            }
        }
    }
    user
}

/// Tells jsonwebtoken which cryptography to use. It may be told once a process, and panics when it has to guess
/// between two, which a downstream crate can cause by switching on another one of its features.
pub(super) fn install_crypto() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error means that the program around us has chosen already, which is as good.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    });
}

fn time(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A NumericDate of RFC 7519: seconds, which some issuers write with a fraction.
fn numeric_date(value: &Value) -> Option<u64> {
    // The cast saturates, and a negative or endless time is no date.
    value.as_u64().or_else(|| value.as_f64().filter(|date| date.is_finite() && *date >= 0.0).map(|date| date as u64))
}

/// A claim that is a text or a list of texts; absent and `null` are an empty list.
fn take_strings(claims: &mut Map<String, Value>, name: &'static str) -> Result<Vec<String>, TokenError> {
    in_strings(claims.remove(name), name)
}

/// The texts that a claim holds, as one or as a list.
pub(super) fn in_strings(claim: Option<Value>, name: &str) -> Result<Vec<String>, TokenError> {
    let ill_typed = || TokenError::claim(name.to_owned(), "it is neither a text nor a list of texts");
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(ill_typed()),
            })
            .collect(),
        Some(_) => Err(ill_typed()),
    }
}

/// `aud`. One of the wrong type is an audience that is not ours.
pub(super) fn take_audiences(claims: &mut Map<String, Value>) -> Result<Vec<String>, TokenError> {
    take_strings(claims, "aud").map_err(|_| TokenError::Audience)
}

fn take_subject(claims: &mut Map<String, Value>) -> Result<(Option<UserId>, bool), TokenError> {
    let sub = match claims.remove("sub") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(UserId::parse(&text).map_err(|error| TokenError::claim("sub", error))?),
        Some(_) => return Err(TokenError::claim("sub", "it is not a text")),
    };
    let store_user = match claims.remove(STORE_USER_CLAIM) {
        None => false,
        Some(Value::Bool(store_user)) => store_user,
        Some(_) => return Err(TokenError::claim(STORE_USER_CLAIM, "it is neither true nor false")),
    };
    if store_user && sub.is_none() {
        return Err(TokenError::claim(STORE_USER_CLAIM, "there is no 'sub' to name the user"));
    }
    Ok((sub, store_user))
}

fn take_groups(claims: &mut Map<String, Value>, masks: bool) -> Result<Vec<GroupName>, TokenError> {
    let names = take_strings(claims, "webpubsub.group")?;
    let named = names.iter().filter(|name| !name.is_empty());
    named
        .map(|name| GroupName::parse(name, masks).map_err(|error| TokenError::claim("webpubsub.group", error)))
        .collect()
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
