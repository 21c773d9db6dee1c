//! The log as its callers see it: what is on the disk with what is still on its way there. No I/O here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Done;
use crate::StorageError;

/// One write on its way to the disk.
pub(super) enum Op {
    Append(Vec<(u64, Arc<Vec<u8>>)>),
    SaveVote(Vec<u8>),
    SaveCommitted(Vec<u8>),
    TruncateFrom {
        index: u64,
        last: u64,
    },
    PurgeUpto {
        from: u64,
        index: u64,
        last_purged: Vec<u8>,
    },
    /// There is nothing to do but to call back.
    Nothing,
    /// The caller asked for what would damage the log.
    Misuse(StorageError),
}

impl Op {
    /// Bytes that it takes in the queue and in a batch; at least one, so that a queue of anything is bounded.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append(entries) => entries.iter().map(|(_, entry)| entry.len() + 16).sum::<usize>() + 1,
            Self::SaveVote(bytes) | Self::SaveCommitted(bytes) | Self::PurgeUpto { last_purged: bytes, .. } => bytes.len() + 16,
            Self::TruncateFrom { .. } | Self::Nothing | Self::Misuse(_) => 16,
        }
    }

    /// Entries that it appends.
    pub(super) const fn entries(&self) -> usize {
        match self {
            Self::Append(entries) => entries.len(),
            _ => 0,
        }
    }

    /// Whether its caller is told, and so must not be told before it is on the disk.
    pub(super) const fn must_be_synced(&self) -> bool {
        !matches!(self, Self::SaveCommitted(_))
    }
}

/// An operation with its place in the order of all operations.
pub(crate) struct Queued {
    pub(super) sequence: u64,
    pub(super) op: Op,
    pub(super) done: Option<Done>,
}

/// What readers see.
pub(crate) struct View {
    /// The first index that is not purged.
    pub(super) first: u64,
    /// The last entry's index.
    pub(super) last: Option<u64>,
    /// Entries that are not on the disk yet, each with the sequence of its append: always a suffix of the log, in which
    /// later entries have later sequences.
    pub(super) tail: BTreeMap<u64, (u64, Arc<Vec<u8>>)>,
    /// Counts truncations and purges, so that a reader notices one in the middle of its read.
    pub(super) cuts: u64,
    pub(super) vote: Option<Vec<u8>>,
    pub(super) committed: Option<Vec<u8>>,
    pub(super) last_purged: Option<(u64, Vec<u8>)>,
}

impl View {
    /// What a disk holds: the ends of its log and what is kept beside it.
    pub(super) fn of(
        first: Option<u64>,
        last: Option<u64>,
        vote: Option<Vec<u8>>,
        committed: Option<Vec<u8>>,
        last_purged: Option<(u64, Vec<u8>)>,
    ) -> Self {
        let begins = last_purged.as_ref().map(|(index, _)| index.saturating_add(1));
        Self { first: begins.or(first).unwrap_or_default(), last, tail: BTreeMap::new(), cuts: 0, vote, committed, last_purged }
    }

    /// Takes entries at the end of the log.
    pub(super) fn append(&mut self, sequence: u64, entries: &[(u64, Arc<Vec<u8>>)]) -> Result<(), StorageError> {
        let mut expected = match (self.last, &self.last_purged) {
            (Some(last), _) => Some(last + 1),
            (None, Some(_)) => Some(self.first),
            // The first entry of a log says where it begins.
            (None, None) => entries.first().map(|(index, _)| *index),
        };
        for (index, _) in entries {
            match expected {
                Some(expected) if expected == *index && *index < u64::MAX => {}
                expected => return Err(StorageError::NotContiguous { expected: expected.unwrap_or_default(), found: *index }),
            }
            expected = Some(index + 1);
        }
        if let (None, Some((index, _))) = (self.last, entries.first()) {
            self.first = *index;
        }
        for (index, entry) in entries {
            self.tail.insert(*index, (sequence, Arc::clone(entry)));
            self.last = Some(*index);
        }
        Ok(())
    }

    /// Forgets the entries from `index` on; says what the last one was, if there were any.
    pub(super) fn truncate_from(&mut self, index: u64) -> Option<u64> {
        let last = self.last.filter(|last| *last >= index)?;
        self.tail.split_off(&index);
        self.last = index.checked_sub(1).filter(|last| *last >= self.first);
        self.cuts += 1;
        Some(last)
    }

    /// Forgets the entries up to `index`; says what the first one was. Going back changes nothing.
    pub(super) fn purge_upto(&mut self, index: u64, last_purged: &[u8]) -> Option<u64> {
        if self.last_purged.as_ref().is_some_and(|(purged, _)| *purged >= index) {
            return None;
        }
        let from = self.first;
        let next = index.saturating_add(1);
        self.tail = self.tail.split_off(&next);
        self.first = self.first.max(next);
        self.last = self.last.filter(|last| *last > index);
        self.last_purged = Some((index, last_purged.to_vec()));
        self.cuts += 1;
        Some(from)
    }

    /// Everything up to `sequence` is on the disk.
    pub(super) fn flushed(&mut self, sequence: u64) {
        while let Some(entry) = self.tail.first_entry()
            && entry.get().0 <= sequence
        {
            entry.remove();
        }
    }
}

/// The view, and the queue of what has changed it but not the disk.
pub(super) struct Shared {
    pub(super) view: View,
    pub(super) queue: VecDeque<Queued>,
    pub(super) queued_bytes: usize,
    pub(super) next_sequence: u64,
    /// Why the store has stopped.
    pub(super) failed: Option<StorageError>,
    pub(super) closed: bool,
    /// Whether the writer is no more there to call back.
    pub(super) writer_gone: bool,
}
