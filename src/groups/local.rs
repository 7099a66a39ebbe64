//! The fan-out of the current thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::Addr;

use super::fanout::Fanout;
use super::slots::{HeartbeatSettings, Slots};
use crate::metrics::Metrics;

/// The fan-outs of a server, one per worker thread, each started by the first connection of its thread.
#[derive(Debug)]
pub struct Fanouts {
    heartbeat: HeartbeatSettings,
    metrics: Metrics,
    next_worker: AtomicU32,
    addrs: Mutex<Vec<Addr<Fanout>>>,
}

/// The fan-out of one thread, with direct access to its connections.
#[derive(Clone)]
pub struct LocalFanout {
    addr: Addr<Fanout>,
    slots: Rc<RefCell<Slots>>,
}

thread_local! {
    /// More than one only where a process runs more than one server on the same threads.
    static LOCAL: RefCell<Vec<(Arc<Fanouts>, LocalFanout)>> = const { RefCell::new(Vec::new()) };
}

impl Fanouts {
    /// None is started yet.
    pub fn new(heartbeat: HeartbeatSettings, metrics: Metrics) -> Arc<Self> {
        Arc::new(Fanouts { heartbeat, metrics, next_worker: AtomicU32::new(0), addrs: Mutex::default() })
    }

    /// The fan-out of this thread.
    pub fn local(self: &Arc<Self>) -> LocalFanout {
        LOCAL.with_borrow_mut(|local| {
            local.retain(|(_, fanout)| fanout.addr.connected());
            if let Some((_, fanout)) = local.iter().find(|(owner, _)| Arc::ptr_eq(owner, self)) {
                return fanout.clone();
            }
            let worker = self.next_worker.fetch_add(1, Ordering::Relaxed);
            let slots = Rc::new(RefCell::new(Slots::new(worker, self.heartbeat, self.metrics.clone())));
            let fanout = LocalFanout { addr: Fanout::launch(slots.clone()), slots };
            self.addrs.lock().unwrap_or_else(PoisonError::into_inner).push(fanout.addr.clone());
            local.push((self.clone(), fanout.clone()));
            fanout
        })
    }

    /// The fan-outs of all threads.
    pub fn all(&self) -> Vec<Addr<Fanout>> {
        self.addrs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl LocalFanout {
    /// Its address, for the registries.
    pub fn addr(&self) -> &Addr<Fanout> {
        &self.addr
    }

    /// Its connections, for the sessions of the same thread.
    pub fn slots(&self) -> &Rc<RefCell<Slots>> {
        &self.slots
    }
}
