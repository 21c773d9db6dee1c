//! What holds the tables of one generation: RocksDB in its directory, or memory in a simulation.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use claviger_state::{Table, Tables, WriteSet};

use crate::database::Resources;
use crate::{StorageError, StorageOptions};

/// The metadata that is committed beside the tables.
pub(super) type Meta = BTreeMap<String, Vec<u8>>;

/// Tables that others read while one writes.
pub(super) trait Engine: Tables + Send + Sync {
    /// Commits writes and metadata as one, not durably.
    fn write(&self, writes: WriteSet, meta: &[(&str, Vec<u8>)]) -> Result<(), StorageError>;

    /// The metadata of this name.
    fn meta_row(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError>;

    /// All metadata.
    fn meta(&self) -> Result<Meta, StorageError>;

    /// Makes everything committed so far durable, as one.
    fn flush(&self) -> Result<(), StorageError>;

    /// Leaves in no file what was deleted under these prefixes of rows, or anywhere. Everything has been flushed. False when a
    /// view holds what may have been deleted since.
    fn erase(&self, prefixes: Option<&[(Table, Vec<u8>)]>) -> Result<bool, StorageError>;

    /// Makes a directory from which an engine with the same contents can be opened. Its files need not be synced.
    fn checkpoint(&self, path: &Path) -> Result<(), StorageError>;

    /// The tables as they are now, for as long as the view lives.
    fn view(self: Arc<Self>) -> Box<dyn Tables + Send + Sync>;
}

/// Which engine a store uses.
#[derive(Clone)]
pub(crate) enum Backing {
    /// RocksDB.
    RocksDb(Resources),
    /// Memory, with a file for what was flushed.
    Memory(StorageOptions),
}

impl Backing {
    pub(super) const fn options(&self) -> &StorageOptions {
        match self {
            Self::RocksDb(resources) => &resources.options,
            Self::Memory(options) => options,
        }
    }
}
