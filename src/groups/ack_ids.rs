//! The ack ids that one logical connection has used with success, so that a repeated frame is not executed twice.
//!
//! What a duplicate is answered, and that failed ids are not remembered, is the session's concern.

use std::collections::VecDeque;

/// How many ids are remembered, as many as the emulator of Web PubSub does.
pub const REMEMBERED_ACK_IDS: usize = 1000;

/// The last [`REMEMBERED_ACK_IDS`] ids that were inserted.
///
/// When an id more comes, the one that was inserted longest ago is forgotten, whatever its value; inserting an id again
/// does not make it younger. Ids are kept as runs of consecutive ones: a client that counts costs no heap memory, one that
/// picks ids at random at most 16 KiB.
#[derive(Debug, Clone, Default)]
pub struct AckIds {
    /// The runs before `newest`, in the order of insertion. None is empty.
    older: VecDeque<Run>,
    newest: Option<Run>,
    remembered: usize,
}

/// The ids from `first` to `last`, inserted in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
}

impl Run {
    fn contains(self, id: u64) -> bool {
        (self.first..=self.last).contains(&id)
    }

    /// The run without its oldest id, if any is left.
    fn without_first(self) -> Option<Run> {
        (self.first < self.last).then(|| Run { first: self.first + 1, last: self.last })
    }
}

impl AckIds {
    /// Whether the id is remembered. Looks at the newest run first: a retry mostly comes soon.
    pub fn contains(&self, id: u64) -> bool {
        self.newest.is_some_and(|run| run.contains(id)) || self.older.iter().rev().any(|run| run.contains(id))
    }

    /// Remembers an id. `false` if it was remembered already, which changes nothing.
    pub fn insert(&mut self, id: u64) -> bool {
        if self.contains(id) {
            return false;
        }
        match &mut self.newest {
            Some(run) if run.last.checked_add(1) == Some(id) => run.last = id,
            newest => self.older.extend(newest.replace(Run { first: id, last: id })),
        }
        self.remembered += 1;
        if self.remembered > REMEMBERED_ACK_IDS {
            self.forget_oldest();
        }
        true
    }

    fn forget_oldest(&mut self) {
        self.remembered -= 1;
        let Some(oldest) = self.older.front_mut() else {
            self.newest = self.newest.and_then(Run::without_first);
            return;
        };
        match oldest.without_first() {
            Some(rest) => *oldest = rest,
            None => drop(self.older.pop_front()),
        }
        if self.older.is_empty() {
            // A client that counts again after a wild phase gives the memory back.
            self.older = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_new_once() {
        let mut ids = AckIds::default();
        assert!(!ids.contains(7));
        assert!(ids.insert(7));
        assert!(ids.contains(7));
        assert!(!ids.insert(7));
    }

    #[test]
    fn a_client_that_counts_costs_no_heap_memory() {
        let mut ids = AckIds::default();
        for id in 1..=1_000_000 {
            assert!(ids.insert(id));
        }
        assert_eq!(ids.older.capacity(), 0);
        assert!(size_of::<AckIds>() <= 64);
    }

    #[test]
    fn the_id_inserted_longest_ago_is_forgotten_first_and_not_the_smallest() {
        let mut ids = AckIds::default();
        ids.insert(u64::MAX);
        for id in 0..999 {
            ids.insert(id);
        }
        assert!(ids.contains(u64::MAX));
        ids.insert(5000);
        assert!(!ids.contains(u64::MAX));
        assert!(ids.contains(0));
    }

    #[test]
    fn inserting_an_id_again_does_not_make_it_younger() {
        let mut ids = AckIds::default();
        for id in 0..1000 {
            ids.insert(id);
        }
        ids.insert(0);
        ids.insert(1000);
        assert!(!ids.contains(0));
    }

    #[test]
    fn ids_at_random_are_bounded_and_give_their_memory_back() {
        let mut ids = AckIds::default();
        for id in (0..10_000).map(|n| n * 2) {
            ids.insert(id);
        }
        assert!(ids.older.capacity() * size_of::<Run>() <= 16 * 1024 + 16);
        for id in 30_000..31_000 {
            ids.insert(id);
        }
        assert_eq!(ids.older.capacity(), 0);
    }

    #[test]
    fn the_largest_id_has_no_successor() {
        let mut ids = AckIds::default();
        assert!(ids.insert(u64::MAX));
        assert!(ids.insert(0));
        assert!(!ids.contains(1));
        assert!(ids.contains(u64::MAX));
    }

    /// The specification: a queue of ids.
    #[derive(Default)]
    struct Naive(VecDeque<u64>);

    impl Naive {
        fn insert(&mut self, id: u64) -> bool {
            if self.0.contains(&id) {
                return false;
            }
            self.0.push_back(id);
            if self.0.len() > REMEMBERED_ACK_IDS {
                self.0.pop_front();
            }
            true
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn it_remembers_what_a_queue_of_ids_would(runs in prop::collection::vec((0..2500u64, 1..300u64, 1..3u64), 1..20)) {
            let (mut ids, mut naive) = (AckIds::default(), Naive::default());
            for (first, count, step) in runs {
                for id in (0..count).map(|n| first + n * step) {
                    prop_assert_eq!(ids.insert(id), naive.insert(id), "inserting {}", id);
                }
            }
            for id in 0..3200 {
                prop_assert_eq!(ids.contains(id), naive.0.contains(&id), "id {}", id);
            }
            prop_assert_eq!(ids.remembered, naive.0.len());
        }
    }
}
