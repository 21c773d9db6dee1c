//! Signals: being asked to stop, or to load certificates again, and asking another process to stop.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal as unix_signal};
use tokio::sync::Notify;
use tracing::warn;

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

/// As [`signal`], and when the terminal is closed, unless that is to be ignored (`nohup`).
pub(crate) async fn signal_or_hangup() {
    let hangup = if hangup_is_ignored() { None } else { unix_signal(SignalKind::hangup()).ok() };
    match hangup {
        Some(mut hangup) => tokio::select! {
            () = signal() => {}
            _ = hangup.recv() => {}
        },
        None => signal().await,
    }
}

fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Signal n is bit n - 1, and SIGHUP is 1.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

/// Notified at every SIGHUP, which from now on does not end the process.
pub(crate) fn hangups() -> Arc<Notify> {
    let told = Arc::new(Notify::new());
    match unix_signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            let tell = Arc::clone(&told);
            tokio::spawn(async move {
                while hangup.recv().await.is_some() {
                    tell.notify_one();
                }
            });
        }
        Err(error) => warn!(%error, "SIGHUP cannot be watched; certificates are loaded again when their files change"),
    }
    told
}

/// Sends SIGTERM to a child process.
pub(crate) fn terminate(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // A process that is gone already needs no signal.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
