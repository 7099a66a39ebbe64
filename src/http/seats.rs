//! A bounded number of places: for connections, and for handshakes that are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
}
