//! Questions that a client may ask: members, groups, counts.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Client, Setup, group, on_every_transport};

on_every_transport! {
    members_are_listed_to_members_with_public_fields_only,
    lists_come_in_pages,
    without_a_role_only_ones_own_groups_are_listed,
    only_groups_that_one_may_send_to_are_counted,
}

async fn members_are_listed_to_members_with_public_fields_only(setup: Setup) {
    let setup = setup.user_with_roles("auditor", &["folkmoot.listMembers.Sales"]);
    let server = setup.start().await;
    let (mut mark, mut anna, mut auditor) = (server.demo(1).await, server.demo(2).await, server.user("auditor").await);
    let question = json!({"type": "listMembers", "group": "Sales"});
    anna.ask_refused(question.clone(), "Forbidden").await;
    let listed = mark.ask_ok(question.clone()).await;
    let user = json!({"username": "Mark", "department": "Sales"});
    assert_eq!(listed["members"], json!([{"connectionId": mark.id(), "userId": "user-1", "user": user}]));
    assert_eq!(listed["listeners"], 0);
    assert_eq!(listed.get("continuationToken"), None);
    assert_eq!(auditor.ask_ok(question).await["members"], listed["members"]);
    auditor.ask_refused(json!({"type": "listMembers", "group": "sales/europe"}), "Forbidden").await;
    mark.close(Some(1000)).await;
    auditor.ask_refused(json!({"type": "listMembers", "group": "Sales"}), "NotFound").await;
    for frame in [
        json!({"type": "listMembers"}),
        json!({"type": "listMembers", "group": "S*"}),
        json!({"type": "listMembers", "group": "Sales", "limit": 0}),
        json!({"type": "listMembers", "group": "Sales", "limit": 201}),
        json!({"type": "listMembers", "group": "Sales", "continuationToken": "?"}),
        json!({"type": "countMembers"}),
        json!({"type": "countMembers", "group": "a", "mask": "b"}),
    ] {
        auditor.ask_refused(frame, "BadRequest").await;
    }
}

/// All pages of a list.
async fn pages(client: &mut Client, mut question: Value, list: &str) -> (usize, Vec<Value>) {
    let (mut count, mut all) = (0, Vec::new());
    loop {
        let page = client.ask_ok(question.clone()).await;
        count += 1;
        all.extend(page[list].as_array().unwrap().iter().cloned());
        match page.get("continuationToken") {
            Some(token) => question["continuationToken"] = token.clone(),
            None => return (count, all),
        }
    }
}

async fn lists_come_in_pages(setup: Setup) {
    let server = setup.user_with_roles("clerk", &["folkmoot.listGroups"]).start().await;
    let mut clients = Vec::new();
    for _ in 0..7 {
        clients.push(server.demo(1).await);
    }
    let ids: BTreeSet<_> = clients.iter().map(|client| client.id().to_owned()).collect();
    let mark = &mut clients[0];
    for limit in [1, 3, 7, 200] {
        let (count, listed) =
            pages(mark, json!({"type": "listMembers", "group": "Sales", "limit": limit}), "members").await;
        let found: Vec<_> = listed.iter().map(|member| member["connectionId"].as_str().unwrap().to_owned()).collect();
        assert_eq!(found, ids.iter().cloned().collect::<Vec<_>>());
        assert_eq!(count, 7_usize.div_ceil(limit));
    }
    for name in ["b", "a/2", "a/1", "c"] {
        mark.join(name).await;
    }
    let mut clerk = server.user("clerk").await;
    let all = ["Sales", "a/1", "a/2", "b", "c"];
    let names = |listed: &[Value]| -> Vec<String> {
        listed.iter().map(|group| group["group"].as_str().unwrap().to_owned()).collect()
    };
    for client in [&mut clients[0], &mut clerk] {
        let (count, listed) = pages(client, json!({"type": "listGroups", "limit": 2}), "groups").await;
        assert_eq!((count, names(&listed)), (3, all.map(str::to_owned).to_vec()));
        assert_eq!((&listed[0]["members"], &listed[1]["members"]), (&json!(7), &json!(1)));
        let (_, listed) = pages(client, json!({"type": "listGroups", "mask": "a/*", "limit": 1}), "groups").await;
        assert_eq!(names(&listed), ["a/1", "a/2"]);
    }
}

async fn without_a_role_only_ones_own_groups_are_listed(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, _anna) = (server.demo(1).await, server.demo(2).await);
    let mine = json!([{"group": "Sales", "members": 1}]);
    assert_eq!(mark.ask_ok(json!({"type": "listGroups"})).await["groups"], mine);
    assert_eq!(mark.ask_ok(json!({"type": "listGroups", "mask": "*"})).await["groups"], mine);
    assert_eq!(mark.ask_ok(json!({"type": "listGroups", "mask": "sales/*"})).await["groups"], json!([]));
}

async fn only_groups_that_one_may_send_to_are_counted(setup: Setup) {
    let setup = setup.without_default_roles().user_with_roles("half", &["webpubsub.sendToGroup.a"]);
    let setup = setup.user_with_roles("all", &["webpubsub.sendToGroup"]).user_with_roles("none", &[]);
    let server = setup.user("member", |user| user.groups = vec![group("a"), group("b")]).start().await;
    let _members = (server.user("member").await, server.user("member").await);
    for (login, groups, connections) in [("all", 2, 2), ("half", 1, 2), ("none", 0, 0)] {
        let mut client = server.user(login).await;
        let counted = client.ask_ok(json!({"type": "countMembers", "mask": "*"})).await;
        assert_eq!((&counted["groups"], &counted["connections"]), (&json!(groups), &json!(connections)), "{login}");
        let counted = client.ask_ok(json!({"type": "countMembers", "group": "b"})).await;
        assert_eq!(counted["groups"], if login == "all" { 1 } else { 0 }, "{login}");
    }
    let mut all = server.user("all").await;
    let counted = all.ask_ok(json!({"type": "countMembers", "group": "missing"})).await;
    assert_eq!((&counted["groups"], &counted["connections"]), (&json!(0), &json!(0)));
}
