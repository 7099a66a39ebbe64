//! A hub with very many groups.

use folkmoot::{Connecting, Hooks, Server, User};
use serde_json::json;

use crate::support::{Setup, group, on_both_transports};

on_both_transports! {
    of_100_000_groups_a_mask_finds_three,
    who_was_in_5_000_groups_has_left_each_of_them_once,
    a_hub_ends_only_when_its_last_connection_has_left_5_000_groups,
}

const CONNECTIONS: usize = 20;
const GROUPS_EACH: usize = 5_000;

/// Puts the connection of user `n` into the n-th part of all groups.
struct Filler;

impl Hooks<User> for Filler {
    async fn connect(&self, connecting: &mut Connecting<User>) -> Result<(), String> {
        let user_id = connecting.connection.user_id.as_ref().unwrap();
        if let Ok(part) = user_id.as_str().parse::<usize>() {
            let numbers = part * GROUPS_EACH..(part + 1) * GROUPS_EACH;
            connecting.groups = numbers.map(|number| group(&format!("desk-{number:05}/all"))).collect();
        }
        Ok(())
    }
}

async fn of_100_000_groups_a_mask_finds_three(setup: Setup) {
    let setup = setup.config(|config| config.limits.groups_per_connection = GROUPS_EACH);
    let server = setup.start_with(|config| Server::new(config).hooks(Filler)).await;
    let mut members = Vec::new();
    for part in 0..CONNECTIONS {
        let token = server.token().claim("sub", part.to_string());
        let member = server.handshake().token(token).connect().await.unwrap();
        assert_eq!(member.greeting["groups"].as_array().unwrap().len(), GROUPS_EACH);
        members.push(member);
    }
    server.metric_becomes("folkmoot_groups", 100_000.0).await;

    let mut mark = server.demo(1).await;
    // One group each of three connections, found by a mask without a literal prefix and by one with.
    for mask in ["*[5]-[019]2345/*", "desk-?2345/all"] {
        let counted = mark.ask_ok(json!({"type": "countMembers", "mask": mask})).await;
        let expected = if mask.starts_with('*') { 0 } else { 10 };
        assert_eq!(counted["groups"], expected, "{mask}");
    }
    for mask in ["*-[019]2345/*", "desk-[019]2345/all"] {
        let counted = mark.ask_ok(json!({"type": "countMembers", "mask": mask})).await;
        assert_eq!((&counted["groups"], &counted["connections"]), (&json!(3), &json!(3)), "{mask}");
        mark.publish(mask, "found").await;
        for part in [2, 18] {
            members[part].expect_message(&format!("desk-{:05}/all", 10_000 * (part / 2) + 2_345), "found").await;
        }
        members[0].expect_message("desk-02345/all", "found").await;
    }
    for member in &mut members {
        member.expect_silence().await;
    }
}

async fn who_was_in_5_000_groups_has_left_each_of_them_once(setup: Setup) {
    let setup = setup.announcing().config(|config| config.limits.groups_per_connection = GROUPS_EACH);
    let server = setup.start_with(|config| Server::new(config).hooks(Filler)).await;
    let mut mark = server.demo(1).await;
    mark.expect_message("Sales", "Mark has logged in.").await;
    let watched = ["desk-00000/all", "desk-01234/all", "desk-02500/all", "desk-04999/all"];
    for group in watched {
        mark.join(group).await;
        mark.expect_message(group, "Mark has logged in.").await;
    }
    let member = server.handshake().token(server.token().claim("sub", "0")).connect().await.unwrap();
    for group in watched {
        mark.expect_message(group, "0 has logged in.").await;
    }
    member.abort();
    for group in watched {
        let left = mark.expect_message(group, "0 has disconnected.").await;
        assert_eq!(left["announcement"]["reason"], "disconnected");
    }
    server.metric_becomes("folkmoot_leaves_total", GROUPS_EACH as f64).await;
    let counted = mark.ask_ok(json!({"type": "countMembers", "mask": "desk-*"})).await;
    assert_eq!((&counted["groups"], &counted["connections"]), (&json!(watched.len()), &json!(1)));
    mark.expect_silence().await;
}

async fn a_hub_ends_only_when_its_last_connection_has_left_5_000_groups(setup: Setup) {
    let setup = setup.config(|config| config.limits.groups_per_connection = GROUPS_EACH);
    let server = setup.start_with(|config| Server::new(config).hooks(Filler)).await;
    let token = server.token_for("elsewhere").claim("sub", "0");
    let member = server.handshake().path("/client/hubs/elsewhere").token(token).connect().await.unwrap();
    assert_eq!(member.greeting["groups"].as_array().unwrap().len(), GROUPS_EACH);
    member.abort();
    server.metric_becomes("folkmoot_leaves_total", GROUPS_EACH as f64).await;
    server.metric_becomes("folkmoot_groups", 0.0).await;
}
