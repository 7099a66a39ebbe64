//! Proves to a webhook that a request comes from a server with the access key.

use std::fmt::{self, Write};

use aws_lc_rs::hmac;

use crate::ids::ConnectionId;

/// Signs the ids of connections under each access key.
pub struct Signer(Vec<hmac::Key>);

impl Signer {
    /// Takes the access keys; their UTF-8 bytes are the keys of the HMAC, as for tokens.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Signer(keys.into_iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())).collect())
    }

    /// `ce-signature`: one signature for each key, so that a receiver with either believes it.
    pub fn sign(&self, connection: ConnectionId) -> String {
        let id = connection.to_string();
        let mut text = String::new();
        for key in &self.0 {
            text.push_str(if text.is_empty() { "sha256=" } else { ",sha256=" });
            for byte in hmac::sign(key, id.as_bytes()).as_ref() {
                // Writing to a text cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
        }
        text
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_signed_under_each_key() {
        // printf 00000000000000000000000000000000 | openssl dgst -sha256 -hmac one
        let signed = Signer::new(["one", "two"]).sign("00000000000000000000000000000000".parse().unwrap());
        let (one, two) = signed.split_once(',').unwrap();
        assert_eq!(one, "sha256=d804cfe90db0572e769ca1ebb72fab411d0a403e911d0fa72dd47cee78ed689a");
        assert_eq!(two, "sha256=2d64724bab6ff7ff3be4fdbd372034b636a72be70207d51cca3e22d2ba285366");
    }
}
