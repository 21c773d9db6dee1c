//! Small files that hold secrets: mode 0600, replaced whole, their bytes wiped from memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::AgentError;

/// More than any such file needs; keeps a wrong path (a device, a disk image) from being read whole.
const BYTES_MAX: u64 = 1024 * 1024;

/// Reads a file that only its owner can read; none if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, AgentError> {
    let failed = |source| AgentError::File { what: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let facts = file.metadata().map_err(failed)?;
    if facts.mode() & 0o077 != 0 {
        return Err(AgentError::Exposed { path: path.to_owned(), mode: facts.mode() & 0o7777 });
    }
    // Room for the whole file at once: a growing buffer would leave copies behind that nobody wipes.
    let length = facts.len().min(BYTES_MAX);
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Replaces a file, or makes it, in one step. A file that is replaced keeps its owner, so that root can change what the
/// agent's own user must read.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), AgentError> {
    let failed = |source| AgentError::File { what: "written", path: path.to_owned(), source };
    let staged = staged_beside(path).map_err(failed)?;
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
        file.write_all(text.as_bytes())?;
        if let Ok(old) = fs::metadata(path) {
            let made = file.metadata()?;
            if (old.uid(), old.gid()) != (made.uid(), made.gid()) {
                chown(&staged, Some(old.uid()), Some(old.gid()))?;
            }
        }
        file.sync_all()?;
        fs::rename(&staged, path)
    })();
    if written.is_err() {
        // The first error is the one that matters.
        let _ = fs::remove_file(&staged);
    }
    written.map_err(failed)
}

/// Holds off whoever else changes files of this directory through this module, until the answer is dropped.
pub(crate) fn lock_directory(path: &Path) -> Result<File, AgentError> {
    let directory = directory_of(path);
    let failed = |source| AgentError::File { what: "locked", path: directory.to_owned(), source };
    let handle = File::open(directory).map_err(failed)?;
    handle.lock().map_err(failed)?;
    Ok(handle)
}

fn staged_beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(directory_of(path).join(format!(".{}.{}.new", name.to_string_lossy(), std::process::id())))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_private_whole_and_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets");
        assert!(read(&path).unwrap().is_none());
        for text in ["first", "second, longer"] {
            write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap().unwrap().as_str(), text);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        for mode in [0o640, 0o604] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains(&format!("{mode:04o}")), "{error}");
        }
        let nowhere = write(&dir.path().join("no/such/place"), "text").unwrap_err().to_string();
        assert!(nowhere.contains("no/such/place cannot be written"), "{nowhere}");
    }
}
