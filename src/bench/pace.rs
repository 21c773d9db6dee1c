//! The open loop's clock: when each request was meant to start, whatever became of those before it.
//!
//! A generator that waits for an answer before it counts the next request leaves out just those that would have waited
//! longest (*coordinated omission*). Here the starts are fixed beforehand, and a request that no connection was free for
//! is late by its own account. A thread of its own keeps the time, since the runtime's timers only know milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// The starts of all requests of one measurement.
pub(crate) struct Pace {
    start: Instant,
    until: Instant,
    rate_per_s: f64,
    next: AtomicU64,
    due: Semaphore,
}

impl Pace {
    /// Requests from `start` to `until`, evenly, `rate_per_s` a second.
    pub(crate) fn new(start: Instant, until: Instant, rate_per_s: f64) -> Self {
        Self { start, until, rate_per_s, next: AtomicU64::new(0), due: Semaphore::new(0) }
    }

    /// Waits until the next request that nobody took is due, and says when that was meant to be. None after the last.
    pub(crate) async fn next(&self) -> Option<Instant> {
        // Never closed.
        self.due.acquire().await.ok()?.forget();
        self.intended(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Lets requests go when they are due, until the last one is or `stopped` says so; then lets `waiters` go without one.
    pub(crate) fn keep(&self, waiters: usize, stopped: impl Fn() -> bool) {
        let mut released = 0;
        while let Some(due) = self.intended(released).filter(|_| !stopped()) {
            let now = Instant::now();
            if due > now {
                std::thread::sleep(due - now);
                continue;
            }
            let late = (released..).take_while(|index| self.intended(*index).is_some_and(|due| due <= now)).count();
            self.due.add_permits(late);
            released += late as u64;
        }
        if stopped() {
            self.next.store(u64::MAX / 2, Ordering::Relaxed);
        }
        self.due.add_permits(waiters);
    }

    fn intended(&self, index: u64) -> Option<Instant> {
        // Exact enough: 2^53 requests, and microseconds within a century.
        #[allow(clippy::cast_precision_loss, reason = "see above")]
        let after = Duration::try_from_secs_f64(index as f64 / self.rate_per_s).ok()?;
        self.start.checked_add(after).filter(|due| *due < self.until)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn pace(rate_per_s: f64, for_ms: u64) -> Arc<Pace> {
        let start = Instant::now();
        Arc::new(Pace::new(start, start + Duration::from_millis(for_ms), rate_per_s))
    }

    #[tokio::test]
    async fn every_start_is_given_out_once_and_never_early() {
        let pace = pace(2000.0, 100);
        let clock = std::thread::spawn({
            let pace = Arc::clone(&pace);
            move || pace.keep(3, || false)
        });
        let workers = (0..3).map(|_| {
            let pace = Arc::clone(&pace);
            tokio::spawn(async move {
                let mut starts = Vec::new();
                while let Some(start) = pace.next().await {
                    assert!(start <= Instant::now(), "early");
                    starts.push(start);
                }
                starts
            })
        });
        let mut starts: Vec<Instant> = futures::future::join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
        clock.join().unwrap();
        starts.sort_unstable();
        assert_eq!(starts.len(), 200);
        let steps = starts.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.into_iter().all(|step| step.abs_diff(Duration::from_micros(500)) < Duration::from_micros(1)));
    }

    #[tokio::test]
    async fn stopping_lets_waiters_go() {
        let pace = pace(1.0, 3_600_000);
        pace.keep(2, || true);
        assert_eq!(pace.next().await, None);
        assert_eq!(pace.next().await, None);
    }
}
