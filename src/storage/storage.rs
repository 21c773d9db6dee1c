//! A node's storage as a whole: one data directory, two databases.

use std::path::Path;
use std::sync::Arc;

use crate::database::Resources;
use crate::directory::DataDir;
use crate::{LocalStore, LogStore, StateStore, StorageError, StorageOptions};

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
        let state = StateStore::open(Arc::clone(&dir), resources, is_new)?;
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
