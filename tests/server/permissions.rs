//! Roles: what a connection may do, and that everything else is refused.

use folkmoot::messages::{Grant, HasPermission, Refusal, Revoke};
use folkmoot::{Action, ConnectionId, ErrorCode, GroupName, HubName, Lease, User};
use serde_json::json;

use crate::support::{Client, Setup, TestServer, group, on_both_transports, text_to};

on_both_transports! {
    without_roles_every_join_leave_and_publish_is_forbidden,
    a_role_for_one_group_is_good_for_that_group_only,
    a_publish_to_a_mask_reaches_the_groups_that_the_sender_may_send_to,
    a_role_limited_to_a_hub_counts_there_only,
    raw_clients_without_a_role_are_heard_by_nobody,
    a_pattern_role_is_good_for_the_groups_of_its_pattern,
    who_may_join_some_groups_hears_those_by_a_mask_and_no_others,
    a_right_that_is_granted_counts_at_once_and_so_does_its_end,
    revoking_silences_a_joined_mask_at_once_and_leaves_members_where_they_are,
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

async fn a_pattern_role_is_good_for_the_groups_of_its_pattern(setup: Setup) {
    let roles = ["webpubsub.joinLeaveGroups.sales.*", "webpubsub.sendToGroups.news.**"];
    let server = setup.without_default_roles().user_with_roles("clerk", &roles).start().await;
    let mut clerk = server.user("clerk").await;
    clerk.join("sales.europe").await;
    clerk.publish("news.world.africa", "hello").await;
    for frame in [
        json!({"type": "joinGroup", "group": "sales.europe.west"}),
        json!({"type": "joinGroup", "group": "Sales.europe"}),
        json!({"type": "joinGroup", "group": "news.world"}),
        text_to("sales.europe", "hello"),
        text_to("news", "hello"),
    ] {
        clerk.ask_refused(frame, "Forbidden").await;
    }
}

async fn who_may_join_some_groups_hears_those_by_a_mask_and_no_others(setup: Setup) {
    let setup = setup.without_default_roles().user_with_roles("clerk", &["webpubsub.joinLeaveGroups.sales.*"]);
    let server = setup.user_with_roles("boss", &["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]).start().await;
    let (mut clerk, mut boss) = (server.user("clerk").await, server.user("boss").await);
    let mut other = server.user("boss").await;
    // One of the groups is there before the masks are joined, the others come later.
    for (client, group) in [(&mut boss, "sales.europe"), (&mut clerk, "*"), (&mut other, "*")] {
        client.join(group).await;
    }
    for group in ["staff", "sales.asia"] {
        boss.join(group).await;
    }
    for group in ["staff", "sales.asia", "sales.europe", "sales.nobody.is.here"] {
        boss.publish(group, group).await;
    }
    for group in ["sales.asia", "sales.europe"] {
        clerk.expect_message(group, group).await;
    }
    for group in ["staff", "sales.asia", "sales.europe"] {
        other.expect_message(group, group).await;
    }
    for client in [&mut clerk, &mut other] {
        client.expect_silence().await;
    }
}

async fn a_right_that_is_granted_counts_at_once_and_so_does_its_end(setup: Setup) {
    let server = setup.without_default_roles().user("clerk", |_| {}).start().await;
    let lease = chat(&server).await;
    let mut clerk = server.user("clerk").await;
    let id = id_of(&clerk);
    for (action, frame) in [
        (Action::JoinLeaveGroup, json!({"type": "joinGroup", "group": "lobby"})),
        (Action::SendToGroup, text_to("lobby", "hello")),
    ] {
        for of in [Some(group("lobby")), None] {
            clerk.ask_refused(frame.clone(), "Forbidden").await;
            assert_eq!(grant(&lease, id, action, of.clone()).await, Ok(()));
            assert!(has(&lease, id, action, of.clone()).await);
            clerk.ask_ok(frame.clone()).await;
            assert_eq!(revoke(&lease, id, action, of.clone()).await, Ok(()));
            assert!(!has(&lease, id, action, of).await);
        }
    }
    let nobody = ConnectionId::random();
    assert!(!has(&lease, nobody, Action::SendToGroup, None).await);
    for refused in [
        grant(&lease, nobody, Action::SendToGroup, None).await,
        revoke(&lease, nobody, Action::SendToGroup, None).await,
    ] {
        assert_eq!(refused.unwrap_err().code, ErrorCode::NotFound);
    }
}

async fn revoking_silences_a_joined_mask_at_once_and_leaves_members_where_they_are(setup: Setup) {
    let roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
    let server = setup.without_default_roles().user_with_roles("boss", &roles).start().await;
    let lease = chat(&server).await;
    let (mut boss, mut listener, mut member) =
        (server.user("boss").await, server.user("boss").await, server.user("boss").await);
    for name in ["a", "b"] {
        boss.join(name).await;
    }
    for (client, name) in [(&mut listener, "*"), (&mut member, "a")] {
        client.join(name).await;
    }
    for client in [&listener, &member] {
        assert_eq!(revoke(&lease, id_of(client), Action::JoinLeaveGroup, Some(group("a"))).await, Ok(()));
    }
    for name in ["a", "b"] {
        boss.publish(name, name).await;
    }
    listener.expect_message("b", "b").await;
    member.expect_message("a", "a").await;
    listener.ask_refused(json!({"type": "joinGroup", "group": "a"}), "Forbidden").await;
    member.ask_refused(json!({"type": "leaveGroup", "group": "a"}), "Forbidden").await;
    assert_eq!(grant(&lease, id_of(&listener), Action::JoinLeaveGroup, Some(group("a"))).await, Ok(()));
    boss.publish("a", "again").await;
    listener.expect_message("a", "again").await;
    assert_eq!(revoke(&lease, id_of(&listener), Action::JoinLeaveGroup, None).await, Ok(()));
    boss.publish("*", "to all").await;
    listener.expect_silence().await;
}

#[tokio::test]
async fn a_token_with_more_roles_than_a_connection_may_have_is_not_let_in() {
    let server = Setup::new().start().await;
    let roles = |count: usize| (0..count).map(|n| format!("webpubsub.joinLeaveGroups.{n}.*")).collect::<Vec<_>>();
    server.handshake().token(server.token().claim("role", roles(10))).connect().await.unwrap();
    let refused = server.handshake().token(server.token().claim("role", roles(11))).connect().await;
    assert_eq!(refused.err().unwrap().status, 403);
}

async fn chat(server: &TestServer) -> Lease<User> {
    server.run(|running| running.hub(&HubName::parse("chat").unwrap()).unwrap()).await
}

fn id_of(client: &Client) -> ConnectionId {
    client.id().parse().unwrap()
}

async fn grant(lease: &Lease<User>, id: ConnectionId, action: Action, group: Option<GroupName>) -> Result<(), Refusal> {
    lease.hub().registry().send(Grant { connection: id, action, group }).await.unwrap()
}

async fn revoke(
    lease: &Lease<User>,
    id: ConnectionId,
    action: Action,
    group: Option<GroupName>,
) -> Result<(), Refusal> {
    lease.hub().registry().send(Revoke { connection: id, action, group }).await.unwrap()
}

async fn has(lease: &Lease<User>, id: ConnectionId, action: Action, group: Option<GroupName>) -> bool {
    lease.hub().registry().send(HasPermission { connection: id, action, group }).await.unwrap()
}
