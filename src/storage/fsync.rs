//! Files that are whole or absent after a crash: written beside, synced, renamed, and their directory synced.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::StorageError;

/// Creates a directory for this user alone, and what is missing above it.
pub(crate) fn create_dir(path: &Path) -> Result<(), StorageError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StorageError::io("create", path))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), StorageError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(StorageError::io("sync", path))
}

/// Replaces `dir/name` by a file of these bytes: after a crash there is the old file or the new one.
pub(crate) fn replace_file(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
    let beside = dir.join(format!("{name}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(StorageError::io("create", &beside))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StorageError::io("write", &beside))?;
    rename(&beside, &dir.join(name))?;
    sync_dir(dir)
}

/// Renames; both are in directories that the caller syncs.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StorageError> {
    fs::rename(from, to).map_err(StorageError::io("rename", from))
}

/// Removes a directory with all that is in it, if it is there.
pub(crate) fn remove_dir(path: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.map_err(StorageError::io("remove", path)),
    }
}

/// The text of a small file; `None` when it is not there.
pub(crate) fn read_small(path: &Path) -> Result<Option<String>, StorageError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("read", path)(error)),
    }
}

/// Names in a directory, sorted. Names that are not UTF-8 come out with replacement characters: none of ours is such.
pub(crate) fn names(path: &Path) -> Result<Vec<String>, StorageError> {
    let fault = StorageError::io("list", path);
    let names = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<Vec<_>, _>>());
    let mut names = names.map_err(fault)?;
    names.sort();
    Ok(names)
}
