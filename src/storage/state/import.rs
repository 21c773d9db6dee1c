//! A whole state written from outside, as a restore does: beside the present one, and in its place once it is complete.

use std::sync::Arc;

use claviger_state::{StateError, Table, Tables, Visit, WriteSet};

use super::generation::Generation;
use super::store::StateStore;
use crate::StorageError;

/// Bytes of records that are written at once.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// A state on its way in. Nobody sees it before [`StateImport::finish`]; dropped before, it leaves nothing, and neither
/// does a crash. As [`Tables`] it shows what has been committed so far.
pub struct StateImport {
    store: Arc<StateStore>,
    generation: Generation,
    waiting: WriteSet,
    waiting_bytes: usize,
}

impl StateImport {
    /// Begins a new state for `store`. One at a time.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn begin(store: &Arc<StateStore>) -> Result<Self, StorageError> {
        let generation = Generation::open(&store.next_generation_path()?, &store.backing, true)?;
        generation.retire();
        Ok(Self { store: Arc::clone(store), generation, waiting: WriteSet::default(), waiting_bytes: 0 })
    }

    /// Puts a row. It may be seen only after [`StateImport::commit`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&mut self, table: Table, row: &[u8], record: &[u8]) -> Result<(), StorageError> {
        self.waiting.put(table, row, record.to_vec());
        self.waiting_bytes += row.len() + record.len();
        if self.waiting_bytes >= BATCH_BYTES_MAX { self.commit(WriteSet::default()) } else { Ok(()) }
    }

    /// Writes the rows that wait, and these, which win.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn commit(&mut self, writes: WriteSet) -> Result<(), StorageError> {
        self.waiting.extend(writes);
        self.waiting_bytes = 0;
        self.generation.engine.write(std::mem::take(&mut self.waiting), &[])
    }

    /// Makes this the state, with the caller's metadata (name, value), durably: after a crash there is the old one or this.
    ///
    /// # Errors
    /// When it cannot be written; the old state stays. When the switch itself fails the store stops.
    pub fn finish(self, raft_meta: &[(&str, Vec<u8>)]) -> Result<(), StorageError> {
        let Self { store, generation, waiting, .. } = self;
        generation.engine.write(waiting, raft_meta)?;
        generation.flush(generation.engine.meta()?)?;
        generation.keep();
        store.switch_to(generation)
    }
}

impl Tables for StateImport {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.generation.engine.get(table, row)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        self.generation.engine.scan(table, from, visit)
    }
}
