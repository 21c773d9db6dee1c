//! The calls of the log: writes are queued, reads join the disk with what is on its way there.

use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::Done;
use super::disk::{Budget, Entries, LogDisk};
use super::rocks::{RocksLog, open_database, to_disk};
use super::view::{Op, Queued, Shared, View};
use super::writer::Writer;
use crate::database::Resources;
use crate::directory::DataDir;
use crate::{LocalStore, StorageError, StorageOptions};

/// The Raft log. See the module for what holds of it.
pub struct LogStore {
    inner: Arc<Inner>,
    /// The writer's thread; a simulation has none.
    writer: Option<JoinHandle<()>>,
    _dir: Arc<DataDir>,
}

/// Called whenever there is something to write.
pub(crate) type Wake = Box<dyn Fn() + Send + Sync>;

pub(super) struct Inner {
    pub(super) disk: Arc<dyn LogDisk>,
    pub(super) shared: Mutex<Shared>,
    /// There is something to write, or the store is closed.
    pub(super) work: Condvar,
    /// The same, where no thread waits for it.
    wake: Option<Wake>,
    /// There is room in the queue, or the writer is gone.
    pub(super) room: Condvar,
    pub(super) batch_bytes_max: usize,
    queue_bytes_max: usize,
    queue_ops_max: usize,
}

impl LogStore {
    pub(crate) fn open(dir: &Arc<DataDir>, resources: &Resources, is_new: bool) -> Result<(Self, LocalStore), StorageError> {
        let db = Arc::new(open_database(dir, resources, resources.log_options(), is_new)?);
        let disk: Arc<dyn LogDisk> = Arc::new(RocksLog::new(db, to_disk()));
        let local = LocalStore::new(Arc::clone(&disk), Arc::clone(dir));
        Ok((Self::start(Arc::clone(dir), disk, &resources.options)?, local))
    }

    pub(super) fn start(dir: Arc<DataDir>, disk: Arc<dyn LogDisk>, options: &StorageOptions) -> Result<Self, StorageError> {
        let inner = Arc::new(Inner::over(disk, options, None)?);
        let writer = Writer::new(Arc::clone(&inner));
        let writer = thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || writer.run())
            .map_err(StorageError::io("start the writer of", inner.disk.path()))?;
        Ok(Self { inner, writer: Some(writer), _dir: dir })
    }

    /// A store without a thread: what it queues is written by whoever takes the writer's steps, and hears of it by `wake`.
    pub(crate) fn stepwise(
        dir: Arc<DataDir>,
        disk: Arc<dyn LogDisk>,
        options: &StorageOptions,
        wake: Wake,
    ) -> Result<(Self, Writer), StorageError> {
        let inner = Arc::new(Inner::over(disk, options, Some(wake))?);
        let writer = Writer::new(Arc::clone(&inner));
        Ok((Self { inner, writer: None, _dir: dir }, writer))
    }

    /// Appends entries (index, bytes) at the end of the log. They are readable once this returns, and on the disk once
    /// `done` is called with `Ok`. Blocks while the queue is full.
    ///
    /// An entry that does not follow the last one stops the store: truncate first.
    pub fn append(&self, entries: Vec<(u64, Vec<u8>)>, done: Done) {
        let entries: Vec<_> = entries.into_iter().map(|(index, entry)| (index, Arc::new(entry))).collect();
        self.inner.submit(Some(done), |view, sequence| {
            view.append(sequence, &entries)?;
            Ok(Op::Append(entries))
        });
    }

    /// Saves the vote, in order with all other writes.
    pub fn save_vote(&self, vote: Vec<u8>, done: Done) {
        self.inner.submit(Some(done), |view, _| {
            view.vote = Some(vote.clone());
            Ok(Op::SaveVote(vote))
        });
    }

    /// Saves how far the log is known to be committed. Not synced by itself: a crash may bring back an earlier value,
    /// never one that is ahead of the entries.
    ///
    /// # Errors
    /// When the store has stopped.
    pub fn save_committed(&self, committed: Vec<u8>) -> Result<(), StorageError> {
        drop(self.inner.healthy()?);
        self.inner.submit(None, |view, _| {
            view.committed = Some(committed.clone());
            Ok(Op::SaveCommitted(committed))
        });
        Ok(())
    }

    /// Deletes the entries from `index` on.
    pub fn truncate_from(&self, index: u64, done: Done) {
        self.inner.submit(Some(done), |view, _| Ok(view.truncate_from(index).map_or(Op::Nothing, |last| Op::TruncateFrom { index, last })));
    }

    /// Deletes the entries up to `index`, which may lie beyond the last one; `last_purged` is the caller's name for it.
    /// The caller has made sure that the state is durable at least up to there.
    pub fn purge_upto(&self, index: u64, last_purged: Vec<u8>, done: Done) {
        self.inner.submit(Some(done), |view, _| {
            let from = view.purge_upto(index, &last_purged);
            Ok(from.map_or(Op::Nothing, |from| Op::PurgeUpto { from, index, last_purged }))
        });
    }

    /// The entries of `range` that the log has, in order: from the first on as many as fit into `bytes_max`, but one at
    /// least. Absent are only those that were purged or not yet appended.
    ///
    /// # Errors
    /// [`StorageError::LogHole`] when an entry between the first and the last is missing; when the store has stopped.
    pub fn read_range(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<(u64, Vec<u8>)>, StorageError> {
        loop {
            if let Some(entries) = self.try_read_range(&range, bytes_max)? {
                return Ok(entries);
            }
        }
    }

    /// `None` when the log was truncated or purged meanwhile, so that the read may mix two logs.
    fn try_read_range(&self, range: &Range<u64>, bytes_max: usize) -> Result<Option<Entries>, StorageError> {
        let shared = self.inner.healthy()?;
        let view = &shared.view;
        let Some(last) = view.last else { return Ok(Some(Vec::new())) };
        let (first, cuts) = (view.first, view.cuts);
        let (from, to) = (range.start.max(first), range.end.min(last + 1));
        if from >= to {
            return Ok(Some(Vec::new()));
        }
        let disk_end = view.tail.first_key_value().map_or(to, |(index, _)| to.min(*index)).max(from);
        let mut budget = Budget::new(bytes_max);
        let mut waiting = Vec::new();
        // Entries on the disk come first and may use up the budget: take what could fit of those that wait.
        let mut waiting_budget = Budget::new(bytes_max);
        for (index, (_, entry)) in view.tail.range(disk_end..to) {
            if !waiting_budget.take(entry.len()) {
                break;
            }
            waiting.push((*index, Arc::clone(entry)));
        }
        drop(shared);
        let mut entries = Vec::new();
        let whole = from >= disk_end || self.inner.disk.read(from..disk_end, &mut budget, &mut entries)?;
        if self.inner.shared.lock().view.cuts != cuts {
            return Ok(None);
        }
        let expected = from + entries.len() as u64;
        if whole && expected < disk_end {
            return Err(StorageError::LogHole { index: expected, first, last });
        }
        if whole {
            for (index, entry) in waiting {
                if !budget.take(entry.len()) {
                    break;
                }
                entries.push((index, entry.as_ref().clone()));
            }
        }
        Ok(Some(entries))
    }

    /// The last entry, unless the log has none.
    ///
    /// # Errors
    /// When it cannot be read; when the store has stopped.
    pub fn last(&self) -> Result<Option<(u64, Vec<u8>)>, StorageError> {
        loop {
            let Some(last) = self.inner.healthy()?.view.last else { return Ok(None) };
            // Empty when the log was cut back in between.
            if let Some(entry) = self.read_range(last..last.saturating_add(1), usize::MAX)?.pop() {
                return Ok(Some(entry));
            }
        }
    }

    /// Leaves in no file what was purged or truncated, once that is on the disk. Writes go on meanwhile. Blocks for the disk.
    ///
    /// # Errors
    /// When it cannot be written, or the store has stopped.
    pub fn erase(&self) -> Result<(), StorageError> {
        drop(self.inner.healthy()?);
        self.inner.disk.erase()
    }

    /// The caller's name for the last purged entry.
    ///
    /// # Errors
    /// When the store has stopped.
    pub fn last_purged(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.inner.healthy()?.view.last_purged.as_ref().map(|(_, name)| name.clone()))
    }

    /// The vote that was saved last.
    ///
    /// # Errors
    /// When the store has stopped.
    pub fn vote(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.inner.healthy()?.view.vote.clone())
    }

    /// The committed position that was saved last.
    ///
    /// # Errors
    /// When the store has stopped.
    pub fn committed(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.inner.healthy()?.view.committed.clone())
    }
}

impl Drop for LogStore {
    /// Carries out what is queued, then ends the writer.
    fn drop(&mut self) {
        self.inner.shared.lock().closed = true;
        self.inner.work.notify_all();
        // A callback may hold the last handle; the writer cannot wait for itself, and ends when the callback returns.
        if let Some(writer) = self.writer.take().filter(|writer| writer.thread().id() != thread::current().id()) {
            // It has panicked only if a callback did, which has been reported.
            let _ = writer.join();
        }
    }
}

impl Inner {
    fn over(disk: Arc<dyn LogDisk>, options: &StorageOptions, wake: Option<Wake>) -> Result<Self, StorageError> {
        let shared = Shared {
            view: disk.view()?,
            queue: std::collections::VecDeque::new(),
            queued_bytes: 0,
            next_sequence: 0,
            failed: None,
            closed: false,
            writer_gone: false,
        };
        Ok(Self {
            disk,
            shared: Mutex::new(shared),
            work: Condvar::new(),
            wake,
            room: Condvar::new(),
            batch_bytes_max: options.log_batch_bytes_max,
            queue_bytes_max: options.log_queue_bytes_max,
            queue_ops_max: options.log_queue_ops_max,
        })
    }

    fn healthy(&self) -> Result<parking_lot::MutexGuard<'_, Shared>, StorageError> {
        let shared = self.shared.lock();
        match &shared.failed {
            Some(error) => Err(error.clone()),
            None => Ok(shared),
        }
    }

    /// Changes the view and queues the change. Also what fails is queued, so that callbacks come in order.
    fn submit(&self, done: Option<Done>, change: impl FnOnce(&mut View, u64) -> Result<Op, StorageError>) {
        let mut shared = self.shared.lock();
        let full = |shared: &mut Shared| {
            let over = shared.queued_bytes >= self.queue_bytes_max || shared.queue.len() >= self.queue_ops_max;
            over && !shared.writer_gone
        };
        self.room.wait_while(&mut shared, full);
        if shared.writer_gone {
            let error = shared.failed.clone().unwrap_or(StorageError::Closed);
            drop(shared);
            return done.into_iter().for_each(|done| done(Err(error.clone())));
        }
        let sequence = shared.next_sequence;
        shared.next_sequence += 1;
        let op = match shared.failed.clone() {
            Some(error) => Op::Misuse(error),
            None => change(&mut shared.view, sequence).unwrap_or_else(|error| {
                shared.failed = Some(error.clone());
                Op::Misuse(error)
            }),
        };
        shared.queued_bytes += op.bytes();
        shared.queue.push_back(Queued { sequence, op, done });
        self.work.notify_one();
        if let Some(wake) = &self.wake {
            wake();
        }
    }
}
