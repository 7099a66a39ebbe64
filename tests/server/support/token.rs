//! Tokens as a back end signs them, by the words of RFC 7519 and with nothing of the server's own code.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

/// The access key of every test's server.
pub const ACCESS_KEY: &str = "a key that only the tests of Folkmoot know";

/// A token; its `Display` is what is sent.
#[derive(Clone)]
pub struct Token {
    /// The header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
    key: Vec<u8>,
}

impl Token {
    /// A token for an audience, which lasts an hour.
    pub fn new(audience: &str) -> Self {
        let claims = json!({"aud": audience, "exp": now() + 3600});
        Token { header: json!({"alg": "HS256", "typ": "JWT"}), claims, key: ACCESS_KEY.into() }
    }

    /// A further claim, or another value for one that is there.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Ends so many seconds from now.
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// Signed with another key.
    pub fn signed_with(self, key: &str) -> Self {
        self.signed_with_bytes(key.as_bytes())
    }

    /// The same with a key that is no text.
    pub fn signed_with_bytes(mut self, key: &[u8]) -> Self {
        self.key = key.into();
        self
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&self.header), part(&self.claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let signature = hmac::sign(&key, signed.as_bytes());
        write!(f, "{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
