//! What was asked of the server, and what its answers mean to the user.

use std::collections::BTreeMap;

use super::conversation::{Conversation, is_mask};
use super::frames::{self, Frame, Group, Member, field};
use super::output::Shown;

/// Entries of a list that are shown; a person reads no more.
const MAX_LISTED: usize = 1000;

/// What an answer is about.
#[derive(Debug)]
pub enum Request {
    /// A text.
    Send,
    /// `/join`, or a group of the command line.
    Join(String),
    /// Joined again after a loss.
    Rejoin(String),
    /// `/leave`.
    Leave(String),
    /// Left again after a loss.
    LeaveAgain(String),
    /// `/to`.
    Count(String),
    /// `/who`, with the lines of the pages so far.
    Who { group: String, members: Vec<Member> },
    /// `/groups`, the same.
    Groups { mask: Option<String>, groups: Vec<Group> },
    /// The names of members, to be shown in the place of their ids.
    Names,
}

impl Request {
    /// `/who`.
    pub fn who(group: String) -> Self {
        Request::Who { group, members: Vec::new() }
    }

    /// `/groups`.
    pub fn groups(mask: Option<String>) -> Self {
        Request::Groups { mask, groups: Vec::new() }
    }

    /// Whether the user asked for it and waits for an answer.
    pub fn is_asked(&self) -> bool {
        !matches!(self, Request::Names | Request::LeaveAgain(_))
    }
}

impl Conversation {
    /// Tells what an ack says about a request.
    pub(super) fn on_answer(&mut self, request: Request, ack: &Frame<'_>) {
        if let Some(error) = &ack.error
            && !ack.success
        {
            // Names are a courtesy, and what was left need not be left twice.
            return match request {
                Request::Names | Request::LeaveAgain(_) => {}
                Request::Send => self.on_refusal("Not sent", error),
                Request::Join(group) | Request::Rejoin(group) => {
                    self.joined.remove(&group);
                    self.on_refusal(&format!("You did not join {group}"), error);
                }
                Request::Leave(group) => self.on_refusal(&format!("You did not leave {group}"), error),
                Request::Count(target) => self.on_refusal(&target, error),
                Request::Who { group, .. } => self.on_refusal(&group, error),
                Request::Groups { .. } => self.on_refusal("The groups are not told", error),
            };
        }
        match request {
            Request::Send => {}
            Request::Join(group) => self.on_joined(group),
            Request::Rejoin(group) => {
                self.notice(format!("You are in {group}."));
                self.is_in(group);
            }
            Request::Leave(group) => self.on_left(&group),
            Request::LeaveAgain(group) => {
                self.groups.remove(&group);
            }
            Request::Count(target) => self.on_count(&target, ack),
            Request::Who { group, members } => self.on_members(group, members, ack),
            Request::Groups { mask, groups } => self.on_groups(mask, groups, ack),
            Request::Names => self.learn_names(&ack.members),
        }
    }

    fn is_in(&mut self, group: String) {
        if !is_mask(&group) {
            self.groups.insert(group.clone());
        }
        self.left.remove(&group);
        self.joined.insert(group);
    }

    fn on_joined(&mut self, group: String) {
        if is_mask(&group) {
            self.notice(format!("You hear every group that {group} matches."));
        } else {
            self.notice(format!("You are in {group}, and write to it."));
            self.write_to(Some(group.clone()));
            if !self.manner.json {
                self.ask(|ack| frames::members(ack, &group, None), Request::Names);
            }
        }
        self.is_in(group);
    }

    fn on_left(&mut self, group: &str) {
        self.joined.remove(group);
        if self.left.len() < MAX_LISTED {
            self.left.insert(group.to_owned());
        }
        self.groups.remove(group);
        if self.target.as_deref() == Some(group) {
            let next = self.groups.first().cloned();
            self.write_to(next);
        }
        let target = self.target.as_deref().unwrap_or("nobody");
        self.notice(format!("You are out of {group}, and write to {target}."));
    }

    fn on_count(&mut self, target: &str, ack: &Frame<'_>) {
        let connections = plural(ack.connections.unwrap_or(0), "connection");
        let groups = ack.groups::<u64>().unwrap_or(0);
        self.notice(match groups {
            0 => format!("You write to {target}, which reaches nobody now."),
            _ if is_mask(target) => format!("You write to {target}: {connections} in {}.", plural(groups, "group")),
            _ => format!("You write to {target}: {connections}."),
        });
    }

    fn on_members(&mut self, group: String, mut members: Vec<Member>, ack: &Frame<'_>) {
        self.learn_names(&ack.members);
        members.extend(ack.members.iter().map(|member| Member {
            connection_id: member.connection_id.clone(),
            user_id: member.user_id.clone(),
            user: member.user.clone(),
        }));
        match &ack.continuation_token {
            Some(token) if members.len() < MAX_LISTED => {
                self.ask(|id| frames::members(id, &group, Some(token)), Request::Who { group: group.clone(), members });
            }
            more => {
                let listeners = ack.listeners.unwrap_or(0);
                self.shown.push(Shown::Answer(who(&group, &members, listeners, more.is_some())));
            }
        }
    }

    fn on_groups(&mut self, mask: Option<String>, mut groups: Vec<Group>, ack: &Frame<'_>) {
        groups.extend(ack.groups::<Vec<Group>>().unwrap_or_default());
        match &ack.continuation_token {
            Some(token) if groups.len() < MAX_LISTED => {
                let frame = |id| frames::groups(id, mask.as_deref(), Some(token));
                self.ask(frame, Request::Groups { mask: mask.clone(), groups });
            }
            more => {
                groups.iter().for_each(|group| self.learn_group(&group.group));
                let mut lines: Vec<_> = groups.iter().map(|group| self.group_line(group)).collect();
                if groups.is_empty() {
                    lines.push("There is no such group.".to_owned());
                }
                lines.extend(more.is_some().then(|| "  … and more".to_owned()));
                self.shown.push(Shown::Answer(lines));
            }
        }
    }

    fn group_line(&self, group: &Group) -> String {
        let ours = if self.groups.contains(&group.group) { ", you too" } else { "" };
        format!("  {}: {}{ours}", group.group, plural(group.members, "member"))
    }

    fn learn_names(&mut self, members: &[Member]) {
        for member in members {
            self.learn_name(member.user_id.as_deref(), field(member.user.as_ref(), "username"));
        }
    }
}

/// The lines of `/who`: a user once, with the number of their connections.
fn who(group: &str, members: &[Member], listeners: u64, more: bool) -> Vec<String> {
    let mut users: BTreeMap<String, usize> = BTreeMap::new();
    for member in members {
        let id = member.user_id.as_deref().unwrap_or("nobody in particular");
        let name = field(member.user.as_ref(), "username").filter(|name| name != id);
        let mut line = name.map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"));
        if let Some(department) = field(member.user.as_ref(), "department") {
            line = line + ", " + &department;
        }
        *users.entry(line).or_default() += 1;
    }
    let mut first = format!("{group}: {}", plural(members.len() as u64, "member"));
    if listeners > 0 {
        first = first + ", " + &plural(listeners, "listener");
    }
    let line = |(user, connections): (String, usize)| match connections {
        1 => format!("  {user}"),
        more => format!("  {user}, {more} connections"),
    };
    let rest = more.then(|| "  … and more".to_owned());
    [first].into_iter().chain(users.into_iter().map(line)).chain(rest).collect()
}

fn plural(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
