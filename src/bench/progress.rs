//! What a run is doing just now, for whoever watches it, and whether it is to end early.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::tally::Tally;

/// The state of a run as somebody outside may see it.
#[derive(Debug)]
pub struct Progress {
    phase: Mutex<&'static str>,
    done: std::sync::atomic::AtomicUsize,
    of: std::sync::atomic::AtomicUsize,
    tally: Mutex<Option<Arc<Tally>>>,
    stop: watch::Sender<bool>,
}

impl Default for Progress {
    fn default() -> Self {
        Progress {
            phase: Mutex::new("starting"),
            done: 0.into(),
            of: 0.into(),
            tally: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }
}

impl Progress {
    /// Has the run end with what it has.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether it is to end.
    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until it is to end.
    pub async fn stopped(&self) {
        // The sender lives as long as `self`.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// What begins now, and of how many steps it is (0: nobody knows).
    pub(super) fn enter(&self, phase: &'static str, steps: usize) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        self.done.store(0, std::sync::atomic::Ordering::Relaxed);
        self.of.store(steps, std::sync::atomic::Ordering::Relaxed);
    }

    /// One step is done.
    pub(super) fn step(&self) {
        self.done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// Where deliveries are counted.
    pub(super) fn follow(&self, tally: &Arc<Tally>) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = Some(tally.clone());
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.phase.lock().unwrap_or_else(PoisonError::into_inner))?;
        let of = self.of.load(std::sync::atomic::Ordering::Relaxed);
        if of > 0 {
            write!(f, " {} of {of}", self.done.load(std::sync::atomic::Ordering::Relaxed))?;
        }
        if let Some(tally) = &*self.tally.lock().unwrap_or_else(PoisonError::into_inner) {
            if tally.delivered() > 0 {
                write!(f, ", {} deliveries", tally.delivered())?;
            }
            if tally.lost() > 0 {
                write!(f, ", {} connections lost", tally.lost())?;
            }
        }
        Ok(())
    }
}
