//! Joining and leaving, and when groups exist.

use serde_json::json;

use crate::support::{Setup, on_every_transport, text_to};

on_every_transport! {
    joining_twice_and_leaving_twice_succeed_and_announce_nothing,
    nothing_of_a_group_comes_after_the_ack_of_leaving_it,
    with_the_last_member_the_group_is_gone,
    a_declared_group_exists_without_members,
    a_connection_is_in_at_most_so_many_groups,
    group_names_with_slashes_spaces_and_other_scripts_work,
}

async fn joining_twice_and_leaving_twice_succeed_and_announce_nothing(setup: Setup) {
    let server = setup.announcing().start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    mark.expect_message("Sales", "Mark has logged in.").await;
    anna.expect_message("sales/europe", "Anna has logged in.").await;
    anna.join("Sales").await;
    anna.join("Sales").await;
    anna.leave("Sales").await;
    anna.leave("Sales").await;
    anna.leave("never joined").await;
    // Whatever else had been announced would have come before this.
    anna.join("Sales").await;
    for text in ["Anna has logged in.", "Anna has disconnected.", "Anna has logged in."] {
        mark.expect_message("Sales", text).await;
    }
    mark.expect_silence().await;
}

async fn nothing_of_a_group_comes_after_the_ack_of_leaving_it(setup: Setup) {
    let server = setup.start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    anna.join("Sales").await;
    for round in 0..50 {
        for part in 0..4 {
            mark.send_json(text_to("Sales", &format!("{round}.{part}"))).await;
        }
        anna.leave("Sales").await;
        // Everything that was heard stands before the ack, and was sent before it.
        anna.drain().await;
        mark.publish("Sales", "missed").await;
        anna.expect_silence().await;
        anna.join("Sales").await;
        mark.drain().await;
        anna.drain().await;
    }
}

async fn with_the_last_member_the_group_is_gone(setup: Setup) {
    let server = setup.user_with_roles("clerk", &["folkmoot.listGroups"]).start().await;
    let mut clerk = server.user("clerk").await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    mark.join("lunch").await;
    anna.join("lunch").await;
    let insisting = json!({"type": "sendToGroup", "group": "lunch", "data": 1, "mustExist": true, "noEcho": true});
    let lunch = json!({"type": "listGroups", "mask": "lunch"});
    assert_eq!(clerk.ask_ok(lunch.clone()).await["groups"], json!([{"group": "lunch", "members": 2}]));
    mark.leave("lunch").await;
    clerk.ask_ok(insisting.clone()).await;
    anna.expect_message("lunch", 1).await;
    anna.close(Some(1000)).await;
    clerk.ask_refused(insisting, "NotFound").await;
    assert_eq!(clerk.ask_ok(lunch).await["groups"], json!([]));
}

async fn a_declared_group_exists_without_members(setup: Setup) {
    let server = setup.hub("chat", |hub| hub.groups = vec!["noticeboard".into()]).start().await;
    let mut mark = server.demo(1).await;
    let insisting = json!({"type": "sendToGroup", "group": "noticeboard", "data": 1, "mustExist": true});
    mark.ask_ok(insisting.clone()).await;
    mark.join("noticeboard").await;
    mark.leave("noticeboard").await;
    mark.ask_ok(insisting).await;
    mark.expect_silence().await;
}

async fn a_connection_is_in_at_most_so_many_groups(setup: Setup) {
    let server = setup.config(|config| config.limits.groups_per_connection = 2).start().await;
    let mut mark = server.demo(1).await;
    mark.join("second").await;
    mark.ask_refused(json!({"type": "joinGroup", "group": "third"}), "LimitReached").await;
    mark.leave("second").await;
    mark.join("third").await;
}

async fn group_names_with_slashes_spaces_and_other_scripts_work(setup: Setup) {
    let server = setup.start().await;
    let mut mark = server.demo(1).await;
    let long = "é".repeat(1024);
    for name in ["a/b/c", "/", "a b", "%2F", "営業/東京", "\"quoted\"\\", "🦀", &long] {
        mark.join(name).await;
        mark.publish(name, "here").await;
        mark.expect_message(name, "here").await;
    }
}

#[tokio::test]
async fn an_invalid_group_name_is_a_bad_request_and_without_an_ack_id_the_end() {
    let server = Setup::new().start().await;
    let too_long = "é".repeat(1025);
    let mut mark = server.demo(1).await;
    for name in ["", " \t", "a\u{0}b", "line\nbreak", "unclosed[", "*a*b*c*d*e*f", &too_long] {
        for kind in ["joinGroup", "leaveGroup", "sendToGroup"] {
            mark.ask_refused(json!({"type": kind, "group": name, "data": 1}), "BadRequest").await;
        }
    }
    // The connection has stayed.
    mark.publish("Sales", "still here").await;
    mark.expect_message("Sales", "still here").await;
    for name in ["", "line\nbreak", "unclosed["] {
        let mut mark = server.demo(1).await;
        mark.send_json(json!({"type": "joinGroup", "group": name})).await;
        mark.expect_close(1007, "").await;
    }
}
