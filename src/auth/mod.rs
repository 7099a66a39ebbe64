//! From credentials to an identity, and from roles to permissions.
//!
//! Everything here is a function of a request's head, the configuration and the clock: no store, no actor, no socket.
//! So the upgrade service and the handlers of actix-web ask the same questions and get the same answers, in this order:
//! [`peer`] (who is it), [`origin`] (may that page ask), [`Credential::of_request`] (what do they present), then
//! [`token`] or [`issuer`], or [`throttle`] and the user store, and at last [`permissions`] (what may they do).

pub mod access_keys;
pub mod audience;
pub mod basic;
pub mod host;
pub mod issuer;
pub mod jwks;
pub mod origin;
pub mod pattern;
pub mod peer;
pub mod permissions;
pub mod reconnection;
pub mod throttle;
pub mod token;

use std::fmt;

use actix_http::header::{self, HeaderMap};

use crate::auth::basic::{BasicCredentials, BasicError};

/// What a request presents to tell who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token, from the query or a `Bearer` header; not verified yet.
    Token(String),
    /// A login and a password; not verified yet.
    Basic(BasicCredentials),
    /// Nothing at all.
    Anonymous,
}

/// A credential that is there and cannot be read. The answer is 401; the next kind is never tried instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Not a login and a password.
    #[error(transparent)]
    Basic(#[from] BasicError),
    /// An `Authorization` header of another scheme, or more than one.
    #[error("the Authorization header must be there once, as 'Basic …' or 'Bearer …'")]
    Scheme,
}

impl Credential {
    /// Looks for `access_token` in the query (the last one counts), then at the `Authorization` header.
    ///
    /// # Errors
    /// [`CredentialError`] for a header that is there and no credential; an empty token is for `token` to refuse.
    pub fn of_request(headers: &HeaderMap, query: Option<&str>) -> Result<Self, CredentialError> {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        if let Some((_, token)) = pairs.filter(|(name, _)| name == "access_token").last() {
            return Ok(Credential::Token(token.into_owned()));
        }
        let mut values = headers.get_all(header::AUTHORIZATION);
        let Some(value) = values.next() else { return Ok(Credential::Anonymous) };
        if values.next().is_some() {
            return Err(CredentialError::Scheme);
        }
        // A Basic header that is no ASCII is malformed like any other, so this need not be text yet.
        let scheme = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
        if scheme.eq_ignore_ascii_case(b"basic") {
            return Ok(Credential::Basic(BasicCredentials::parse(value)?));
        }
        let (scheme, token) =
            value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(CredentialError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(CredentialError::Scheme);
        }
        Ok(Credential::Token(token.trim().to_owned()))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credential::Token(_) => f.write_str("Token(hidden)"),
            Credential::Basic(basic) => basic.fmt(f),
            Credential::Anonymous => f.write_str("Anonymous"),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;

    use super::*;

    fn credential(query: Option<&str>, lines: &[&str]) -> Result<Credential, CredentialError> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        Credential::of_request(&headers, query)
    }

    fn token(text: &str) -> Result<Credential, CredentialError> {
        Ok(Credential::Token(text.into()))
    }

    #[test]
    fn a_token_in_the_query_wins_over_the_header() {
        assert_eq!(credential(Some("hub=chat&access_token=a.b.c"), &["Basic dTpw"]), token("a.b.c"));
        assert_eq!(credential(Some("access_token=a&access_token=b%2Ec"), &[]), token("b.c"));
        assert_eq!(credential(Some("access_token="), &["Basic dTpw"]), token(""));
    }

    #[test]
    fn the_header_is_basic_or_bearer_and_nothing_is_anonymous() {
        assert_eq!(credential(Some("hub=chat"), &["bearer a.b.c"]), token("a.b.c"));
        assert!(matches!(credential(None, &["Basic dTpw"]), Ok(Credential::Basic(basic)) if basic.login == "u"));
        assert_eq!(credential(None, &[]), Ok(Credential::Anonymous));
    }

    #[test]
    fn a_header_that_cannot_be_read_is_an_error_and_not_anonymous() {
        for bad in ["", "Digest x", "Bearer", "token", "ümlaut x"] {
            assert_eq!(credential(None, &[bad]), Err(CredentialError::Scheme), "{bad:?}");
        }
        for bad in ["Basic", "Basic ???", "Basic ü"] {
            assert_eq!(credential(None, &[bad]), Err(CredentialError::Basic(BasicError::Malformed)), "{bad:?}");
        }
        assert_eq!(credential(None, &["Basic dTpw", "Basic dTpw"]), Err(CredentialError::Scheme));
    }

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(format!("{:?}", credential(None, &["Bearer secret"]).unwrap()), "Token(hidden)");
        assert!(!format!("{:?}", credential(None, &["Basic dTpzZXNhbWU="]).unwrap()).contains("sesame"));
    }
}
