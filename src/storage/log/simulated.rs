//! The log's rows on the disk of a simulated machine. It outlives the node that uses it, and what was not synced when the
//! machine crashes is lost. Only simulations make one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{Budget, Entries, LogDisk};
use super::view::{Op, Queued, View};
use super::writer::Writer;
use crate::StorageError;

/// See the module.
#[derive(Default)]
pub struct SimulatedDisk {
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    entries: BTreeMap<u64, Arc<Vec<u8>>>,
    vote: Option<Vec<u8>>,
    committed: Option<Vec<u8>>,
    /// Written and not synced: the one write that does not wait for the disk.
    committed_unsynced: Option<Vec<u8>>,
    purged: Option<(u64, Vec<u8>)>,
    identity: Option<Vec<u8>>,
    owes_erasure: bool,
}

impl SimulatedDisk {
    /// The machine has lost its power. The node that used the disk is gone already, with the batch that it was writing.
    pub fn crash(&self) {
        self.rows.lock().committed_unsynced = None;
    }
}

impl Rows {
    fn carry_out(&mut self, op: &Op, synced: bool) {
        match op {
            Op::Append(appended) => self.entries.extend(appended.iter().map(|(index, entry)| (*index, Arc::clone(entry)))),
            Op::SaveVote(vote) => self.vote = Some(vote.clone()),
            Op::SaveCommitted(committed) if synced => self.committed = Some(committed.clone()),
            Op::SaveCommitted(committed) => self.committed_unsynced = Some(committed.clone()),
            Op::TruncateFrom { index, .. } => drop(self.entries.split_off(index)),
            Op::PurgeUpto { index, last_purged, .. } => {
                self.entries = self.entries.split_off(&index.saturating_add(1));
                self.purged = Some((*index, last_purged.clone()));
            }
            Op::Nothing | Op::Misuse(_) => {}
        }
    }
}

impl LogDisk for SimulatedDisk {
    fn view(&self) -> Result<View, StorageError> {
        let rows = self.rows.lock();
        let first = rows.entries.first_key_value().map(|(index, _)| *index);
        let last = rows.entries.last_key_value().map(|(index, _)| *index);
        let committed = rows.committed_unsynced.clone().or_else(|| rows.committed.clone());
        Ok(View::of(first, last, rows.vote.clone(), committed, rows.purged.clone()))
    }

    fn read(&self, range: Range<u64>, budget: &mut Budget, entries: &mut Entries) -> Result<bool, StorageError> {
        let rows = self.rows.lock();
        for (expected, (index, entry)) in range.clone().zip(rows.entries.range(range)) {
            if *index != expected {
                return Ok(true);
            }
            if !budget.take(entry.len()) {
                return Ok(false);
            }
            entries.push((*index, entry.as_ref().clone()));
        }
        Ok(true)
    }

    fn write(&self, batch: &[Queued], synced: bool) -> Result<(), StorageError> {
        let mut rows = self.rows.lock();
        if synced && let Some(committed) = rows.committed_unsynced.take() {
            rows.committed = Some(committed);
        }
        batch.iter().for_each(|queued| rows.carry_out(&queued.op, synced));
        Ok(())
    }

    fn identity(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.rows.lock().identity.clone())
    }

    fn write_identity(&self, identity: Vec<u8>) -> Result<(), StorageError> {
        self.rows.lock().identity = Some(identity);
        Ok(())
    }

    fn owes_erasure(&self) -> Result<bool, StorageError> {
        Ok(self.rows.lock().owes_erasure)
    }

    fn write_owes_erasure(&self, owes: bool) -> Result<(), StorageError> {
        self.rows.lock().owes_erasure = owes;
        Ok(())
    }

    /// What is deleted here is gone.
    fn erase(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new("simulated")
    }
}

/// The writer of a simulated node's log, whose steps the simulation takes: between the two of one write it lets pass what
/// time a disk would take. Dropped, it writes nothing any more.
pub struct SimulatedWriter(Writer);

/// What is written next. A crash before it is carried out loses it.
pub struct SimulatedBatch(Vec<Queued>);

impl SimulatedWriter {
    pub(crate) const fn new(writer: Writer) -> Self {
        Self(writer)
    }

    /// What has gathered, unless that is nothing.
    pub fn take(&self) -> Option<SimulatedBatch> {
        let batch = self.0.take();
        (!batch.is_empty()).then_some(SimulatedBatch(batch))
    }

    /// Writes it and tells its callers.
    pub fn carry_out(&mut self, batch: SimulatedBatch) {
        self.0.carry_out(batch.0);
    }
}
