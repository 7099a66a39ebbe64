//! Every limit that somebody runs into is counted under its own name.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Setup, TestServer, on_both_transports};

on_both_transports! {
    what_a_message_may_be_is_counted,
    what_a_connection_may_join_is_counted,
    how_many_may_come_is_counted,
}

async fn reached(server: &TestServer, limit: &str) -> f64 {
    server.metric(&format!("folkmoot_limits_reached_total{{limit=\"{limit}\"}}")).await
}

async fn what_a_message_may_be_is_counted(setup: Setup) {
    let setup = setup.config(|config| {
        config.limits.max_message_bytes = 1000;
        config.limits.max_frame_bytes = 1000;
        config.limits.json_depth = 2;
    });
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    let deep = json!({"type": "sendToGroup", "group": "Sales", "data": [[[]]]});
    mark.ask_refused(deep, "BadRequest").await;
    assert_eq!(reached(&server, "json_depth").await, 1.0);
    mark.send(Message::text("x".repeat(1001))).await;
    mark.expect_close(1009, "").await;
    assert_eq!(reached(&server, "max_message_bytes").await, 1.0);
}

async fn what_a_connection_may_join_is_counted(setup: Setup) {
    let setup = setup.config(|config| {
        config.limits.groups_per_connection = 2;
        config.limits.masks_per_connection = 1;
        config.limits.groups_per_hub = 3;
    });
    let server = setup.start().await;
    let (mut mark, mut monica) = (server.demo(1).await, server.demo(2).await);
    let join = |group: &str| json!({"type": "joinGroup", "group": group});
    // Each is in the group of their department already.
    mark.join("a").await;
    mark.join("a*").await;
    mark.ask_refused(join("b"), "LimitReached").await;
    mark.ask_refused(join("b*"), "LimitReached").await;
    monica.ask_refused(join("c"), "LimitReached").await;
    for limit in ["groups_per_connection", "masks_per_connection", "groups_per_hub"] {
        assert_eq!(reached(&server, limit).await, 1.0, "{limit}");
    }
}

async fn how_many_may_come_is_counted(setup: Setup) {
    let setup = setup.config(|config| {
        config.limits.connections = 2;
        config.hubs.max_undeclared = 1;
    });
    let server = setup.start().await;
    let token = |hub: &str| server.handshake().path(format!("/client/hubs/{hub}")).token(server.token_for(hub));
    let _one = token("one").connect().await.unwrap();
    token("two").refused(503).await;
    assert_eq!(reached(&server, "max_undeclared").await, 1.0);
    let _mark = server.demo(1).await;
    server.handshake().basic("user-2", "password-2").refused(503).await;
    assert_eq!(reached(&server, "connections").await, 1.0);
}
