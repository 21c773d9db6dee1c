//! One directory of the state's database. It is removed when it is out of date and its last reader has gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_state::Table;
use parking_lot::Mutex;
use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB, FlushOptions, WriteBatch, WriteOptions};

use super::META_FAMILY;
use crate::StorageError;
use crate::database::{self, Resources, family, scan_options};
use crate::fsync::remove_dir;

/// An open database and what of it is durable.
pub(super) struct Generation {
    // Closed before the directory is removed: fields are dropped in this order.
    pub(super) db: DB,
    /// The metadata as of the last completed flush.
    durable: Mutex<BTreeMap<String, Vec<u8>>>,
    directory: Directory,
}

struct Directory {
    path: PathBuf,
    retired: AtomicBool,
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Acquire)
            && let Err(error) = remove_dir(&self.path)
        {
            // The next start removes it.
            tracing::warn!(%error, "an old state directory is left behind");
        }
    }
}

/// The rows of [`META_FAMILY`].
pub(super) type Meta = BTreeMap<String, Vec<u8>>;

impl Generation {
    pub(super) fn open(path: &Path, resources: &Resources, new: bool) -> Result<Self, StorageError> {
        let db = database::open(path, resources.state_options(), new, families(resources))?;
        let directory = Directory { path: path.to_owned(), retired: AtomicBool::new(false) };
        let generation = Self { db, durable: Mutex::default(), directory };
        // There is no write-ahead log: what an opened database shows is on the disk.
        *generation.durable.lock() = generation.meta()?;
        Ok(generation)
    }

    /// Has the directory removed once nobody uses it.
    pub(super) fn retire(&self) {
        self.directory.retired.store(true, Ordering::Release);
    }

    pub(super) fn family(&self, table: Table) -> Result<&ColumnFamily, StorageError> {
        family(&self.db, table.name())
    }

    pub(super) fn meta_family(&self) -> Result<&ColumnFamily, StorageError> {
        family(&self.db, META_FAMILY)
    }

    pub(super) fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(StorageError::database("commit", self.db.path()))
    }

    /// All metadata as committed.
    pub(super) fn meta(&self) -> Result<Meta, StorageError> {
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

    /// Brings every column family to the disk, atomically. `meta` was committed before this call.
    pub(super) fn flush(&self, meta: Meta) -> Result<(), StorageError> {
        let mut all = vec![self.meta_family()?];
        for table in Table::ALL {
            all.push(self.family(*table)?);
        }
        let all: Vec<&&ColumnFamily> = all.iter().collect();
        self.db.flush_cfs_opt(&all, &FlushOptions::default()).map_err(StorageError::database("flush", self.db.path()))?;
        *self.durable.lock() = meta;
        Ok(())
    }

    pub(super) fn durable_meta(&self, name: &str) -> Option<Vec<u8>> {
        self.durable.lock().get(name).cloned()
    }
}

fn families(resources: &Resources) -> Vec<ColumnFamilyDescriptor> {
    let mut families: Vec<_> = Table::ALL.iter().map(|table| resources.column_family(table.name(), is_read_by_row(*table))).collect();
    families.push(resources.column_family(META_FAMILY, false));
    families
}

/// Whether single rows are asked for; the others are only walked.
const fn is_read_by_row(table: Table) -> bool {
    !matches!(table, Table::KeysByAccount | Table::InvocationsByTime | Table::DirtyByAge)
}
