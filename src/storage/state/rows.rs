//! Reading rows: from the newest state, or from one point of it.

use std::sync::Arc;

use claviger_state::{StateError, Table, Tables, Visit};
use rocksdb::{DB, DBRawIteratorWithThreadMode, SnapshotWithThreadMode};

use super::generation::Generation;
use super::store::StateStore;
use crate::StorageError;
use crate::database::scan_options;

/// Each read sees the newest commits; a scan sees those of one moment.
impl Tables for StateStore {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let generation = self.generation();
        let fault = StorageError::read(table.name(), row, generation.db.path());
        Ok(generation.db.get_cf(generation.family(table)?, row).map_err(fault)?)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        let generation = self.generation();
        walk(generation.db.raw_iterator_cf_opt(generation.family(table)?, scan_options()), &generation, table, from, visit)
    }
}

/// The state at one moment: every read of it sees the same. It keeps old data on the disk, so let it go soon.
pub struct StateSnapshot {
    // Released before the database may be closed: fields are dropped in this order.
    snapshot: SnapshotWithThreadMode<'static, DB>,
    generation: Arc<Generation>,
}

impl StateSnapshot {
    pub(super) fn new(generation: Arc<Generation>) -> Self {
        let snapshot = generation.db.snapshot();
        // SAFETY: only the lifetime of the borrowed database changes. The database is inside the Arc's allocation, so it
        // does not move, and `generation` keeps it alive until after `snapshot`, which is declared and dropped first
        // and is never moved out.
        #[allow(unsafe_code, reason = "a snapshot that owns its database cannot be said otherwise; the one use is this type")]
        let snapshot = unsafe { std::mem::transmute::<SnapshotWithThreadMode<'_, DB>, SnapshotWithThreadMode<'static, DB>>(snapshot) };
        Self { snapshot, generation }
    }
}

impl Tables for StateSnapshot {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let fault = StorageError::read(table.name(), row, self.generation.db.path());
        Ok(self.snapshot.get_cf(self.generation.family(table)?, row).map_err(fault)?)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        let rows = self.snapshot.raw_iterator_cf_opt(self.generation.family(table)?, scan_options());
        walk(rows, &self.generation, table, from, visit)
    }
}

fn walk(
    mut rows: DBRawIteratorWithThreadMode<'_, DB>,
    generation: &Generation,
    table: Table,
    from: &[u8],
    visit: Visit<'_>,
) -> Result<(), StateError> {
    rows.seek(from);
    let mut at = from.to_vec();
    while let Some((row, record)) = rows.item() {
        if visit(row, record).is_break() {
            return Ok(());
        }
        at.clear();
        at.extend_from_slice(row);
        rows.next();
    }
    Ok(rows.status().map_err(StorageError::read(table.name(), &at, generation.db.path()))?)
}
