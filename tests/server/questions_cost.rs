//! What questions cost the hub is paid for by those who ask.

use serde_json::json;

use crate::support::{Setup, on_both_transports};

on_both_transports! {
    counting_listeners_is_charged_to_who_asks,
    who_is_in_many_groups_is_charged_as_often_where_they_are_counted,
    who_founds_a_group_pays_for_comparing_its_name_with_joined_masks,
    a_hub_has_so_many_different_masks,
}

const SCANS: &str = "folkmoot_limits_reached_total{limit=\"mask_scan_per_second\"}";

async fn counting_listeners_is_charged_to_who_asks(setup: Setup) {
    let setup = setup.config(|config| config.limits.mask_scan_per_second = 2);
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    let mut listeners = Vec::new();
    for _ in 0..30 {
        let mut monica = server.demo(2).await;
        monica.join("Sal*").await;
        listeners.push(monica);
    }
    for question in ["listMembers", "countMembers"] {
        let mut asking = server.demo(1).await;
        let question = json!({"type": question, "group": "Sales"});
        asking.ask_ok(question.clone()).await;
        asking.ask_refused(question, "LimitReached").await;
    }
    assert_eq!(server.metric(SCANS).await, 2.0);
    // Who has asked for nothing has nothing to pay.
    mark.ask_ok(json!({"type": "countMembers", "group": "Sales"})).await;
}

async fn who_is_in_many_groups_is_charged_as_often_where_they_are_counted(setup: Setup) {
    let setup = setup.config(|config| config.limits.mask_scan_per_second = 100);
    let server = setup.start().await;
    let mut members = Vec::new();
    for _ in 0..10 {
        let mut monica = server.demo(2).await;
        for group in 0..60 {
            monica.join(&format!("crowd/{group}")).await;
        }
        members.push(monica);
    }
    // 60 names and 10 connections would leave something of a second's worth, but 600 memberships were looked at.
    let mut asking = server.demo(1).await;
    let question = json!({"type": "countMembers", "group": "crowd/*"});
    let counted = asking.ask_ok(question.clone()).await;
    assert_eq!((&counted["groups"], &counted["connections"]), (&json!(60), &json!(10)));
    asking.ask_refused(question, "LimitReached").await;
}

async fn who_founds_a_group_pays_for_comparing_its_name_with_joined_masks(setup: Setup) {
    let setup = setup.config(|config| config.limits.mask_scan_per_second = 100);
    let server = setup.start().await;
    let mut listeners = Vec::new();
    for listener in 0..5 {
        let mut monica = server.demo(2).await;
        for mask in 0..10 {
            monica.join(&format!("*?{listener}?{mask}*")).await;
        }
        listeners.push(monica);
    }
    let mut mark = server.demo(1).await;
    // 50 masks, each compared with 60 times 16 bytes.
    mark.join(&"x".repeat(960)).await;
    mark.ask_refused(json!({"type": "joinGroup", "group": "y"}), "LimitReached").await;
    // What exists is compared with nothing, so it is free; and others have nothing to pay.
    mark.join("Sales").await;
    let mut anna = server.demo(3).await;
    anna.join("z").await;
}

async fn a_hub_has_so_many_different_masks(setup: Setup) {
    let server = setup.config(|config| config.limits.masks_per_hub = 2).start().await;
    let (mut mark, mut monica) = (server.demo(1).await, server.demo(2).await);
    mark.join("a*").await;
    mark.join("b*").await;
    let said = monica.ask_refused(json!({"type": "joinGroup", "group": "c*"}), "LimitReached").await;
    assert!(said.contains("masks"), "{said}");
    assert_eq!(server.metric("folkmoot_limits_reached_total{limit=\"masks_per_hub\"}").await, 1.0);
    // One that is known costs nothing more.
    monica.join("a*").await;
    mark.leave("b*").await;
    monica.join("c*").await;
}
