//! The order rules, against a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, Setup, TestServer, on_every_transport, text_to};

on_every_transport! {
    every_connection_hears_what_the_model_says,
    under_concurrent_publishers_all_members_hear_one_order,
    connected_is_the_first_frame_however_busy_the_group_is,
}

const CLIENTS: usize = 5;
const GROUPS: [&str; 6] = ["a", "b/1", "b/2", "c/x", "c/y", "é"];
const MASKS: [&str; 7] = ["*", "b/*", "c/[xy]", "?", "[!b]*", "*1", "nothing/*"];

/// Whether a mask matches a name: by trying everything.
fn matches(mask: &[char], name: &[char]) -> bool {
    match mask {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        ['?', rest @ ..] => name.split_first().is_some_and(|(_, name)| matches(rest, name)),
        ['[', set @ ..] => {
            let end = set.iter().position(|c| *c == ']').unwrap();
            let (set, rest) = (&set[..end], &set[end + 1..]);
            let (negated, set) = if set[0] == '!' { (true, &set[1..]) } else { (false, set) };
            name.split_first().is_some_and(|(c, name)| set.contains(c) != negated && matches(rest, name))
        }
        [c, rest @ ..] => name.split_first().is_some_and(|(first, name)| first == c && matches(rest, name)),
    }
}

fn is_matched(target: &str, name: &str) -> bool {
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    target == name || matches(&chars(target), &chars(name))
}

/// What the rules of `product.md` say, one operation after another.
#[derive(Default)]
struct Model {
    members: BTreeMap<&'static str, BTreeSet<usize>>,
    masks: BTreeMap<usize, BTreeSet<&'static str>>,
}

impl Model {
    fn join(&mut self, client: usize, target: &'static str) {
        if MASKS.contains(&target) {
            self.masks.entry(client).or_default().insert(target);
        } else {
            self.members.entry(target).or_default().insert(client);
        }
    }

    fn leave(&mut self, client: usize, target: &'static str) {
        self.masks.entry(client).or_default().remove(target);
        self.members.entry(target).or_default().remove(&client);
    }

    fn disconnect(&mut self, client: usize) {
        self.masks.remove(&client);
        for members in self.members.values_mut() {
            members.remove(&client);
        }
    }

    /// The group in whose name `client` hears a publish to `target`.
    fn hears(&self, client: usize, target: &str) -> Option<&'static str> {
        let existing = self.members.iter().filter(|(name, members)| !members.is_empty() && is_matched(target, name));
        let heard = existing.filter(|(name, members)| {
            members.contains(&client)
                || self.masks.get(&client).is_some_and(|masks| masks.iter().any(|mask| is_matched(mask, name)))
        });
        heard.map(|(name, _)| *name).min()
    }
}

async fn member(server: &TestServer, number: usize) -> Client {
    let token = server.token().claim("sub", format!("client-{number}"));
    let token = token.claim("role", json!(["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]));
    server.handshake().token(token).connect().await.unwrap()
}

async fn every_connection_hears_what_the_model_says(setup: Setup) {
    let server = setup.start().await;
    // Another seed with each run; the one of a run that failed is in the message.
    let seed = RandomState::new().hash_one(0);
    let mut state = seed;
    let mut one_of = |count: usize| (split_mix(&mut state) as usize) % count;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(member(&server, number).await);
    }
    let mut model = Model::default();
    let mut expected = vec![Vec::new(); CLIENTS];
    let mut log = Vec::new();
    for step in 0..400 {
        let client = one_of(CLIENTS);
        let target = match one_of(3) {
            0 => MASKS[one_of(MASKS.len())],
            _ => GROUPS[one_of(GROUPS.len())],
        };
        match one_of(12) {
            0..4 => {
                log.push(format!("{client} joins {target}"));
                clients[client].join(target).await;
                model.join(client, target);
            }
            4..6 => {
                log.push(format!("{client} leaves {target}"));
                clients[client].leave(target).await;
                model.leave(client, target);
            }
            6 if one_of(3) == 0 => {
                log.push(format!("{client} comes anew"));
                check(&mut clients[client], &mut expected[client], &log, seed).await;
                clients[client].close(Some(1000)).await;
                clients[client] = member(&server, client).await;
                model.disconnect(client);
            }
            _ => {
                let no_echo = one_of(3) == 0;
                log.push(format!("{client} sends {step} to {target}, no echo: {no_echo}"));
                let mut frame = text_to(target, &step.to_string());
                frame["noEcho"] = no_echo.into();
                clients[client].ask_ok(frame).await;
                for (receiver, expected) in expected.iter_mut().enumerate() {
                    if let Some(group) = model.hears(receiver, target).filter(|_| !(no_echo && receiver == client)) {
                        expected.push(message(client, group, target, step));
                    }
                }
            }
        }
    }
    for (client, expected) in clients.iter_mut().zip(&mut expected) {
        check(client, expected, &log, seed).await;
    }
}

/// The generator SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn message(from: usize, group: &str, target: &str, step: usize) -> Value {
    let mut message = json!({"type": "message", "from": "group", "group": group,
        "fromUserId": format!("client-{from}"), "dataType": "text", "data": step.to_string()});
    if MASKS.contains(&target) {
        message["mask"] = target.into();
    }
    message
}

async fn check(client: &mut Client, expected: &mut Vec<Value>, log: &[String], seed: u64) {
    let heard = client.drain().await;
    assert_eq!(heard, std::mem::take(expected), "seed {seed}, after:\n{}", log.join("\n"));
}

async fn under_concurrent_publishers_all_members_hear_one_order(setup: Setup) {
    const EACH: usize = 150;
    let server = setup.start().await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = member(&server, number).await;
        for group in ["b/1", "b/2"] {
            client.join(group).await;
        }
        clients.push(client);
    }
    // All hear all, so that their orders can be compared across groups and masks.
    let heard = join_all(clients.iter_mut().enumerate().map(async |(number, client)| {
        for count in 0..EACH {
            let target = ["b/1", "b/*", "b/2", "*"][count % 4];
            let mut frame = text_to(target, &format!("{number} {count}"));
            if count % 8 == 0 {
                frame["ackId"] = (count + 1).into();
            }
            client.send_json(frame).await;
        }
        let mut heard = Vec::new();
        while heard.len() < EACH * CLIENTS {
            let frame = client.next_json().await;
            match frame["data"].as_str() {
                Some(text) => heard.push(text.to_owned()),
                None => {
                    let acked = frame["ackId"].as_u64().unwrap() - 1;
                    // Echo before ack.
                    assert!(heard.contains(&format!("{number} {acked}")), "{frame} came before its echo");
                }
            }
        }
        heard
    }));
    let heard = heard.await;
    for other in &heard[1..] {
        assert_eq!(*other, heard[0]);
    }
    for number in 0..CLIENTS {
        let own = heard[0].iter().filter_map(|text| text.strip_prefix(&format!("{number} ")));
        let own: Vec<usize> = own.map(|count| count.parse().unwrap()).collect();
        assert_eq!(own, (0..EACH).collect::<Vec<_>>());
    }
    for client in &mut clients {
        client.drain().await;
    }
}

async fn connected_is_the_first_frame_however_busy_the_group_is(setup: Setup) {
    let server = setup.announcing().start().await;
    let (mut mark, mut anna) = (server.demo(1).await, server.demo(2).await);
    anna.join("S*").await;
    let publishing = async {
        for _ in 0..40 {
            for target in ["Sales", "*", "S*"] {
                mark.publish(target, "busy").await;
            }
            mark.drain().await;
        }
    };
    let connecting = async {
        for _ in 0..20 {
            // The client insists on `connected` as its first frame.
            let newcomer = server.demo(1).await;
            assert_eq!(newcomer.greeting["groups"], json!(["Sales"]));
        }
    };
    futures_util::future::join(publishing, connecting).await;
}
