//! How much a data directory takes of its disk, and how much is left.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::StorageError;

/// What `st_blocks` counts in, whatever the file system's own blocks are (POSIX stat).
const STAT_BLOCK_BYTES: u64 = 512;

/// A data directory on its disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUse {
    /// What the directory takes.
    pub used_bytes: u64,
    /// What is left on its file system for this user.
    pub free_bytes: u64,
}

/// Walks the directory. Files that come and go meanwhile are counted or not.
pub(crate) fn disk_use(dir: &Path) -> Result<DiskUse, StorageError> {
    let space = rustix::fs::statvfs(dir).map_err(|errno| StorageError::Io {
        doing: "measure",
        path: dir.to_owned(),
        source: Arc::new(errno.into()),
    })?;
    let mut seen = BTreeSet::new();
    let used_bytes = used_below(dir, &mut seen)?;
    Ok(DiskUse { used_bytes, free_bytes: space.f_bavail.saturating_mul(space.f_frsize) })
}

/// A file that is linked twice, as a snapshot's are, is there once.
fn used_below(dir: &Path, seen: &mut BTreeSet<(u64, u64)>) -> Result<u64, StorageError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(StorageError::io("list", dir))?,
    };
    let mut used = 0;
    for entry in entries {
        let entry = entry.map_err(StorageError::io("list", dir))?;
        let path = entry.path();
        // Of the entry itself, not of what a link points to.
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata.map_err(StorageError::io("read", &path))?,
        };
        if metadata.is_dir() {
            used += used_below(&path, seen)?;
        } else if seen.insert((metadata.dev(), metadata.ino())) {
            used += metadata.blocks() * STAT_BLOCK_BYTES;
        }
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_once_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        let empty = disk_use(dir.path()).unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), vec![1; 1 << 20]).unwrap();
        fs::File::open(dir.path().join("a/b/file")).unwrap().sync_all().unwrap();
        fs::hard_link(dir.path().join("a/b/file"), dir.path().join("a/link")).unwrap();
        let used = disk_use(dir.path()).unwrap();
        assert!((1 << 20..3 << 19).contains(&(used.used_bytes - empty.used_bytes)), "{used:?}");
        assert!(used.free_bytes > 0);
        assert_eq!(
            disk_use(&dir.path().join("absent")).unwrap_err().to_string(),
            format!("cannot measure {}/absent", dir.path().display())
        );
    }
}
