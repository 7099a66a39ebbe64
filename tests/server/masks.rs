//! Publishing to masks.

use serde_json::json;

use crate::support::{Setup, on_both_transports, text_to};

on_both_transports! {
    a_member_of_two_matching_groups_gets_one_copy_in_the_name_of_the_first,
    a_mask_that_matches_nothing_succeeds_unless_the_publisher_insists,
    wildcards_match_characters_and_sets,
    in_a_hub_without_masks_wildcards_are_ordinary_characters,
}

async fn a_member_of_two_matching_groups_gets_one_copy_in_the_name_of_the_first(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    for group in ["team/z", "team/b", "team/a/1"] {
        anna.join(group).await;
    }
    mark.publish("team/*", "one copy").await;
    assert_eq!(anna.expect_message("team/a/1", "one copy").await["mask"], "team/*");
    mark.publish("team/[bz]", "one copy").await;
    anna.expect_message("team/b", "one copy").await;
    anna.expect_silence().await;
}

async fn a_mask_that_matches_nothing_succeeds_unless_the_publisher_insists(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    mark.publish("nothing/*", "nobody").await;
    let mut insisting = text_to("nothing/*", "nobody");
    insisting["mustExist"] = true.into();
    mark.ask_refused(insisting.clone(), "NotFound").await;
    insisting["group"] = "Sale?".into();
    mark.ask_ok(insisting).await;
    mark.expect_message("Sales", "nobody").await;
    mark.expect_silence().await;
}

async fn wildcards_match_characters_and_sets(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    for (mask, matches) in [
        ("S*", true),
        ("*", true),
        ("*ale*", true),
        ("Sale?", true),
        ("[A-Z]ales", true),
        ("[!a-z]ales", true),
        ("*****", true),
        ("s*", false),
        ("Sales?", false),
        ("[!S]ales", false),
        ("S*x", false),
    ] {
        mark.publish(mask, "heard").await;
        match matches {
            true => assert_eq!(mark.expect_message("Sales", "heard").await["mask"], mask),
            false => mark.expect_silence().await,
        }
    }
    // One scalar is one character, however many bytes it has.
    mark.join("🦀é").await;
    mark.publish("??", "two").await;
    mark.expect_message("🦀é", "two").await;
}

async fn in_a_hub_without_masks_wildcards_are_ordinary_characters(setup: Setup) {
    let server = setup.hub("chat", |hub| hub.masks = false).start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    anna.join("sales/*").await;
    mark.publish("sales/*", "by name").await;
    let heard = anna.expect_message("sales/*", "by name").await;
    assert_eq!(heard.get("mask"), None);
    mark.publish("*", "to a group of that name").await;
    anna.expect_silence().await;
    mark.join("[").await;
}

#[tokio::test]
async fn masks_over_many_groups_are_charged_to_their_sender() {
    let setup = Setup::new().config(|config| config.limits.mask_scan_per_second = 20);
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    for number in 0..50 {
        anna.join(&format!("many/{number}")).await;
    }
    let mut refused = false;
    for _ in 0..3 {
        refused |= mark.ask(text_to("many/*", "dear")).await["error"]["name"] == "LimitReached";
    }
    assert!(refused);
    // A literal prefix keeps it cheap, a name costs nothing, and others are not charged.
    mark.publish("many/7", "cheap").await;
    anna.ask_ok(json!({"type": "countMembers", "mask": "many/49*"})).await;
}

#[tokio::test]
async fn joined_masks_are_part_of_what_a_publish_to_a_mask_costs() {
    let setup = Setup::new().config(|config| config.limits.mask_scan_per_second = 60);
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    for mask in ["many/*", "many/?*", "many/[0-9]*", "many/[!a]*", "many/[!b]*", "many/[!c]*"] {
        anna.join(mask).await;
    }
    // Founding a group is paid for too, so each founds only some.
    let mut founders = Vec::new();
    for ten in 0..10 {
        let mut kenji = server.demo(3).await;
        for one in 0..5 {
            kenji.join(&format!("many/{ten}{one}")).await;
        }
        founders.push(kenji);
    }
    // Fifty names, which alone would let a second publish pass, and three hundred and fifty audiences.
    mark.ask_ok(text_to("many/*", "dear")).await;
    mark.ask_refused(text_to("many/*", "dearer"), "LimitReached").await;
}
