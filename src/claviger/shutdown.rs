//! Being asked to stop, and asking another process to.

use tokio::signal::unix::{SignalKind, signal as unix_signal};

/// Returns when the process is asked to stop (SIGTERM or SIGINT). If signals cannot be watched it never returns, and
/// the signal's default, which ends the process, holds.
pub(crate) async fn signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (unix_signal(SignalKind::terminate()), unix_signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Sends SIGTERM to a child process.
pub(crate) fn terminate(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // A process that is gone already needs no signal.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
