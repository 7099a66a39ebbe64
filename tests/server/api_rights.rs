//! What single connections may do by the HTTP API, and the tokens that it makes.

use serde_json::json;

use crate::support::{Setup, on_both_transports, text_to};

on_both_transports! {
    rights_are_granted_asked_for_and_revoked_while_a_connection_lives,
    a_token_that_is_asked_for_opens_its_hub_with_its_roles,
}

async fn rights_are_granted_asked_for_and_revoked_while_a_connection_lives(setup: Setup) {
    let server = setup.without_default_roles().start().await;
    let mut mark = server.demo(1).await;
    let of = |permission: &str, id: &str, query: &str| {
        format!("/api/hubs/chat/permissions/{permission}/connections/{id}{query}")
    };
    let id = mark.id().to_owned();
    let status = async |method: &str, permission: &str, query: &str| {
        server.api(method, &of(permission, &id, query), &[], "").await.status
    };
    let (eu, us) = ("?targetName=sales%2Feu", "?targetName=sales%2Fus");
    assert_eq!(status("HEAD", "sendToGroup", eu).await, 404);
    mark.ask_refused(text_to("sales/eu", "x"), "Forbidden").await;
    assert_eq!(status("PUT", "sendToGroup", eu).await, 200);
    assert_eq!((status("HEAD", "sendToGroup", eu).await, status("HEAD", "sendToGroup", us).await), (200, 404));
    assert_eq!(status("HEAD", "joinLeaveGroup", eu).await, 404);
    mark.ask_ok(text_to("sales/eu", "x")).await;
    mark.ask_refused(text_to("sales/us", "x"), "Forbidden").await;
    assert_eq!(status("DELETE", "sendToGroup", eu).await, 204);
    mark.ask_refused(text_to("sales/eu", "x"), "Forbidden").await;
    // Without a target, all groups are meant; a star is a star.
    assert_eq!(status("PUT", "joinLeaveGroup", "?targetName=%2A").await, 200);
    mark.ask_refused(json!({"type": "joinGroup", "group": "anywhere"}), "Forbidden").await;
    assert_eq!(status("PUT", "joinLeaveGroup", "").await, 200);
    mark.join("anywhere").await;
    assert_eq!((status("HEAD", "joinLeaveGroup", "").await, status("HEAD", "joinLeaveGroup", us).await), (200, 200));
    assert_eq!(status("DELETE", "joinLeaveGroup", "").await, 204);
    assert_eq!(status("HEAD", "joinLeaveGroup", "").await, 404);
    mark.ask_refused(json!({"type": "joinGroup", "group": "elsewhere"}), "Forbidden").await;
    for missing in ["nobody", "00000000000000000000000000000000"] {
        let put = server.api("PUT", &of("sendToGroup", missing, eu), &[], "").await;
        assert_eq!((put.status, put.header("x-ms-error-code")), (404, Some("Info.Connection.NotExisted")));
        assert_eq!(server.api("DELETE", &of("sendToGroup", missing, eu), &[], "").await.status, 204);
        assert_eq!(server.api("HEAD", &of("sendToGroup", missing, eu), &[], "").await.status, 404);
    }
    for (permission, query) in [("shout", eu), ("sendToGroup", "?targetName="), ("sendToGroup", "?targetName=%20")] {
        for method in ["PUT", "DELETE", "HEAD"] {
            assert_eq!(status(method, permission, query).await, 400, "{method} {permission}{query}");
        }
    }
    assert_eq!(status("GET", "sendToGroup", eu).await, 405);
}

async fn a_token_that_is_asked_for_opens_its_hub_with_its_roles(setup: Setup) {
    let server = setup.user_with_roles("root", &["folkmoot.admin"]).start().await;
    let ask = async |query: &str| server.api("POST", &format!("/api/hubs/chat/:generateToken{query}"), &[], "").await;
    let answer = ask("?userId=visitor%2F1&role=webpubsub.sendToGroup.a%2Fb&role=webpubsub.joinLeaveGroup&group=a%2Fb&group=c&minutesToExpire=5&clientType=Default").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", answer.body);
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    let mut visitor = server.handshake().token(&token).connect().await.unwrap();
    let details = server.api_get(&format!("/api/hubs/chat/connections/{}", visitor.id())).await;
    assert_eq!((&details["userId"], &details["groupNames"]), (&json!("visitor/1"), &json!(["a/b", "c"])));
    visitor.publish("a/b", "may").await;
    visitor.expect_message("a/b", "may").await;
    visitor.ask_refused(text_to("c", "x"), "Forbidden").await;
    // It is for this hub, and no store user.
    server.handshake().path("/client/hubs/other").token(&token).refused(401).await;
    let plain = ask("").await.json()["token"].as_str().unwrap().to_owned();
    let guest = server.handshake().token(&plain).connect().await.unwrap();
    let guest = server.api_get(&format!("/api/hubs/chat/connections/{}", guest.id())).await;
    assert!(guest["userId"].is_null() && guest["groups"] == 0, "{guest}");
    let as_admin = server.operator("root").await;
    let by_admin = server.api_as(&as_admin, "POST", "/api/hubs/chat/:generateToken?userId=x", &[], "").await;
    assert_eq!(by_admin.status, 200, "{}", by_admin.body);
    for bad in [
        "?minutesToExpire=0",
        "?minutesToExpire=x",
        "?minutesToExpire=99999999",
        "?role=webpubsub.fly",
        "?group=%20",
        "?group=a%2A",
        "?userId=%20",
        "?clientType=MQTT",
        "?userId=a&userId=b",
    ] {
        assert_eq!(ask(bad).await.status, 400, "{bad}");
    }
    // The path alone, or the token for this request would be the first to be too long.
    let path = "/api/hubs/chat/:generateToken";
    let groups = format!("&group={}", "g".repeat(1000)).repeat(9);
    let long = server.api_as(&server.api_token(path).to_string(), "POST", &format!("{path}?{groups}"), &[], "").await;
    assert_eq!(long.status, 400, "{}", long.body);
    let reserved = server.api("POST", "/api/hubs/folkmoot.admin/:generateToken?role=folkmoot.admin", &[], "").await;
    assert_eq!(reserved.status, 403, "{}", reserved.body);
}
