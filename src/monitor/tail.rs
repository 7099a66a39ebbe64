//! What happened in the last moment, as one message for all who look.

use serde::Serialize;
use tokio::sync::mpsc::Receiver;

use crate::groups::watch::{Happening, Watcher};

/// Events that are told a second, and so in one message; what else happens is counted.
pub const MOST_EVENTS: usize = 200;

/// One message of the group `tail`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Batch {
    events: Vec<Happening>,
    skipped: u64,
}

/// What happened since this was asked last; `None` where that is nothing.
pub fn take(watcher: &Watcher, happenings: &mut Receiver<Happening>) -> Option<Batch> {
    let skipped = watcher.take_skipped();
    let events: Vec<_> = std::iter::from_fn(|| happenings.try_recv().ok()).take(MOST_EVENTS).collect();
    (skipped > 0 || !events.is_empty()).then_some(Batch { events, skipped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_and_tells_how_many_were_skipped() {
        let (watcher, mut happenings) = Watcher::new(MOST_EVENTS);
        let _looking = watcher.look();
        assert_eq!(take(&watcher, &mut happenings), None);
        for _ in 0..MOST_EVENTS + 50 {
            watcher.see(|| Happening::refused(None, None, "no".into(), [127, 0, 0, 1].into()));
        }
        let batch = take(&watcher, &mut happenings).expect("events");
        assert_eq!((batch.events.len(), batch.skipped), (MOST_EVENTS, 50));
        assert_eq!(take(&watcher, &mut happenings), None);
    }
}
