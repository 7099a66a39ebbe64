//! The conversation itself: who writes where, what is waited for, what there is to show. It has no socket and no screen:
//! lines and frames come in, frames to send and things to show come out.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use super::commands::{self, Line};
use super::frames::{self, AckError, Frame, field};
use super::output::Shown;
use super::requests::Request;
use crate::mask::Mask;

/// Longest text that is sent: below the server's usual 1 MiB, with room for the frame around it.
pub const MAX_TEXT_BYTES: usize = 1_000_000;
/// Lines that wait while there is no connection.
const MAX_WAITING: usize = 100;
/// Names of groups and of users that are remembered.
const MAX_NAMES: usize = 10_000;
/// Groups whose members' names are learnt at the beginning.
const LEARNT_GROUPS: usize = 10;

/// How to talk.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// Lines that begin with `/` are commands.
    pub commands: bool,
    /// What is sent comes back to be shown.
    pub echo: bool,
    /// Sending to a group that does not exist is an error.
    pub must_exist: bool,
    /// Frames are shown as they are.
    pub json: bool,
}

/// What the line editor has to know.
#[derive(Debug, Default)]
pub struct Desk {
    /// Whom lines go to.
    pub target: Option<String>,
    /// Names that can be completed.
    pub known: BTreeSet<String>,
}

/// One conversation, over all its connections.
#[derive(Debug)]
pub struct Conversation {
    pub(super) manner: Manner,
    pub(super) target: Option<String>,
    /// Groups and masks to be in again after a loss, besides those that the server chooses.
    pub(super) joined: BTreeSet<String>,
    /// Groups of the server's choice that were left.
    pub(super) left: BTreeSet<String>,
    /// Groups that we are in now.
    pub(super) groups: BTreeSet<String>,
    names: HashMap<String, String>,
    me: Option<String>,
    connection_id: String,
    online: bool,
    greeted: bool,
    waiting: VecDeque<String>,
    pub(super) pending: HashMap<u64, Request>,
    next_ack: u64,
    pub(super) frames: Vec<String>,
    pub(super) shown: Vec<Shown>,
    desk: Arc<Mutex<Desk>>,
    messages: u64,
    refused: bool,
    quit: bool,
}

impl Conversation {
    /// Writes to `target` first, or to the first group that the server tells of; joins `joined` at once.
    pub fn new(manner: Manner, target: Option<String>, joined: BTreeSet<String>) -> Self {
        let conversation = Conversation {
            manner,
            target,
            joined,
            left: BTreeSet::new(),
            groups: BTreeSet::new(),
            names: HashMap::new(),
            me: None,
            connection_id: String::new(),
            online: false,
            greeted: false,
            waiting: VecDeque::new(),
            pending: HashMap::new(),
            next_ack: 1,
            frames: Vec::new(),
            shown: Vec::new(),
            desk: Arc::default(),
            messages: 0,
            refused: false,
            quit: false,
        };
        conversation.tell_desk();
        conversation
    }

    /// What the line editor looks at.
    pub fn desk(&self) -> Arc<Mutex<Desk>> {
        self.desk.clone()
    }

    /// What has to be sent and shown since the last call.
    pub fn take(&mut self) -> (Vec<String>, Vec<Shown>) {
        (take(&mut self.frames), take(&mut self.shown))
    }

    /// The server has said `connected` on this connection.
    pub fn is_online(&self) -> bool {
        self.online
    }

    /// Whether there ever was a connection.
    pub fn was_greeted(&self) -> bool {
        self.greeted
    }

    /// Requests of the user that have no answer yet.
    pub fn unanswered(&self) -> usize {
        self.pending.values().filter(|request| request.is_asked()).count()
    }

    /// Whether a command, unlike a text, waits for its answer, or names for being learnt.
    pub fn has_open_command(&self) -> bool {
        self.pending.values().any(|request| !matches!(request, Request::Send))
    }

    /// Messages heard, announcements not counted.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether anything was refused or may be lost.
    pub fn has_refused(&self) -> bool {
        self.refused
    }

    /// Whether the user wants to end.
    pub fn wants_to_quit(&self) -> bool {
        self.quit
    }

    /// A line was typed or read.
    pub fn on_line(&mut self, line: String) {
        let read = if self.manner.commands { commands::parse(&line) } else { Ok(Line::Say(line.clone())) };
        match read {
            Err(error) => self.refuse(error.to_string()),
            Ok(Line::Nothing) => {}
            Ok(Line::Help) => self.shown.push(Shown::Answer(commands::help())),
            Ok(Line::Quit) => self.quit = true,
            Ok(_) if !self.online && self.waiting.len() >= MAX_WAITING => {
                self.refuse(format!(
                    "There is no connection, and {MAX_WAITING} lines wait already: this one is not kept."
                ));
            }
            Ok(_) if !self.online => {
                self.waiting.push_back(line);
                self.notice("There is no connection; the line waits for it.".to_owned());
            }
            Ok(Line::Me) => self.tell_about_me(),
            Ok(Line::Say(text)) => self.say(&text),
            Ok(Line::To(target)) => {
                self.ask(|ack| frames::count(ack, &target, is_mask(&target)), Request::Count(target.clone()));
                self.write_to(Some(target));
            }
            Ok(Line::Join(group)) => self.ask(|ack| frames::join(ack, &group), Request::Join(group.clone())),
            Ok(Line::Leave(group)) => {
                let Some(group) = self.or_target(group, "leave") else { return };
                self.ask(|ack| frames::leave(ack, &group), Request::Leave(group.clone()));
            }
            Ok(Line::Who(group)) => {
                let Some(group) = self.or_target(group, "who") else { return };
                if is_mask(&group) {
                    return self.refuse(format!("{group} is a mask, which has no members; name a group: /who GROUP"));
                }
                self.ask(|ack| frames::members(ack, &group, None), Request::who(group.clone()));
            }
            Ok(Line::Groups(mask)) => {
                self.ask(|ack| frames::groups(ack, mask.as_deref(), None), Request::groups(mask.clone()));
            }
        }
    }

    /// A line that cannot be sent.
    pub fn refuse(&mut self, why: String) {
        self.refused = true;
        self.shown.push(Shown::Problem(why));
    }

    /// Something to tell the user about the connection.
    pub fn notice(&mut self, text: String) {
        self.shown.push(Shown::Notice(text));
    }

    fn say(&mut self, text: &str) {
        if text.len() > MAX_TEXT_BYTES {
            return self.refuse(format!("The line is not sent: it has more than {MAX_TEXT_BYTES} bytes."));
        }
        let Some(target) = self.target.clone() else {
            let how = if self.manner.commands { "/join GROUP, or /to GROUP" } else { "--group GROUP" };
            return self.refuse(format!("The line is not sent: you are in no group. Name one: {how}"));
        };
        let (no_echo, must_exist) = (!self.manner.echo, self.manner.must_exist);
        self.ask(|ack| frames::send(ack, &target, text, no_echo, must_exist), Request::Send);
    }

    fn or_target(&mut self, group: Option<String>, command: &str) -> Option<String> {
        let group = group.or_else(|| self.target.clone());
        if group.is_none() {
            self.refuse(format!("Which group? /{command} GROUP"));
        }
        group
    }

    /// Sends a request and remembers what its answer is about.
    pub(super) fn ask(&mut self, frame: impl FnOnce(u64) -> String, request: Request) {
        let ack = self.next_ack;
        self.next_ack += 1;
        self.frames.push(frame(ack));
        self.pending.insert(ack, request);
    }

    /// A frame came.
    pub fn on_frame(&mut self, text: &str) {
        if self.manner.json {
            self.shown.push(Shown::Frame(text.to_owned()));
        }
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
            return self.notice("Something came that is no frame of the protocol.".to_owned());
        };
        match (frame.kind.as_str(), frame.event.as_deref()) {
            ("system", Some("connected")) => self.on_connected(&frame),
            ("message", _) => self.on_message(&frame),
            ("ack", _) => {
                if let Some(request) = frame.ack_id.and_then(|id| self.pending.remove(&id)) {
                    self.on_answer(request, &frame);
                }
            }
            // What ends the connection is told when it has ended; kinds that are not known yet may be left out.
            _ => {}
        }
    }

    fn on_connected(&mut self, frame: &Frame<'_>) {
        (self.online, self.me) = (true, frame.user_id.clone());
        self.connection_id = frame.connection_id.clone().unwrap_or_default();
        self.groups = frame.groups::<BTreeSet<String>>().unwrap_or_default();
        self.learn_name(frame.user_id.as_deref(), field(frame.user.as_ref(), "username"));
        if self.target.is_none() && !self.greeted {
            // The first as the server tells them.
            self.target = frame.groups::<Vec<String>>().and_then(|groups| groups.into_iter().next());
        }
        self.groups.clone().iter().for_each(|group| self.learn_group(group));
        let again = if self.greeted { "again " } else { "" };
        self.notice(format!("Connected {again}as {}, in {}.", self.my_name(), listed(&self.groups)));
        self.greeted = true;
        self.be_where_we_were();
        if !self.manner.json {
            for group in self.groups.clone().into_iter().take(LEARNT_GROUPS) {
                self.ask(|ack| frames::members(ack, &group, None), Request::Names);
            }
        }
        for line in take(&mut self.waiting) {
            self.on_line(line);
        }
        self.tell_desk();
    }

    /// Joins what was joined before the loss, and leaves what was left.
    fn be_where_we_were(&mut self) {
        for group in self.joined.clone().difference(&self.groups.clone()) {
            self.ask(|ack| frames::join(ack, group), Request::Rejoin(group.clone()));
        }
        for group in self.left.clone().intersection(&self.groups.clone()) {
            self.ask(|ack| frames::leave(ack, group), Request::LeaveAgain(group.clone()));
        }
    }

    fn on_message(&mut self, frame: &Frame<'_>) {
        if let Some(dropped) = frame.dropped {
            self.shown.push(Shown::Problem(format!("{dropped} messages were left out here: you read too slowly.")));
        }
        if let Some(group) = &frame.group {
            self.learn_group(group);
        }
        if let Some(who) = &frame.announcement {
            self.learn_name(who.user_id.as_deref(), field(who.user.as_ref(), "username"));
            if !self.manner.json {
                self.shown.push(Shown::Announcement { group: frame.group.clone(), text: frame.text() });
            }
            return;
        }
        self.messages += 1;
        if !self.manner.json {
            let sender = frame.from_user_id.as_ref().map(|id| self.name(id).to_owned());
            let from_server = frame.from.as_deref() == Some("server");
            self.shown.push(Shown::Message {
                group: frame.group.clone().filter(|_| !from_server),
                mask: frame.mask.clone(),
                sender,
                text: frame.text(),
            });
        }
    }

    /// The connection has ended: nothing that is open will be answered.
    pub fn on_lost(&mut self) {
        let unanswered = self.unanswered();
        self.online = false;
        // What is to be joined is joined again by the next connection.
        self.pending.clear();
        self.frames.clear();
        if unanswered > 0 {
            let what = if unanswered == 1 { "1 request was".to_owned() } else { format!("{unanswered} requests were") };
            self.refuse(format!("{what} not answered; whether what was asked has happened is unknown."));
        }
    }

    fn tell_about_me(&mut self) {
        let target = self.target.clone().unwrap_or_else(|| "nobody".to_owned());
        let joined: BTreeSet<_> = self.groups.union(&self.joined).cloned().collect();
        self.shown.push(Shown::Answer(vec![
            format!("You are {} on connection {}.", self.my_name(), self.connection_id),
            format!("You are in {}, and write to {target}.", listed(&joined)),
        ]));
    }

    /// Says no to the user, as the server did.
    pub(super) fn on_refusal(&mut self, what: &str, error: &AckError) {
        self.refuse(format!("{what}: {} ({})", error.message, error.name));
    }

    pub(super) fn write_to(&mut self, target: Option<String>) {
        if let Some(target) = &target {
            self.learn_group(target);
        }
        self.target = target;
        self.tell_desk();
    }

    pub(super) fn learn_group(&self, name: &str) {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        if desk.known.len() < MAX_NAMES && !desk.known.contains(name) {
            desk.known.insert(name.to_owned());
        }
    }

    pub(super) fn learn_name(&mut self, id: Option<&str>, name: Option<String>) {
        if let (Some(id), Some(name)) = (id, name)
            && (self.names.len() < MAX_NAMES || self.names.contains_key(id))
        {
            self.names.insert(id.to_owned(), name);
        }
    }

    /// The name of a user as far as it is known, otherwise the id.
    pub(super) fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.names.get(id).map_or(id, String::as_str)
    }

    fn my_name(&self) -> String {
        match self.me.as_deref() {
            None => "nobody in particular".to_owned(),
            Some(id) if self.name(id) == id => id.to_owned(),
            Some(id) => format!("{} ({id})", self.name(id)),
        }
    }

    fn tell_desk(&self) {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).target.clone_from(&self.target);
    }
}

/// Whether a target is a mask, in a hub that has them.
pub(super) fn is_mask(target: &str) -> bool {
    target.contains(Mask::is_wildcard)
}

/// Names for a person: at most some of them.
fn listed(names: &BTreeSet<String>) -> String {
    const MOST: usize = 10;
    match names.len() {
        0 => "no group".to_owned(),
        more if more > MOST => {
            let first: Vec<_> = names.iter().take(MOST).map(String::as_str).collect();
            format!("{} and {} more", first.join(", "), more - MOST)
        }
        _ => names.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}
