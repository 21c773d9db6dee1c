//! Work that blocks, for the disk or the processor, away from the threads that serve.

use std::io;

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs work where it holds up nobody. On a runtime of one thread, or none, it runs at once, in that thread: there a simulation
/// may be running, in which nothing may depend on when another thread is done.
///
/// # Errors
/// When the work panicked, or the runtime is shutting down.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Err(_) | Ok(RuntimeFlavor::CurrentThread) => Ok(work()),
        _ => tokio::task::spawn_blocking(work).await.map_err(io::Error::other),
    }
}

/// Runs work that may be long in this thread, while another serves what this one would have. On a runtime of one thread, or none, it
/// just runs.
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
