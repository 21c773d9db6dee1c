//! A bounded queue before the service: past it, clients are told to come back later (DESIGN.md section 4, "Overload").

use std::sync::atomic::{AtomicUsize, Ordering};

use claviger_shapes::ApiError;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Counts requests that run and requests that wait.
pub(crate) struct Overload {
    running: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Overload {
    pub(crate) fn new(running_max: usize, waiting_max: usize) -> Self {
        Self { running: Semaphore::new(running_max.min(Semaphore::MAX_PERMITS)), waiting: AtomicUsize::new(0), waiting_max }
    }

    /// Waits for a turn, which lasts until the permit is dropped; ThrottlingException when too many wait already.
    pub(crate) async fn enter(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        if let Ok(permit) = self.running.try_acquire() {
            return Ok(permit);
        }
        let _place = Place::take(&self.waiting, self.waiting_max).ok_or_else(ApiError::throttling)?;
        // The semaphore is never closed.
        self.running.acquire().await.map_err(|_| ApiError::internal())
    }
}

/// A place in the queue; left on drop, so also when the client goes away.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn runs_queues_and_refuses() {
        let overload = Overload::new(1, 1);
        let running = overload.enter().await.unwrap();
        let mut queued = Box::pin(overload.enter());
        assert!(queued.as_mut().now_or_never().is_none());
        assert_eq!(overload.enter().now_or_never().expect("it is refused at once").err().unwrap(), ApiError::throttling());

        drop(running);
        let second = queued.await.unwrap();
        let mut abandoned = Box::pin(overload.enter());
        assert!(abandoned.as_mut().now_or_never().is_none());
        drop(abandoned);
        assert_eq!(overload.waiting.load(Ordering::Relaxed), 0, "a client that went away leaves its place");
        drop(second);
        assert!(overload.enter().await.is_ok());
    }
}
