//! What the HTTP API tells of hubs, groups and connections.

use std::collections::BTreeSet;

use folkmoot::messages::Join;
use folkmoot::{HubName, Target};
use serde_json::{Value, json};

use crate::support::{Client, Setup, TestServer, group, on_both_transports};

on_both_transports! {
    hubs_are_listed_with_their_size,
    groups_are_listed_by_mask_and_by_prefix,
    members_are_listed_with_all_of_their_data,
    a_connection_is_told_with_all_that_is_known_of_it,
    connections_are_found_by_user_address_and_group,
    what_is_not_there_is_404_or_an_empty_list,
}

async fn hubs_are_listed_with_their_size(setup: Setup) {
    let server = setup.config(|config| config.hubs.allow_undeclared = true).hub("quiet", |_| {}).start().await;
    let _mark = server.demo(1).await;
    let token = server.token_for("extra");
    let _guest = server.handshake().path("/client/hubs/extra").token(token).connect().await.unwrap();
    let hubs = server.api_get("/api/hubs").await;
    let hubs = hubs["value"].as_array().unwrap();
    for expected in [
        json!({"hub": "chat", "connections": 1, "groups": 1, "declared": true}),
        json!({"hub": "extra", "connections": 1, "groups": 0, "declared": false}),
        json!({"hub": "quiet", "connections": 0, "groups": 0, "declared": true}),
    ] {
        assert!(hubs.contains(&expected), "{expected}: {hubs:?}");
    }
}

async fn groups_are_listed_by_mask_and_by_prefix(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut kenji) = (server.demo(1).await, server.demo(2).await);
    for name in ["shop/eu", "shop/eu/south", "shop/eu/west", "shop/us", "shopping"] {
        mark.join(name).await;
    }
    kenji.join("shop/us").await;
    kenji.join("shop/e*").await;
    let list = async |query: &str| server.api_get(&format!("/api/hubs/chat/groups?{query}")).await;
    let names = |page: &Value| -> Vec<String> {
        page["value"].as_array().unwrap().iter().map(|one| one["group"].as_str().unwrap().to_owned()).collect()
    };
    let all = list("").await;
    assert_eq!(
        names(&all),
        ["Sales", "sales/europe", "shop/eu", "shop/eu/south", "shop/eu/west", "shop/us", "shopping"]
    );
    assert!(all["nextLink"].is_null() && all["prefixes"].is_null());
    assert_eq!(names(&list("mask=shop%2F%2A").await), ["shop/eu", "shop/eu/south", "shop/eu/west", "shop/us"]);
    assert_eq!(names(&list("mask=shop/*").await), ["shop/eu", "shop/eu/south", "shop/eu/west", "shop/us"]);
    assert_eq!(names(&list("mask=shop/us").await), ["shop/us"]);
    assert_eq!(names(&list("prefix=shop/eu").await), ["shop/eu", "shop/eu/south", "shop/eu/west"]);
    assert_eq!(names(&list("prefix=shop/&mask=*/*/west").await), ["shop/eu/west"]);
    let tree = list("prefix=shop/&delimiter=/").await;
    let eu = json!({"group": "shop/eu", "members": 1, "listeners": 1});
    assert_eq!(tree["value"], json!([eu, {"group": "shop/us", "members": 2, "listeners": 0}]));
    assert_eq!(tree["prefixes"], json!([{"prefix": "shop/eu/", "groups": 2}]));
    // The same in pages of one: nothing twice, nothing lost, and each prefix whole.
    let (mut token, mut pages) = (String::new(), Vec::new());
    loop {
        let page = list(&format!("delimiter=/&maxpagesize=1&continuationToken={token}")).await;
        pages.push((page["value"].clone(), page["prefixes"].clone()));
        match page["continuationToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(pages.len(), 4, "{pages:?}");
    assert_eq!(pages[2], (json!([]), json!([{"prefix": "shop/", "groups": 4}])));
    for bad in ["delimiter=", "mask=%5B", "maxpagesize=0", "continuationToken=%2A", "prefix=a&prefix=b"] {
        let path = format!("/api/hubs/chat/groups?{bad}");
        assert_eq!(server.api("GET", &path, &[], "").await.status, 400, "{bad}");
    }
    let count = server.api_get("/api/hubs/chat/groups/shop%2F*/:count").await;
    assert_eq!(count, json!({"connections": 2, "groups": 4}));
    let count = server.api_get("/api/hubs/chat/groups/shopping/:count").await;
    assert_eq!(count, json!({"connections": 1, "groups": 1}));
}

async fn members_are_listed_with_all_of_their_data(setup: Setup) {
    let setup = setup.config(|config| config.users.public_fields = vec!["username".into()]);
    let server = setup.hub("chat", |hub| hub.anonymous = true).start().await;
    let mut mark = server.demo(1).await;
    let mut guest = server.handshake().connect().await.unwrap();
    let mut listener = server.demo(2).await;
    listener.join("team/*").await;
    mark.join("team/a").await;
    let id = guest.id().to_owned();
    join_by_server(&server, &mut guest, "team/a").await;
    let page = server.api_get("/api/hubs/chat/groups/team%2Fa/connections?api-version=2024-12-01").await;
    assert_eq!(page["listeners"], 1);
    let members = page["value"].as_array().unwrap();
    assert_eq!(members.len(), 2);
    let of = |id: &str| members.iter().find(|member| member["connectionId"] == id).unwrap();
    assert_eq!(of(mark.id())["userId"], "user-1");
    assert_eq!(of(mark.id())["user"]["phone"], "+55431588744134");
    assert!(of(&id).get("userId").is_none(), "{}", of(&id));
    let answer = server.api("GET", "/api/hubs/chat/groups/team%2F*/connections", &[], "").await;
    assert_eq!(answer.status, 400);
}

async fn a_connection_is_told_with_all_that_is_known_of_it(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.join("b").await;
    mark.join("a").await;
    let path = format!("/api/hubs/chat/connections/{}", mark.id());
    let one = server.api_get(&path).await;
    for (field, value) in [
        ("connectionId", json!(mark.id())),
        ("userId", json!("user-1")),
        ("address", json!("127.0.0.1")),
        ("subprotocol", json!("json.webpubsub.azure.v1")),
        ("groups", json!(3)),
        ("queue", json!({"messages": 0, "bytes": 0})),
        ("groupNames", json!(["Sales", "a", "b"])),
    ] {
        assert_eq!(one[field], value, "{field}: {one}");
    }
    assert_eq!(one["user"]["phone"], "+55431588744134");
    let (connected, heard) = (one["connectedAt"].as_str().unwrap(), one["lastActivity"].as_str().unwrap());
    // Both are RFC 3339 in one form, so they compare as texts; a clock of milliseconds is rounded.
    assert!(connected.len() == 24 && connected.ends_with('Z') && connected > "2026-", "{connected}");
    assert!(heard >= &connected[..19] && heard.len() == 24, "{heard} {connected}");
    assert_eq!(server.api("HEAD", &path, &[], "").await.status, 200);
    let listed = server.api_get(&format!("{path}/groups")).await;
    assert_eq!(listed["value"], json!(["Sales", "a", "b"]));
    let page = server.api_get(&format!("{path}/groups?maxpagesize=2")).await;
    assert_eq!(page["value"], json!(["Sales", "a"]));
    let rest = server
        .api_get(
            page["nextLink"]
                .as_str()
                .unwrap()
                .split_once("/api/")
                .map(|(_, tail)| format!("/api/{tail}"))
                .unwrap()
                .as_str(),
        )
        .await;
    assert_eq!(rest, json!({"value": ["b"]}));

    let answer = server.api("DELETE", &format!("{path}/groups"), &[], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(server.api_get(&path).await["groupNames"], json!([]));
    mark.close(Some(1000)).await;
    server.metric_becomes("folkmoot_connections", 0.0).await;
    assert_eq!(server.api("HEAD", &path, &[], "").await.status, 404);
    for path in [path.clone(), format!("{path}/groups")] {
        let answer = server.api("GET", &path, &[], "").await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("Error.Connection.NotExisted")));
    }
}

async fn connections_are_found_by_user_address_and_group(setup: Setup) {
    let server = setup.start().await;
    let mut clients = vec![server.demo(1).await, server.demo(1).await, server.demo(2).await, server.raw(3).await];
    clients[1].join("team").await;
    clients[2].join("team").await;
    let ids = |clients: &[Client], wanted: &[usize]| -> BTreeSet<String> {
        wanted.iter().map(|number| clients[*number].id().to_owned()).collect()
    };
    let find = async |query: &str| -> BTreeSet<String> {
        let page = server.api_get(&format!("/api/hubs/chat/connections?{query}")).await;
        page["value"].as_array().unwrap().iter().map(|one| one["connectionId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(find("").await.len(), 4);
    assert_eq!(find("user=user-1").await, ids(&clients, &[0, 1]));
    assert_eq!(find("group=team").await, ids(&clients, &[1, 2]));
    assert_eq!(find("group=team&user=user-1").await, ids(&clients, &[1]));
    assert_eq!(find("address=127.0.0.1").await.len(), 4);
    assert_eq!(find("address=127.0.0.1&group=team&user=user-2").await, ids(&clients, &[2]));
    for nobody in ["address=127.0.0.2", "user=user-9", "group=nothing", "address=::1&group=team"] {
        assert!(find(nobody).await.is_empty(), "{nobody}");
    }
    for bad in ["address=here", "group=a%2A", "user=%20", "user=a&user=b", "continuationToken=x"] {
        let path = format!("/api/hubs/chat/connections?{bad}");
        assert_eq!(server.api("GET", &path, &[], "").await.status, 400, "{bad}");
    }
    let path = "/api/hubs/chat/users/user-1/groups/by%2Fapi";
    assert_eq!(server.api("PUT", path, &[], "").await.status, 200);
    assert_eq!(find("group=by/api").await, ids(&clients, &[0, 1]));
    let one = format!("/api/hubs/chat/groups/by%2Fapi/connections/{}", clients[2].id());
    assert_eq!(server.api("PUT", &one, &[], "").await.status, 200);
    assert_eq!(server.api("PUT", &one, &[], "").await.status, 200);
    assert_eq!(find("group=by/api").await, ids(&clients, &[0, 1, 2]));
    for _ in 0..2 {
        assert_eq!(server.api("DELETE", &one, &[], "").await.status, 204);
        assert_eq!(server.api("DELETE", path, &[], "").await.status, 204);
    }
    assert!(find("group=by/api").await.is_empty());
    assert_eq!(server.api("DELETE", "/api/hubs/chat/users/user-1/groups", &[], "").await.status, 204);
    assert_eq!(find("group=team").await, ids(&clients, &[2]));
}

async fn what_is_not_there_is_404_or_an_empty_list(setup: Setup) {
    let server = setup.hub("chat", |hub| hub.groups = vec!["lobby".into()]).start().await;
    let _mark = server.demo(1).await;
    for (path, status) in [
        ("groups/Sales", 200),
        ("groups/Sa*", 200),
        ("groups/nobody", 404),
        ("groups/no*", 404),
        ("users/user-1", 200),
        ("users/user-2", 404),
        ("connections/x", 404),
        ("connections/00000000000000000000000000000000", 404),
    ] {
        let answer = server.api("HEAD", &format!("/api/hubs/chat/{path}"), &[], "").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{path}");
        let closed = server.api("HEAD", &format!("/api/hubs/nowhere/{path}"), &[], "").await;
        assert_eq!(closed.status, 404, "{path}");
    }
    // Declared it exists, but nobody is in it.
    assert_eq!(server.api("HEAD", "/api/hubs/chat/groups/lobby", &[], "").await.status, 404);
    for list in ["groups", "connections", "groups/a/connections"] {
        let page = server.api_get(&format!("/api/hubs/nowhere/{list}")).await;
        assert_eq!(page["value"], json!([]), "{list}");
    }
    assert_eq!(server.api_get("/api/hubs/chat/groups/nobody/connections").await, json!({"value": [], "listeners": 0}));
    for path in
        ["users/user-9/groups/g", "groups/g/connections/x", "groups/g/connections/00000000000000000000000000000000"]
    {
        assert_eq!(server.api("PUT", &format!("/api/hubs/chat/{path}"), &[], "").await.status, 404, "{path}");
        assert_eq!(server.api("DELETE", &format!("/api/hubs/chat/{path}"), &[], "").await.status, 204, "{path}");
    }
    assert_eq!(server.http("HEAD", "/api/health", &[], "").await.status, 200);
}

#[tokio::test]
async fn a_group_of_a_thousand_is_read_page_by_page() {
    let server = Setup::new().config(|config| config.limits.connections_per_user = 2000).start().await;
    let mut members = BTreeSet::new();
    let mut clients = Vec::new();
    for _ in 0..1050 {
        let token = server.token().claim("webpubsub.group", "crowd").claim("sub", "one of many");
        let client = server.handshake().token(token).connect().await.unwrap();
        members.insert(client.id().to_owned());
        clients.push(client);
    }
    for (list, first, pages) in [
        ("groups/crowd/connections", "maxpagesize=100", 11),
        ("groups/crowd/connections", "", 6),
        ("connections", "", 6),
        ("connections", "user=one%20of%20many&maxpagesize=150", 7),
        ("connections", "group=crowd&address=127.0.0.1", 6),
    ] {
        let (mut seen, mut path, mut count) = (Vec::new(), format!("/api/hubs/chat/{list}?{first}"), 0);
        loop {
            let page = server.api_get(&path).await;
            let ids =
                page["value"].as_array().unwrap().iter().map(|one| one["connectionId"].as_str().unwrap().to_owned());
            seen.extend(ids);
            count += 1;
            let Some(next) = page["nextLink"].as_str() else { break };
            path = next.strip_prefix(&format!("http://{}", server.address)).unwrap().to_owned();
        }
        assert_eq!((seen.len(), count), (1050, pages), "{list}?{first}");
        assert!(seen.is_sorted() && seen.into_iter().collect::<BTreeSet<_>>() == members);
    }
    // Of all pages together, no more than `top`.
    let path = "/api/hubs/chat/groups/crowd/connections?maxpagesize=100&top=150";
    let page = server.api_get(path).await;
    assert!(page["nextLink"].as_str().unwrap().contains("top=50"), "{}", page["nextLink"]);
    let token = page["continuationToken"].as_str().unwrap();
    let last = server.api_get(&format!("{path}&continuationToken={token}").replace("top=150", "top=50")).await;
    assert!(last["value"].as_array().unwrap().len() == 50 && last["nextLink"].is_null());
    // A user's token opens every page; one for the first opens the next too, as the query does not count.
    assert_eq!(server.api("GET", path, &[], "").await.status, 200);
}

#[tokio::test]
async fn the_next_page_is_at_the_public_url() {
    let setup =
        Setup::new().config(|config| config.server.public_urls = vec!["https://chat.example/base".parse().unwrap()]);
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.join("a%2Fb").await;
    let page = server.api_get(&format!("/api/hubs/chat/connections/{}/groups?maxpagesize=1", mark.id())).await;
    let link = page["nextLink"].as_str().unwrap();
    assert!(
        link.starts_with(&format!("https://chat.example/base/api/hubs/chat/connections/{}/groups?", mark.id())),
        "{link}"
    );
    // As it stands there it is an audience that the server takes for its own.
    let token = server.api_token("").claim("aud", link).to_string();
    let path = link.strip_prefix("https://chat.example/base").unwrap();
    assert_eq!(server.api_as(&token, "GET", path, &[], "").await.json()["value"], json!(["a%2Fb"]));
}

/// Makes a connection that may not join a member.
async fn join_by_server(server: &TestServer, client: &mut Client, name: &str) {
    let join = Join { connection: client.id().parse().unwrap(), target: Target::Group(group(name)) };
    let hub = server.run(|running| running.hub(&HubName::parse("chat").unwrap()).unwrap()).await;
    hub.hub().registry().send(join).await.unwrap().unwrap();
}
