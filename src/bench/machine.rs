//! What the machine tells about processes, and how many connections one may have. Linux only; elsewhere the figures are
//! absent.

use std::io;
use std::time::Duration;

use super::BenchError;

/// Clock ticks in a second, in what `/proc` tells: Linux has told all programs 100 since they can ask.
const TICKS_PER_SECOND: u64 = 100;

/// Raises the number of files that this process may open to what it is allowed to; each connection takes one.
pub fn raise_descriptor_limit() {
    // Where that is refused, the first connection too many says so.
    let _: io::Result<u64> = rlimit::increase_nofile_limit(u64::MAX);
}

/// A process whose use of the machine is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// A process of this machine.
    ///
    /// # Errors
    /// [`BenchError::Process`] when there is none, or none that may be looked at.
    pub fn new(pid: u32) -> Result<Self, BenchError> {
        let process = Process { pid };
        match process.stat() {
            Ok(_) => Ok(process),
            Err(error) => Err(BenchError::Process { pid, error }),
        }
    }

    /// This process.
    pub fn own() -> Self {
        Process { pid: std::process::id() }
    }

    /// Time of processors that it has used, in user space and in the kernel. Zero when it has ended.
    pub fn cpu(self) -> Duration {
        self.stat().unwrap_or_default()
    }

    /// Memory that it has resident, in bytes. Zero when it has ended.
    pub fn resident_bytes(self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
    }

    fn stat(self) -> io::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name of the program stands in parentheses and may have blanks; user time is the twelfth field behind it.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let own = Process::new(std::process::id()).unwrap();
        assert!(own.resident_bytes() > 1 << 20);
        let before = own.cpu();
        while own.cpu() == before {
            std::hint::black_box((0..100_000).sum::<u64>());
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_said() {
        // Above the largest id that Linux gives.
        let error = Process::new(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("--pid"), "{error}");
    }
}
