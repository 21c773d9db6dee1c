//! Taking a snapshot from another node, chunk by chunk. Nothing that a sender says reaches outside one directory.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::dir::{Partial, Snapshots};
use super::manifest::Manifest;
use super::{SNAPSHOT_CHUNK_BYTES_MAX, SnapshotDir};
use crate::fsync::create_dir;
use crate::{StateStore, StorageError};

/// A snapshot on its way here. Dropped before it is finished, it leaves nothing.
pub struct SnapshotReceiver {
    snapshots: Arc<Snapshots>,
    partial: Partial,
    manifest: Manifest,
    /// Files of which some bytes are missing, and how far they are.
    unfinished: BTreeMap<String, Progress>,
}

struct Progress {
    received: u64,
    size: u64,
    sha256: [u8; 32],
    hasher: Sha256,
}

impl SnapshotReceiver {
    /// Begins to take the snapshot `name`, of which the sender's [`SnapshotDir::manifest`] has been received.
    ///
    /// # Errors
    /// When the manifest is not acceptable: not of this name, names that are no plain file names, too many, too large.
    pub fn begin(store: &StateStore, name: &str, manifest: &[u8]) -> Result<Self, StorageError> {
        let snapshots = Arc::clone(store.snapshots());
        let partial = snapshots.begin(name)?;
        let manifest = Manifest::decode(name, manifest, snapshots.bytes_max)?;
        if manifest.name != name {
            return Err(StorageError::snapshot(name, "the manifest is that of another snapshot"));
        }
        create_dir(partial.path())?;
        let mut receiver = Self { snapshots, partial, manifest, unfinished: BTreeMap::new() };
        for file in receiver.manifest.files.clone() {
            let progress = Progress { received: 0, size: file.size, sha256: file.sha256, hasher: Sha256::new() };
            receiver.unfinished.insert(file.name.clone(), progress);
            if file.size == 0 {
                receiver.write_chunk(&file.name, 0, &[])?;
            }
        }
        Ok(receiver)
    }

    /// Takes the next bytes of a file, which begin at `offset`. Files may come in any order, the bytes of one in theirs.
    ///
    /// # Errors
    /// When the manifest does not have the file, the bytes are not the next ones or too many, or, with the last of them,
    /// the hash is another. The snapshot cannot be finished then.
    pub fn write_chunk(&mut self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let refuse = |reason: String| StorageError::snapshot(&self.partial.name, reason);
        let Some(progress) = self.unfinished.get_mut(file) else {
            return Err(refuse(format!("no bytes of a file {file:?} are missing")));
        };
        if offset != progress.received {
            return Err(refuse(format!("byte {offset} of {file} came where byte {} is next", progress.received)));
        }
        let after = offset.saturating_add(bytes.len() as u64);
        if bytes.len() > SNAPSHOT_CHUNK_BYTES_MAX || after > progress.size {
            return Err(refuse(format!("there are more bytes of {file} than there may be")));
        }
        let path = self.partial.path().join(file);
        let written = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).and_then(|mut open| {
            open.write_all(bytes)?;
            if after == progress.size { open.sync_all() } else { Ok(()) }
        });
        written.map_err(StorageError::io("write", &path))?;
        progress.hasher.update(bytes);
        progress.received = after;
        if after == progress.size {
            let sha256: [u8; 32] = progress.hasher.clone().finalize().into();
            if sha256 != progress.sha256 {
                // Its bytes are all here and wrong: leave it unfinished for ever.
                return Err(refuse(format!("the bytes of {file} are not those of its manifest")));
            }
            self.unfinished.remove(file);
        }
        Ok(())
    }

    /// All files are here: the snapshot may be installed.
    ///
    /// # Errors
    /// When bytes are missing or were wrong, or it cannot be written.
    pub fn finish(self) -> Result<SnapshotDir, StorageError> {
        if let Some(file) = self.unfinished.keys().next() {
            return Err(StorageError::snapshot(&self.partial.name, format!("file {file} is not complete")));
        }
        self.snapshots.complete(&self.partial, self.manifest)
    }
}
