//! The tables in RocksDB, one column family each.

use std::path::Path;
use std::sync::Arc;

use claviger_state::{StateError, Table, Tables, Visit, WriteSet};
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DBRawIteratorWithThreadMode, FlushOptions, SnapshotWithThreadMode, WriteBatch, WriteOptions,
};

use super::META_FAMILY;
use super::engine::{Engine, Meta};
use crate::StorageError;
use crate::database::{self, Resources, family, scan_options};

/// See the module.
pub(super) struct RocksTables {
    db: DB,
}

impl RocksTables {
    pub(super) fn open(path: &Path, resources: &Resources, new: bool) -> Result<Self, StorageError> {
        Ok(Self { db: database::open(path, resources.state_options(), new, families(resources))? })
    }

    fn family(&self, table: Table) -> Result<&ColumnFamily, StorageError> {
        family(&self.db, table.name())
    }

    fn meta_family(&self) -> Result<&ColumnFamily, StorageError> {
        family(&self.db, META_FAMILY)
    }

    fn walk(&self, mut rows: DBRawIteratorWithThreadMode<'_, DB>, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
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
        Ok(rows.status().map_err(StorageError::read(table.name(), &at, self.db.path()))?)
    }
}

impl Tables for RocksTables {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let fault = StorageError::read(table.name(), row, self.db.path());
        Ok(self.db.get_cf(self.family(table)?, row).map_err(fault)?)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        self.walk(self.db.raw_iterator_cf_opt(self.family(table)?, scan_options()), table, from, visit)
    }
}

impl Engine for RocksTables {
    fn write(&self, writes: WriteSet, meta: &[(&str, Vec<u8>)]) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        for ((table, row), record) in writes.into_rows() {
            match record {
                Some(record) => batch.put_cf(self.family(table)?, row, record),
                None => batch.delete_cf(self.family(table)?, row),
            }
        }
        for (name, value) in meta {
            batch.put_cf(self.meta_family()?, name, value);
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(StorageError::database("commit", self.db.path()))
    }

    fn meta_row(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let fault = StorageError::read(META_FAMILY, name.as_bytes(), self.db.path());
        self.db.get_cf(self.meta_family()?, name).map_err(fault)
    }

    fn meta(&self) -> Result<Meta, StorageError> {
        let mut meta = Meta::new();
        let mut rows = self.db.raw_iterator_cf_opt(self.meta_family()?, scan_options());
        rows.seek_to_first();
        while let Some((row, value)) = rows.item() {
            let name = String::from_utf8(row.to_vec()).map_err(|_| StorageError::Corrupt {
                table: META_FAMILY,
                row: hex::encode(row),
                reason: "its name is not text".to_owned(),
            })?;
            meta.insert(name, value.to_vec());
            rows.next();
        }
        rows.status().map_err(StorageError::read(META_FAMILY, &[], self.db.path()))?;
        Ok(meta)
    }

    /// Brings every column family to the disk, atomically.
    fn flush(&self) -> Result<(), StorageError> {
        let mut all = vec![self.meta_family()?];
        for table in Table::ALL {
            all.push(self.family(*table)?);
        }
        let all: Vec<&&ColumnFamily> = all.iter().collect();
        self.db.flush_cfs_opt(&all, &FlushOptions::default()).map_err(StorageError::database("flush", self.db.path()))
    }

    fn erase(&self, prefixes: Option<&[(Table, Vec<u8>)]>) -> Result<bool, StorageError> {
        // The property is 0 when there is no view.
        let oldest_view = self.db.property_int_value("rocksdb.oldest-snapshot-sequence");
        let oldest_view = oldest_view.map_err(StorageError::database("look for views", self.db.path()))?;
        if oldest_view.is_some_and(|view| view != 0 && view < self.db.latest_sequence_number()) {
            return Ok(false);
        }
        match prefixes {
            Some(prefixes) => {
                for (table, prefix) in prefixes {
                    database::rewrite(&self.db, self.family(*table)?, Some(prefix));
                }
            }
            None => {
                for table in Table::ALL {
                    database::rewrite(&self.db, self.family(*table)?, None);
                }
            }
        }
        Ok(true)
    }

    fn checkpoint(&self, path: &Path) -> Result<(), StorageError> {
        rocksdb::checkpoint::Checkpoint::new(&self.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(path))
            .map_err(StorageError::database("make a checkpoint", self.db.path()))
    }

    fn view(self: Arc<Self>) -> Box<dyn Tables + Send + Sync> {
        Box::new(View::new(self))
    }
}

/// The tables at one moment. It keeps old data on the disk.
struct View {
    // Released before the database may be closed: fields are dropped in this order.
    snapshot: SnapshotWithThreadMode<'static, DB>,
    tables: Arc<RocksTables>,
}

impl View {
    fn new(tables: Arc<RocksTables>) -> Self {
        let snapshot = tables.db.snapshot();
        // SAFETY: only the lifetime of the borrowed database changes. The database is inside the Arc's allocation, so it
        // does not move, and `tables` keeps it alive until after `snapshot`, which is declared and dropped first
        // and is never moved out.
        #[allow(unsafe_code, reason = "a snapshot that owns its database cannot be said otherwise; the one use is this type")]
        let snapshot = unsafe { std::mem::transmute::<SnapshotWithThreadMode<'_, DB>, SnapshotWithThreadMode<'static, DB>>(snapshot) };
        Self { snapshot, tables }
    }
}

impl Tables for View {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let fault = StorageError::read(table.name(), row, self.tables.db.path());
        Ok(self.snapshot.get_cf(self.tables.family(table)?, row).map_err(fault)?)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        self.tables.walk(self.snapshot.raw_iterator_cf_opt(self.tables.family(table)?, scan_options()), table, from, visit)
    }
}

fn families(resources: &Resources) -> Vec<ColumnFamilyDescriptor> {
    let mut families: Vec<_> = Table::ALL.iter().map(|table| resources.column_family(table.name(), is_read_by_row(*table))).collect();
    families.push(resources.column_family(META_FAMILY, false));
    families
}

/// Whether single rows are asked for; the others are only walked.
const fn is_read_by_row(table: Table) -> bool {
    !matches!(
        table,
        Table::KeysByAccount
            | Table::InvocationsByTime
            | Table::DirtyByAge
            | Table::AliasesByKey
            | Table::GrantsByGrantee
            | Table::GrantsByRetiring
            | Table::GrantsByContents
            | Table::IdentityReferences
    )
}
