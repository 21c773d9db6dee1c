//! Replacing the whole state by a snapshot. A crash at any point leaves the old state or the new one.

use std::fs::{self, File};
use std::path::Path;

use super::generation::Generation;
use super::store::StateStore;
use crate::fsync::{create_dir, remove_dir, sync_dir};
use crate::{SnapshotDir, StorageError};

impl StateStore {
    /// Replaces the state by `snapshot`, which becomes the current one. Readers see the old state until it is done, and
    /// whole; [`crate::StateSnapshot`]s go on seeing theirs. Blocks for the disk.
    ///
    /// # Errors
    /// When the snapshot is not a state of this build or cannot be copied: the old state stays. When the switch itself
    /// fails the store stops.
    pub fn install(&self, snapshot: &SnapshotDir) -> Result<(), StorageError> {
        let target = self.next_generation_path()?;
        let installed = self.install_at(snapshot, &target);
        if installed.is_err() && self.generation().path() != target {
            // The error that matters is the first one; what is left is removed at the next start.
            let _ = remove_dir(&target);
        }
        installed
    }

    fn install_at(&self, snapshot: &SnapshotDir, target: &Path) -> Result<(), StorageError> {
        fill(snapshot, target)?;
        let generation = Generation::open(target, &self.backing, false)?;
        if generation.engine.meta()? != *snapshot.meta() {
            return Err(StorageError::snapshot(snapshot.name(), "its manifest does not describe its database"));
        }
        // The snapshot first: one that is ahead of the state is installed again at the next start. Were the state ahead, its
        // log might be purged past the current snapshot.
        self.snapshots().make_current(snapshot)?;
        self.switch_to(generation)
    }
}

/// Puts a snapshot's files, durably, into a new directory.
pub(crate) fn fill(snapshot: &SnapshotDir, target: &Path) -> Result<(), StorageError> {
    create_dir(target)?;
    for file in snapshot.files() {
        let (from, to) = (snapshot.path().join(&file.name), target.join(&file.name));
        if file.name.ends_with(".sst") {
            // Never written again, so both directories may have the same.
            fs::hard_link(&from, &to).map_err(StorageError::io("link", &from))?;
        } else {
            fs::copy(&from, &to).and_then(|_| File::open(&to)?.sync_all()).map_err(StorageError::io("copy", &from))?;
        }
    }
    sync_dir(target)?;
    target.parent().map_or(Ok(()), sync_dir)
}
