//! What lies under the log. The queue, the view and the writer above it are the same on a disk and in a simulation.

use std::ops::Range;
use std::path::Path;

use super::view::{Queued, View};
use crate::StorageError;

/// Entries with their indices, in order.
pub(super) type Entries = Vec<(u64, Vec<u8>)>;

/// Rows of the log, and the one row that says who the node is.
pub(crate) trait LogDisk: Send + Sync {
    /// What is there of the log. Only its ends are looked at: a hole is found by the read that meets it.
    fn view(&self) -> Result<View, StorageError>;

    /// Reads consecutive entries until one is missing; false when the budget ended first.
    fn read(&self, range: Range<u64>, budget: &mut Budget, entries: &mut Entries) -> Result<bool, StorageError>;

    /// Carries out operations as one. If it is `synced`, they and all before them are there after a crash once this returns.
    fn write(&self, batch: &[Queued], synced: bool) -> Result<(), StorageError>;

    /// Who the node is, encoded.
    fn identity(&self) -> Result<Option<Vec<u8>>, StorageError>;

    /// Writes who the node is, synced.
    fn write_identity(&self, identity: Vec<u8>) -> Result<(), StorageError>;

    /// Whether files may hold what was destroyed.
    fn owes_erasure(&self) -> Result<bool, StorageError>;

    /// Writes that, synced.
    fn write_owes_erasure(&self, owes: bool) -> Result<(), StorageError>;

    /// Leaves in no file what was deleted of the log.
    fn erase(&self) -> Result<(), StorageError>;

    /// What errors name.
    fn path(&self) -> &Path;
}

/// Bytes that a read may still take; the first entry always fits.
pub(crate) struct Budget {
    left: usize,
    any: bool,
}

impl Budget {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { left: bytes_max, any: false }
    }

    pub(super) const fn take(&mut self, bytes: usize) -> bool {
        if self.any && bytes > self.left {
            return false;
        }
        self.any = true;
        self.left = self.left.saturating_sub(bytes);
        true
    }
}
