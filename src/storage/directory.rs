//! The data directory: who may use it, whether it is one of ours, and its creation in a way that a crash cannot halve.
//!
//! ```text
//! LOCK       held while a process uses the directory
//! FORMAT     what this is; written last, so a directory without it was never in use
//! log/       the Raft log, the vote, and who this node is
//! state/     CURRENT names the one state-<n>/ in use
//! snapshots/ complete snapshots; CURRENT names the latest
//! partial/   snapshots on their way; emptied at every start
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::StorageError;
use crate::fsync::{create_dir, names, read_small, remove_dir, rename, replace_file, sync_dir};

const FORMAT: &str = "claviger data directory, format 1";
const FORMAT_FILE: &str = "FORMAT";
/// Stands while the directory is being created.
const NEW_FILE: &str = "NEW";
const NEW_UNFINISHED: &str = "NEW.new";
const LOCK_FILE: &str = "LOCK";
/// What an empty directory may hold: our lock, and what mkfs leaves in the root of a file system.
const IGNORED: [&str; 2] = [LOCK_FILE, "lost+found"];

/// A data directory that this process alone may use until the last handle is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Locks the directory and says whether it is new, in which case [`DataDir::finish`] must follow.
    pub(crate) fn open(path: &Path) -> Result<(Self, bool), StorageError> {
        create_dir(path)?;
        let lock_path = path.join(LOCK_FILE);
        let held = names(path)?;
        let ours = [FORMAT_FILE, NEW_FILE, NEW_UNFINISHED].iter().any(|name| held.iter().any(|held| held == name));
        if !ours && held.iter().any(|name| !IGNORED.contains(&name.as_str())) {
            return Err(StorageError::NotClaviger(path.to_owned()));
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(StorageError::io("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StorageError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(StorageError::io("lock", &lock_path)(error)),
        }
        let dir = Self { path: path.to_owned(), _lock: lock };
        let is_new = dir.begin()?;
        Ok((dir, is_new))
    }

    /// Under the lock: checks the format of a finished directory, or clears an unfinished one.
    fn begin(&self) -> Result<bool, StorageError> {
        if let Some(found) = read_small(&self.path.join(FORMAT_FILE))? {
            if found != FORMAT {
                return Err(StorageError::Format { path: self.path.clone(), found, expected: FORMAT });
            }
            remove_dir(&self.partial())?;
            create_dir(&self.partial())?;
            return Ok(false);
        }
        let unfinished = self.path.join(NEW_FILE).exists();
        let foreign = names(&self.path)?.iter().any(|name| !IGNORED.contains(&name.as_str()) && name != NEW_UNFINISHED);
        if foreign && !unfinished {
            return Err(StorageError::NotClaviger(self.path.clone()));
        }
        // Nothing in it was ever used: FORMAT is written last.
        replace_file(&self.path, NEW_FILE, FORMAT.as_bytes())?;
        for part in [self.log(), self.state(), self.snapshots(), self.partial()] {
            remove_dir(&part)?;
            create_dir(&part)?;
        }
        Ok(true)
    }

    /// The databases of a new directory are there: it is one of ours from now on.
    pub(crate) fn finish(&self) -> Result<(), StorageError> {
        for part in [self.log(), self.state(), self.snapshots(), self.partial()] {
            sync_dir(&part)?;
        }
        rename(&self.path.join(NEW_FILE), &self.path.join(FORMAT_FILE))?;
        sync_dir(&self.path)?;
        // The directory itself may be new in its parent.
        self.path.canonicalize().ok().as_deref().and_then(Path::parent).map_or(Ok(()), sync_dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    pub(crate) fn partial(&self) -> PathBuf {
        self.path.join("partial")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn new_then_known_and_private() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let (dir, is_new) = DataDir::open(&path).unwrap();
        assert!(is_new);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(DataDir::open(&path), Err(StorageError::Locked(_))));
        drop(dir);
        // It was never finished, so it is made anew.
        fs::write(path.join("log/rubbish"), b"x").unwrap();
        let (dir, is_new) = DataDir::open(&path).unwrap();
        assert!(is_new && !path.join("log/rubbish").exists());
        dir.finish().unwrap();
        drop(dir);
        fs::write(path.join("partial/rubbish"), b"x").unwrap();
        fs::write(path.join("log/entry"), b"x").unwrap();
        let (dir, is_new) = DataDir::open(&path).unwrap();
        assert!(!is_new && path.join("log/entry").exists() && !path.join("partial/rubbish").exists());
        drop(dir);
        fs::write(path.join(FORMAT_FILE), b"claviger data directory, format 9").unwrap();
        assert!(matches!(DataDir::open(&path), Err(StorageError::Format { .. })));
    }

    #[test]
    fn somebody_elses_directory_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), b"years of work").unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(error, StorageError::NotClaviger(_)), "{error}");
        assert_eq!(names(dir.path()).unwrap(), ["thesis.tex"]);
        // A LOCK of theirs does not make it ours.
        fs::write(dir.path().join(LOCK_FILE), b"").unwrap();
        assert!(matches!(DataDir::open(dir.path()), Err(StorageError::NotClaviger(_))));
        assert!(dir.path().join("thesis.tex").exists());
    }
}
