//! The tables in memory: the reference that RocksDB is compared with, and the tables of simulations.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::{StateError, Table, Tables, Visit, WriteSet};

/// Sorted maps in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTables {
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
}

impl MemoryTables {
    /// Carries out all writes of a set.
    pub fn commit(&mut self, writes: WriteSet) {
        for (row, record) in writes.into_rows() {
            match record {
                Some(record) => self.rows.insert(row, record),
                None => self.rows.remove(&row),
            };
        }
    }

    /// Every row of every table, sorted.
    pub fn rows(&self) -> impl Iterator<Item = (Table, &[u8], &[u8])> {
        self.rows.iter().map(|((table, row), record)| (*table, row.as_slice(), record.as_slice()))
    }
}

impl Tables for MemoryTables {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.rows.get(&(table, row.to_vec())).cloned())
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        let start = Bound::Included((table, from.to_vec()));
        for ((_, row), record) in self.rows.range((start, Bound::Unbounded)).take_while(|((found, _), _)| *found == table) {
            if visit(row, record).is_break() {
                break;
            }
        }
        Ok(())
    }
}
