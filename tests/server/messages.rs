//! Messages to groups.

use crate::support::{Setup, on_both_transports};

on_both_transports! {
    a_message_to_a_group_reaches_its_members,
}

async fn a_message_to_a_group_reaches_its_members(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    anna.join("Sales").await;
    mark.publish("Sales", "Hello").await;
    mark.expect_message("Sales", "Hello").await;
    anna.expect_message("Sales", "Hello").await;
    mark.expect_silence().await;
    anna.expect_silence().await;
}
