//! Connections that the HTTP API ends.

use crate::support::{Setup, on_both_transports};

on_both_transports! {
    one_connection_is_closed_with_a_reason,
    the_connections_of_a_user_a_group_a_mask_and_a_hub_are_closed,
}

async fn one_connection_is_closed_with_a_reason(setup: Setup) {
    let server = setup.start().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.demo(1).await);
    }
    let close = async |id: &str, query: &str| {
        let answer = server.api("DELETE", &format!("/api/hubs/chat/connections/{id}{query}"), &[], "").await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    };
    close(clients[0].id(), "").await;
    clients[0].expect_close(1000, "closed by the application server").await;
    close(clients[1].id(), "?reason=see%20you%20later").await;
    clients[1].expect_close(1000, "see you later").await;
    close(clients[2].id(), "?kick=true&reason=behave").await;
    clients[2].expect_close(1008, "behave").await;
    close(clients[2].id(), "").await;
    close("nobody", "").await;
    for bad in ["kick=perhaps".to_owned(), format!("reason={}", "x".repeat(1025))] {
        let path = format!("/api/hubs/chat/connections/{}?{bad}", clients[0].id());
        assert_eq!(server.api("DELETE", &path, &[], "").await.status, 400, "{bad}");
    }
}

async fn the_connections_of_a_user_a_group_a_mask_and_a_hub_are_closed(setup: Setup) {
    let server = setup.start().await;
    let (mut phone, mut laptop, mut kenji) = (server.demo(1).await, server.demo(1).await, server.demo(2).await);
    let (mut in_a, mut in_b, mut in_c) = (server.demo(3).await, server.demo(3).await, server.demo(4).await);
    in_a.join("team/a").await;
    in_b.join("team/b").await;
    in_c.join("team/c").await;
    let close = async |path: &str| {
        let answer = server.api("POST", &format!("/api/hubs/chat/{path}"), &[], "").await;
        assert_eq!(answer.status, 204, "{path}: {}", answer.body);
    };
    close(&format!("users/user-1/:closeConnections?excluded={}&reason=one", phone.id())).await;
    laptop.expect_close(1000, "one").await;
    close("groups/team%2Fa/:closeConnections?reason=group").await;
    in_a.expect_close(1000, "group").await;
    close(&format!("groups/team%2F*/:closeConnections?kick=true&excluded={}", in_c.id())).await;
    in_b.expect_close(1008, "kicked by an administrator").await;
    close("groups/nobody/:closeConnections").await;
    close(&format!(":closeConnections?reason=all&excluded={}", kenji.id())).await;
    phone.expect_close(1000, "all").await;
    in_c.expect_close(1000, "all").await;
    kenji.expect_silence().await;
    let elsewhere = server.api("POST", "/api/hubs/elsewhere/:closeConnections", &[], "").await;
    assert_eq!(elsewhere.status, 204);
}
