//! Writes that are not committed yet, and the tables as they will look with them.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use claviger_types::encoding;

use crate::{Record, StateError, Table, Tables, Visit};

type Rows = BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>;

/// Rows to put (`Some`) and to delete (`None`), each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteSet {
    rows: Rows,
}

impl WriteSet {
    /// The writes, sorted by table and row.
    pub fn rows(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        self.rows.iter().map(|((table, row), record)| (*table, row.as_slice(), record.as_deref()))
    }

    /// The writes, taken apart.
    pub fn into_rows(self) -> impl Iterator<Item = ((Table, Vec<u8>), Option<Vec<u8>>)> {
        self.rows.into_iter()
    }

    /// Puts an encoded record.
    pub fn put(&mut self, table: Table, row: &[u8], record: Vec<u8>) {
        self.rows.insert((table, row.to_vec()), Some(record));
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds the writes of `later`, which win.
    pub fn extend(&mut self, later: Self) {
        self.rows.extend(later.rows);
    }
}

/// Tables with uncommitted writes on top.
pub struct Overlay<'a> {
    base: &'a dyn Tables,
    writes: WriteSet,
}

impl<'a> Overlay<'a> {
    /// An overlay with no writes yet.
    pub fn new(base: &'a dyn Tables) -> Self {
        Self { base, writes: WriteSet::default() }
    }

    /// The writes so far.
    pub fn into_writes(self) -> WriteSet {
        self.writes
    }

    /// Adds writes that were made on an overlay over this one.
    pub fn extend(&mut self, later: WriteSet) {
        self.writes.extend(later);
    }

    /// Puts an encoded record.
    pub fn put_bytes(&mut self, table: Table, row: &[u8], record: Vec<u8>) {
        self.writes.put(table, row, record);
    }

    /// Encodes and puts a record.
    ///
    /// # Errors
    /// When the record does not encode.
    pub fn put<R: Record>(&mut self, row: &[u8], record: &R) -> Result<(), StateError> {
        let bytes = encoding::encode(R::SCHEMA, record).map_err(|source| StateError::Encode { table: R::TABLE, source })?;
        self.put_bytes(R::TABLE, row, bytes);
        Ok(())
    }

    /// Deletes a row; one that is not there is no error.
    pub fn delete(&mut self, table: Table, row: &[u8]) {
        self.writes.rows.insert((table, row.to_vec()), None);
    }
}

impl Tables for Overlay<'_> {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.writes.rows.get(&(table, row.to_vec())) {
            Some(written) => Ok(written.clone()),
            None => self.base.get(table, row),
        }
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        let start = Bound::Included((table, from.to_vec()));
        let mut written = self.writes.rows.range((start, Bound::Unbounded)).take_while(|((found, _), _)| *found == table).peekable();
        let mut broken = false;
        self.base.scan(table, from, &mut |row, record| {
            while let Some(((_, own_row), own)) = written.next_if(|((_, own_row), _)| own_row.as_slice() < row) {
                if let Some(own) = own
                    && visit(own_row, own).is_break()
                {
                    broken = true;
                    return ControlFlow::Break(());
                }
            }
            let flow = match written.next_if(|((_, own_row), _)| own_row.as_slice() == row) {
                Some((_, Some(own))) => visit(row, own),
                Some((_, None)) => ControlFlow::Continue(()),
                None => visit(row, record),
            };
            broken = flow.is_break();
            flow
        })?;
        if !broken {
            for ((_, row), own) in written {
                if let Some(own) = own
                    && visit(row, own).is_break()
                {
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::MemoryTables;

    fn rows(tables: &dyn Tables, from: &[u8], most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        tables
            .scan(Table::Keys, from, &mut |row, record| {
                found.push((row.to_vec(), record.to_vec()));
                if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        found
    }

    proptest! {
        /// An overlay reads exactly as the tables do once its writes are committed.
        #[test]
        fn reads_as_if_committed(
            base in prop::collection::vec((prop::collection::vec(0_u8..4, 0..3), any::<u8>()), 0..20),
            writes in prop::collection::vec((prop::collection::vec(0_u8..4, 0..3), any::<Option<u8>>()), 0..20),
            from in prop::collection::vec(0_u8..4, 0..3),
            most in 1_usize..10,
        ) {
            let mut memory = MemoryTables::default();
            let mut first = Overlay::new(&memory);
            for (row, record) in &base {
                first.put_bytes(Table::Keys, row, vec![*record]);
            }
            let committed = first.into_writes();
            memory.commit(committed);
            let below = memory.clone();
            let mut overlay = Overlay::new(&below);
            for (row, record) in &writes {
                match record {
                    Some(record) => overlay.put_bytes(Table::Keys, row, vec![*record]),
                    None => overlay.delete(Table::Keys, row),
                }
            }
            let seen = rows(&overlay, &from, most);
            let writes = overlay.into_writes();
            memory.commit(writes);
            prop_assert_eq!(seen, rows(&memory, &from, most));
        }
    }
}
