//! Announcements of who comes and goes.

use folkmoot::config::{AnnouncePer, AnnouncementsConfig};
use serde_json::{Value, json};

use crate::support::{Setup, group, on_both_transports};

on_both_transports! {
    an_announcement_tells_public_fields_only,
    leaving_a_group_is_told_with_its_own_text_and_reason,
    above_max_members_a_group_falls_silent,
    once_per_user_the_first_connection_and_the_last_are_announced,
    a_missing_field_of_the_data_means_no_announcement_and_is_counted,
    a_user_without_a_name_is_announced_by_the_user_id,
    nothing_is_announced_where_it_is_off,
}

fn with(setup: Setup, change: impl FnOnce(&mut AnnouncementsConfig)) -> Setup {
    setup.announcing().hub("chat", |hub| change(&mut hub.announcements))
}

async fn an_announcement_tells_public_fields_only(setup: Setup) {
    let setup = with(setup, |texts| {
        texts.joined = "{username} ({department}, {userId}) is in {group} of {hub}".parse().unwrap()
    });
    let server = setup.config(|config| config.users.public_fields = vec!["age".into(), "login".into()]).start().await;
    let mut mark = server.demo(1).await;
    let told = mark.expect_message("Sales", "Mark (Sales, user-1) is in Sales of chat").await;
    assert_eq!(told["announcement"]["user"], json!({"age": 22, "login": "user-1"}));
    assert_eq!(told.get("fromUserId"), None);
    let listed = mark.ask_ok(json!({"type": "listMembers", "group": "Sales"})).await;
    assert_eq!(listed["members"][0]["user"], json!({"age": 22, "login": "user-1"}));
}

async fn leaving_a_group_is_told_with_its_own_text_and_reason(setup: Setup) {
    let setup = with(setup, |texts| {
        texts.left = "{username} left {group} ({reason})".parse().unwrap();
        texts.disconnected = Some("{username} is gone ({reason})".parse().unwrap());
    });
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.expect_message("Sales", "Mark has logged in.").await;
    let mut anna = server.demo(2).await;
    anna.join("Sales").await;
    mark.expect_message("Sales", "Anna has logged in.").await;
    anna.leave("Sales").await;
    let left = mark.expect_message("Sales", "Anna left Sales (left)").await;
    assert_eq!((&left["announcement"]["event"], &left["announcement"]["reason"]), (&json!("left"), &json!("left")));
    anna.join("Sales").await;
    mark.expect_message("Sales", "Anna has logged in.").await;
    anna.abort();
    let left = mark.expect_message("Sales", "Anna is gone (disconnected)").await;
    assert_eq!(left["announcement"]["reason"], "disconnected");
    mark.expect_silence().await;
}

async fn above_max_members_a_group_falls_silent(setup: Setup) {
    let server = with(setup, |texts| texts.max_members = 2).start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    mark.expect_message("Sales", "Mark has logged in.").await;
    anna.join("Sales").await;
    mark.expect_message("Sales", "Anna has logged in.").await;
    // The third is too much, in both directions.
    let mut kenji = server.demo(3).await;
    kenji.join("Sales").await;
    kenji.leave("Sales").await;
    anna.leave("Sales").await;
    mark.expect_message("Sales", "Anna has disconnected.").await;
    mark.expect_silence().await;
}

async fn once_per_user_the_first_connection_and_the_last_are_announced(setup: Setup) {
    let server = with(setup, |texts| texts.per = AnnouncePer::User).start().await;
    let mut anna = server.demo(2).await;
    anna.join("Sales").await;
    anna.expect_message("sales/europe", "Anna has logged in.").await;
    anna.expect_message("Sales", "Anna has logged in.").await;
    let mut mark = server.demo(1).await;
    anna.expect_message("Sales", "Mark has logged in.").await;
    let mut phone = server.demo(1).await;
    mark.close(Some(1000)).await;
    phone.leave("Sales").await;
    anna.expect_message("Sales", "Mark has disconnected.").await;
    phone.join("Sales").await;
    anna.expect_message("Sales", "Mark has logged in.").await;
    anna.expect_silence().await;
}

async fn a_missing_field_of_the_data_means_no_announcement_and_is_counted(setup: Setup) {
    let setup = with(setup, |texts| texts.joined = "{username} of team {data.team}".parse().unwrap());
    let setup = setup.user("red", |user| {
        user.data = serde_json::from_value(json!({"team": "red"})).unwrap();
        user.groups = vec![group("Sales")];
    });
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    server.metric_becomes("folkmoot_announcements_dropped_total", 1.0).await;
    let _red = server.user("red").await;
    mark.expect_message("Sales", "red of team red").await;
    mark.expect_silence().await;
}

async fn a_user_without_a_name_is_announced_by_the_user_id(setup: Setup) {
    let server = setup.announcing().start().await;
    let token = server.token().claim("sub", "bob").claim("webpubsub.group", "Sales");
    let mut bob = server.handshake().token(token).connect().await.unwrap();
    bob.expect_message("Sales", "bob has logged in.").await;
    // Whoever has neither is not announced.
    let token = server.token().claim("webpubsub.group", "Sales");
    let _nobody = server.handshake().token(token).connect().await.unwrap();
    server.metric_becomes("folkmoot_announcements_dropped_total", 1.0).await;
    bob.expect_silence().await;
}

async fn nothing_is_announced_where_it_is_off(setup: Setup) {
    let setup = setup.announcing().hub("quiet", |hub| hub.announcements.enabled = false);
    let server = setup.user("clerk", |user| user.hubs = crate::support::all_hubs()).start().await;
    let path = "/client/hubs/quiet";
    let token = || server.token_for("quiet").claim("webpubsub.group", "a");
    let mut first = server.handshake().path(path).token(token()).connect().await.unwrap();
    let second = server.handshake().path(path).token(token()).connect().await.unwrap();
    second.abort();
    server.metric_becomes("folkmoot_leaves_total", 1.0).await;
    let all: Vec<Value> = first.drain().await;
    assert_eq!(all, Vec::<Value>::new());
}
