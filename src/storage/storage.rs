//! A node's storage as a whole: one data directory, two databases.

use std::path::Path;
use std::sync::Arc;

use crate::database::Resources;
use crate::directory::DataDir;
use crate::state::Backing;
use crate::{LocalStore, LogStore, SimulatedDisk, SimulatedWriter, StateStore, StorageError, StorageOptions};

/// Everything that a node keeps. The directory stays locked until this and every handle from it are dropped.
pub struct Storage {
    log: Arc<LogStore>,
    state: Arc<StateStore>,
    local: Arc<LocalStore>,
}

impl Storage {
    /// Opens a data directory; creates it, for this user alone, if it is absent or empty.
    ///
    /// # Errors
    /// When another process uses it, it is not Claviger's, it has another format, or what is in it is damaged. The
    /// error names the path and the remedy.
    #[expect(clippy::needless_pass_by_value, reason = "options are made for one storage")]
    pub fn open(dir: &Path, options: StorageOptions) -> Result<Self, StorageError> {
        let (dir, is_new) = DataDir::open(dir)?;
        let dir = Arc::new(dir);
        let resources = Resources::new(&options);
        let (log, local) = LogStore::open(&dir, &resources, is_new)?;
        Self::with_log(&dir, log, local, Backing::RocksDb(resources), is_new)
    }

    /// The storage of a node in a simulation: the log on `disk`, which outlives the node, the tables in memory, and what is
    /// flushed of them, like snapshots, in files in `dir`. There is no thread: the caller takes the steps of the log's writer
    /// whenever it was called by `wake`, in the same or another thread.
    ///
    /// # Errors
    /// As [`Storage::open`].
    pub fn simulated(
        dir: &Path,
        options: StorageOptions,
        disk: Arc<SimulatedDisk>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Self, SimulatedWriter), StorageError> {
        let (dir, is_new) = DataDir::open(dir)?;
        let dir = Arc::new(dir);
        let local = LocalStore::new(Arc::clone(&disk) as Arc<_>, Arc::clone(&dir));
        let (log, writer) = LogStore::stepwise(Arc::clone(&dir), disk, &options, Box::new(wake))?;
        let storage = Self::with_log(&dir, log, local, Backing::Memory(options), is_new)?;
        Ok((storage, SimulatedWriter::new(writer)))
    }

    fn with_log(dir: &Arc<DataDir>, log: LogStore, local: LocalStore, backing: Backing, is_new: bool) -> Result<Self, StorageError> {
        let state = StateStore::open(Arc::clone(dir), backing, is_new)?;
        if is_new {
            dir.finish()?;
        }
        Ok(Self { log: Arc::new(log), state: Arc::new(state), local: Arc::new(local) })
    }

    /// The Raft log, the vote and the committed position.
    pub fn log(&self) -> Arc<LogStore> {
        Arc::clone(&self.log)
    }

    /// The state machine's tables and their snapshots.
    pub fn state(&self) -> Arc<StateStore> {
        Arc::clone(&self.state)
    }

    /// Who this node is.
    pub fn local(&self) -> Arc<LocalStore> {
        Arc::clone(&self.local)
    }
}
