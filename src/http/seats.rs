//! A bounded number of places: for connections, for those of one user or address, and for handshakes that are under way.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places that are taken and given back.
#[derive(Debug)]
pub struct Seats {
    taken: AtomicUsize,
    most: usize,
}

/// One place, given back when dropped.
#[derive(Debug)]
pub struct Seat(Arc<Seats>);

impl Seats {
    /// This many places, all free.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Seats { taken: AtomicUsize::new(0), most })
    }

    /// A place, if one is free.
    pub fn take(self: &Arc<Self>) -> Option<Seat> {
        // The seat is made first, so that what was counted too much is taken back by its drop.
        let seat = Seat(self.clone());
        (self.taken.fetch_add(1, Ordering::AcqRel) < self.most).then_some(seat)
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// So many places for each key. A key that has no place is not known.
#[derive(Debug)]
pub struct Shares<K> {
    taken: Mutex<HashMap<K, usize>>,
    most: usize,
}

/// One place of a key, given back when dropped.
#[derive(Debug)]
pub struct Share<K: Eq + Hash> {
    shares: Arc<Shares<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// This many places for each key.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Shares { taken: Mutex::default(), most })
    }

    /// A place for this key, if it has one left.
    pub fn take(self: &Arc<Self>, key: &K) -> Option<Share<K>> {
        let mut taken = self.taken();
        match taken.get_mut(key) {
            Some(count) if *count >= self.most => return None,
            Some(count) => *count += 1,
            None => drop(taken.insert(key.clone(), 1)),
        }
        drop(taken);
        Some(Share { shares: self.clone(), key: key.clone() })
    }
}

impl<K> Shares<K> {
    /// How many keys have a place.
    pub fn keys(&self) -> usize {
        self.taken().len()
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        // Nothing that holds the lock can leave a count half changed.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        match taken.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.key);
            }
        }
        // What a crowd needed is given back when it has gone.
        if taken.len() < taken.capacity() / 8 {
            let half = taken.capacity() / 2;
            taken.shrink_to(half);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_it_is_dropped_and_a_refusal_takes_none() {
        let seats = Seats::new(1);
        let seat = seats.take();
        assert!(seat.is_some() && seats.take().is_none());
        assert_eq!(seats.taken(), 1);
        drop(seat);
        assert_eq!(seats.taken(), 0);
        assert!(seats.take().is_some());
    }

    #[test]
    fn each_key_has_places_of_its_own_and_none_is_remembered_without_one() {
        let shares = Shares::new(2);
        let (first, second) = (shares.take(&"a"), shares.take(&"a"));
        assert!(first.is_some() && second.is_some() && shares.take(&"a").is_none());
        let other = shares.take(&"b");
        assert!(other.is_some());
        drop(first);
        assert!(shares.take(&"a").is_some());
        drop((second, other));
        assert!(shares.taken().is_empty());
    }

    #[test]
    fn what_a_crowd_needed_is_given_back() {
        let shares = Shares::new(1);
        let crowd: Vec<_> = (0..10_000).map(|key| shares.take(&key)).collect();
        drop(crowd);
        assert!(shares.taken().capacity() < 100, "{}", shares.taken().capacity());
    }
}
