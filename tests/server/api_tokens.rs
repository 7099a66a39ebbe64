//! Tokens for the HTTP API, and those that renew others.

use folkmoot::UserId;
use folkmoot::users::PasswordHash;
use serde_json::Value;

use crate::support::{Answer, PASSWORD, Setup, TestServer, basic, on_both_transports};

on_both_transports! {
    an_admin_gets_a_token_for_the_api_and_others_do_not,
    a_refresh_token_gets_fresh_tokens_without_a_password,
    a_refresh_token_ends_with_its_user_or_their_password,
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn with_operators(setup: Setup) -> Setup {
    setup
        .user_with_roles("root", &["folkmoot.admin"])
        .user_with_roles("reader", &["folkmoot.admin.read"])
        .user_with_roles("local", &["chat:folkmoot.admin", "webpubsub.sendToGroup", "folkmoot.listGroups"])
}

async fn log_in(server: &TestServer, login: &str, query: &str) -> Answer {
    server.http("POST", &format!("/auth/token?{query}"), &[("Authorization", &basic(login, PASSWORD))], "").await
}

async fn renew(server: &TestServer, token: &Value, query: &str) -> Answer {
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    server.http("POST", &format!("/auth/token?{query}"), &[("Authorization", &bearer)], "").await
}

async fn an_admin_gets_a_token_for_the_api_and_others_do_not(setup: Setup) {
    let server = with_operators(setup).start().await;
    for login in ["root", "reader"] {
        let by_query = log_in(&server, login, "audience=api").await;
        let form = format!("login={login}&password={PASSWORD}&audience=api");
        let by_form = server.http("POST", "/auth/token", &[FORM], &form).await;
        for answer in [by_query, by_form] {
            assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", answer.body);
            let answer = answer.json();
            assert_eq!(answer["url"], format!("http://{}/api", server.address));
            assert!(answer["token"].is_string() && answer["expiresAt"].is_u64() && answer["refreshToken"].is_null());
            // No hub is entered with it.
            server.handshake().token(answer["token"].as_str().unwrap()).refused(401).await;
        }
        let reserved = log_in(&server, login, "hub=folkmoot.admin").await;
        assert_eq!(reserved.status, 200, "{}", reserved.body);
    }
    for query in ["audience=api", "hub=folkmoot.admin"] {
        assert_eq!(log_in(&server, "local", query).await.status, 403, "{query}");
    }
    for query in ["audience=hub", "audience=api&hub=chat", "refresh=yes", "audience="] {
        assert_eq!(log_in(&server, "root", query).await.status, 400, "{query}");
    }
}

async fn a_refresh_token_gets_fresh_tokens_without_a_password(setup: Setup) {
    let server = with_operators(setup).hub("other", |_| {}).start().await;
    let answer = log_in(&server, "root", "refresh=true").await.json();
    let refresh = &answer["refreshToken"];
    let (until, token_until) = (answer["refreshExpiresAt"].as_u64().unwrap(), answer["expiresAt"].as_u64().unwrap());
    assert!(until > token_until + 11 * 3600);
    let fresh = renew(&server, refresh, "").await;
    assert_eq!((fresh.status, fresh.header("cache-control")), (200, Some("no-store")), "{}", fresh.body);
    server.handshake().token(fresh.json()["token"].as_str().unwrap()).connect().await.unwrap();
    assert_eq!(renew(&server, refresh, "audience=api").await.json()["url"], format!("http://{}/api", server.address));
    // It is not prolonged, and the rules of a login hold.
    let again = renew(&server, refresh, "refresh=true").await.json();
    assert!(again["refreshToken"].is_null() && again["token"].is_string(), "{again}");
    assert_eq!(renew(&server, refresh, "hub=other").await.status, 403);
    // It opens nothing, and no other token does what it does.
    server.handshake().token(refresh.as_str().unwrap()).refused(401).await;
    assert_eq!(renew(&server, &again["token"], "").await.status, 401);
    let api = renew(&server, refresh, "audience=api").await.json();
    assert_eq!(renew(&server, &api["token"], "audience=api").await.status, 401);
    // Only the header may carry it.
    let path = format!("/auth/token?access_token={}", refresh.as_str().unwrap());
    assert_eq!(server.http("POST", &path, &[], "").await.status, 401);
}

async fn a_refresh_token_ends_with_its_user_or_their_password(setup: Setup) {
    let server = with_operators(setup).start().await;
    let session = async |login: &str| log_in(&server, login, "refresh=true").await.json()["refreshToken"].clone();
    let (root, reader) = (session("root").await, session("reader").await);
    let (admin, changed) = (UserId::parse("root").unwrap(), UserId::parse("reader").unwrap());
    server.store.set_disabled(&admin, true).await.unwrap();
    assert_eq!(renew(&server, &root, "").await.status, 401);
    server.store.set_disabled(&admin, false).await.unwrap();
    assert_eq!(renew(&server, &root, "").await.status, 200);
    let other = PasswordHash::parse("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQxMjM0$c29tZWhhc2hvZnNpeHRlZW4").unwrap();
    server.store.set_password(&changed, &other).await.unwrap();
    assert_eq!(renew(&server, &reader, "").await.status, 401);
}

#[tokio::test]
async fn a_refresh_token_ends_at_the_time_that_its_login_said() {
    let setup = with_operators(Setup::new()).config(|config| {
        config.auth.session_ttl = std::time::Duration::from_secs(1);
        config.auth.clock_skew = std::time::Duration::ZERO;
    });
    let server = setup.start().await;
    let refresh = log_in(&server, "root", "refresh=true").await.json()["refreshToken"].clone();
    let ended = tokio::time::timeout(crate::support::DEADLINE, async {
        while renew(&server, &refresh, "").await.status != 401 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    ended.await.expect("the session does not end");
}
