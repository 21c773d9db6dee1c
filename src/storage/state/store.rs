//! Commits, flushes and the switch between generations.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use claviger_state::{Table, WriteSet};
use parking_lot::{Mutex, MutexGuard};

use super::StateSnapshot;
use super::engine::Backing;
use super::generation::Generation;
use crate::directory::DataDir;
use crate::fsync::{create_dir, names, read_small, remove_dir, replace_file};
use crate::snapshot::Snapshots;
use crate::{SnapshotDir, StorageError};

const CURRENT_FILE: &str = "CURRENT";
const GENERATION_PREFIX: &str = "state-";

/// The state machine's tables. A cheap handle in an `Arc`; as [`claviger_state::Tables`] it reads the newest commits.
pub struct StateStore {
    generation: ArcSwap<Generation>,
    /// Held by whatever changes the state or must see it stand still. Says why the store has stopped, if it has.
    writing: Mutex<Option<StorageError>>,
    /// Flushes one after the other, so that what is called durable never goes back.
    flushing: Mutex<()>,
    snapshots: Arc<Snapshots>,
    pub(super) backing: Backing,
    path: PathBuf,
    _dir: Arc<DataDir>,
}

impl StateStore {
    pub(crate) fn open(dir: Arc<DataDir>, backing: Backing, is_new: bool) -> Result<Self, StorageError> {
        let path = dir.state();
        if is_new {
            // A new directory counts only once FORMAT is there, so the pointer may come before what it names.
            let first = format!("{GENERATION_PREFIX}1");
            create_dir(&path.join(&first))?;
            replace_file(&path, CURRENT_FILE, first.as_bytes())?;
        }
        let pointer = path.join(CURRENT_FILE);
        let current = read_small(&pointer)?.ok_or_else(|| StorageError::damaged(&pointer, "it is missing"))?;
        if generation_number(&current).is_none() {
            return Err(StorageError::damaged(&pointer, format!("it names {current:?}")));
        }
        // What a crash in the middle of an installation has left.
        for name in names(&path)?.iter().filter(|name| **name != current && generation_number(name).is_some()) {
            remove_dir(&path.join(name))?;
        }
        let generation = Generation::open(&path.join(&current), &backing, is_new)?;
        let snapshots = Arc::new(Snapshots::open(&dir, backing.options().snapshot_bytes_max)?);
        snapshots.prune()?;
        Ok(Self {
            generation: ArcSwap::from_pointee(generation),
            writing: Mutex::default(),
            flushing: Mutex::default(),
            snapshots,
            backing,
            path,
            _dir: dir,
        })
    }

    pub(super) fn generation(&self) -> arc_swap::Guard<Arc<Generation>> {
        self.generation.load()
    }

    /// Commits writes and metadata (name, value) as one. In memory: a crash may lose it with all that came after it.
    ///
    /// # Errors
    /// When it cannot be written. The store has stopped then: every later commit and flush gives the same error.
    pub fn commit(&self, writes: WriteSet, raft_meta: &[(&str, Vec<u8>)]) -> Result<(), StorageError> {
        let mut writing = self.running()?;
        stop_on_error(&mut writing, self.generation().engine.write(writes, raft_meta))
    }

    /// The metadata of this name as committed last.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn raft_meta(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.generation().engine.meta_row(name)
    }

    /// The metadata of this name that no crash can take back: as of the last completed flush, snapshot or start. The log
    /// may be purged up to what this says was applied, and no further.
    pub fn durable_meta(&self, name: &str) -> Option<Vec<u8>> {
        self.generation().durable_meta(name)
    }

    /// Makes everything committed so far durable, all tables together. Commits go on meanwhile. Blocks for the disk.
    ///
    /// # Errors
    /// When it cannot be written; see [`StateStore::commit`].
    pub fn flush(&self) -> Result<(), StorageError> {
        let _one_at_a_time = self.flushing.lock();
        let (generation, meta) = {
            let _standing_still = self.running()?;
            let generation = self.generation.load_full();
            let meta = generation.engine.meta()?;
            (generation, meta)
        };
        let flushed = generation.flush(meta);
        stop_on_error(&mut self.writing.lock(), flushed)
    }

    /// Leaves in no file of the tables what was deleted under these prefixes of rows, or anywhere: rewrites what may hold it.
    /// Commits go on meanwhile. Blocks for the disk. Snapshots are other files: build a new one afterwards, and prune.
    ///
    /// False when that cannot be said because somebody still reads an earlier state: try again later.
    ///
    /// # Errors
    /// When it cannot be written; see [`StateStore::commit`].
    pub fn erase(&self, prefixes: Option<&[(Table, Vec<u8>)]>) -> Result<bool, StorageError> {
        self.flush()?;
        let generation = self.generation.load_full();
        let own = generation.path().file_name().map(|name| name.to_string_lossy().into_owned());
        // A generation that was replaced is removed with its last reader.
        if names(&self.path)?.into_iter().any(|name| generation_number(&name).is_some() && Some(&name) != own.as_ref()) {
            return Ok(false);
        }
        generation.engine.erase(prefixes)
    }

    /// The state at this moment, for several reads that must agree.
    ///
    /// # Errors
    /// When it cannot be read, or the store has stopped.
    pub fn snapshot(&self) -> Result<StateSnapshot, StorageError> {
        let _standing_still = self.running()?;
        let generation = self.generation.load_full();
        let meta = generation.engine.meta()?;
        Ok(StateSnapshot::new(generation, meta))
    }

    /// Builds a snapshot of the state at this moment under the caller's `name` (letters, digits, `.`, `_`, `-`) and makes
    /// it the current one. Commits wait only while files are linked. Blocks for the disk.
    ///
    /// # Errors
    /// When it cannot be written; the state is untouched.
    pub fn build_snapshot(&self, name: &str) -> Result<SnapshotDir, StorageError> {
        self.flush()?;
        let partial = self.snapshots.begin(name)?;
        let meta = {
            let _standing_still = self.running()?;
            let generation = self.generation();
            generation.engine.checkpoint(partial.path())?;
            generation.engine.meta()?
        };
        let snapshot = self.snapshots.seal(&partial, meta)?;
        self.snapshots.make_current(&snapshot)?;
        Ok(snapshot)
    }

    /// The snapshot that was built or installed last.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn current_snapshot(&self) -> Result<Option<SnapshotDir>, StorageError> {
        self.snapshots.current()
    }

    /// Removes every snapshot but the current one and those that somebody still holds. Whether the current one is left alone.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn prune_snapshots(&self) -> Result<bool, StorageError> {
        self.snapshots.prune()
    }

    pub(crate) const fn snapshots(&self) -> &Arc<Snapshots> {
        &self.snapshots
    }

    /// The lock under which the state stands still, unless the store has stopped.
    pub(super) fn running(&self) -> Result<MutexGuard<'_, Option<StorageError>>, StorageError> {
        let writing = self.writing.lock();
        match &*writing {
            Some(error) => Err(error.clone()),
            None => Ok(writing),
        }
    }

    /// A directory name that no generation has had since the start.
    pub(super) fn next_generation_path(&self) -> Result<PathBuf, StorageError> {
        let newest = names(&self.path)?.iter().filter_map(|name| generation_number(name)).max().unwrap_or_default();
        Ok(self.path.join(format!("{GENERATION_PREFIX}{}", newest + 1)))
    }

    /// Makes an open generation the one in use, here and after a crash.
    pub(super) fn switch_to(&self, generation: Generation) -> Result<(), StorageError> {
        let name = generation.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let _no_flush = self.flushing.lock();
        let mut writing = self.running()?;
        // If this fails it is not known which generation the next start finds: no commit may go to either.
        stop_on_error(&mut writing, replace_file(&self.path, CURRENT_FILE, name.as_bytes()))?;
        let old = self.generation.swap(Arc::new(generation));
        old.retire();
        drop(writing);
        Ok(())
    }
}

fn generation_number(name: &str) -> Option<u64> {
    name.strip_prefix(GENERATION_PREFIX)?.parse().ok()
}

fn stop_on_error(writing: &mut Option<StorageError>, result: Result<(), StorageError>) -> Result<(), StorageError> {
    if let Err(error) = &result
        && writing.is_none()
    {
        tracing::error!(%error, "the state has stopped: nothing more is committed");
        *writing = Some(error.clone());
    }
    result
}
