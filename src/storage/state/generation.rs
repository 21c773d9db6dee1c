//! One directory of the state's tables. It is removed when it is out of date and its last reader has gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::engine::{Backing, Engine, Meta};
use super::memory::TablesInMemory;
use super::rocks::RocksTables;
use crate::StorageError;
use crate::fsync::remove_dir;

/// Open tables and what of them is durable.
pub(super) struct Generation {
    // Closed before the directory is removed: fields are dropped in this order.
    pub(super) engine: Arc<dyn Engine>,
    /// The metadata as of the last completed flush.
    durable: Mutex<Meta>,
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

impl Generation {
    pub(super) fn open(path: &Path, backing: &Backing, new: bool) -> Result<Self, StorageError> {
        let engine: Arc<dyn Engine> = match backing {
            Backing::RocksDb(resources) => Arc::new(RocksTables::open(path, resources, new)?),
            Backing::Memory(_) => Arc::new(TablesInMemory::open(path, new)?),
        };
        // There is no write-ahead log: what opened tables show is on the disk.
        let durable = Mutex::new(engine.meta()?);
        Ok(Self { engine, durable, directory: Directory { path: path.to_owned(), retired: AtomicBool::new(false) } })
    }

    pub(super) fn path(&self) -> &Path {
        &self.directory.path
    }

    /// Has the directory removed once nobody uses it.
    pub(super) fn retire(&self) {
        self.directory.retired.store(true, Ordering::Release);
    }

    /// The inverse of [`Generation::retire`].
    pub(super) fn keep(&self) {
        self.directory.retired.store(false, Ordering::Release);
    }

    /// Makes all tables durable. `meta` was committed before this call.
    pub(super) fn flush(&self, meta: Meta) -> Result<(), StorageError> {
        self.engine.flush()?;
        *self.durable.lock() = meta;
        Ok(())
    }

    pub(super) fn durable_meta(&self, name: &str) -> Option<Vec<u8>> {
        self.durable.lock().get(name).cloned()
    }
}
