//! Key sets: the public keys of another issuer of tokens, as it publishes them (JWKS, RFC 7517).
//!
//! What is here reads a set and finds the key of a token in it. Where sets come from is `issuers`, what a token says is
//! `issuer.rs`. A secret key (`oct`) is never taken out of a set: everybody may read it, and who can read a secret can
//! sign with it.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest set that is read, in bytes: the large providers' have some kilobytes.
pub const MAX_KEY_SET_BYTES: usize = 256 * 1024;
/// Most keys of a set. An issuer that rotates has two or three, the large providers a dozen.
pub const MAX_KEYS: usize = 64;
/// Bits of the shortest and of the longest RSA key (the shortest: RFC 7518, 3.3).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// How another issuer signs: with a key pair of which we only ever have the public half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSA (PKCS #1 v1.5) with SHA-256.
    RS256,
    /// RSA (PKCS #1 v1.5) with SHA-384.
    RS384,
    /// RSA (PKCS #1 v1.5) with SHA-512.
    RS512,
    /// RSA (PSS) with SHA-256.
    PS256,
    /// RSA (PSS) with SHA-384.
    PS384,
    /// RSA (PSS) with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDsa,
    ];

    /// What the library that checks signatures calls it, and the kind of key that it takes.
    fn row(self) -> (Algorithm, Kind) {
        match self {
            Self::RS256 => (Algorithm::RS256, Kind::Rsa),
            Self::RS384 => (Algorithm::RS384, Kind::Rsa),
            Self::RS512 => (Algorithm::RS512, Kind::Rsa),
            Self::PS256 => (Algorithm::PS256, Kind::Rsa),
            Self::PS384 => (Algorithm::PS384, Kind::Rsa),
            Self::PS512 => (Algorithm::PS512, Kind::Rsa),
            Self::ES256 => (Algorithm::ES256, Kind::P256),
            Self::ES384 => (Algorithm::ES384, Kind::P384),
            Self::EdDsa => (Algorithm::EdDSA, Kind::Ed25519),
        }
    }

    /// The same of a token's header; `None` for those that sign with a shared secret.
    pub(super) fn of(algorithm: Algorithm) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.row().0 == algorithm)
    }

    pub(super) fn algorithm(self) -> Algorithm {
        self.row().0
    }

    /// As a header or a key has it (`alg`).
    fn parse(name: &str) -> Option<Self> {
        name.parse().ok().and_then(Self::of)
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.algorithm())
    }
}

/// What a key can be used with, whatever a token's header claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Why a text is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than [`MAX_KEY_SET_BYTES`].
    #[error("it has more than {} KiB", MAX_KEY_SET_BYTES >> 10)]
    TooBig,
    /// Not a JSON object with a list `keys`.
    #[error("it is no key set, a JSON object with the list 'keys'")]
    Malformed,
    /// More than [`MAX_KEYS`].
    #[error("it has {0} keys, more than {MAX_KEYS}")]
    TooMany(usize),
}

/// Why a set has no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// No key has the token's `kid`, or no key at all fits a token without one. A newer set may have it.
    #[error("none of its issuer's keys is meant (header 'kid')")]
    Unknown,
    /// The key that is meant signs otherwise.
    #[error("the key that it names (header 'kid') does not sign that way (header 'alg')")]
    Algorithm,
    /// Several keys would do, and the token names none.
    #[error("it does not say which of its issuer's keys is meant (header 'kid')")]
    Ambiguous,
}

/// The public keys of an issuer.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<String>,
}

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    kind: Kind,
    /// The only algorithm that the issuer uses it with, where it says so.
    only: Option<SigningAlgorithm>,
    key: DecodingKey,
}

impl Key {
    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        self.kind == algorithm.row().1 && self.only.is_none_or(|only| only == algorithm)
    }
}

impl KeySet {
    /// Reads a set. Keys that are not for us (encryption, other kinds, too short) are skipped.
    ///
    /// # Errors
    /// [`KeySetError`] where it is none, or one that is too large.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Written {
            keys: Vec<Value>,
        }
        if text.len() > MAX_KEY_SET_BYTES {
            return Err(KeySetError::TooBig);
        }
        let written: Written = serde_json::from_slice(text).map_err(|_| KeySetError::Malformed)?;
        if written.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany(written.keys.len()));
        }
        let mut set = KeySet::default();
        for (value, number) in written.keys.into_iter().zip(1..) {
            match read_key(value) {
                Ok(key) => set.keys.push(key),
                Err(reason) => set.skipped.push(format!("key {number} {reason}")),
            }
        }
        Ok(set)
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Which keys cannot be used and why, in words of ours alone.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// The key of a token with this `kid` and this algorithm.
    ///
    /// # Errors
    /// [`NoKey`], which says whether to look at a newer set.
    pub(super) fn choose(&self, id: Option<&str>, algorithm: SigningAlgorithm) -> Result<&DecodingKey, NoKey> {
        let named = || self.keys.iter().filter(|key| id.is_none() || key.id.as_deref() == id);
        let mut fitting = named().filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(_), Some(_)) if id.is_none() => Err(NoKey::Ambiguous),
            (Some(key), _) => Ok(&key.key),
            (None, _) if id.is_some() && named().next().is_some() => Err(NoKey::Algorithm),
            (None, _) => Err(NoKey::Unknown),
        }
    }
}

/// A key as it stands in a set.
#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

fn read_key(value: Value) -> Result<Key, String> {
    let written: WrittenKey = serde_json::from_value(value).map_err(|_| "is malformed")?;
    let for_signatures = written.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
        && written.key_ops.as_ref().is_none_or(|uses| uses.iter().any(|one| one == "verify"));
    if !for_signatures {
        return Err("is not for signatures".to_owned());
    }
    let (kind, key) = match (written.kty.as_str(), written.crv.as_deref()) {
        ("RSA", _) => (Kind::Rsa, rsa(&written)?),
        ("EC", Some("P-256")) => (Kind::P256, curve_point(&written, &ECDSA_P256_SHA256_FIXED)?),
        ("EC", Some("P-384")) => (Kind::P384, curve_point(&written, &ECDSA_P384_SHA384_FIXED)?),
        ("OKP", Some("Ed25519")) => (Kind::Ed25519, ed25519(&written)?),
        _ => return Err("is of a kind that is not used here (RSA, EC on P-256 or P-384, Ed25519 are)".to_owned()),
    };
    let only = match written.alg.as_deref() {
        None => None,
        Some(name) => match SigningAlgorithm::parse(name).filter(|algorithm| algorithm.row().1 == kind) {
            Some(algorithm) => Some(algorithm),
            None => return Err("is for an algorithm that is not used here, or not its own".to_owned()),
        },
    };
    Ok(Key { id: written.kid, kind, only, key })
}

fn bytes(text: Option<&String>) -> Result<Vec<u8>, &'static str> {
    let text = text.ok_or("lacks a number")?;
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| "has a number that is not base64url")
}

fn rsa(written: &WrittenKey) -> Result<DecodingKey, String> {
    let (modulus, exponent) = (bytes(written.n.as_ref())?, bytes(written.e.as_ref())?);
    // Some issuers write a leading zero, which is none of the number's.
    let significant = modulus.iter().position(|byte| *byte != 0).and_then(|start| modulus.get(start..));
    let significant = significant.unwrap_or_default();
    let bits = significant.len() * 8 - significant.first().map_or(0, |first| first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err(format!("has {bits} bits; an RSA key has {} to {}", RSA_BITS.start(), RSA_BITS.end()));
    }
    Ok(DecodingKey::from_rsa_raw_components(significant, &exponent))
}

/// The coordinates have the full length of the curve, which a point that is on it has.
fn curve_point(written: &WrittenKey, curve: &'static dyn VerificationAlgorithm) -> Result<DecodingKey, String> {
    let point = [vec![0x04], bytes(written.x.as_ref())?, bytes(written.y.as_ref())?].concat();
    ParsedPublicKey::new(curve, &point).map_err(|_| "is not a point of its curve")?;
    Ok(DecodingKey::from_ec_der(&point))
}

fn ed25519(written: &WrittenKey) -> Result<DecodingKey, String> {
    let point = bytes(written.x.as_ref())?;
    ParsedPublicKey::new(&ED25519, &point).map_err(|_| "is not a point of its curve")?;
    Ok(DecodingKey::from_ed_der(&point))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The points of RFC 7515 (A.3) and RFC 8037 (A.1).
    fn p256(kid: &str) -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
    }

    fn ed(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    fn rsa_of(bytes: usize) -> Value {
        json!({"kty": "RSA", "n": BASE64_URL_SAFE_NO_PAD.encode(vec![0xff; bytes]), "e": "AQAB"})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn without(mut key: Value, name: &str) -> Value {
        key.as_object_mut().unwrap().remove(name);
        key
    }

    fn set(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
    }

    fn chosen(set: &KeySet, id: Option<&str>, algorithm: SigningAlgorithm) -> Option<NoKey> {
        set.choose(id, algorithm).err()
    }

    #[test]
    fn a_token_names_its_key_and_the_key_signs_as_it_can() {
        use SigningAlgorithm::*;
        let set = set(&[p256("a"), ed("b"), with(rsa_of(256), "kid", json!("c"))]);
        assert_eq!((set.len(), set.skipped()), (3, &[][..]));
        for (id, algorithm, refused) in [
            ("a", ES256, None),
            ("b", EdDsa, None),
            ("c", RS256, None),
            ("c", PS512, None),
            ("a", ES384, Some(NoKey::Algorithm)),
            ("a", RS256, Some(NoKey::Algorithm)),
            ("c", ES256, Some(NoKey::Algorithm)),
            ("d", ES256, Some(NoKey::Unknown)),
            ("", ES256, Some(NoKey::Unknown)),
        ] {
            assert_eq!(chosen(&set, Some(id), algorithm), refused, "{id} {algorithm}");
        }
    }

    #[test]
    fn a_token_that_names_no_key_needs_the_only_one_that_fits() {
        use SigningAlgorithm::*;
        let one = set(&[p256("a"), ed("b")]);
        assert_eq!(chosen(&one, None, ES256), None);
        assert_eq!(chosen(&one, None, RS256), Some(NoKey::Unknown));
        assert_eq!(chosen(&set(&[p256("a"), p256("b")]), None, ES256), Some(NoKey::Ambiguous));
        assert_eq!(chosen(&set(&[p256("a"), p256("a")]), Some("a"), ES256), None);
    }

    #[test]
    fn a_key_is_used_with_its_own_algorithm_alone() {
        use SigningAlgorithm::*;
        let set = set(&[with(rsa_of(256), "alg", json!("RS512"))]);
        assert_eq!(chosen(&set, None, RS512), None);
        assert_eq!(chosen(&set, None, RS256), Some(NoKey::Unknown));
    }

    #[test]
    fn keys_that_are_not_for_us_are_skipped_with_a_reason() {
        for (key, reason) in [
            (json!({"kty": "oct", "k": "c2VjcmV0"}), "kind"),
            (with(p256("a"), "crv", json!("secp256k1")), "kind"),
            (without(p256("a"), "crv"), "kind"),
            (with(p256("a"), "use", json!("enc")), "signatures"),
            (with(p256("a"), "key_ops", json!(["sign"])), "signatures"),
            (with(p256("a"), "alg", json!("HS256")), "algorithm"),
            (with(p256("a"), "alg", json!("RS256")), "algorithm"),
            (with(p256("a"), "alg", json!("ES512")), "algorithm"),
            (with(p256("a"), "kid", json!(7)), "malformed"),
            (with(p256("a"), "x", json!("AAAA")), "point"),
            (with(p256("a"), "y", p256("a")["x"].clone()), "point"),
            (with(ed("a"), "x", json!("AAAA")), "point"),
            (with(ed("a"), "x", json!("a b")), "base64url"),
            (without(ed("a"), "x"), "lacks"),
            (rsa_of(255), "2040 bits"),
            (rsa_of(1025), "8200 bits"),
            (with(rsa_of(256), "n", json!("")), "0 bits"),
            (json!("text"), "malformed"),
        ] {
            let set = set(&[key.clone(), ed("good")]);
            assert!(set.len() == 1 && set.skipped()[0].starts_with("key 1 "), "{key}");
            assert!(set.skipped()[0].contains(reason), "{key}: {}", set.skipped()[0]);
        }
    }

    #[test]
    fn a_set_is_bounded() {
        assert_eq!(KeySet::parse(b"{}").unwrap_err(), KeySetError::Malformed);
        assert_eq!(KeySet::parse(b"<html>").unwrap_err(), KeySetError::Malformed);
        assert_eq!(KeySet::parse(&vec![b' '; MAX_KEY_SET_BYTES + 1]).unwrap_err(), KeySetError::TooBig);
        let many = json!({"keys": vec![ed("a"); MAX_KEYS + 1]}).to_string();
        assert_eq!(KeySet::parse(many.as_bytes()).unwrap_err(), KeySetError::TooMany(MAX_KEYS + 1));
        assert_eq!(set(&[]).len(), 0);
    }

    #[test]
    fn algorithms_are_written_as_in_headers_and_none_is_a_shared_secret() {
        for algorithm in SigningAlgorithm::ALL {
            let written = serde_json::to_value(algorithm).unwrap();
            assert_eq!(written, json!(algorithm.to_string()));
            assert_eq!(SigningAlgorithm::parse(&algorithm.to_string()), Some(algorithm));
        }
        for name in ["HS256", "none", "ES512", ""] {
            assert_eq!(SigningAlgorithm::parse(name), None, "{name}");
            assert!(serde_json::from_value::<SigningAlgorithm>(json!(name)).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_a_set_panic(key in "\\{(\"(kty|kid|use|n|e|x|y|crv|alg)\":(\"(RSA|EC|OKP|P-256|[A-Za-z0-9_-]{0,40})\"|7),?){0,5}\\}") {
            let text = format!("{{\"keys\":[{key}]}}");
            if let Ok(set) = KeySet::parse(text.as_bytes()) {
                prop_assert!(set.len() + set.skipped().len() == 1);
            }
        }
    }
}
