//! Messages by the HTTP API.

use serde_json::json;

use crate::support::{Client, JSON, Setup, TEXT, on_both_transports};

on_both_transports! {
    a_message_reaches_a_group_or_the_groups_of_a_mask_with_its_type,
    a_message_reaches_users_connections_and_everybody,
    a_message_that_is_none_is_refused,
    names_with_odd_characters_are_meant_as_they_are,
}

/// The groups that a message went to, of the answer to a send.
fn groups(answer: &crate::support::Answer) -> Option<&str> {
    answer.header("folkmoot-delivered-groups")
}

async fn a_message_reaches_a_group_or_the_groups_of_a_mask_with_its_type(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut kenji) = (server.demo(1).await, server.demo(2).await);
    mark.join("shop/eu").await;
    kenji.join("shop/us").await;
    let send = async |target: &str, headers: &[(&str, &str)], body: &str| {
        let answer = server.api("POST", &format!("/api/hubs/chat/groups/{target}/:send"), headers, body).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        groups(&answer).map(str::to_owned)
    };
    assert_eq!(send("shop%2Feu", &[TEXT], "hello").await.as_deref(), Some("1"));
    let heard = mark.next_json().await;
    let from_server =
        json!({"type": "message", "from": "group", "group": "shop/eu", "dataType": "text", "data": "hello"});
    assert_eq!(heard, from_server);
    // JSON goes out as it came, byte for byte.
    assert_eq!(send("shop%2F*", &[JSON], "{\"b\" : 1,\"a\":1.50}").await.as_deref(), Some("2"));
    for client in [&mut mark, &mut kenji] {
        let heard = client.next_text().await;
        assert!(heard.contains("\"data\":{\"b\" : 1,\"a\":1.50}"), "{heard}");
    }
    send("shop%2Fus", &[("Content-Type", "application/octet-stream")], "\u{1}x").await;
    assert_eq!(kenji.next_json().await["data"], "AXg=");
    send("shop%2Fus", &[], "untold").await;
    assert_eq!(kenji.next_json().await["dataType"], "binary");
    let query = format!("shop%2F*/:send?excluded={}&excluded=nobody", mark.id());
    let answer = server.api("POST", &format!("/api/hubs/chat/groups/{query}"), &[TEXT], "not for mark").await;
    assert_eq!(answer.status, 202);
    kenji.expect_message("shop/us", "not for mark").await;
    mark.expect_silence().await;
    // Nobody is reached without an error, unless there must be somebody.
    assert_eq!(send("nobody", &[TEXT], "x").await.as_deref(), Some("0"));
    for target in ["nobody", "nobody%2F*"] {
        let path = format!("/api/hubs/chat/groups/{target}/:send?mustExist=true");
        let answer = server.api("POST", &path, &[TEXT], "x").await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("Error.Group.NotExisted")));
        assert_eq!(answer.header("x-ms-error-code"), Some("Error.Group.NotExisted"));
    }
    for target in ["shop%2Feu", "shop%2F*"] {
        let path = format!("/api/hubs/chat/groups/{target}/:send?mustExist=true");
        assert_eq!(server.api("POST", &path, &[TEXT], "x").await.status, 202);
        mark.expect_message("shop/eu", "x").await;
    }
}

async fn a_message_reaches_users_connections_and_everybody(setup: Setup) {
    let server = setup.start().await;
    let (mut phone, mut laptop) = (server.demo(1).await, server.demo(1).await);
    let mut kenji = server.raw(2).await;
    let send = async |path: &str, body: &str| {
        let answer = server.api("POST", &format!("/api/hubs/chat/{path}"), &[TEXT], body).await;
        assert_eq!((answer.status, groups(&answer)), (202, None), "{path}: {}", answer.body);
    };
    let hears = async |client: &mut Client, text: &str| {
        let expected = json!({"type": "message", "from": "server", "dataType": "text", "data": text});
        assert_eq!(client.next_json().await, expected);
    };
    send("users/user-1/:send", "both").await;
    hears(&mut phone, "both").await;
    hears(&mut laptop, "both").await;
    send(&format!("connections/{}/:send", phone.id()), "phone").await;
    hears(&mut phone, "phone").await;
    send(":send", "all").await;
    hears(&mut phone, "all").await;
    hears(&mut laptop, "all").await;
    assert_eq!(kenji.next_text().await, "all");
    send(&format!(":send?excluded={}&excluded={}", phone.id(), phone.id()), "others").await;
    hears(&mut laptop, "others").await;
    assert_eq!(kenji.next_text().await, "others");
    phone.expect_silence().await;
    // Nobody there is no error.
    for path in ["users/user-3/:send", "connections/nobody/:send", "connections/00000000000000000000000000000000/:send"]
    {
        send(path, "x").await;
    }
    let answer = server.api("POST", "/api/hubs/elsewhere/:send", &[TEXT], "x").await;
    assert_eq!(answer.status, 202);
    assert!(server.api_get("/api/hubs").await["value"].as_array().unwrap().iter().all(|hub| hub["hub"] != "elsewhere"));
}

async fn a_message_that_is_none_is_refused(setup: Setup) {
    let server = setup.config(|config| config.limits.max_message_bytes = 1000).start().await;
    let long = "x".repeat(1001);
    let group = "/api/hubs/chat/groups/a/:send";
    for (path, headers, body, status) in [
        (group, &[JSON][..], "{", 400),
        (group, &[JSON], "", 400),
        (group, &[JSON], "null", 400),
        (group, &[("Content-Type", "text/html")], "x", 415),
        (group, &[("Content-Type", "text/plain; charset=klingon")], "x", 415),
        (group, &[("Content-Type", "text/plain; charset=utf-16")], "odd", 400),
        (group, &[TEXT], &long, 400),
        // Nothing says how large it is.
        (group, &[TEXT], "", 400),
        ("/api/hubs/chat/groups/a/:send?filter=x", &[TEXT], "x", 400),
        ("/api/hubs/chat/groups/a/:send?filter=", &[TEXT], "x", 400),
        ("/api/hubs/chat/groups/a/:send?messageTtlSeconds=301", &[TEXT], "x", 400),
        ("/api/hubs/chat/groups/a/:send?messageTtlSeconds=-1", &[TEXT], "x", 400),
        ("/api/hubs/chat/groups/a/:send?mustExist=perhaps", &[TEXT], "x", 400),
        ("/api/hubs/chat/groups/a/:send?api-version=2020-01-01", &[TEXT], "x", 400),
        ("/api/hubs/chat/groups/a/:send?api-version=2024-12-01&api-version=2024-12-01", &[TEXT], "x", 400),
        ("/api/hubs/chat/groups/%20/:send", &[TEXT], "x", 400),
        ("/api/hubs/chat/groups/a%5B/:send", &[TEXT], "x", 400),
        ("/api/hubs/chat/groups/%FF/:send", &[TEXT], "x", 400),
        ("/api/hubs/no%20hub/:send", &[TEXT], "x", 400),
        ("/api/hubs/folkmoot.admin/groups/overview/:send", &[TEXT], "x", 403),
        ("/api/hubs/chat/groups/:send", &[TEXT], "x", 405),
        ("/api/hubs/chat/groups/a/:shout", &[TEXT], "x", 404),
        ("/api/hubs/chat/groups/a/b/:send", &[TEXT], "x", 404),
        ("/api/", &[TEXT], "x", 404),
    ] {
        let answer = server.api("POST", path, headers, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.json()["code"].as_str(), answer.header("x-ms-error-code"));
        assert!(answer.json()["message"].as_str().is_some_and(|sentence| sentence.ends_with('.')), "{}", answer.body);
    }
    let answer = server.api("PATCH", group, &[], "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    let sound = server.api("POST", &format!("{group}?api-version=2024-12-01"), &[JSON], " [1] ").await;
    assert_eq!(sound.status, 202, "{}", sound.body);
    let empty = server.api("POST", group, &[TEXT, ("Content-Length", "0")], "").await;
    assert_eq!(empty.status, 202, "{}", empty.body);
}

async fn names_with_odd_characters_are_meant_as_they_are(setup: Setup) {
    let server = setup.hub("literal", |hub| hub.masks = false).start().await;
    let mut mark = server.demo(1).await;
    for (encoded, name) in [
        ("sales%2Feurope", "sales/europe"),
        ("a%2Bb", "a+b"),
        ("a+c", "a+c"),
        ("a%252Fb", "a%2Fb"),
        ("100%25", "100%"),
        ("%E2%82%AC%20uro", "€ uro"),
        ("%3Asend", ":send"),
        (":count", ":count"),
        ("..", ".."),
        ("a%3Fb%23c".trim_end_matches("%3Fb%23c"), "a"),
    ] {
        mark.join(name).await;
        let answer = server.api("POST", &format!("/api/hubs/Chat/groups/{encoded}/:send"), &[TEXT], name).await;
        assert_eq!((answer.status, groups(&answer)), (202, Some("1")), "{encoded}: {}", answer.body);
        mark.expect_message(name, name).await;
        assert_eq!(
            server.api("HEAD", &format!("/api/hubs/chat/groups/{encoded}"), &[], "").await.status,
            200,
            "{name}"
        );
    }
    // Where masks are off, a star is a star.
    let mut other = server
        .handshake()
        .path("/client/hubs/literal")
        .token(server.token_for("literal").claim("role", "webpubsub.joinLeaveGroup"))
        .connect()
        .await
        .unwrap();
    other.join("a*").await;
    other.join("ab").await;
    for encoded in ["a%2A", "a*"] {
        let answer = server.api("POST", &format!("/api/hubs/literal/groups/{encoded}/:send"), &[TEXT], "star").await;
        assert_eq!(groups(&answer), Some("1"), "{encoded}");
        other.expect_message("a*", "star").await;
    }
}
