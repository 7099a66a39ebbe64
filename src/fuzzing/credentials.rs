//! Credentials: a Basic header says what its base64 says, and a token counts only with a signature, under our key or that of
//! an issuer, that this file has made or checked itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Map, Value};

use crate::auth::Credential;
use crate::auth::access_keys::AccessKeys;
use crate::auth::basic::{BasicCredentials, MAX_BASIC_HEADER_BYTES};
use crate::auth::host::{HostPort, OwnNames};
use crate::auth::issuer::{IssuerRules, Presented};
use crate::auth::jwks::{KeySet, MAX_KEYS, SigningAlgorithm};
use crate::auth::token::{MAX_TOKEN_BYTES, Tokens};
use crate::ids::{HubName, UserId};

const KEY: &str = "a-key-that-is-known-to-everybody-who-reads-this";
/// The moment at which it all happens.
const NOW: u64 = 1_800_000_000;
const LEEWAY: u64 = 300;
const PATH: &str = "/auth/token";
const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "folkmoot";

/// The same bytes as a header, as `login:password`, as a set of keys, as a token, and as the two parts of a token that we
/// then sign: a header and claims, with a line break between them.
pub fn credentials(bytes: &[u8]) {
    if let Ok(header) = HeaderValue::from_bytes(bytes) {
        any_header(&header);
    }
    login_and_password(bytes);
    if let Ok(set) = KeySet::parse(bytes) {
        assert!(set.len() + set.skipped().len() <= MAX_KEYS);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        made_up_token(text);
    }
    if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        signed_token(&bytes[..end], &bytes[end + 1..]);
    }
}

fn any_header(header: &HeaderValue) {
    if let Ok(read) = BasicCredentials::parse(header) {
        assert!(!read.login.contains(':') && UserId::parse(&read.login).is_ok());
        let again = encoded(format!("{}:{}", read.login, *read.password).as_bytes());
        assert_eq!(BasicCredentials::parse(&again), Ok(read));
    }
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, header.clone());
    let query = header.to_str().ok();
    if let Ok(Credential::Token(token)) = Credential::of_request(&headers, query) {
        made_up_token(&token);
    }
    match Credential::of_request(&headers, None) {
        Ok(Credential::Basic(read)) => assert_eq!(BasicCredentials::parse(header), Ok(read)),
        Ok(Credential::Anonymous) => panic!("a header is there, and was taken for none"),
        Ok(Credential::Token(_)) | Err(_) => {}
    }
}

fn encoded(credentials: &[u8]) -> HeaderValue {
    HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(credentials)))
        .expect("base64 is fine in a header")
}

fn login_and_password(bytes: &[u8]) {
    let header = encoded(bytes);
    let text = std::str::from_utf8(bytes).ok().filter(|_| header.len() <= MAX_BASIC_HEADER_BYTES);
    let expected = text.and_then(|text| text.split_once(':')).filter(|(login, _)| UserId::parse(login).is_ok());
    let read = BasicCredentials::parse(&header).ok();
    assert_eq!(read.as_ref().map(|read| (read.login.as_str(), read.password.as_str())), expected);
}

/// Whether a token lets anybody in, as a client or with a request.
fn is_good(token: &str) -> bool {
    let tokens = Tokens::new(&AccessKeys::new(&[KEY]).expect("a valid key"), Duration::from_secs(LEEWAY));
    let host = HostPort::parse("localhost:8080").expect("a valid host");
    let names = OwnNames { host: Some(&host), public_urls: &[] };
    let hub = HubName::parse("chat").expect("a valid name");
    let now: SystemTime = UNIX_EPOCH + Duration::from_secs(NOW);
    let client = tokens.verify_client(token, &hub, true, names, now);
    let request = tokens.verify_request(token, PATH, names, now);
    assert!(client.is_err() || request.is_err(), "a client token is good for nothing else");
    for refused in [client.as_ref().err(), request.as_ref().err()].into_iter().flatten() {
        assert!(refused.to_string().len() <= MAX_TOKEN_BYTES, "a refusal is short: {refused}");
    }
    client.is_ok() || request.is_ok()
}

fn hmac_key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes())
}

/// An issuer that everybody could be who reads this.
fn issuer() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a valid seed")
}

/// Whether a token lets anybody in as one of an issuer.
fn is_good_elsewhere(token: &str) -> bool {
    let Ok(Some(presented)) = Presented::read(token) else { return false };
    assert!(!is_good(token), "a token is ours or another issuer's");
    let x = BASE64_URL_SAFE_NO_PAD.encode(issuer().public_key());
    let set = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{x}"}}]}}"#);
    let keys = KeySet::parse(set.as_bytes()).expect("a valid set");
    let rules = IssuerRules {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: vec![SigningAlgorithm::RS256, SigningAlgorithm::ES256, SigningAlgorithm::EdDsa],
        user_claim: "sub".to_owned(),
        user_prefix: String::new(),
        roles: Vec::new(),
        role_claim: Some("a.roles".to_owned()),
        role_map: [("x".to_owned(), Vec::new())].into(),
        role_prefix: Some(String::new()),
        group_claim: Some("groups".to_owned()),
        data: [("username".to_owned(), "name".to_owned())].into(),
        leeway: Duration::from_secs(LEEWAY),
    };
    let verified = rules.verify(&presented, &keys, true, UNIX_EPOCH + Duration::from_secs(NOW));
    if let Ok(verified) = &verified {
        assert!(!verified.roles.iter().any(|role| role.is_for_operators()), "an issuer makes no operator");
    }
    verified.is_ok()
}

fn made_up_token(token: &str) {
    if is_good_elsewhere(token) {
        let (signed, signature) = token.rsplit_once('.').expect("a token has three parts");
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("a signature is base64");
        let key = UnparsedPublicKey::new(&ED25519, issuer().public_key().as_ref().to_vec());
        assert!(key.verify(signed.as_bytes(), &signature).is_ok(), "not signed: {token}");
    }
    if is_good(token) {
        let (signed, signature) = token.rsplit_once('.').expect("a token has three parts");
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("a signature is base64");
        assert!(hmac::verify(&hmac_key(), signed.as_bytes(), &signature).is_ok(), "not signed: {token}");
    }
}

fn signed_token(header: &[u8], claims: &[u8]) {
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = hmac::sign(&hmac_key(), signed.as_bytes());
    let token = format!("{signed}.{}", encode(signature.as_ref()));
    let object = |part: &[u8]| serde_json::from_slice::<Map<String, Value>>(part).ok();
    if is_good(&token) {
        let (header, claims) = (object(header).expect("an object"), object(claims).expect("an object"));
        assert_eq!(header.get("alg").and_then(Value::as_str), Some("HS256"));
        assert!(header.get("crit").is_none_or(Value::is_null), "an extension that we do not know");
        let ends = claims.get("exp").and_then(Value::as_f64).expect("a time");
        assert!(ends + LEEWAY as f64 > NOW as f64, "it ended at {ends}");
        assert!(claims.get("aud").is_some_and(|aud| aud.to_string().to_lowercase().contains("localhost")));
        assert!(token.len() <= MAX_TOKEN_BYTES);
    }
    let mut forged = signature.as_ref().to_vec();
    forged[0] ^= 1;
    for signature in [String::new(), encode(&forged), encode(&signature.as_ref()[..31]), "AA".to_owned()] {
        assert!(!is_good(&format!("{signed}.{signature}")), "good without its signature");
    }
    assert!(!is_good(&signed), "good without any signature");

    let foreign = |signature: &[u8]| is_good_elsewhere(&format!("{signed}.{}", encode(signature)));
    let of_issuer = issuer().sign(signed.as_bytes());
    if foreign(of_issuer.as_ref()) {
        let (header, claims) = (object(header).expect("an object"), object(claims).expect("an object"));
        assert_eq!(header.get("alg").and_then(Value::as_str), Some("EdDSA"));
        assert_eq!(claims.get("iss").and_then(Value::as_str), Some(ISSUER));
        assert!(claims.get("aud").is_some_and(|aud| aud.to_string().contains(AUDIENCE)));
        let ends = claims.get("exp").and_then(Value::as_f64).expect("a time");
        assert!(ends + LEEWAY as f64 > NOW as f64, "it ended at {ends}");
    }
    assert!(!foreign(signature.as_ref()), "our key signs for nobody else");
    let mut forged = of_issuer.as_ref().to_vec();
    forged[0] ^= 1;
    assert!(!foreign(&forged) && !foreign(&[]), "good without its signature");
}
