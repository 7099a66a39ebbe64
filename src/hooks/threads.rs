//! The threads that awaited hooks run on.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime of its own for the hooks of a server: nothing else depends on its threads, so a hook may block one.
#[derive(Debug, Clone, Default)]
pub struct HookThreads(Arc<Mutex<Option<Runtime>>>);

impl HookThreads {
    /// Starts this many threads.
    ///
    /// # Errors
    /// What the system says when it has no more threads to give.
    pub fn start(&self, threads: usize) -> io::Result<Handle> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("folkmoot-hooks")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime);
        Ok(handle)
    }

    /// Ends the threads without waiting for a hook that blocks.
    pub fn stop(&self) {
        if let Some(runtime) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for HookThreads {
    // A runtime that is dropped where tasks run would panic.
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) == 1 {
            self.stop();
        }
    }
}
