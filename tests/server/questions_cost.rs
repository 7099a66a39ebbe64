//! What questions cost the hub is paid for by those who ask.

use serde_json::json;

use crate::support::{Setup, on_both_transports};

on_both_transports! {
    counting_listeners_is_charged_to_who_asks,
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
