//! Which connections a request to the HTTP API means: filters, what is left out, and many connections at once.

use serde_json::{Value, json};

use crate::support::{Client, JSON, Setup, TEXT, TestServer, on_both_transports};

on_both_transports! {
    a_filter_chooses_among_those_whom_a_message_is_for,
    a_filter_chooses_who_is_closed_and_who_is_listed,
    a_filter_that_is_none_is_refused_before_anything_is_sent,
    connections_join_and_leave_many_groups_by_a_filter,
}

/// Any text as a part of a query.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Sends a text by the API; how many connections it went to.
async fn send(server: &TestServer, path: &str, filter: &str, text: &str) -> Option<usize> {
    let join = if path.contains('?') { '&' } else { '?' };
    let path = format!("/api/hubs/chat/{path}{join}filter={}", encoded(filter));
    let answer = server.api("POST", &path, &[TEXT], text).await;
    assert_eq!(answer.status, 202, "{path}: {}", answer.body);
    answer.header("folkmoot-delivered-connections").map(|number| number.parse().unwrap())
}

async fn hears(client: &mut Client, text: &str) {
    let heard = client.next_json().await;
    assert_eq!(heard["data"], text, "{heard}");
}

async fn a_filter_chooses_among_those_whom_a_message_is_for(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    let (mut phone, mut raw) = (server.demo(2).await, server.raw(3).await);
    for name in ["shop/eu", "shop/us"] {
        mark.join(name).await;
    }
    anna.join("shop/us").await;
    phone.join("shop/*").await;
    // To the hub.
    assert_eq!(send(&server, ":send", "userId eq 'user-1'", "one").await, Some(1));
    hears(&mut mark, "one").await;
    assert_eq!(send(&server, ":send", "protocol eq null", "raw").await, Some(1));
    assert_eq!(raw.next_text().await, "raw");
    let query = format!(":send?excluded={}", anna.id());
    assert_eq!(send(&server, &query, "'shop/us' in groups", "members").await, Some(1));
    hears(&mut mark, "members").await;
    assert_eq!(send(&server, ":send", "length(groups) gt 99", "nobody").await, Some(0));
    // To a user.
    let filter = format!("connectionId eq '{}'", phone.id());
    assert_eq!(send(&server, "users/user-2/:send", &filter, "phone").await, Some(1));
    hears(&mut phone, "phone").await;
    // To a connection.
    let path = format!("connections/{}/:send", phone.id());
    assert_eq!(send(&server, &path, "userId eq 'user-1'", "x").await, Some(0));
    // To a group: as any message to it, with its name, to members and to listeners.
    assert_eq!(send(&server, "groups/shop%2Fus/:send", "userId eq 'user-2'", "group").await, Some(2));
    for client in [&mut anna, &mut phone] {
        client.expect_message("shop/us", "group").await;
    }
    // To a mask: one copy each, whichever of the groups brings it.
    assert_eq!(send(&server, "groups/shop%2F*/:send", "startswith(userId, 'user-')", "mask").await, Some(3));
    for (client, group) in [(&mut mark, "shop/eu"), (&mut anna, "shop/us"), (&mut phone, "shop/eu")] {
        client.expect_message(group, "mask").await;
    }
    let query = format!("groups/shop%2F*/:send?excluded={}", mark.id());
    assert_eq!(send(&server, &query, "userId ne 'user-2'", "x").await, Some(0));
    assert_eq!(send(&server, "groups/nobody/:send", "true", "x").await, Some(0));
    for client in [&mut mark, &mut anna, &mut phone] {
        client.expect_silence().await;
    }
}

async fn a_filter_chooses_who_is_closed_and_who_is_listed(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna, mut kenji) = (server.demo(1).await, server.demo(2).await, server.demo(3).await);
    for client in [&mut mark, &mut anna] {
        client.join("shop/eu").await;
    }
    let list = async |filter: &str| -> Vec<Value> {
        let page = server.api_get(&format!("/api/hubs/chat/connections?filter={}", encoded(filter))).await;
        page["value"].as_array().unwrap().iter().map(|one| one["userId"].clone()).collect()
    };
    assert_eq!(list("not ('shop/eu' in groups)").await, ["user-3"]);
    let close = async |path: &str, filter: &str| {
        let path = format!("/api/hubs/chat/{path}/:closeConnections?reason=filtered&filter={}", encoded(filter));
        assert_eq!(server.api("POST", &path.replace("//", "/"), &[], "").await.status, 204, "{path}");
    };
    close("groups/shop%2Feu", "userId eq 'user-2'").await;
    anna.expect_close(1000, "filtered").await;
    close("groups/shop%2F*", "userId eq 'user-3'").await;
    close("users/user-1", "userId eq 'user-3'").await;
    close("", "protocol eq 'json.webpubsub.azure.v1' and userId eq 'user-3'").await;
    kenji.expect_close(1000, "filtered").await;
    mark.expect_silence().await;
}

async fn a_filter_that_is_none_is_refused_before_anything_is_sent(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.join("a").await;
    for filter in ["", "userId", "userId eq", "userId gt 5", "not length(userId) gt 5", "nobody eq 1", "true)"] {
        for path in [":send", "groups/a/:send", "groups/*/:send", "users/user-1/:send", ":closeConnections"] {
            let path = format!("/api/hubs/chat/{path}?filter={}", encoded(filter));
            let answer = server.api("POST", &path, &[TEXT], "x").await;
            assert_eq!((answer.status, answer.header("x-ms-error-code")), (400, Some("Error.BadRequest")), "{path}");
        }
        let body = json!({"groups": ["b"], "filter": filter}).to_string();
        let answer = server.api("POST", "/api/hubs/chat/:addToGroups", &[JSON], &body).await;
        assert_eq!(answer.status, 400, "{filter}: {}", answer.body);
    }
    // Where it has no meaning, it is not ignored.
    let path = "/api/hubs/chat/users/user-1/groups/b?filter=true";
    assert_eq!(server.api("PUT", path, &[], "").await.status, 400);
    mark.expect_silence().await;
    assert_eq!(server.api("HEAD", "/api/hubs/chat/groups/b", &[], "").await.status, 404);
}

async fn connections_join_and_leave_many_groups_by_a_filter(setup: Setup) {
    let server = setup.config(|config| config.limits.groups_per_connection = 4).start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    let change = async |what: &str, headers: &[(&str, &str)], body: &str| {
        let answer = server.api("POST", &format!("/api/hubs/chat/{what}"), headers, body).await;
        let code = answer.header("x-ms-error-code").unwrap_or_default().to_owned();
        (answer.status, code)
    };
    let members = async |group: &str| -> Vec<Value> {
        let page = server.api_get(&format!("/api/hubs/chat/groups/{}/connections", encoded(group))).await;
        page["value"].as_array().unwrap().iter().map(|one| one["userId"].clone()).collect()
    };
    let done = (200, String::new());
    let mark_alone = json!({"groups": ["desk/1", "desk/2"], "filter": "userId eq 'user-1'"}).to_string();
    for _ in 0..2 {
        assert_eq!(change(":addToGroups", &[JSON], &mark_alone).await, done);
    }
    assert_eq!((members("desk/1").await, members("desk/2").await), (vec![json!("user-1")], vec![json!("user-1")]));
    mark.publish("desk/1", "mine").await;
    mark.expect_message("desk/1", "mine").await;
    let everybody = json!({"groups": ["desk/2"]}).to_string();
    assert_eq!(change(":addToGroups", &[JSON], &everybody).await, done);
    assert_eq!(members("desk/2").await.len(), 2);
    // The limits of each count, and those of one are no reason to refuse others.
    let many = json!({"groups": ["desk/3", "desk/4"], "filter": "true"}).to_string();
    assert_eq!(change(":addToGroups", &[JSON], &many).await, (409, "Error.Conflict".to_owned()));
    assert!(members("desk/4").await.contains(&json!("user-2")), "{:?}", members("desk/4").await);
    assert_eq!(change(":removeFromGroups", &[JSON], &many).await, done);
    assert_eq!(change(":removeFromGroups", &[JSON], &mark_alone).await, done);
    assert_eq!((members("desk/1").await, members("desk/2").await), (vec![], vec![json!("user-2")]));
    // A mask makes listeners.
    let listening = json!({"groups": ["desk/*"], "filter": "userId eq 'user-1'"}).to_string();
    assert_eq!(change(":addToGroups", &[JSON], &listening).await, done);
    anna.publish("desk/2", "heard").await;
    mark.expect_message("desk/2", "heard").await;
    for (headers, body, status) in [
        (&[JSON][..], json!({"groups": [], "filter": "true"}).to_string(), 400),
        (&[JSON], json!({"groups": [" "], "filter": "true"}).to_string(), 400),
        (&[JSON], json!({"groups": ["["], "filter": "true"}).to_string(), 400),
        (&[JSON], json!({"groups": "a", "filter": "true"}).to_string(), 400),
        (&[JSON], json!({"groups": vec!["a"; 1001], "filter": "true"}).to_string(), 400),
        (&[JSON], json!({"filter": "true"}).to_string(), 400),
        (&[JSON], "{".to_owned(), 400),
        (&[TEXT], mark_alone.clone(), 415),
        (&[], mark_alone.clone(), 415),
    ] {
        for what in [":addToGroups", ":removeFromGroups"] {
            assert_eq!(change(what, headers, &body).await.0, status, "{body}");
        }
    }
    // A hub that nobody has opened has nobody.
    let nowhere = server.api("POST", "/api/hubs/elsewhere/:addToGroups", &[JSON], &everybody).await;
    assert_eq!(nowhere.status, 200);
}
