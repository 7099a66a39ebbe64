//! A message of your own for the registry: a poll among the members of a group.
//!
//! [`Poll`] is defined here, and [`GroupRegistry`] handles it: it is the one who knows the members at one moment, and who
//! sends them the question before anything that comes later. Clients reach it by events, which go to the `message` hook.
//! What the registry need not know, the votes, is kept in the hook.
//!
//! ```sh
//! cargo run --example custom_message
//! websocat --basic-auth user-1:password-1 --protocol json.webpubsub.azure.v1 ws://127.0.0.1:8080/ws
//! {"type":"event","event":"ask","dataType":"json","data":{"group":"Sales","question":"Tea?"},"ackId":1}
//! {"type":"event","event":"vote","dataType":"json","data":{"group":"Sales","answer":"yes"},"ackId":2}
//! ```
//!
//! Every member of Sales reads the question, and the result once all of them have voted or left.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;

use actix::{Handler, Message};
use folkmoot::config::Config;
use folkmoot::messages::Refusal;
use folkmoot::{ConnectionId, Data, ErrorCode, GroupName, GroupRegistry, Hooks, Hub, Incoming, Left, Said, Server};
use folkmoot::{Target, User, Verdict};
use serde_json::json;
use tokio::sync::Mutex;

/// Asks the members of a group; tells who they were when the registry asked them.
#[derive(Message)]
#[rtype(result = "Result<HashSet<ConnectionId>, Refusal>")]
struct Poll {
    group: GroupName,
    question: String,
}

impl Handler<Poll> for GroupRegistry<User> {
    type Result = Result<HashSet<ConnectionId>, Refusal>;

    fn handle(&mut self, poll: Poll, _: &mut Self::Context) -> Self::Result {
        let voters: HashSet<_> = self.members(&poll.group).iter().map(|member| member.id).collect();
        if voters.is_empty() {
            return Err(Refusal::new(ErrorCode::NotFound, format!("Nobody is in '{}'.", poll.group)));
        }
        self.broadcast(&Target::Group(poll.group), Data::json(&json!({ "question": poll.question })));
        Ok(voters)
    }
}

/// The poll of a group: who has not voted yet, and what the others said.
struct Ballot {
    voters: HashSet<ConnectionId>,
    votes: BTreeMap<String, usize>,
}

/// One poll at a time in each group.
#[derive(Default)]
struct Polls(Mutex<HashMap<GroupName, Ballot>>);

/// The data of both events.
#[derive(serde::Deserialize)]
struct Asked {
    group: String,
    #[serde(default)]
    question: String,
    #[serde(default)]
    answer: String,
}

impl Polls {
    async fn ask(&self, hub: &Hub<User>, group: GroupName, question: String) -> Result<(), Refusal> {
        // Locked until the voters are known, so that the first vote finds them.
        let mut ballots = self.0.lock().await;
        let poll = Poll { group: group.clone(), question };
        let ended = |_| Refusal::new(ErrorCode::InternalServerError, "The hub has ended.");
        let voters = hub.registry().send(poll).await.map_err(ended)??;
        ballots.insert(group, Ballot { voters, votes: BTreeMap::new() });
        Ok(())
    }

    /// Takes one voter off the list; with the last one the result is published.
    async fn settle(&self, hub: &Hub<User>, group: &GroupName, voter: ConnectionId, vote: Option<String>) -> bool {
        let result = {
            let mut ballots = self.0.lock().await;
            let Some(ballot) = ballots.get_mut(group) else { return false };
            if !ballot.voters.remove(&voter) {
                return false;
            }
            if let Some(answer) = vote {
                *ballot.votes.entry(answer).or_default() += 1;
            }
            match ballot.voters.is_empty() {
                true => ballots.remove(group),
                false => None,
            }
        };
        if let Some(Ballot { votes, .. }) = result {
            // Refused only by a hub that has ended, which has nobody to be told.
            let _ = hub.broadcast(Target::Group(group.clone()), Data::json(&json!({ "result": votes }))).await;
        }
        true
    }
}

impl Hooks<User> for Polls {
    async fn message(&self, hub: &Hub<User>, incoming: &Incoming<User>) -> Verdict {
        let Said::Event(event) = &incoming.said else { return Verdict::Allow };
        let Ok(asked) = serde_json::from_slice::<Asked>(&incoming.data.payload()) else {
            return Verdict::Deny("The data is an object with a group, and a question or an answer.".to_owned());
        };
        let group = match GroupName::parse(&asked.group, true) {
            Ok(group) => group,
            Err(error) => return Verdict::Deny(error.to_string()),
        };
        match event.as_str() {
            "ask" => match self.ask(hub, group, asked.question).await {
                Ok(()) => Verdict::Handled,
                Err(refusal) => Verdict::Deny(refusal.message.into_owned()),
            },
            "vote" => match self.settle(hub, &group, incoming.connection.id, Some(asked.answer)).await {
                true => Verdict::Handled,
                false => Verdict::Deny("There is no poll that you have not answered.".to_owned()),
            },
            _ => Verdict::Allow,
        }
    }

    /// Nobody waits for the vote of somebody who left, by whatever way.
    async fn client_removed(&self, hub: &Hub<User>, left: &Left<User>) {
        self.settle(hub, &left.group, left.connection.id, None).await;
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.server.port = std::env::args().nth(1).map_or(Ok(8080), |port| port.parse())?;
    // Mark, Anna, Kenji and Ines, who may log in from this machine and are put into their departments.
    config.users.demo = true;
    config.hubs.settings.default_roles = vec!["webpubsub.joinLeaveGroup".parse()?];
    config.validate()?;

    let running = Server::new(config).hooks(Polls::default()).start().await?;
    println!("ws://{}/ws", running.address());
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}
