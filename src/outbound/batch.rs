//! What one turn of a fan-out brings, before it is written: each connection's share of it is a single number.
//!
//! Members of one group mostly get the same frames in the same order. So a frame is kept once, and a connection knows
//! only its [`Run`]: the last step of a path through the frames, which everybody shares who got the same ones. Queueing
//! a frame for a thousand members costs a thousand small numbers, and what is gathered for one of them serves them all.

use super::{Frame, Moment};

/// Most bytes gathered into one write. Larger frames are written straight from where they are.
pub(super) const GATHER_BYTES: usize = 64 * 1024;
/// Runs kept for the next batch; more are the exception, so their memory is given back.
const KEPT_RUNS: usize = 4096;
/// Steps remembered, so that members whose runs differ find theirs again. A power of two.
const RECENT_STEPS: usize = 16;

/// The frames that one connection gets of a batch, in order; nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run(u32);

impl Run {
    /// Whether the connection gets nothing.
    pub fn is_empty(self) -> bool {
        self == Run::default()
    }
}

/// A frame of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item(u32);

/// One frame and how much it matters.
#[derive(Debug)]
pub struct Queued {
    /// The frame.
    pub frame: Frame,
    /// It may be dropped for a connection that is behind.
    pub is_announcement: bool,
    /// When it need not be sent to a connection any more that was away meanwhile.
    pub until: Moment,
}

/// A run is the run before it and one more frame.
#[derive(Debug)]
struct Step {
    before: Run,
    item: Item,
    frames: u32,
    bytes: usize,
}

/// The frames of one turn.
#[derive(Debug, Default)]
pub struct Batch {
    items: Vec<Queued>,
    steps: Vec<Step>,
    recent: [Option<(Run, Item, Run)>; RECENT_STEPS],
    gathered: Vec<u8>,
    gathered_run: Run,
    /// The places of the frames of the run that was listed last.
    listed: Vec<Item>,
    listed_run: Run,
    held: usize,
}

impl Batch {
    /// Takes a frame in; nobody gets it yet.
    pub fn add(&mut self, queued: Queued) -> Item {
        self.held += size_of::<Queued>() + queued.frame.len();
        self.items.push(queued);
        Item(self.items.len() as u32 - 1)
    }

    /// The run that has one frame more.
    pub fn extend(&mut self, run: Run, item: Item) -> Run {
        let recent = &mut self.recent[run.0 as usize % RECENT_STEPS];
        match recent {
            Some((before, of, extended)) if *before == run && *of == item => *extended,
            _ => {
                let (frames, bytes) =
                    self.steps.get(Batch::place(run)).map_or((0, 0), |step| (step.frames, step.bytes));
                let bytes = bytes + self.items.get(item.0 as usize).map_or(0, |queued| queued.frame.len());
                self.steps.push(Step { before: run, item, frames: frames + 1, bytes });
                self.held += size_of::<Step>();
                let extended = Run(self.steps.len() as u32);
                *recent = Some((run, item, extended));
                extended
            }
        }
    }

    /// How much memory the frames and runs take. The batch does not bound it: whoever fills it clears it in time.
    pub fn held(&self) -> usize {
        self.held
    }

    /// How many frames a run has.
    pub fn len(&self, run: Run) -> usize {
        self.steps.get(Batch::place(run)).map_or(0, |step| step.frames as usize)
    }

    /// A whole run as one piece; `None` when it is too large to be gathered.
    pub(super) fn bytes(&mut self, run: Run) -> Option<&[u8]> {
        let step = self.steps.get(Batch::place(run))?;
        let item = step.item;
        if step.frames == 1
            && let Some(bytes) = self.items.get(item.0 as usize).and_then(|queued| queued.frame.in_one_piece())
        {
            return Some(bytes);
        }
        if step.bytes > GATHER_BYTES {
            return None;
        }
        if self.gathered_run != run {
            let mut gathered = std::mem::take(&mut self.gathered);
            gathered.clear();
            for queued in self.frames(run) {
                queued.frame.pieces(0).iter().for_each(|piece| gathered.extend_from_slice(piece));
            }
            self.gathered = gathered;
            self.gathered_run = run;
        }
        Some(&self.gathered)
    }

    /// The frames of a run, in order.
    pub fn frames(&self, run: Run) -> impl Iterator<Item = &Queued> {
        let mut items = Vec::with_capacity(self.len(run));
        let mut at = run;
        while let Some(step) = self.steps.get(Batch::place(at)) {
            items.push(step.item);
            at = step.before;
        }
        items.into_iter().rev().filter_map(|item| self.items.get(item.0 as usize))
    }

    /// How many bytes a run has.
    pub(super) fn size(&self, run: Run) -> usize {
        self.steps.get(Batch::place(run)).map_or(0, |step| step.bytes)
    }

    /// The frames of a run, in order, found once for all who ask for it one after another.
    pub(super) fn list(&mut self, run: Run) -> impl Iterator<Item = &Queued> {
        if self.listed_run != run {
            self.listed.clear();
            let mut at = run;
            while let Some(step) = self.steps.get(Batch::place(at)) {
                self.listed.push(step.item);
                at = step.before;
            }
            self.listed.reverse();
            self.listed_run = run;
        }
        self.listed.iter().filter_map(|item| self.items.get(item.0 as usize))
    }

    /// Forgets everything, for the next turn. Runs of this one mean nothing any more.
    pub fn clear(&mut self) {
        self.items.clear();
        self.items.shrink_to(KEPT_RUNS);
        self.steps.clear();
        self.steps.shrink_to(KEPT_RUNS);
        self.recent = Default::default();
        self.gathered.clear();
        self.gathered_run = Run::default();
        self.listed.clear();
        self.listed_run = Run::default();
        self.held = 0;
    }

    /// Where the last step of a run is; that of the empty run is nowhere.
    fn place(run: Run) -> usize {
        (run.0 as usize).wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn queued(bytes: Vec<u8>) -> Queued {
        Queued { frame: Frame::from(Bytes::from(bytes)), is_announcement: false, until: Moment::NEVER }
    }

    #[test]
    fn those_who_got_the_same_frames_share_a_run() {
        let mut batch = Batch::default();
        let (one, two) = (batch.add(queued(vec![1])), batch.add(queued(vec![2])));
        let runs: Vec<_> = (0..1000).map(|_| batch.extend(Run::default(), one)).collect();
        let runs: Vec<_> = runs.into_iter().map(|run| batch.extend(run, two)).collect();
        assert!(runs.iter().all(|run| *run == runs[0]));
        assert_eq!(batch.steps.len(), 2);
        assert_eq!(batch.bytes(runs[0]), Some(&[1, 2][..]));
    }

    #[test]
    fn a_run_too_large_to_be_gathered_is_told_frame_by_frame() {
        let mut batch = Batch::default();
        let half = batch.add(queued(vec![0; GATHER_BYTES / 2 + 1]));
        let run = batch.extend(Run::default(), half);
        assert_eq!(batch.bytes(run).map(<[u8]>::len), Some(GATHER_BYTES / 2 + 1));
        let run = batch.extend(run, half);
        assert_eq!(batch.bytes(run), None);
        assert_eq!(batch.frames(run).count(), 2);
    }

    proptest! {
        #[test]
        fn each_connection_gets_its_own_frames_in_order(
            batches in prop::collection::vec(
                prop::collection::vec((prop::collection::vec(any::<u8>(), 1..9), prop::collection::vec(any::<bool>(), 40)), 0..20),
                1..3,
            ),
        ) {
            let mut batch = Batch::default();
            for frames in batches {
                let mut connections = vec![(Run::default(), Vec::new(), 0); 40];
                for (bytes, receives) in frames {
                    let item = batch.add(queued(bytes.clone()));
                    for ((run, expected, count), _) in connections.iter_mut().zip(receives).filter(|(_, it)| *it) {
                        *run = batch.extend(*run, item);
                        expected.extend_from_slice(&bytes);
                        *count += 1;
                    }
                }
                for (run, expected, count) in &connections {
                    prop_assert_eq!(run.is_empty(), *count == 0);
                    prop_assert_eq!(batch.len(*run), *count);
                    prop_assert_eq!(batch.bytes(*run).unwrap_or_default(), expected);
                    let listed: Vec<_> = batch.list(*run).flat_map(|queued| queued.frame.pieces(0).concat()).collect();
                    prop_assert_eq!(&listed, expected);
                    prop_assert_eq!(batch.size(*run), expected.len());
                }
                batch.clear();
            }
        }
    }
}
