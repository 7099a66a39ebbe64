//! Where connections to our own port wait that are no WebSockets: those that have asked for nothing yet, and those that
//! ask for `/health` and the like, handshakes that are not decided yet among them.
//!
//! Anybody can open such connections and say nothing. They are not refused when there are too many, which would keep
//! everybody out who comes later, probes included: the one that has been here longest goes. Whoever has something to
//! say has said it by then.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use crate::metrics::{Limit, Metrics};

/// The connections that wait, in the order in which they came.
#[derive(Debug)]
pub struct Porch {
    most: usize,
    limit: Limit,
    metrics: Metrics,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    guests: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A connection on the porch; it leaves when this is dropped.
#[derive(Debug)]
pub struct Guest {
    porch: Arc<Porch>,
    number: u64,
    shown_out: oneshot::Receiver<()>,
}

impl Porch {
    /// An empty porch with room for so many, at least one; `limit` is what is counted when it is full.
    pub fn new(most: usize, limit: Limit, metrics: Metrics) -> Arc<Self> {
        Arc::new(Porch { most: most.max(1), limit, metrics, waiting: Mutex::default() })
    }

    /// Lets a connection in, and the one that came first out where it is full.
    pub fn enter(self: &Arc<Self>) -> Guest {
        let (show_out, shown_out) = oneshot::channel();
        let mut waiting = self.waiting();
        if waiting.guests.len() >= self.most
            && let Some((_, first)) = waiting.guests.pop_first()
        {
            self.metrics.reached(self.limit);
            // It may be leaving by itself at this moment.
            let _ = first.send(());
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.guests.insert(number, show_out);
        Guest { porch: self.clone(), number, shown_out }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can leave it half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Serves the connection until it is done (`Some`) or has to go.
    pub async fn serve<F: Future>(mut self, served: F) -> Option<F::Output> {
        match select(pin!(served), &mut self.shown_out).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.porch.waiting().guests.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn the_first_goes_when_another_comes_and_the_others_stay() {
        let porch = Porch::new(2, Limit::HttpConnections, Metrics::new());
        let (first, second) = (porch.enter(), porch.enter());
        let third = porch.enter();
        assert_eq!(first.serve(pending::<()>()).await, None);
        assert_eq!(second.serve(ready(2)).await, Some(2));
        // The second has left by itself, so there is room.
        let _fourth = porch.enter();
        assert_eq!(third.serve(ready(3)).await, Some(3));
        assert!(porch.metrics.render().contains("{limit=\"http_connections\"} 1\n"));
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let porch = Porch::new(10, Limit::HttpConnections, Metrics::new());
        for _ in 0..100 {
            drop(porch.enter());
        }
        assert!(porch.waiting().guests.is_empty());
    }
}
