//! Roles: what a connection may do, and that everything else is refused.

use serde_json::json;

use crate::support::{Setup, group, on_both_transports, text_to};

on_both_transports! {
    without_roles_every_join_leave_and_publish_is_forbidden,
    a_role_for_one_group_is_good_for_that_group_only,
    a_publish_to_a_mask_reaches_the_groups_that_the_sender_may_send_to,
    a_role_limited_to_a_hub_counts_there_only,
    raw_clients_without_a_role_are_heard_by_nobody,
}

async fn without_roles_every_join_leave_and_publish_is_forbidden(setup: Setup) {
    let setup = setup.without_default_roles().user("guest", |user| user.groups = vec![group("lobby")]);
    let server = setup.start().await;
    let mut guest = server.user("guest").await;
    // The store puts its users into groups; roles are for what they ask for themselves.
    assert_eq!(guest.greeting["groups"], json!(["lobby"]));
    for target in ["lobby", "elsewhere", "lob*", "*"] {
        for kind in ["joinGroup", "leaveGroup", "sendToGroup"] {
            let said = guest.ask_refused(json!({"type": kind, "group": target, "data": 1}), "Forbidden").await;
            assert!(said.contains(target), "{said}");
        }
        // Without an ackId nothing is said, nothing is done, and the connection stays.
        guest.send_json(text_to(target, "hello")).await;
    }
    let refused = server.metric("folkmoot_requests_refused_total").await;
    guest.expect_silence().await;
    assert!(refused >= 12.0, "{refused}");
    assert_eq!(guest.ask_ok(json!({"type": "listGroups"})).await["groups"].as_array().unwrap().len(), 1);
}

async fn a_role_for_one_group_is_good_for_that_group_only(setup: Setup) {
    let roles = ["webpubsub.joinLeaveGroup.a/b", "webpubsub.sendToGroup.c"];
    let server = setup.without_default_roles().user_with_roles("clerk", &roles).start().await;
    let mut clerk = server.user("clerk").await;
    clerk.join("a/b").await;
    clerk.leave("a/b").await;
    clerk.publish("c", "hello").await;
    for frame in [
        json!({"type": "joinGroup", "group": "c"}),
        json!({"type": "joinGroup", "group": "a"}),
        json!({"type": "joinGroup", "group": "a/b*"}),
        json!({"type": "leaveGroup", "group": "A/B"}),
        text_to("a/b", "hello"),
        text_to("C", "hello"),
    ] {
        clerk.ask_refused(frame, "Forbidden").await;
    }
}

async fn a_publish_to_a_mask_reaches_the_groups_that_the_sender_may_send_to(setup: Setup) {
    let setup = setup.without_default_roles();
    let setup = setup.user_with_roles("sender", &["webpubsub.sendToGroup.a", "webpubsub.sendToGroup.z"]);
    let setup = setup.user("both", |user| user.groups = vec![group("a"), group("b")]);
    let server = setup.user("other", |user| user.groups = vec![group("b")]).start().await;
    let (mut both, mut other) = (server.user("both").await, server.user("other").await);
    let mut sender = server.user("sender").await;
    sender.publish("*", "to a").await;
    both.expect_message("a", "to a").await;
    other.expect_silence().await;
    // Which groups exist beyond those is not told: it succeeds whatever it matched.
    sender.publish("b*", "to nobody").await;
    let mut insisting = text_to("b*", "to nobody");
    insisting["mustExist"] = true.into();
    sender.ask_refused(insisting, "NotFound").await;
    both.expect_silence().await;
    other.expect_silence().await;
}

async fn a_role_limited_to_a_hub_counts_there_only(setup: Setup) {
    let setup = setup.without_default_roles().user("clerk", |user| {
        user.hubs = crate::support::all_hubs();
        user.roles = vec!["Other:webpubsub.joinLeaveGroup".parse().unwrap()];
    });
    let server = setup.start().await;
    let mut here = server.user("clerk").await;
    here.ask_refused(json!({"type": "joinGroup", "group": "a"}), "Forbidden").await;
    let there = server.handshake().path("/client/hubs/other").basic("clerk", crate::support::PASSWORD);
    there.connect().await.unwrap().join("a").await;
}

async fn raw_clients_without_a_role_are_heard_by_nobody(setup: Setup) {
    let setup = setup.without_default_roles().user("guest", |user| user.groups = vec![group("lobby"), group("yard")]);
    let setup = setup.user("half", |user| {
        user.groups = vec![group("lobby"), group("yard")];
        user.roles = vec!["webpubsub.sendToGroup.yard".parse().unwrap()];
    });
    let server = setup.start().await;
    let mut listener = server.user("guest").await;
    let raw = |login: &str, query: &str| {
        let path = format!("/ws{query}");
        server.handshake().path(path).basic(login, crate::support::PASSWORD).subprotocols(&[]).connect()
    };
    for query in ["", "?webpubsub_mode=sendToGroup&group=lobby", "?webpubsub_mode=sendToGroup&group=*"] {
        let before = server.metric("folkmoot_requests_refused_total").await;
        let mut guest = raw("guest", query).await.unwrap();
        guest.send_text("hello").await;
        server.metric_becomes("folkmoot_requests_refused_total", before + 1.0).await;
    }
    listener.expect_silence().await;
    // With one role, its own groups are those that it may send to.
    let mut half = raw("half", "").await.unwrap();
    half.send_text("to the yard").await;
    listener.expect_message("yard", "to the yard").await;
    listener.expect_silence().await;
}

#[tokio::test]
async fn tokens_do_not_get_the_default_roles_of_a_hub() {
    let server = Setup::new().start().await;
    let token = server.token().claim("sub", "user-1");
    let mut guest = server.handshake().token(token).connect().await.unwrap();
    guest.ask_refused(json!({"type": "joinGroup", "group": "a"}), "Forbidden").await;
    let token = server.token().claim("role", json!(["webpubsub.joinLeaveGroup", "unknown.role"]));
    let mut member = server.handshake().token(token).connect().await.unwrap();
    member.join("a").await;
    member.ask_refused(text_to("a", "hello"), "Forbidden").await;
    // One role as a string is a list of one.
    let token = server.token().claim("role", "webpubsub.sendToGroup");
    let mut sender = server.handshake().token(token).connect().await.unwrap();
    sender.publish("a", "hello").await;
    member.expect_message("a", "hello").await;
}
