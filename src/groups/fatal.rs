//! What becomes of the process when one of its few irreplaceable actors panics.

use std::fmt::Display;

/// Exit status of a process that cannot go on: `EX_SOFTWARE` of sysexits.h.
const STATUS_OF_PANIC: i32 = 70;

/// Ends the process if the current thread is panicking; called from `drop` of what the process cannot do without.
///
/// Without it, hubs or connections would be dead in a process that looks healthy; whoever supervises it starts it anew.
pub fn exit_if_panicking(who: impl Display) {
    if std::thread::panicking() {
        log::error!("{who} panicked; the process ends with status {STATUS_OF_PANIC}");
        std::process::exit(STATUS_OF_PANIC);
    }
}
