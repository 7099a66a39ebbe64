//! The task that takes a sample once a second, and tells those who look.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use tokio::time::{MissedTickBehavior, interval};

use super::sample::Readings;
use super::{HUB, INTERVAL, Monitor, OVERVIEW, Surroundings, TAIL, tail};
use crate::groups::deliver::Deliver;
use crate::groups::inner::Probe;
use crate::groups::messages::{Broadcast, Content};
use crate::groups::watch::Happening;
use crate::groups::{Fanouts, Hub, Hubs};
use crate::ids::{GroupName, Target};
use crate::protocol::Data;
use crate::user::UserData;

/// Samples the server from now on, for as long as the monitor exists. Must be called where an actix `System` runs.
///
/// `look` says what is not counted where it happens; `None` when the server is gone.
pub fn start<U: UserData>(
    monitor: &Arc<Monitor>,
    hubs: &Arc<Hubs<U>>,
    fanouts: &Arc<Fanouts>,
    look: impl Fn() -> Option<Surroundings> + 'static,
) {
    let happenings = monitor.happenings.lock().unwrap_or_else(PoisonError::into_inner).take();
    // One sampler is enough.
    let Some(happenings) = happenings else { return };
    let (readings, round) = (Readings::of(&monitor.metrics), Arc::new(()));
    let (hubs, fanouts) = (Arc::downgrade(hubs), Arc::downgrade(fanouts));
    let mut sampler = Sampler { hubs, fanouts, happenings, readings, last: Instant::now(), round };
    let monitor = Arc::downgrade(monitor);
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    actix_rt::spawn(async move {
        // The first tick is now.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let (Some(monitor), Some(surroundings)) = (monitor.upgrade(), look()) else { return };
            sampler.tick(&monitor, surroundings).await;
        }
    });
}

struct Sampler<U: UserData> {
    hubs: Weak<Hubs<U>>,
    fanouts: Weak<Fanouts>,
    happenings: Receiver<Happening>,
    readings: Readings,
    last: Instant,
    /// Held by each probe that has not had its turn yet.
    round: Arc<()>,
}

impl<U: UserData> Sampler<U> {
    async fn tick(&mut self, monitor: &Monitor, surroundings: Surroundings) {
        let metrics = &monitor.metrics;
        metrics.users.set(surroundings.users as u64);
        if let Some(pool) = surroundings.pool {
            metrics.database_in_use.set(pool.in_use.into());
            metrics.database_idle.set(pool.idle.into());
        }
        let now = Instant::now();
        let sample = self.readings.sample(metrics, now - std::mem::replace(&mut self.last, now));
        let queue_high = monitor.with_history(|history| {
            history.add(sample.clone());
            history.queue_high()
        });
        metrics.outbound_queue_high.set(queue_high);

        let Some(hubs) = self.hubs.upgrade() else { return };
        let hubs = hubs.all();
        self.probe(&hubs);
        // What happened while nobody looked any more is told to nobody.
        let batch = tail::take(&monitor.watcher, &mut self.happenings);
        if monitor.watcher.looking() > 0
            && let Some(hub) = hubs.iter().find(|hub| *hub.name() == *HUB)
        {
            tell(hub, &OVERVIEW, &sample).await;
            if let Some(batch) = batch {
                tell(hub, &TAIL, &batch).await;
            }
        }
    }

    /// Has every hub and every worker tell how long a message waits there: those who have no time are not asked again
    /// before they have answered.
    fn probe(&self, hubs: &[Hub<U>]) {
        if Arc::strong_count(&self.round) > 1 {
            return;
        }
        for hub in hubs.iter().filter(|hub| *hub.name() != *HUB) {
            hub.registry().do_send(Probe::new(&self.round));
        }
        for fanout in self.fanouts.upgrade().iter().flat_map(|fanouts| fanouts.all()) {
            fanout.do_send(Deliver::Probe(Probe::new(&self.round)));
        }
    }
}

/// Sends a message to everybody in a group of the hub, and waits until its registry has seen it: with one a second that
/// is all that is under way.
async fn tell<U: UserData>(hub: &Hub<U>, group: &GroupName, message: &impl Serialize) {
    let Ok(message) = serde_json::to_value(message) else { return };
    let content = Content::from(Data::json(&message));
    let broadcast = Broadcast { target: Target::Group(group.clone()), content, permit: None };
    // A hub that has ended has nobody in it.
    let _ = hub.registry().send(broadcast).await;
}
