//! The tables in memory, for simulations: whole and small. What was flushed is one file, and a crash takes the rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use claviger_state::{MemoryTables, Overlay, StateError, Table, Tables, Visit, WriteSet};
use claviger_types::encoding;
use parking_lot::RwLock;

use super::engine::{Engine, Meta};
use crate::StorageError;
use crate::fsync::{create_dir, replace_file};

const FILE: &str = "tables";
const SCHEMA: u8 = 1;

/// A file's contents: name of a table, row, record; then the metadata.
type Contents = (Vec<(String, Vec<u8>, Vec<u8>)>, Meta);

/// See the module.
pub(super) struct TablesInMemory {
    path: PathBuf,
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    tables: Arc<MemoryTables>,
    meta: Meta,
}

impl TablesInMemory {
    pub(super) fn open(path: &Path, new: bool) -> Result<Self, StorageError> {
        let file = path.join(FILE);
        let held = if new || !file.exists() {
            Held::default()
        } else {
            let bytes = std::fs::read(&file).map_err(StorageError::io("read", &file))?;
            Held::decode(&bytes).map_err(|reason| StorageError::damaged(&file, reason))?
        };
        Ok(Self { path: path.to_owned(), held: RwLock::new(held) })
    }

    fn save(&self, dir: &Path) -> Result<(), StorageError> {
        let held = self.held.read();
        let rows = held.tables.rows().map(|(table, row, record)| (table.name().to_owned(), row.to_vec(), record.to_vec())).collect();
        let contents: Contents = (rows, held.meta.clone());
        let bytes = encoding::encode(SCHEMA, &contents)
            .map_err(|source| StorageError::Encode { what: "simulated tables", source: Arc::new(source) })?;
        replace_file(dir, FILE, &bytes)
    }

    fn tables(&self) -> Arc<MemoryTables> {
        Arc::clone(&self.held.read().tables)
    }
}

impl Held {
    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (rows, meta): Contents = encoding::decode(SCHEMA, bytes).map_err(|error| error.to_string())?;
        let mut tables = MemoryTables::default();
        let mut overlay = Overlay::new(&tables);
        for (name, row, record) in rows {
            let table = Table::ALL.iter().find(|table| table.name() == name).ok_or_else(|| format!("there is no table {name}"))?;
            overlay.put_bytes(*table, &row, record);
        }
        let writes = overlay.into_writes();
        tables.commit(writes);
        Ok(Self { tables: Arc::new(tables), meta })
    }
}

impl Tables for TablesInMemory {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.held.read().tables.get(table, row)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        // Of one moment: the lock is not held while the caller visits.
        self.tables().scan(table, from, visit)
    }
}

impl Engine for TablesInMemory {
    fn write(&self, writes: WriteSet, meta: &[(&str, Vec<u8>)]) -> Result<(), StorageError> {
        let mut held = self.held.write();
        Arc::make_mut(&mut held.tables).commit(writes);
        held.meta.extend(meta.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Ok(())
    }

    fn meta_row(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.held.read().meta.get(name).cloned())
    }

    fn meta(&self) -> Result<Meta, StorageError> {
        Ok(self.held.read().meta.clone())
    }

    fn flush(&self) -> Result<(), StorageError> {
        self.save(&self.path)
    }

    /// The flush has replaced the only file.
    fn erase(&self, _prefixes: Option<&[(Table, Vec<u8>)]>) -> Result<bool, StorageError> {
        Ok(true)
    }

    fn checkpoint(&self, path: &Path) -> Result<(), StorageError> {
        create_dir(path)?;
        self.save(path)
    }

    fn view(self: Arc<Self>) -> Box<dyn Tables + Send + Sync> {
        Box::new(self.tables())
    }
}
