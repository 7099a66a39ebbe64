//! What stands between "decided to send" and "wrote to the socket": the bounded queue of each connection, and the
//! corner that a session and its worker's fan-out share. The coarse clock of connections, and the rates measured by it, are
//! here too.

mod batch;
mod clock;
mod closing;
mod frame;
mod gate;
mod link;
mod queue;
mod rate;
mod replay;

pub use batch::{Batch, Item, Queued, Run};
pub use clock::Moment;
pub use closing::close;
pub use frame::Frame;
pub use gate::Gate;
pub use link::{Delivered, Link, LinkSettings, Pushed};
pub use queue::{Full, OutboundLimits, Queue, Scratch, SlowConsumers, Written};
pub use rate::Rate;
pub use replay::{Replay, ReplayLimits};
