//! Tests of `token.rs`, beside it because together they would be two files' worth.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::auth::host::HostPort;

const OLD: &str = "old-old-old-old-old-old-old-old-old-old";
const NEW: &str = "new-new-new-new-new-new-new-new-new-new";
const AUD: &str = "http://localhost:8080/client/hubs/chat";
/// The moment at which all tests happen.
const NOW: u64 = 1_800_000_000;

fn tokens(keys: &[&str]) -> Tokens {
    Tokens::new(&AccessKeys::new(keys).unwrap(), Duration::from_secs(300))
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("not an object: {value}") };
    map
}

/// A client token with these claims over a valid `aud` and `exp`.
fn signed(claims: Value) -> String {
    let mut all = object(json!({"aud": AUD, "exp": NOW + 60}));
    all.extend(object(claims));
    tokens(&[NEW]).sign(&all).unwrap()
}

fn verify_with(tokens: &Tokens, token: &str) -> Result<ClientToken, TokenError> {
    let host = HostPort::parse("localhost:8080").unwrap();
    let names = OwnNames { host: Some(&host), public_urls: &[] };
    tokens.verify_client(token, &HubName::parse("chat").unwrap(), true, names, time(NOW).unwrap())
}

fn verify(token: &str) -> Result<ClientToken, TokenError> {
    verify_with(&tokens(&[NEW, OLD]), token)
}

fn verify_request(token: &str, path: &str) -> Result<RequestToken, TokenError> {
    let host = HostPort::parse("localhost:8080").unwrap();
    let names = OwnNames { host: Some(&host), public_urls: &[] };
    tokens(&[NEW]).verify_request(token, path, names, time(NOW).unwrap())
}

/// Header and payload as given, with an HS256 signature over them.
fn forged(header: Value, claims: Value, key: &str) -> String {
    let encode = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    install_crypto();
    let key = EncodingKey::from_secret(key.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn a_token_says_who_may_do_what_and_where() {
    let token = verify(&signed(json!({
        "sub": "mark", "role": ["webpubsub.sendToGroup", "webpubsub.fly"], "iat": NOW, "nbf": NOW,
        "webpubsub.group": ["Sales", ""], "username": "Mark", "desk": 7,
    })))
    .unwrap();
    assert_eq!(token.sub, Some(UserId::parse("mark").unwrap()));
    assert!(!token.store_user);
    assert_eq!((token.roles, token.unknown_roles), (vec![Role::SendToGroup(None)], 1));
    assert_eq!(token.groups, [GroupName::parse("Sales", true).unwrap()]);
    assert_eq!(token.claims, object(json!({"username": "Mark", "desk": 7})));
    assert_eq!(token.expires_at, time(NOW + 60).unwrap());
}

#[test]
fn a_single_text_is_as_good_as_a_list_of_one() {
    let token = verify(&signed(json!({"role": "webpubsub.joinLeaveGroup.a", "webpubsub.group": "a", "aud": [AUD]})));
    let token = token.unwrap();
    assert_eq!(token.roles, ["webpubsub.joinLeaveGroup.a".parse().unwrap()]);
    assert_eq!(token.groups, [GroupName::parse("a", true).unwrap()]);
}

#[test]
fn every_access_key_verifies_and_the_first_signs() {
    let old = tokens(&[OLD]).sign(&object(json!({"aud": AUD, "exp": NOW + 60}))).unwrap();
    assert!(verify(&old).is_ok());
    assert_eq!(verify_with(&tokens(&[NEW]), &old), Err(TokenError::Signature));
    let both = tokens(&[NEW, OLD]).sign(&object(json!({"aud": AUD, "exp": NOW + 60}))).unwrap();
    assert!(verify_with(&tokens(&[NEW]), &both).is_ok());
}

#[test]
fn the_keys_are_never_shown() {
    let shown = format!("{:?}", tokens(&[NEW, OLD]));
    let bytes = format!("{:?}", NEW.as_bytes());
    assert!(!shown.contains("new-new") && !shown.contains("old-old") && !shown.contains(bytes.as_str()), "{shown}");
}

#[test]
fn only_hs256_is_a_signature() {
    let claims = json!({"aud": AUD, "exp": NOW + 60});
    assert!(verify(&forged(json!({"alg": "HS256", "kid": "any"}), claims.clone(), NEW)).is_ok());
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "HS512"}),
        json!({"alg": "RS256"}),
        json!({}),
        json!({"alg": "HS256", "crit": ["exp"]}),
    ] {
        let error = verify(&forged(header.clone(), claims.clone(), NEW)).unwrap_err();
        assert_eq!((&error, error.status()), (&TokenError::Malformed, StatusCode::UNAUTHORIZED), "{header}");
    }
    let unsigned = forged(json!({"alg": "none"}), claims, NEW);
    let (message, _) = unsigned.rsplit_once('.').unwrap();
    assert_eq!(verify(&format!("{message}.")), Err(TokenError::Malformed));
}

#[test]
fn a_payload_that_was_changed_is_refused() {
    let token = signed(json!({"sub": "mark"}));
    let parts: Vec<&str> = token.split('.').collect();
    let payload = BASE64_URL_SAFE_NO_PAD.encode(json!({"aud": AUD, "exp": NOW + 60, "sub": "root"}).to_string());
    assert_eq!(verify(&format!("{}.{payload}.{}", parts[0], parts[2])), Err(TokenError::Signature));
    assert_eq!(verify(&format!("{}.{}.", parts[0], parts[1])), Err(TokenError::Signature));
}

#[test]
fn a_token_holds_from_nbf_to_exp_give_or_take_the_leeway() {
    for (claims, result) in [
        (json!({"exp": NOW - 299}), Ok(())),
        (json!({"exp": NOW - 300}), Err(TokenError::Expired)),
        (json!({"exp": 0}), Err(TokenError::Expired)),
        (json!({"exp": NOW as f64 + 0.5}), Ok(())),
        (json!({"exp": null}), Err(TokenError::NoExpiry)),
        (json!({"exp": "tomorrow"}), Err(TokenError::NoExpiry)),
        (json!({"exp": -1}), Err(TokenError::NoExpiry)),
        (json!({"exp": u64::MAX}), Err(TokenError::NoExpiry)),
        (json!({"nbf": NOW + 300}), Ok(())),
        (json!({"nbf": NOW + 301}), Err(TokenError::NotYetValid)),
    ] {
        assert_eq!(verify(&signed(claims.clone())).map(drop), result, "{claims}");
    }
    let endless = tokens(&[NEW]).sign(&object(json!({"aud": AUD}))).unwrap();
    assert_eq!(verify(&endless), Err(TokenError::NoExpiry));
}

#[test]
fn a_token_for_another_place_is_refused() {
    for aud in [
        json!("http://localhost:8080/client/hubs/other"),
        json!("http://other:8080/client/hubs/chat"),
        json!(["http://other/client/hubs/chat", "x"]),
        json!([]),
        json!(7),
        json!(null),
    ] {
        assert_eq!(verify(&signed(json!({"aud": aud}))), Err(TokenError::Audience), "{aud}");
    }
}

#[test]
fn claims_that_cannot_be_used_are_bad_requests() {
    for (claim, value) in [
        ("sub", json!("")),
        ("sub", json!(7)),
        ("webpubsub.group", json!(["Sales", "sales/*"])),
        ("webpubsub.group", json!(" ")),
        ("webpubsub.group", json!({"a": 1})),
        ("role", json!(7)),
        ("role", json!([null])),
        ("nbf", json!("x")),
        (STORE_USER_CLAIM, json!(true)),
        (STORE_USER_CLAIM, json!("true")),
    ] {
        let error = verify(&signed(json!({claim: value}))).unwrap_err();
        assert!(
            matches!(&error, TokenError::Claim { claim: named, .. } if *named == claim),
            "{claim} {value}: {error}"
        );
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    }
}

#[test]
fn an_oversized_token_is_not_even_parsed() {
    assert_eq!(verify(&"x".repeat(MAX_TOKEN_BYTES + 1)), Err(TokenError::TooLong));
    let claims = object(json!({"data": "x".repeat(MAX_TOKEN_BYTES)}));
    assert_eq!(tokens(&[NEW]).sign(&claims), Err(TokenError::TooLong));
}

#[test]
fn an_issued_token_names_the_store_user_until_it_ends() {
    let base = BaseUrl::parse("http://localhost:8080").unwrap();
    let (login, hub) = (UserId::parse("user-1").unwrap(), HubName::parse("chat").unwrap());
    let issue = |at| tokens(&[NEW]).issue_store_token(&login, &hub, &base, Duration::from_secs(60), time(at).unwrap());
    let issued = issue(NOW).unwrap();
    let token = verify(&issued.token).unwrap();
    assert_eq!((token.sub.as_ref(), token.store_user, token.expires_at), (Some(&login), true, issued.expires_at));
    assert_eq!(token.claims, Map::new());
    assert_eq!(verify(&issue(NOW - 400).unwrap().token), Err(TokenError::Expired));
    assert!(!format!("{issued:?}").contains(&issued.token));
}

#[test]
fn a_request_token_opens_its_own_url_and_a_client_token_opens_none() {
    let api = signed(json!({"aud": "http://localhost:8080/api/hubs/chat/:send?api-version=2024-12-01"}));
    assert!(verify_request(&api, "/api/hubs/chat/:send").is_ok());
    assert_eq!(verify_request(&api, "/metrics"), Err(TokenError::Audience));
    assert_eq!(verify(&api), Err(TokenError::Audience));
    assert_eq!(verify_request(&signed(json!({})), "/client/hubs/chat"), Err(TokenError::Audience));
    let both = signed(json!({"aud": [AUD, "http://localhost:8080/metrics"]}));
    assert_eq!(verify_request(&both, "/metrics"), Err(TokenError::Audience));
}

#[test]
fn user_data_comes_from_claims_of_the_right_type() {
    let claims = object(json!({
        "username": "Mark", "department": ["Sales"], "phone": "+55431588744134", "age": 22, "desk": 7,
    }));
    let user = user_from_claims(&claims, Some(&UserId::parse("mark").unwrap()));
    assert_eq!(user.login.as_deref(), Some("mark"));
    assert_eq!((user.username.as_deref(), user.department, user.age), (Some("Mark"), None, Some(22)));
    assert_eq!(user.phone.as_deref(), Some("+55431588744134"));
    assert_eq!(user.data, object(json!({"department": ["Sales"], "desk": 7})));
    for age in [json!(-1), json!(1.5), json!(u64::MAX), json!("22")] {
        let user = user_from_claims(&object(json!({"age": age})), None);
        assert_eq!((user.age, user.data.get("age")), (None, Some(&age)));
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_verification_panic(token in "\\PC{0,60}|[A-Za-z0-9_.=-]{0,200}") {
        prop_assert!(verify(&token).is_err());
    }

    #[test]
    fn no_signed_payload_makes_the_verification_panic(payload in "\\PC{0,60}|[\\[\\]{}\":,0-9a-z]{0,60}") {
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
        let message = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(&payload));
        install_crypto();
        let key = EncodingKey::from_secret(NEW.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        let token = format!("{message}.{signature}");
        prop_assert!(verify(&token).is_err());
    }
}

#[test]
fn a_token_of_a_store_user_opens_the_api_as_a_whole_and_nobody_elses_does() {
    let host = HostPort::parse("localhost:8080").unwrap();
    let (base, login) = (BaseUrl::of_host(false, host), UserId::parse("mark").unwrap());
    let issued = tokens(&[NEW]).issue_api_token(&login, &base, Duration::from_secs(60), time(NOW).unwrap()).unwrap();
    let request = verify_request(&issued.token, "/api/hubs/chat/groups").unwrap();
    assert_eq!((request.sub, request.store_user), (Some(login), true));
    assert_eq!(verify(&issued.token), Err(TokenError::Audience));
    let of_nobody = signed(json!({"aud": "http://localhost:8080/api", "sub": "mark"}));
    assert_eq!(verify_request(&of_nobody, "/api/hubs"), Err(TokenError::Audience));
}

#[test]
fn a_refresh_token_is_good_for_nothing_but_a_fresh_one() {
    let host = HostPort::parse("localhost:8080").unwrap();
    let names = OwnNames { host: Some(&host), public_urls: &[] };
    let (base, tokens, now) = (BaseUrl::of_host(false, host.clone()), tokens(&[NEW]), time(NOW).unwrap());
    let refresh = RefreshToken { login: UserId::parse("mark").unwrap(), password: fingerprint("hash") };
    let issued = tokens.issue_refresh_token(refresh.clone(), &base, Duration::from_secs(60), now).unwrap().token;
    assert_eq!(tokens.verify_refresh(&issued, names, now), Ok(refresh.clone()));
    let later = now + Duration::from_secs(60 + 300);
    assert_eq!(tokens.verify_refresh(&issued, names, later), Err(TokenError::Expired));
    assert_eq!(verify(&issued), Err(TokenError::Audience));
    assert_eq!(verify_request(&issued, "/api/hubs"), Err(TokenError::Audience));
    for other in [
        tokens.issue_api_token(&refresh.login, &base, Duration::from_secs(60), now).unwrap().token,
        signed(json!({"sub": "mark", "folkmoot.user": true})),
        signed(json!({"aud": "http://localhost:8080/auth/token", "sub": "mark", "folkmoot.password": "x"})),
        signed(json!({"aud": "http://localhost:8080/auth/token", "sub": "mark", "folkmoot.user": true})),
        signed(
            json!({"aud": ["http://localhost:8080/auth/token", AUD], "sub": "mark", "folkmoot.user": true, "folkmoot.password": "x"}),
        ),
    ] {
        assert_eq!(tokens.verify_refresh(&other, names, now), Err(TokenError::Audience));
    }
}
