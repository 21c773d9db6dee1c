//! The Raft log as openraft sees it, over [`LogStore`], which sees bytes.
//!
//! openraft's promises are kept thus: an entry is readable when `append` returns and on the disk when its callback fires
//! (the store's writer calls back after its sync); votes go through the same queue as entries; and nothing is purged that
//! the state has not on the disk, since what is purged cannot be applied again after a crash.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use claviger_storage::{Done, LogStore, StorageError};
use claviger_types::encoding;
use futures::Stream;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::config::APPEND_BYTES_MAX;
use crate::fault::fault;
use crate::raft_types::{Entry, LogId, TypeConfig, Vote};

/// Schema version of an entry, a vote, and a log id of the log.
const SCHEMA: u8 = 1;

/// What a purge must not pass: the state on the disk.
pub(crate) trait DurableState: Send + Sync + 'static {
    /// Makes the state durable at least up to `index`, if it has been applied that far.
    fn make_durable(&self, index: u64) -> io::Result<()>;
}

/// The log of one node; clones share it.
#[derive(Clone)]
pub(crate) struct Log {
    store: Arc<LogStore>,
    state: Arc<dyn DurableState>,
}

impl Log {
    pub(crate) fn new(store: Arc<LogStore>, state: Arc<dyn DurableState>) -> Self {
        Self { store, state }
    }

    fn read(&self, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let entries = self.store.read_range(range, bytes_max).map_err(|e| fault("read the log", &e))?;
        entries.iter().map(|(_, bytes)| decode(bytes)).collect()
    }

    /// Runs a queued write and waits until it is on the disk.
    async fn durably(&self, doing: &'static str, write: impl FnOnce(&LogStore, Done)) -> io::Result<()> {
        let (done, result) = oneshot::channel();
        write(
            &self.store,
            Box::new(move |outcome| {
                // openraft has dropped the wait only if it is shutting down.
                let _ = done.send(outcome);
            }),
        );
        result.await.unwrap_or(Err(StorageError::Closed)).map_err(|e| fault(doing, &e))
    }
}

fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    encoding::encode(SCHEMA, value).map_err(|e| fault("encode for the log", &e))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    encoding::decode(SCHEMA, bytes).map_err(|e| fault("decode from the log", &e))
}

/// A half-open range of what openraft asks for.
fn half_open(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.read(half_open(&range), usize::MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.store.vote().map_err(|e| fault("read the vote", &e))?.map(|bytes| decode(&bytes)).transpose()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start..end, APPEND_BYTES_MAX)
    }

    /// What is applied is read piece by piece: a node that was away long must not take it into memory whole.
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let range = half_open(&range);
        Pieces { log: self.clone(), next: range.start, end: range.end, read: Vec::new().into_iter(), ended: false }.into_stream()
    }
}

struct Pieces {
    log: Log,
    next: u64,
    end: u64,
    read: std::vec::IntoIter<Entry>,
    ended: bool,
}

impl Pieces {
    fn into_stream(self) -> impl Stream<Item = io::Result<Entry>> + Send {
        futures::stream::iter(self)
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.read.next() {
            return Some(Ok(entry));
        }
        if self.ended || self.next >= self.end {
            return None;
        }
        match self.log.read(self.next..self.end, APPEND_BYTES_MAX) {
            Ok(entries) => {
                // It may begin later than asked for, or be empty: whoever applies it minds that.
                self.next = entries.last().map_or(self.end, |last| last.log_id.index() + 1);
                self.read = entries.into_iter();
                self.read.next().map(Ok)
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let purged = self.store.last_purged().map_err(|e| fault("read the log", &e))?;
        let last_purged_log_id: Option<LogId> = purged.map(|bytes| decode(&bytes)).transpose()?;
        let last = self.store.last().map_err(|e| fault("read the log", &e))?;
        let last_entry: Option<Entry> = last.map(|(_, bytes)| decode(&bytes)).transpose()?;
        let last_log_id = last_entry.map(|entry| entry.log_id).or(last_purged_log_id);
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = encode(vote)?;
        self.durably("save the vote", |store, done| store.save_vote(vote, done)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.store.save_committed(encode(&committed)?).map_err(|e| fault("save the committed position", &e))
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        match self.store.committed().map_err(|e| fault("read the committed position", &e))? {
            Some(bytes) => decode(&bytes),
            None => Ok(None),
        }
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<(u64, Vec<u8>)> =
            entries.into_iter().map(|entry| Ok((entry.log_id.index(), encode(&entry)?))).collect::<io::Result<_>>()?;
        self.store.append(entries, Box::new(move |outcome| callback.io_completed(outcome.map_err(|e| fault("append to the log", &e)))));
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let from = last_log_id.map_or(0, |id| id.index() + 1);
        self.durably("truncate the log", |store, done| store.truncate_from(from, done)).await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let state = Arc::clone(&self.state);
        let index = log_id.index();
        crate::blocking(move || state.make_durable(index)).await??;
        let name = encode(&log_id)?;
        self.durably("purge the log", |store, done| store.purge_upto(index, name, done)).await
    }
}
