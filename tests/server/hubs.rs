//! Hubs: how they are named, who may enter them, how long they live.

use crate::support::{PASSWORD, Setup, TestServer, all_hubs, on_both_transports};

on_both_transports! {
    every_path_to_a_hub_leads_there_whatever_the_case_of_its_name,
    hubs_do_not_hear_one_another,
    an_undeclared_hub_ends_with_its_last_connection,
    undeclared_hubs_are_limited,
    undeclared_hubs_can_be_turned_off,
    a_user_enters_the_hubs_of_the_users_list_only,
    reserved_hubs_are_never_made_by_a_request_and_not_shown_to_those_without_an_admin_role,
}

fn with_insider(setup: Setup) -> Setup {
    setup.user("insider", |user| {
        user.hubs = all_hubs();
        user.roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"].map(|role| role.parse().unwrap()).into();
    })
}

fn entering(server: &TestServer, login: &str, path: &str) -> crate::support::Handshake {
    server.handshake().path(path).basic(login, PASSWORD)
}

async fn every_path_to_a_hub_leads_there_whatever_the_case_of_its_name(setup: Setup) {
    let server = with_insider(setup).start().await;
    let mut first = server.user("insider").await;
    first.join("a").await;
    for path in [
        "/ws",
        "/client/hubs/chat",
        "/client/hubs/CHAT",
        "/client/hubs/%43hat",
        "/client?hub=Chat",
        "/client/?hub=chat",
        "/client/?hub=other&hub=chat",
    ] {
        let mut client = entering(&server, "insider", path).connect().await.unwrap();
        client.publish("a", path).await;
        first.expect_message("a", path).await;
    }
    for (path, status) in [
        ("/", 404),
        ("/ws/", 404),
        ("/client/hubs/chat/x", 404),
        ("/clients/hubs/chat", 404),
        ("/client/hubs/9lives", 400),
        ("/client/hubs/a%2Fb", 400),
        ("/client/hubs/%FF", 400),
        ("/client/hubs/%63hat%", 400),
        ("/client", 400),
        ("/client?hub=", 400),
    ] {
        entering(&server, "insider", path).refused(status).await;
    }
}

#[tokio::test]
async fn the_path_of_a_hub_without_a_name_is_a_bad_request() {
    let server = with_insider(Setup::new()).start().await;
    entering(&server, "insider", "/client/hubs/").refused(400).await;
}

async fn hubs_do_not_hear_one_another(setup: Setup) {
    let server = with_insider(setup).start().await;
    let mut here = entering(&server, "insider", "/client/hubs/here").connect().await.unwrap();
    let mut there = entering(&server, "insider", "/client/hubs/there").connect().await.unwrap();
    here.join("a").await;
    there.join("a").await;
    here.publish("*", "only here").await;
    here.expect_message("a", "only here").await;
    there.expect_silence().await;
}

async fn an_undeclared_hub_ends_with_its_last_connection(setup: Setup) {
    let server = with_insider(setup).config(|config| config.hubs.max_undeclared = 1).start().await;
    let enter = |hub: &str| entering(&server, "insider", &format!("/client/hubs/{hub}"));
    for hub in ["one", "two", "three"] {
        // The hub before it ends when its last session has, a moment after the close frame.
        let mut first = loop {
            match enter(hub).connect().await {
                Ok(first) => break first,
                Err(refused) => assert_eq!(refused.status.as_u16(), 503),
            }
        };
        let second = enter(hub).connect().await.unwrap();
        second.abort();
        first.join("a").await;
        enter("another").refused(503).await;
        first.close(Some(1000)).await;
    }
}

async fn undeclared_hubs_are_limited(setup: Setup) {
    let setup = with_insider(setup).hub("declared", |_| {}).config(|config| config.hubs.max_undeclared = 2);
    let server = setup.start().await;
    let enter = |hub: &str| entering(&server, "insider", &format!("/client/hubs/{hub}"));
    let _one = enter("one").connect().await.unwrap();
    let _two = enter("two").connect().await.unwrap();
    let refused = enter("three").refused(503).await;
    assert!(refused.headers.contains_key("retry-after"));
    enter("one").connect().await.unwrap();
    enter("declared").connect().await.unwrap();
    enter("chat").connect().await.unwrap();
}

async fn undeclared_hubs_can_be_turned_off(setup: Setup) {
    let setup = with_insider(setup).hub("declared", |_| {}).config(|config| config.hubs.allow_undeclared = false);
    let server = setup.start().await;
    entering(&server, "insider", "/client/hubs/other").refused(404).await;
    entering(&server, "insider", "/client/hubs/declared").connect().await.unwrap();
    entering(&server, "insider", "/ws").connect().await.unwrap();
}

async fn a_user_enters_the_hubs_of_the_users_list_only(setup: Setup) {
    let setup = with_insider(setup).user("guest", |_| {});
    let setup = setup.user("one", |user| user.hubs = folkmoot::users::HubAccess::parse(&["one", "ONE.more"]).unwrap());
    let server = setup.start().await;
    for (login, hub, welcome) in [
        ("guest", "chat", true),
        ("guest", "one", false),
        ("one", "One", true),
        ("one", "one.More", true),
        ("one", "chat", false),
        ("insider", "anything", true),
    ] {
        let entering = entering(&server, login, &format!("/client/hubs/{hub}"));
        if welcome {
            entering.connect().await.unwrap();
        } else {
            entering.refused(403).await;
        }
    }
}

async fn reserved_hubs_are_never_made_by_a_request_and_not_shown_to_those_without_an_admin_role(setup: Setup) {
    let setup = with_insider(setup).user("admin", |user| {
        user.hubs = all_hubs();
        user.roles = vec!["folkmoot.admin.read".parse().unwrap()];
    });
    let server = setup.config(|config| config.hubs.settings.anonymous = true).start().await;
    entering(&server, "insider", "/client/hubs/folkmoot.events").refused(403).await;
    // Nobody is anonymous there, whatever the settings of all hubs say.
    server.handshake().path("/client/hubs/folkmoot.events").refused(401).await;
    entering(&server, "admin", "/client/hubs/Folkmoot.Events").refused(404).await;
}
