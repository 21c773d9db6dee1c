//! The log's rows in RocksDB.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rocksdb::{DB, FlushOptions, IteratorMode, Options, WriteBatch, WriteOptions};

use super::disk::{Budget, Entries, LogDisk};
use super::view::{Op, Queued, View};
use super::{COMMITTED_ROW, ENTRIES_FAMILY, PURGED_ROW, RAFT_FAMILY, VOTE_ROW};
use crate::StorageError;
use crate::database::{self, Resources, family, scan_options};
use crate::directory::DataDir;
use crate::local::{ERASURE_ROW, IDENTITY_ROW, LOCAL_FAMILY};

/// Carries out a batch, synced or not; tests put a failing disk here.
pub(super) type Write = Box<dyn Fn(&DB, WriteBatch, bool) -> Result<(), rocksdb::Error> + Send + Sync>;

/// The disk.
pub(super) fn to_disk() -> Write {
    Box::new(|db, batch, sync| {
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        db.write_opt(batch, &options)
    })
}

pub(super) fn open_database(dir: &DataDir, resources: &Resources, options: Options, is_new: bool) -> Result<DB, StorageError> {
    let families = [ENTRIES_FAMILY, RAFT_FAMILY, LOCAL_FAMILY].map(|name| resources.column_family(name, false));
    database::open(&dir.log(), options, is_new, families.into())
}

/// A database of the log, and how it is written.
pub(super) struct RocksLog {
    db: Arc<DB>,
    write: Write,
}

impl RocksLog {
    pub(super) fn new(db: Arc<DB>, write: Write) -> Self {
        Self { db, write }
    }

    fn end_of_log(&self, end: IteratorMode<'_>) -> Result<Option<u64>, StorageError> {
        let mut rows = self.db.iterator_cf_opt(family(&self.db, ENTRIES_FAMILY)?, scan_options(), end);
        match rows.next() {
            None => Ok(None),
            Some(Ok((row, _))) => entry_index(&row).map(Some),
            Some(Err(error)) => Err(StorageError::read(ENTRIES_FAMILY, &[], self.db.path())(error)),
        }
    }
}

impl LogDisk for RocksLog {
    fn view(&self) -> Result<View, StorageError> {
        let raft = family(&self.db, RAFT_FAMILY)?;
        let row = |name: &'static [u8]| self.db.get_cf(raft, name).map_err(StorageError::read(RAFT_FAMILY, name, self.db.path()));
        let last_purged = row(PURGED_ROW)?.map(|bytes| split_purged(&bytes)).transpose()?;
        let (first, last) = (self.end_of_log(IteratorMode::Start)?, self.end_of_log(IteratorMode::End)?);
        let begins = last_purged.as_ref().map(|(index, _)| index.saturating_add(1));
        if let (Some(index), Some(first), Some(last)) = (begins, first, last)
            && index != first
        {
            return Err(if index < first {
                StorageError::LogHole { index, first: index, last }
            } else {
                corrupt_entry(&first.to_be_bytes(), "it was purged and is there")
            });
        }
        Ok(View::of(first, last, row(VOTE_ROW)?, row(COMMITTED_ROW)?, last_purged))
    }

    fn read(&self, range: Range<u64>, budget: &mut Budget, entries: &mut Entries) -> Result<bool, StorageError> {
        let mut rows = self.db.raw_iterator_cf_opt(family(&self.db, ENTRIES_FAMILY)?, scan_options());
        rows.seek(range.start.to_be_bytes());
        let mut expected = range.start;
        while expected < range.end
            && let Some((row, entry)) = rows.item()
        {
            if entry_index(row)? != expected {
                return Ok(true);
            }
            if !budget.take(entry.len()) {
                return Ok(false);
            }
            entries.push((expected, entry.to_vec()));
            expected += 1;
            rows.next();
        }
        rows.status().map_err(StorageError::read(ENTRIES_FAMILY, &expected.to_be_bytes(), self.db.path()))?;
        Ok(true)
    }

    fn write(&self, batch: &[Queued], synced: bool) -> Result<(), StorageError> {
        let (entries, raft) = (family(&self.db, ENTRIES_FAMILY)?, family(&self.db, RAFT_FAMILY)?);
        let mut writes = WriteBatch::default();
        for Queued { op, .. } in batch {
            match op {
                Op::Append(appended) => {
                    for (index, entry) in appended {
                        writes.put_cf(entries, index.to_be_bytes(), entry.as_slice());
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
                Op::Nothing | Op::Misuse(_) => {}
            }
        }
        (self.write)(&self.db, writes, synced).map_err(StorageError::database("write the log", self.db.path()))
    }

    fn identity(&self) -> Result<Option<Vec<u8>>, StorageError> {
        let fault = StorageError::read(LOCAL_FAMILY, IDENTITY_ROW, self.db.path());
        self.db.get_cf(family(&self.db, LOCAL_FAMILY)?, IDENTITY_ROW).map_err(fault)
    }

    fn write_identity(&self, identity: Vec<u8>) -> Result<(), StorageError> {
        let fault = StorageError::database("write the node identity", self.db.path());
        self.db.put_cf_opt(family(&self.db, LOCAL_FAMILY)?, IDENTITY_ROW, identity, &synced()).map_err(fault)
    }

    fn owes_erasure(&self) -> Result<bool, StorageError> {
        let fault = StorageError::read(LOCAL_FAMILY, ERASURE_ROW, self.db.path());
        Ok(self.db.get_cf(family(&self.db, LOCAL_FAMILY)?, ERASURE_ROW).map_err(fault)?.is_some())
    }

    fn write_owes_erasure(&self, owes: bool) -> Result<(), StorageError> {
        let family = family(&self.db, LOCAL_FAMILY)?;
        let written = match owes {
            true => self.db.put_cf_opt(family, ERASURE_ROW, [], &synced()),
            false => self.db.delete_cf_opt(family, ERASURE_ROW, &synced()),
        };
        written.map_err(StorageError::database("write whether an erasure is owed", self.db.path()))
    }

    fn erase(&self) -> Result<(), StorageError> {
        let [entries, raft, local] = [ENTRIES_FAMILY, RAFT_FAMILY, LOCAL_FAMILY].map(|name| family(&self.db, name));
        let entries = entries?;
        // All of them: a write-ahead log is kept as long as one needs it, and has what the others wrote.
        let flushed = self.db.flush_cfs_opt(&[&entries, &raft?, &local?], &FlushOptions::default());
        flushed.map_err(StorageError::database("flush the log", self.db.path()))?;
        database::rewrite(&self.db, entries, None);
        Ok(())
    }

    fn path(&self) -> &Path {
        self.db.path()
    }
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

fn entry_index(row: &[u8]) -> Result<u64, StorageError> {
    row.try_into().map(u64::from_be_bytes).map_err(|_| corrupt_entry(row, "a row of the log must have 8 bytes"))
}

fn split_purged(bytes: &[u8]) -> Result<(u64, Vec<u8>), StorageError> {
    let (index, name) = bytes.split_first_chunk::<8>().ok_or_else(|| StorageError::Corrupt {
        table: RAFT_FAMILY,
        row: hex::encode(PURGED_ROW),
        reason: "it has less than 8 bytes".to_owned(),
    })?;
    Ok((u64::from_be_bytes(*index), name.to_vec()))
}

fn corrupt_entry(row: &[u8], reason: &str) -> StorageError {
    StorageError::Corrupt { table: ENTRIES_FAMILY, row: hex::encode(row), reason: reason.to_owned() }
}
