//! What writes the log: takes what has gathered, writes it in one synced batch, then calls back in order.
//!
//! It never calls back before the write has returned, and after a failed write it writes nothing any more. One thread
//! does so for the life of a store; in a simulation its steps are taken one by one.

use std::sync::Arc;
use std::time::Instant;

use claviger_types::known_bug;

use super::Done;
use super::store::Inner;
use super::view::{Op, Queued, Shared};
use crate::StorageError;

/// The one writer of a store. Once it is dropped nobody waits for it any more.
pub(crate) struct Writer {
    inner: Arc<Inner>,
    stopped: Option<StorageError>,
}

impl Writer {
    pub(super) const fn new(inner: Arc<Inner>) -> Self {
        Self { inner, stopped: None }
    }

    /// Writes until the store is closed and its queue is empty.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.inner.wait_for_batch() {
            self.carry_out(batch);
        }
    }

    /// What has gathered, as much of it as one write may hold; empty when there is nothing.
    pub(crate) fn take(&self) -> Vec<Queued> {
        self.inner.take_batch(&mut self.inner.shared.lock())
    }

    /// Writes a batch and tells its callers.
    pub(crate) fn carry_out(&mut self, batch: Vec<Queued>) {
        let last_sequence = batch.last().map(|queued| queued.sequence);
        let result = match &self.stopped {
            Some(error) => Err(StorageError::clone(error)),
            None => write(&self.inner, &batch),
        };
        let mut shared = self.inner.shared.lock();
        match (&result, last_sequence) {
            (Ok(()), Some(sequence)) => shared.view.flushed(sequence),
            (Ok(()), None) => {}
            (Err(error), _) => {
                if self.stopped.is_none() {
                    tracing::error!(%error, "the log has stopped: nothing more is written to it");
                }
                shared.failed.get_or_insert_with(|| error.clone());
                self.stopped = Some(error.clone());
            }
        }
        drop(shared);
        for Queued { done, .. } in batch {
            if let Some(done) = done {
                done(result.clone());
            }
        }
    }
}

impl Drop for Writer {
    /// Lets nobody wait for a writer that is no more, however it ended.
    fn drop(&mut self) {
        let mut shared = self.inner.shared.lock();
        shared.writer_gone = true;
        shared.failed.get_or_insert(StorageError::Closed);
        let left: Vec<Option<Done>> = shared.queue.drain(..).map(|queued| queued.done).collect();
        drop(shared);
        self.inner.room.notify_all();
        drop(left);
    }
}

fn write(inner: &Inner, batch: &[Queued]) -> Result<(), StorageError> {
    if let Some(Op::Misuse(error)) = batch.iter().map(|queued| &queued.op).find(|op| matches!(op, Op::Misuse(_))) {
        return Err(error.clone());
    }
    if batch.iter().all(|queued| matches!(queued.op, Op::Nothing)) {
        return Ok(());
    }
    let synced = batch.iter().any(|queued| queued.op.must_be_synced());
    let begun = Instant::now();
    inner.disk.write(batch, synced)?;
    if synced {
        let entries: usize = batch.iter().map(|queued| queued.op.entries()).sum();
        metrics::histogram!("claviger_log_fsync_seconds").record(begun.elapsed().as_secs_f64());
        metrics::histogram!("claviger_log_batch_entries").record(u32::try_from(entries).unwrap_or(u32::MAX));
    }
    Ok(())
}

impl Inner {
    /// Waits for operations and takes as many as one write may hold; `None` when the store is closed and all is done.
    fn wait_for_batch(&self) -> Option<Vec<Queued>> {
        let mut shared = self.shared.lock();
        while shared.queue.is_empty() {
            if shared.closed {
                return None;
            }
            self.work.wait(&mut shared);
        }
        Some(self.take_batch(&mut shared))
    }

    fn take_batch(&self, shared: &mut Shared) -> Vec<Queued> {
        let mut batch: Vec<Queued> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = shared.queue.front() {
            // What came before a misuse is still carried out.
            if !batch.is_empty() && (bytes + next.op.bytes() > self.batch_bytes_max || matches!(next.op, Op::Misuse(_))) {
                break;
            }
            bytes += next.op.bytes();
            batch.extend(shared.queue.pop_front());
        }
        shared.queued_bytes = shared.queued_bytes.saturating_sub(bytes);
        self.room.notify_all();
        if known_bug!(FlushBeforeFsync) {
            batch.iter_mut().filter_map(|queued| queued.done.take()).for_each(|done| done(Ok(())));
        }
        batch
    }
}
