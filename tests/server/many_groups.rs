//! A hub with very many groups.

use folkmoot::{Connecting, Hooks, Server, User};
use serde_json::json;

use crate::support::{Setup, group, on_both_transports};

on_both_transports! {
    of_100_000_groups_a_mask_finds_three,
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
