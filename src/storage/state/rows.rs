//! Reading rows: from the newest state, or from one point of it.

use std::sync::Arc;

use claviger_state::{StateError, Table, Tables, Visit};

use super::engine::Meta;
use super::generation::Generation;
use super::store::StateStore;

/// Each read sees the newest commits; a scan sees those of one moment.
impl Tables for StateStore {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.generation().engine.get(table, row)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        self.generation().engine.scan(table, from, visit)
    }
}

/// The state at one moment: every read of it sees the same. It keeps old data on the disk, so let it go soon.
pub struct StateSnapshot {
    // Let go before the tables may be closed and their directory removed: fields are dropped in this order.
    view: Box<dyn Tables + Send + Sync>,
    meta: Meta,
    _generation: Arc<Generation>,
}

impl StateSnapshot {
    /// While nothing is committed: `meta` is of the same moment.
    pub(super) fn new(generation: Arc<Generation>, meta: Meta) -> Self {
        Self { view: Arc::clone(&generation.engine).view(), meta, _generation: generation }
    }

    /// The metadata of this name that was committed with what this shows.
    pub fn raft_meta(&self, name: &str) -> Option<&[u8]> {
        self.meta.get(name).map(Vec::as_slice)
    }
}

impl Tables for StateSnapshot {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.view.get(table, row)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        self.view.scan(table, from, visit)
    }
}
