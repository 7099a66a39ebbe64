//! Who may go on with a reliable connection, and who is told by 101 and 1008 that they may not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::support::reliable::{RELIABLE, Reliable};
use super::support::{Client, Setup, on_both_transports};

on_both_transports! {
    only_the_token_of_the_connection_itself_goes_on_with_it,
    a_token_that_has_expired_or_was_signed_elsewhere_is_refused,
    an_unknown_connection_a_plain_one_and_one_that_has_ended_are_refused,
    a_connection_of_another_hub_is_refused,
    wrong_tokens_of_many_clients_lock_nobody_out,
    to_a_plain_client_the_parameters_mean_nothing,
    a_foreign_origin_is_refused_where_origins_are_set,
}

async fn only_the_token_of_the_connection_itself_goes_on_with_it(setup: Setup) {
    let server = setup.start().await;
    let mark = Reliable::connect(&server, 1).await;
    let other = Reliable::connect(&server, 2).await;
    let access = server.token().claim("sub", "user-1").to_string();
    let for_connection = server.token_with_audience(&mark.id).to_string();
    for token in ["", "nonsense", &other.token, &access, &for_connection, &format!("{}x", mark.token)] {
        let reason = mark.handshake(&server).with_token(token).expect_refusal().await;
        assert!(reason.contains("reconnection token"), "{reason}");
    }
    assert_eq!(server.metric("folkmoot_recoveries_refused_total").await, 6.0);
    assert_eq!(server.metric("folkmoot_auth_failures_total").await, 6.0);
    // In turn it opens nothing else.
    server.handshake().token(&mark.token).refused(401).await;
    assert_eq!(server.api_as(&mark.token, "GET", "/api/hubs", &[], "").await.status, 401);
    // The connection has not noticed, and its own token is still good.
    let mut back = mark.recover(&server).await;
    back.client.expect_silence().await;
}

async fn a_token_that_has_expired_or_was_signed_elsewhere_is_refused(setup: Setup) {
    let server = setup.start().await;
    let mark = Reliable::connect(&server, 1).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let genuine = || server.token_with_audience(&mark.id).claim("folkmoot.recovers", "chat");
    let expired = genuine().claim("exp", now - 3600).to_string();
    let foreign = genuine().signed_with("another key, which is as long as the one before").to_string();
    for token in [expired, foreign] {
        mark.handshake(&server).with_token(&token).expect_refusal().await;
    }
    // The same with nothing wrong about it, so that it is known what was refused.
    let mut back = mark.handshake(&server).with_token(&genuine().to_string()).connect_again().await;
    back.client.expect_silence().await;
}

async fn an_unknown_connection_a_plain_one_and_one_that_has_ended_are_refused(setup: Setup) {
    let server = setup.start().await;
    let plain = server.demo(1).await;
    let mut ended = Reliable::connect(&server, 2).await;
    ended.client.close(Some(1000)).await;
    server.metric_becomes("folkmoot_connections", 1.0).await;
    for id in [plain.id(), &ended.id, "0123456789abcdef0123456789abcdef"] {
        let token = server.token_with_audience(id).claim("folkmoot.recovers", "chat").to_string();
        let reason = ended.handshake(&server).with_id(id).with_token(&token).expect_refusal().await;
        assert!(reason.contains("cannot be recovered"), "{reason}");
    }
    // Nothing is guessed by who has a token that was valid.
    assert_eq!(server.metric("folkmoot_auth_failures_total").await, 0.0);
    ended.handshake(&server).with_id("nonsense").expect_refusal().await;
}

async fn a_connection_of_another_hub_is_refused(setup: Setup) {
    let server = setup.hub("other", |_| {}).start().await;
    let mark = Reliable::connect(&server, 1).await;
    mark.handshake(&server).at_path("/client/hubs/other").expect_refusal().await;
    let token = server.token_with_audience(&mark.id).claim("folkmoot.recovers", "other").to_string();
    mark.handshake(&server).at_path("/client/hubs/other").with_token(&token).expect_refusal().await;
    let mut back = mark.handshake(&server).at_path("/client/hubs/CHAT").connect_again().await;
    back.client.expect_silence().await;
}

async fn wrong_tokens_of_many_clients_lock_nobody_out(setup: Setup) {
    let setup = setup.config(|config| config.auth.failures.address_per_minute = 3);
    let server = setup.start().await;
    let mark = Reliable::connect(&server, 1).await;
    // As after a restart with another key: all clients behind one address come back with tokens under the old one.
    for _ in 0..40 {
        mark.handshake(&server).with_token("of another key").expect_refusal().await;
    }
    Reliable::connect(&server, 2).await;
    mark.handshake(&server).connect_again().await;
}

async fn to_a_plain_client_the_parameters_mean_nothing(setup: Setup) {
    let server = setup.start().await;
    let mark = Reliable::connect(&server, 1).await;
    let query = format!("/ws?awps_connection_id={}&awps_reconnection_token={}", mark.id, mark.token);
    server.handshake().path(&query).refused(401).await;
    let anna: Client = server.handshake().path(&query).basic("user-2", "password-2").connect().await.unwrap();
    assert_ne!(anna.id(), mark.id);
    // Also the other way: without them, the reliable subprotocol needs a credential.
    server.handshake().subprotocols(&[RELIABLE]).refused(401).await;
}

async fn a_foreign_origin_is_refused_where_origins_are_set(setup: Setup) {
    let origin = "https://chat.example.com";
    let server = setup.config(|config| config.server.origins = vec![origin.parse().unwrap()]).start().await;
    let mark = Reliable::connect(&server, 1).await;
    let foreign = |handshake: super::support::Handshake| handshake.header("origin", "https://evil.example.com");
    mark.handshake(&server).change(foreign).into_handshake().refused(403).await;
    let mut back = mark.handshake(&server).change(|own| own.header("origin", origin)).connect_again().await;
    back.client.expect_silence().await;
}

/// An SDK that finds its server gone or full tries again; that it is going away is no verdict on the connection.
#[tokio::test]
async fn a_server_at_its_limit_takes_back_who_has_a_place_and_nobody_else() {
    let server = Setup::new().config(|config| config.limits.connections = 2).start().await;
    let mut mark = Reliable::connect(&server, 1).await;
    mark.client.join("a").await;
    let mut other = server.demo(2).await;
    mark.cut(&server).await;
    server.handshake().basic("user-3", "password-3").refused(503).await;
    other.publish("a", "missed").await;
    let mut mark = mark.recover(&server).await;
    mark.client.expect_message("a", "missed").await;
    server.handshake().basic("user-3", "password-3").refused(503).await;
    // Its place is one place, from socket to socket, and is given back at the end.
    for _ in 0..5 {
        mark = mark.cut_and_recover(&server).await;
    }
    mark.client.close(Some(1000)).await;
    server.metric_becomes("folkmoot_connections", 1.0).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let handshake = server.handshake().basic("user-3", "password-3");
        match handshake.connect().await {
            Ok(_) => break,
            Err(refused) => assert!(refused.status == 503 && tokio::time::Instant::now() < deadline, "{refused:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn where_recovery_is_off_there_is_no_token_and_a_loss_is_the_end() {
    let server = Setup::new().config(|config| config.reliable.recovery_window = Duration::ZERO).start().await;
    let handshake = server.handshake().basic("user-1", "password-1").subprotocols(&[RELIABLE]);
    let mut mark = handshake.connect().await.unwrap();
    assert_eq!(mark.greeting["reconnectionToken"], Value::Null);
    mark.join("a").await;
    mark.publish("a", "x").await;
    assert_eq!(mark.expect_message("a", "x").await["sequenceId"], json!(1));
    mark.abort();
    server.metric_becomes("folkmoot_connections", 0.0).await;
}
