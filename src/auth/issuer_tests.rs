//! Tests of `issuer.rs`, with an issuer whose key pair is made on the spot.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::auth::jwks::NoKey;

const ISSUER: &str = "https://login.example";
/// The moment at which all tests happen.
const NOW: u64 = 1_800_000_000;

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("not an object: {value}") };
    map
}

/// An issuer that signs with Ed25519.
struct TestIssuer(Ed25519KeyPair);

impl TestIssuer {
    fn new() -> Self {
        TestIssuer(Ed25519KeyPair::generate().unwrap())
    }

    fn keys(&self) -> KeySet {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.0.public_key());
        let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x}]});
        KeySet::parse(set.to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(self.0.sign(message.as_bytes())))
    }

    /// A token with these claims over valid ones.
    fn token(&self, claims: Value) -> String {
        let mut all = object(json!({"iss": ISSUER, "aud": "folkmoot", "exp": NOW + 60, "sub": "mark"}));
        all.extend(object(claims));
        self.sign(&json!({"alg": "EdDSA", "kid": "one"}), &all.into())
    }

    fn verify(&self, token: &str, rules: &IssuerRules) -> Result<ForeignToken, TokenError> {
        let presented = Presented::read(token)?.expect("not a token of another issuer");
        rules.verify(&presented, &self.keys(), true, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
    }
}

fn rules() -> IssuerRules {
    IssuerRules {
        issuer: ISSUER.to_owned(),
        audiences: vec!["folkmoot".to_owned(), "chat".to_owned()],
        algorithms: vec![SigningAlgorithm::EdDsa],
        user_claim: "sub".to_owned(),
        user_prefix: String::new(),
        roles: Vec::new(),
        role_claim: None,
        role_map: BTreeMap::new(),
        role_prefix: None,
        group_claim: None,
        data: BTreeMap::new(),
        leeway: Duration::from_secs(30),
    }
}

#[test]
fn a_token_means_what_the_rules_of_its_issuer_say_and_nothing_else() {
    let issuer = TestIssuer::new();
    let rules = IssuerRules {
        user_prefix: "staff/".to_owned(),
        roles: vec![Role::ListGroups],
        role_claim: Some("realm_access.roles".to_owned()),
        role_map: BTreeMap::from([("writer".to_owned(), vec![Role::SendToGroup(None)])]),
        role_prefix: Some("fm:".to_owned()),
        group_claim: Some("https://login.example/groups".to_owned()),
        data: BTreeMap::from([
            ("username".to_owned(), "name".to_owned()),
            ("email".to_owned(), "email".to_owned()),
            ("phone".to_owned(), "not_there".to_owned()),
        ]),
        ..rules()
    };
    let token = issuer.token(json!({
        "realm_access": {"roles": ["writer", "fm:webpubsub.joinLeaveGroup", "fm:boss", "webpubsub.joinLeaveGroup.x"]},
        "https://login.example/groups": ["Sales", ""], "name": "Mark", "email": "mark@example.com", "secret": 7,
        "role": "webpubsub.sendToGroup.other", "webpubsub.group": "other", "folkmoot.user": true, "username": "root",
    }));
    let token = issuer.verify(&token, &rules).unwrap();
    assert_eq!(token.user_id, UserId::parse("staff/mark").unwrap());
    assert_eq!(token.roles, [Role::ListGroups, Role::SendToGroup(None), Role::JoinLeaveGroup(None)]);
    assert_eq!(token.groups, [GroupName::parse("Sales", true).unwrap()]);
    assert_eq!((token.user.username.as_deref(), token.user.login.as_deref()), (Some("Mark"), Some("staff/mark")));
    assert_eq!(token.user.data, object(json!({"email": "mark@example.com"})));
    assert_eq!(token.expires_at, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + 60));
}

#[test]
fn no_issuer_makes_an_operator() {
    let issuer = TestIssuer::new();
    let all = vec![Role::Admin, Role::AdminRead, Role::SendToGroup(None)];
    let rules = IssuerRules {
        roles: all.clone(),
        role_claim: Some("roles".to_owned()),
        role_map: BTreeMap::from([("boss".to_owned(), all)]),
        role_prefix: Some(String::new()),
        ..rules()
    };
    let token = issuer.token(json!({"roles": ["boss", "folkmoot.admin", "folkmoot.admin.read"]}));
    assert_eq!(issuer.verify(&token, &rules).unwrap().roles, vec![Role::SendToGroup(None); 2]);
}

#[test]
fn a_token_from_elsewhere_for_others_or_of_another_time_is_refused() {
    let issuer = TestIssuer::new();
    for (claims, result) in [
        (json!({}), Ok(())),
        (json!({"aud": ["other", "chat"]}), Ok(())),
        (json!({"exp": NOW - 29}), Ok(())),
        (json!({"nbf": NOW + 30}), Ok(())),
        (json!({"iss": "https://login.example/"}), Err(TokenError::Issuer)),
        (json!({"aud": "other"}), Err(TokenError::ForeignAudience)),
        (json!({"aud": "Folkmoot"}), Err(TokenError::ForeignAudience)),
        (json!({"aud": null}), Err(TokenError::ForeignAudience)),
        (json!({"aud": []}), Err(TokenError::ForeignAudience)),
        (json!({"exp": NOW - 30}), Err(TokenError::Expired)),
        (json!({"exp": null}), Err(TokenError::NoExpiry)),
        (json!({"nbf": NOW + 31}), Err(TokenError::NotYetValid)),
    ] {
        assert_eq!(issuer.verify(&issuer.token(claims.clone()), &rules()).map(drop), result, "{claims}");
    }
}

#[test]
fn only_the_key_that_is_named_and_an_algorithm_of_the_issuer_verify() {
    let issuer = TestIssuer::new();
    let claims = json!({"iss": ISSUER, "aud": "folkmoot", "exp": NOW + 60, "sub": "mark"});
    let verify = |header: Value| issuer.verify(&issuer.sign(&header, &claims), &rules()).map(drop);
    assert_eq!(verify(json!({"alg": "EdDSA"})), Ok(()));
    assert_eq!(verify(json!({"alg": "EdDSA", "kid": "two"})), Err(TokenError::Key(NoKey::Unknown)));
    assert_eq!(verify(json!({"alg": "ES256", "kid": "one"})), Err(TokenError::Algorithm));
    assert_eq!(verify(json!({"alg": "EdDSA", "kid": "one", "crit": ["x"]})), Err(TokenError::Malformed));
    let all = IssuerRules { algorithms: vec![SigningAlgorithm::ES256, SigningAlgorithm::EdDsa], ..rules() };
    let confused = issuer.sign(&json!({"alg": "ES256", "kid": "one"}), &claims);
    assert_eq!(issuer.verify(&confused, &all), Err(TokenError::Key(NoKey::Algorithm)));

    let other = TestIssuer::new();
    assert_eq!(issuer.verify(&other.token(json!({})), &rules()), Err(TokenError::ForeignSignature));
    let token = issuer.token(json!({}));
    let parts: Vec<_> = token.split('.').collect();
    let payload = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string().replace("mark", "root"));
    for changed in [format!("{}.{payload}.{}", parts[0], parts[2]), format!("{}.{}.", parts[0], parts[1])] {
        assert_eq!(issuer.verify(&changed, &rules()), Err(TokenError::ForeignSignature));
    }
}

#[test]
fn what_is_signed_by_a_secret_or_not_at_all_is_left_to_our_own_keys() {
    let issuer = TestIssuer::new();
    let claims = json!({"iss": ISSUER});
    for algorithm in ["HS256", "HS384", "HS512", "none", "ES512", "eddsa"] {
        let token = issuer.sign(&json!({"alg": algorithm}), &claims);
        assert!(matches!(Presented::read(&token), Ok(None)), "{algorithm}");
    }
    for token in ["", "..", "a.b.c", "a"] {
        assert!(matches!(Presented::read(token), Ok(None)), "{token}");
    }
    for claims in [json!({}), json!({"iss": 7}), json!("text")] {
        let token = issuer.sign(&json!({"alg": "EdDSA"}), &claims);
        assert!(matches!(Presented::read(&token), Err(TokenError::Issuer)), "{claims}");
    }
    assert!(matches!(Presented::read(&"x".repeat(MAX_TOKEN_BYTES + 1)), Err(TokenError::TooLong)));
}

#[test]
fn claims_that_cannot_be_used_are_bad_requests_that_name_them() {
    let issuer = TestIssuer::new();
    let rules = IssuerRules {
        role_claim: Some("roles".to_owned()),
        role_prefix: Some(String::new()),
        group_claim: Some("groups".to_owned()),
        ..rules()
    };
    for (claim, value) in [
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", json!(-1)),
        ("roles", json!(7)),
        ("groups", json!("sales/*")),
        ("groups", json!([[]])),
    ] {
        let error = issuer.verify(&issuer.token(json!({claim: value})), &rules).unwrap_err();
        assert!(matches!(&error, TokenError::Claim { claim: named, .. } if *named == claim), "{claim}: {error}");
        assert_eq!(error.status().as_u16(), 400);
    }
    let numbered = issuer.verify(&issuer.token(json!({"sub": 7, "roles": "x", "groups": null})), &rules).unwrap();
    assert_eq!((numbered.user_id.as_str(), numbered.roles.len(), numbered.groups.len()), ("7", 0, 0));
}

#[test]
fn a_claim_is_found_by_its_name_before_its_path() {
    let claims = object(json!({"a.b": 1, "a": {"b": 2, "c": {"d": 3, "e": null}}}));
    for (name, value) in
        [("a.b", Some(1)), ("a.c.d", Some(3)), ("a.c.e", None), ("a.x.y", None), ("b", None), (".", None)]
    {
        assert_eq!(claim(&claims, name).and_then(Value::as_u64), value, "{name}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_looking_at_a_token_panic(token in "\\PC{0,60}|[A-Za-z0-9_.=-]{0,200}") {
        prop_assert!(!matches!(Presented::read(&token), Ok(Some(_))));
    }

    #[test]
    fn no_signed_payload_makes_the_verification_panic(payload in "\\PC{0,60}|\\{(\"(iss|sub|aud|exp)\":[\\[\\]{}\":,0-9a-z]{0,20},?){0,4}\\}") {
        let issuer = TestIssuer::new();
        let message = format!(
            "{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA"}"#),
            BASE64_URL_SAFE_NO_PAD.encode(&payload)
        );
        let token = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(issuer.0.sign(message.as_bytes())));
        let refused = Presented::read(&token).map(|presented| presented.is_some());
        prop_assert!(refused.is_err() || issuer.verify(&token, &rules()).is_err());
    }
}
