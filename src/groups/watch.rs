//! What happens in all hubs, for somebody who may look: told only while they do, and never so much that it slows a hub.
//!
//! Who looks, and how they are shown it, is decided elsewhere.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

use serde::{Serialize, Serializer};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::clock;
use crate::event::{Connection, Event};
use crate::ids::{ConnectionId, GroupName, HubName};

/// Most bytes of a reason or a refused login that are told: both may be the peer's own words.
const MAX_TEXT_BYTES: usize = 200;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Happening {
    /// When.
    #[serde(rename = "t", serialize_with = "milliseconds")]
    pub at: SystemTime,
    /// In which hub; unknown of a login that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<HubName>,
    /// What.
    pub event: What,
    /// The group that somebody joined or left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// Whose connection it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// Whose connection it was, or who was refused and said to be this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
    /// Where the client is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// The kinds of [`Happening`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A connection became a member of a group.
    Joined,
    /// A connection is no member of a group any more.
    Left,
    /// A connection is there.
    Connected,
    /// A connection is gone.
    Disconnected,
    /// A handshake or a login was refused.
    Refused,
}

impl Happening {
    /// What an event tells.
    pub fn of_event<U>(event: &Event<U>) -> Self {
        match event {
            Event::Connected(connection) => {
                Happening { address: connection.address, ..Happening::about(What::Connected, connection) }
            }
            Event::Joined(joined) => {
                Happening { group: Some(joined.group.clone()), ..Happening::about(What::Joined, &joined.connection) }
            }
            Event::Left(left) => Happening {
                group: Some(left.group.clone()),
                reason: Some(left.reason.name().into()),
                ..Happening::about(What::Left, &left.connection)
            },
            Event::Disconnected(disconnected) => Happening {
                reason: Some(disconnected.reason.name().into()),
                address: disconnected.connection.address,
                ..Happening::about(What::Disconnected, &disconnected.connection)
            },
        }
    }

    /// Somebody was not let in.
    pub fn refused(hub: Option<HubName>, login: Option<String>, reason: Cow<'static, str>, address: IpAddr) -> Self {
        Happening {
            hub,
            user_id: login.map(shortened),
            reason: Some(if reason.len() > MAX_TEXT_BYTES { shortened(reason.into_owned()).into() } else { reason }),
            address: Some(address),
            ..Happening::now(What::Refused)
        }
    }

    fn about<U>(event: What, connection: &Connection<U>) -> Self {
        Happening {
            hub: Some(connection.hub.clone()),
            connection_id: Some(connection.id),
            user_id: connection.user_id.as_ref().map(|id| id.as_str().to_owned()),
            ..Happening::now(event)
        }
    }

    fn now(event: What) -> Self {
        let at = SystemTime::now();
        Happening { at, hub: None, event, group: None, connection_id: None, user_id: None, reason: None, address: None }
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}

fn milliseconds<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(clock::milliseconds(*at))
}

/// Through which things that happen are seen; cheap to clone, and free of cost while nobody looks.
#[derive(Debug, Clone)]
pub struct Watcher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    looking: AtomicUsize,
    seen: Sender<Happening>,
    skipped: AtomicU64,
}

/// Somebody looks, until this is dropped.
#[derive(Debug)]
pub struct Looking(Watcher);

impl Watcher {
    /// A watcher that keeps at most this many happenings until they are taken.
    pub fn new(most: usize) -> (Self, Receiver<Happening>) {
        let (seen, taken) = channel(most);
        (Watcher(Arc::new(Shared { looking: AtomicUsize::new(0), seen, skipped: AtomicU64::new(0) })), taken)
    }

    /// Looks from now on.
    pub fn look(&self) -> Looking {
        self.0.looking.fetch_add(1, Ordering::AcqRel);
        Looking(self.clone())
    }

    /// How many look.
    pub fn looking(&self) -> usize {
        self.0.looking.load(Ordering::Relaxed)
    }

    /// Has those who look see something, which is made only for them. What finds no room is counted.
    pub fn see(&self, happening: impl FnOnce() -> Happening) {
        if self.looking() == 0 {
            return;
        }
        match self.0.seen.try_reserve() {
            Ok(place) => place.send(happening()),
            Err(_) => {
                self.0.skipped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many found no room since this was asked last.
    pub fn take_skipped(&self) -> u64 {
        self.0.skipped.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.0.looking.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(login: &str) -> Happening {
        Happening::refused(None, Some(login.to_owned()), "no".into(), [127, 0, 0, 1].into())
    }

    #[test]
    fn nothing_is_made_while_nobody_looks() {
        let (watcher, mut seen) = Watcher::new(2);
        watcher.see(|| panic!("made for nobody"));
        let looking = watcher.look();
        watcher.see(|| refusal("mark"));
        drop(looking);
        watcher.see(|| panic!("made for nobody"));
        assert_eq!(seen.try_recv().map(|seen| seen.user_id), Ok(Some("mark".to_owned())));
        assert!(seen.try_recv().is_err());
    }

    #[test]
    fn what_finds_no_room_is_counted_and_not_made() {
        let (watcher, mut seen) = Watcher::new(2);
        let _looking = watcher.look();
        watcher.see(|| refusal("one"));
        watcher.see(|| refusal("two"));
        watcher.see(|| panic!("made for nobody"));
        assert_eq!((watcher.take_skipped(), watcher.take_skipped()), (1, 0));
        assert!(seen.try_recv().is_ok());
        watcher.see(|| refusal("three"));
        assert_eq!(watcher.take_skipped(), 0);
    }

    #[test]
    fn the_words_of_a_peer_are_cut_at_a_character() {
        let happening = Happening::refused(None, Some("é".repeat(500)), "ü".repeat(500).into(), [127, 0, 0, 1].into());
        assert_eq!(happening.user_id, Some("é".repeat(100)));
        assert_eq!(happening.reason, Some("ü".repeat(100).into()));
    }
}
