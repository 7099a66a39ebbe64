//! What a program around the server can do: the registry's messages, against clients that are connected.

use std::marker::PhantomData;

use folkmoot::messages::{Close, Count, Counted, Groups, Join, Leave, Members, Receiver};
use folkmoot::{ConnectionId, Data, Disconnect, DisconnectKind, ErrorCode, HubName, Lease, Target, User, UserId};
use serde_json::json;

use crate::support::{Client, Setup, TestServer, group, on_both_transports};

on_both_transports! {
    the_server_broadcasts_to_groups_and_masks,
    the_server_sends_to_a_connection_and_to_all_of_a_user,
    the_server_joins_and_removes_connections,
    the_server_sees_members_with_their_user_data,
    the_server_closes_connections_of_a_user,
}

async fn chat(server: &TestServer) -> Lease<User> {
    let chat = HubName::parse("chat").unwrap();
    server.run(move |running| running.hub(&chat).unwrap()).await
}

fn target(text: &str) -> Target {
    Target::parse(text, true).unwrap()
}

fn id_of(client: &Client) -> ConnectionId {
    client.id().parse().unwrap()
}

async fn the_server_broadcasts_to_groups_and_masks(setup: Setup) {
    let server = setup.start().await;
    let lease = chat(&server).await;
    let (mut anna, mut kenji) = (server.demo(2).await, server.demo(3).await);
    for (to, groups) in [("sales/europe", 1), ("sales/*", 2), ("nowhere", 0), ("nowhere/*", 0)] {
        let reached = lease.hub().broadcast(target(to), Data::text(to.to_owned())).await.unwrap();
        assert_eq!(reached.groups, groups, "{to}");
    }
    anna.expect(json!({"type": "message", "from": "group", "group": "sales/europe", "dataType": "text",
        "data": "sales/europe"}))
        .await;
    anna.expect_message("sales/europe", "sales/*").await;
    kenji.expect_message("sales/asia", "sales/*").await;
    anna.expect_silence().await;
    kenji.expect_silence().await;
}

async fn the_server_sends_to_a_connection_and_to_all_of_a_user(setup: Setup) {
    let server = setup.start().await;
    let lease = chat(&server).await;
    let (mut mark, mut phone, mut raw) = (server.demo(1).await, server.demo(1).await, server.raw(1).await);
    let mut anna = server.demo(2).await;
    let to_user = Receiver::User(UserId::parse("user-1").unwrap());
    assert_eq!(lease.hub().send(to_user, Data::text("to Mark")).await.unwrap(), 3);
    let message = json!({"type": "message", "from": "server", "dataType": "text", "data": "to Mark"});
    mark.expect(message.clone()).await;
    phone.expect(message).await;
    assert_eq!(raw.next_text().await, "to Mark");
    let to_phone = Receiver::Connection(id_of(&phone));
    assert_eq!(lease.hub().send(to_phone, Data::json(&json!({"ring": true}))).await.unwrap(), 1);
    phone.expect(json!({"type": "message", "from": "server", "dataType": "json", "data": {"ring": true}})).await;
    for nobody in [Receiver::User(UserId::parse("user-3").unwrap()), Receiver::Connection(ConnectionId::random())] {
        assert_eq!(lease.hub().send(nobody, Data::text("lost")).await.unwrap(), 0);
    }
    for client in [&mut mark, &mut phone, &mut anna] {
        client.expect_silence().await;
    }
}

async fn the_server_joins_and_removes_connections(setup: Setup) {
    let server = setup.without_default_roles().announcing().start().await;
    let lease = chat(&server).await;
    let registry = lease.hub().registry();
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    mark.expect_message("Sales", "Mark has logged in.").await;
    anna.expect_message("sales/europe", "Anna has logged in.").await;
    // Roles are for clients; the program around the server needs none.
    let (connection, to) = (id_of(&anna), || target("Sales"));
    registry.send(Join { connection, target: to() }).await.unwrap().unwrap();
    for client in [&mut mark, &mut anna] {
        client.expect_message("Sales", "Anna has logged in.").await;
    }
    registry.send(Leave { connection, target: to() }).await.unwrap().unwrap();
    mark.expect_message("Sales", "Anna has disconnected.").await;
    anna.expect_silence().await;
    let unknown = Join { connection: ConnectionId::random(), target: to() };
    assert_eq!(registry.send(unknown).await.unwrap().unwrap_err().code, ErrorCode::NotFound);
}

async fn the_server_sees_members_with_their_user_data(setup: Setup) {
    let server = setup.start().await;
    let lease = chat(&server).await;
    let registry = lease.hub().registry();
    let (_mark, _phone, mut anna) = (server.demo(1).await, server.demo(1).await, server.demo(2).await);
    anna.join("S*").await;
    let page = |limit| Members { group: group("Sales"), after: None, limit, user: PhantomData::<User> };
    let members = registry.send(page(10)).await.unwrap().unwrap_or_else(|refusal| panic!("{refusal}"));
    let phones: Vec<_> = members.members.iter().map(|member| member.user.as_ref().unwrap().phone.clone()).collect();
    assert_eq!(phones, vec![Some("+55431588744134".to_owned()); 2]);
    assert_eq!((members.more, members.listeners), (false, 1));
    let first = registry.send(page(1)).await.unwrap().unwrap_or_else(|refusal| panic!("{refusal}"));
    assert!(first.more);
    let missing = Members { group: group("nobody"), after: None, limit: 1, user: PhantomData::<User> };
    assert_eq!(registry.send(missing).await.unwrap().err().unwrap().code, ErrorCode::NotFound);

    let groups = registry.send(Groups { among: None, after: None, limit: 10 }).await.unwrap();
    assert_eq!(groups.groups, [(group("Sales"), 2), (group("sales/europe"), 1)]);
    let counted = registry.send(Count { target: target("*") }).await.unwrap();
    assert_eq!(counted, Counted { groups: 2, connections: 3 });
}

async fn the_server_closes_connections_of_a_user(setup: Setup) {
    let server = setup.announcing().start().await;
    let lease = chat(&server).await;
    let mut anna = server.demo(2).await;
    anna.join("Sales").await;
    for group in ["sales/europe", "Sales"] {
        anna.expect_message(group, "Anna has logged in.").await;
    }
    let (mut mark, mut raw) = (server.demo(1).await, server.raw(1).await);
    for _ in 0..2 {
        anna.expect_message("Sales", "Mark has logged in.").await;
    }
    mark.drain().await;
    let of = Receiver::User(UserId::parse("user-1").unwrap());
    let reason = Disconnect::with_message(DisconnectKind::Kicked, "kicked: enough for today");
    assert_eq!(lease.hub().registry().send(Close { of, reason }).await.unwrap(), 2);
    mark.expect_close(1008, "kicked: enough for today").await;
    while !raw.hears_close(1008).await {}
    for _ in 0..2 {
        let left = anna.expect_message("Sales", "Mark has disconnected.").await;
        assert_eq!(left["announcement"]["reason"], "kicked");
    }
    anna.expect_silence().await;
}
