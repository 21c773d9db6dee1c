//! The one thread that writes the log: takes what has gathered, writes it in one synced batch, then calls back in order.
//!
//! It never calls back before the write has returned, and after a failed write it writes nothing any more.

use std::sync::Arc;
use std::time::Instant;

use rocksdb::{DB, WriteBatch, WriteOptions};

use super::store::Inner;
use super::view::{Op, Queued};
use super::{COMMITTED_ROW, Done, ENTRIES_FAMILY, PURGED_ROW, RAFT_FAMILY, VOTE_ROW};
use crate::StorageError;
use crate::database::family;

/// Carries out a batch, synced or not; tests put a failing disk here.
pub(super) type Write = Box<dyn Fn(&DB, WriteBatch, bool) -> Result<(), rocksdb::Error> + Send>;

/// The disk.
pub(super) fn to_disk() -> Write {
    Box::new(|db, batch, sync| {
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        db.write_opt(batch, &options)
    })
}

/// Runs until the store is closed and its queue is empty.
pub(super) fn run(inner: &Arc<Inner>, write: &Write) {
    let _gone = Gone(inner);
    let mut stopped = None;
    while let Some(batch) = inner.take_batch() {
        let last_sequence = batch.last().map(|queued| queued.sequence);
        let result = match &stopped {
            Some(error) => Err(StorageError::clone(error)),
            None => carry_out(inner, write, &batch),
        };
        let mut shared = inner.shared.lock();
        match (&result, last_sequence) {
            (Ok(()), Some(sequence)) => shared.view.flushed(sequence),
            (Ok(()), None) => {}
            (Err(error), _) => {
                if stopped.is_none() {
                    tracing::error!(%error, "the log has stopped: nothing more is written to it");
                }
                shared.failed.get_or_insert_with(|| error.clone());
                stopped = Some(error.clone());
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

fn carry_out(inner: &Inner, write: &Write, batch: &[Queued]) -> Result<(), StorageError> {
    let (entries, raft) = (family(&inner.db, ENTRIES_FAMILY)?, family(&inner.db, RAFT_FAMILY)?);
    let mut writes = WriteBatch::default();
    let mut count = 0_u32;
    for Queued { op, .. } in batch {
        match op {
            Op::Append(appended) => {
                for (index, entry) in appended {
                    writes.put_cf(entries, index.to_be_bytes(), entry.as_slice());
                    count += 1;
                }
            }
            Op::SaveVote(vote) => writes.put_cf(raft, VOTE_ROW, vote),
            Op::SaveCommitted(committed) => writes.put_cf(raft, COMMITTED_ROW, committed),
            Op::TruncateFrom { index, last } => {
                writes.delete_range_cf(entries, index.to_be_bytes(), last.saturating_add(1).to_be_bytes());
            }
            Op::PurgeUpto { from, index, last_purged } => {
                let end = index.saturating_add(1);
                writes.delete_range_cf(entries, (*from).min(end).to_be_bytes(), end.to_be_bytes());
                writes.put_cf(raft, PURGED_ROW, [&index.to_be_bytes(), last_purged.as_slice()].concat());
            }
            Op::Nothing => {}
            Op::Misuse(error) => return Err(error.clone()),
        }
    }
    if writes.is_empty() {
        return Ok(());
    }
    let sync = batch.iter().any(|queued| queued.op.must_be_synced());
    let begun = Instant::now();
    write(&inner.db, writes, sync).map_err(StorageError::database("write the log", inner.db.path()))?;
    if sync {
        metrics::histogram!("claviger_log_fsync_seconds").record(begun.elapsed().as_secs_f64());
        metrics::histogram!("claviger_log_batch_entries").record(count);
    }
    Ok(())
}

impl Inner {
    /// Waits for operations and takes as many as one write may hold; `None` when the store is closed and all is done.
    fn take_batch(&self) -> Option<Vec<Queued>> {
        let mut shared = self.shared.lock();
        while shared.queue.is_empty() {
            if shared.closed {
                return None;
            }
            self.work.wait(&mut shared);
        }
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
        Some(batch)
    }
}

/// Lets nobody wait for a writer that is no more, however it ended.
struct Gone<'a>(&'a Inner);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let mut shared = self.0.shared.lock();
        shared.writer_gone = true;
        shared.failed.get_or_insert(StorageError::Closed);
        let left: Vec<Option<Done>> = shared.queue.drain(..).map(|queued| queued.done).collect();
        drop(shared);
        self.0.room.notify_all();
        drop(left);
    }
}
