//! Complete snapshots, and how one comes to be complete: built or received in `partial/`, sealed, moved.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::SNAPSHOT_CHUNK_BYTES_MAX;
use super::manifest::{Manifest, SnapshotFile, is_name};
use crate::StorageError;
use crate::directory::DataDir;
use crate::fsync::{names, read_small, remove_dir, rename, replace_file, sync_dir};

pub(super) const MANIFEST_FILE: &str = "claviger-manifest";
const CURRENT_FILE: &str = "CURRENT";
/// What directories of snapshots are called; the caller's name is in the manifest, so two may share it.
const PREFIX: &str = "snapshot-";

/// What is hashed at once.
const READ_BYTES: usize = 256 << 10;

/// A complete snapshot. While one of its clones exists it is not pruned.
#[derive(Clone, Debug)]
pub struct SnapshotDir(Arc<Complete>);

#[derive(Debug)]
struct Complete {
    path: PathBuf,
    manifest: Manifest,
    manifest_bytes: Vec<u8>,
}

impl SnapshotDir {
    /// The name that its builder gave it.
    pub fn name(&self) -> &str {
        &self.0.manifest.name
    }

    /// Its files, in the order in which they are sent.
    pub fn files(&self) -> &[SnapshotFile] {
        &self.0.manifest.files
    }

    /// What [`super::SnapshotReceiver::begin`] takes on the other node.
    pub fn manifest(&self) -> &[u8] {
        &self.0.manifest_bytes
    }

    /// The metadata of this name that was committed with the state in it.
    pub fn raft_meta(&self, name: &str) -> Option<&[u8]> {
        self.meta().get(name).map(Vec::as_slice)
    }

    /// The bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.files().iter().map(|file| file.size).sum()
    }

    /// At most `len` and at most [`SNAPSHOT_CHUNK_BYTES_MAX`] bytes of a file from `offset` on; none at its end.
    ///
    /// # Errors
    /// When there is no such file or it cannot be read.
    pub fn open_chunk(&self, file: &str, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let Some(known) = self.files().iter().find(|known| known.name == file) else {
            return Err(StorageError::snapshot(self.name(), format!("it has no file {file:?}")));
        };
        let len = u64::try_from(len.min(SNAPSHOT_CHUNK_BYTES_MAX)).unwrap_or(u64::MAX).min(known.size.saturating_sub(offset));
        let path = self.0.path.join(&known.name);
        let mut chunk = Vec::new();
        let mut file = File::open(&path).map_err(StorageError::io("open", &path))?;
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(len).read_to_end(&mut chunk)).map_err(StorageError::io("read", &path))?;
        if chunk.len() as u64 != len {
            return Err(StorageError::snapshot(self.name(), format!("its file {} is shorter than it was", known.name)));
        }
        Ok(chunk)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn meta(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.0.manifest.meta
    }
}

/// All snapshots of a node.
pub(crate) struct Snapshots {
    path: PathBuf,
    partial: PathBuf,
    pub(super) bytes_max: u64,
    next: AtomicU64,
    /// Snapshots that somebody may hold, by directory.
    held: Mutex<BTreeMap<PathBuf, Weak<Complete>>>,
}

/// A directory in `partial/`; removed when it is dropped before it is complete.
pub(crate) struct Partial {
    path: PathBuf,
    pub(super) name: String,
}

impl Partial {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Err(error) = remove_dir(&self.path) {
            tracing::warn!(%error, "a part of a snapshot is left behind until the next start");
        }
    }
}

impl Snapshots {
    pub(crate) fn open(dir: &DataDir, bytes_max: u64) -> Result<Self, StorageError> {
        let path = dir.snapshots();
        let newest = names(&path)?.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse::<u64>().ok()).max();
        let next = AtomicU64::new(newest.unwrap_or_default() + 1);
        Ok(Self { path, partial: dir.partial(), bytes_max, next, held: Mutex::default() })
    }

    /// A place for a new snapshot; its directory does not exist yet.
    pub(crate) fn begin(&self, name: &str) -> Result<Partial, StorageError> {
        if !is_name(name) {
            return Err(StorageError::snapshot(name, "the name is malformed"));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Ok(Partial { path: self.partial.join(format!("{PREFIX}{number}")), name: name.to_owned() })
    }

    /// Makes a checkpoint complete: every file synced and hashed, the manifest last.
    pub(crate) fn seal(&self, partial: &Partial, meta: BTreeMap<String, Vec<u8>>) -> Result<SnapshotDir, StorageError> {
        let mut files = Vec::new();
        for name in names(&partial.path)? {
            let (size, sha256) = sync_and_hash(&partial.path.join(&name))?;
            files.push(SnapshotFile { name, size, sha256 });
        }
        let manifest = Manifest { name: partial.name.clone(), meta, files };
        self.complete(partial, manifest)
    }

    /// Writes the manifest of a directory whose files are synced, and moves it to its place.
    pub(super) fn complete(&self, partial: &Partial, manifest: Manifest) -> Result<SnapshotDir, StorageError> {
        let manifest_bytes = manifest.encode()?;
        replace_file(&partial.path, MANIFEST_FILE, &manifest_bytes)?;
        let path = self.path.join(partial.path.file_name().unwrap_or_default());
        // In its place it is pruned unless it is held, so both happen under the lock that `prune` takes.
        let mut held = self.held.lock();
        rename(&partial.path, &path)?;
        sync_dir(&self.path)?;
        sync_dir(&self.partial)?;
        Ok(hold(&mut held, Complete { path, manifest, manifest_bytes }))
    }

    pub(crate) fn make_current(&self, snapshot: &SnapshotDir) -> Result<(), StorageError> {
        let name = snapshot.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        replace_file(&self.path, CURRENT_FILE, name.as_bytes())
    }

    pub(crate) fn current(&self) -> Result<Option<SnapshotDir>, StorageError> {
        // Under the lock that `prune` takes: it must not go between looking where it is and holding it.
        let mut held = self.held.lock();
        let Some(path) = self.current_path()? else { return Ok(None) };
        if let Some(complete) = held.get(&path).and_then(Weak::upgrade) {
            return Ok(Some(SnapshotDir(complete)));
        }
        let manifest_path = path.join(MANIFEST_FILE);
        let manifest_bytes = std::fs::read(&manifest_path).map_err(StorageError::io("read", &manifest_path))?;
        // It is this node's own, however large it has become.
        let manifest = Manifest::decode(&path.to_string_lossy(), &manifest_bytes, u64::MAX)?;
        Ok(Some(hold(&mut held, Complete { path, manifest, manifest_bytes })))
    }

    fn current_path(&self) -> Result<Option<PathBuf>, StorageError> {
        let pointer = self.path.join(CURRENT_FILE);
        let Some(name) = read_small(&pointer)? else { return Ok(None) };
        if !is_name(&name) || !name.starts_with(PREFIX) {
            return Err(StorageError::damaged(&pointer, format!("it names {name:?}")));
        }
        Ok(Some(self.path.join(name)))
    }

    /// Whether no other than the current one is left.
    pub(crate) fn prune(&self) -> Result<bool, StorageError> {
        let mut held = self.held.lock();
        let current = self.current_path()?;
        held.retain(|_, held| held.strong_count() > 0);
        let mut is_alone = true;
        for name in names(&self.path)?.iter().filter(|name| name.starts_with(PREFIX)) {
            let path = self.path.join(name);
            if current.as_ref() == Some(&path) {
                continue;
            }
            if held.contains_key(&path) {
                is_alone = false;
            } else {
                remove_dir(&path)?;
            }
        }
        Ok(is_alone)
    }
}

fn hold(held: &mut BTreeMap<PathBuf, Weak<Complete>>, complete: Complete) -> SnapshotDir {
    let complete = Arc::new(complete);
    held.retain(|_, held| held.strong_count() > 0);
    held.insert(complete.path.clone(), Arc::downgrade(&complete));
    SnapshotDir(complete)
}

fn sync_and_hash(path: &Path) -> Result<(u64, [u8; 32]), StorageError> {
    let fault = StorageError::io("read", path);
    let hashed = || {
        let mut file = File::open(path)?;
        file.sync_all()?;
        let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0, vec![0; READ_BYTES]);
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok((size, hasher.finalize().into()));
            }
            hasher.update(&buffer[..read]);
            size += read as u64;
        }
    };
    hashed().map_err(fault)
}
