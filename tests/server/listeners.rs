//! Joining a mask: listeners.

use serde_json::json;

use crate::support::{Setup, on_both_transports};

on_both_transports! {
    a_listener_hears_present_and_future_groups,
    a_listener_is_no_member_and_keeps_no_group_alive,
    a_listener_is_not_announced_but_hears_announcements,
    a_listener_hears_who_was_the_last_to_leave,
    a_member_who_also_listens_gets_one_copy,
    a_broadcast_to_a_mask_reaches_a_listener_by_an_existing_group,
    leaving_a_mask_ends_the_listening_only,
}

async fn a_listener_hears_present_and_future_groups(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna, mut ines) = (server.demo(1).await, server.demo(2).await, server.demo(4).await);
    ines.join("sales/*").await;
    mark.publish("sales/europe", "present").await;
    let heard = ines.expect_message("sales/europe", "present").await;
    assert_eq!(heard.get("mask"), None);
    anna.join("sales/future").await;
    mark.publish("sales/future", "future").await;
    ines.expect_message("sales/future", "future").await;
    mark.publish("Sales", "no match").await;
    ines.expect_silence().await;
}

async fn a_listener_is_no_member_and_keeps_no_group_alive(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna, mut ines) = (server.demo(1).await, server.demo(2).await, server.demo(4).await);
    ines.join("sales/*").await;
    ines.join("*").await;
    let listed = anna.ask_ok(json!({"type": "listMembers", "group": "sales/europe"})).await;
    assert_eq!(listed["members"].as_array().unwrap().len(), 1);
    assert_eq!(listed["listeners"], 1);
    assert_eq!(ines.ask_ok(json!({"type": "listGroups"})).await["groups"].as_array().unwrap().len(), 2);
    ines.ask_refused(json!({"type": "listMembers", "group": "sales/europe"}), "Forbidden").await;
    anna.close(Some(1000)).await;
    let insisting = json!({"type": "sendToGroup", "group": "sales/europe", "data": 1, "mustExist": true});
    mark.ask_refused(insisting, "NotFound").await;
    mark.publish("sales/europe", "nobody is there").await;
    ines.expect_silence().await;
}

async fn a_listener_hears_who_was_the_last_to_leave(setup: Setup) {
    let server = setup.announcing().start().await;
    let (mut ines, mut kenji) = (server.demo(4).await, server.demo(3).await);
    ines.expect_message("accounting", "Ines has logged in.").await;
    ines.expect_message("admin", "Ines has logged in.").await;
    kenji.expect_message("sales/asia", "Kenji has logged in.").await;
    ines.join("sales/*").await;
    kenji.close(Some(1000)).await;
    ines.expect_message("sales/asia", "Kenji has disconnected.").await;
    ines.expect_silence().await;
}

async fn a_listener_is_not_announced_but_hears_announcements(setup: Setup) {
    let server = setup.announcing().start().await;
    let (mut anna, mut ines) = (server.demo(2).await, server.demo(4).await);
    anna.expect_message("sales/europe", "Anna has logged in.").await;
    ines.expect_message("accounting", "Ines has logged in.").await;
    ines.expect_message("admin", "Ines has logged in.").await;
    ines.join("sales/*").await;
    let mut kenji = server.demo(3).await;
    ines.expect_message("sales/asia", "Kenji has logged in.").await;
    ines.leave("sales/*").await;
    // Had the listener been announced, these would come later.
    kenji.join("sales/europe").await;
    anna.expect_message("sales/europe", "Kenji has logged in.").await;
    anna.expect_silence().await;
    ines.expect_silence().await;
}

async fn a_member_who_also_listens_gets_one_copy(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    anna.join("sales/*").await;
    anna.join("*").await;
    mark.publish("sales/europe", "by name").await;
    anna.expect_message("sales/europe", "by name").await;
    mark.publish("*", "by mask").await;
    // The first by name of the groups that she is in or hears: `Sales`, by `*`.
    anna.expect_message("Sales", "by mask").await;
    anna.expect_silence().await;
}

async fn a_broadcast_to_a_mask_reaches_a_listener_by_an_existing_group(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut ines) = (server.demo(1).await, server.demo(4).await);
    ines.join("sales/e*").await;
    mark.publish("sales/*", "no group yet").await;
    let mut kenji = server.demo(3).await;
    mark.publish("sales/*", "only asia").await;
    kenji.expect_message("sales/asia", "only asia").await;
    ines.expect_silence().await;
    let _anna = server.demo(2).await;
    mark.publish("sales/*", "both").await;
    assert_eq!(ines.expect_message("sales/europe", "both").await["mask"], "sales/*");
}

async fn leaving_a_mask_ends_the_listening_only(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    anna.join("sales/*").await;
    anna.join("S*").await;
    anna.join("S*").await;
    anna.leave("sales/*").await;
    mark.publish("sales/europe", "as a member").await;
    anna.expect_message("sales/europe", "as a member").await;
    mark.publish("Sales", "as a listener").await;
    anna.expect_message("Sales", "as a listener").await;
    anna.leave("S*").await;
    mark.publish("Sales", "no more").await;
    anna.expect_silence().await;
}

#[tokio::test]
async fn a_connection_listens_to_at_most_so_many_masks() {
    let server = Setup::new().config(|config| config.limits.masks_per_connection = 1).start().await;
    let mut mark = server.demo(1).await;
    mark.join("a*").await;
    mark.join("a*").await;
    mark.ask_refused(json!({"type": "joinGroup", "group": "b*"}), "LimitReached").await;
}
