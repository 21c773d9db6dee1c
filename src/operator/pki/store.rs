//! Files of a PKI: written whole or not at all, never overwritten unless that is asked for, keys never readable by others
//! at any moment.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rcgen::KeyPair;
use zeroize::Zeroizing;

use crate::PkiError;

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Its owner alone: keys.
    Owner,
    /// Everybody: certificates.
    Everybody,
}

/// Makes a directory (and its parents) that its owner alone may enter; one that exists keeps its mode.
pub(super) fn create_private_dir(dir: &Path) -> Result<(), PkiError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir, "cannot be created"))
}

/// Writes a file that does not exist yet, durably. False when it exists: then nothing is touched.
pub(super) fn create(path: &Path, bytes: &[u8], access: Access) -> Result<bool, PkiError> {
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    // A link fails where a rename would overwrite.
    match write_staged(path, bytes, access, |staged| fs::hard_link(staged, path)) {
        Err(PkiError::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        written => written.map(|()| true),
    }
}

/// Writes a file, durably, in the place of the one that is there, if any.
pub(super) fn replace(path: &Path, bytes: &[u8], access: Access) -> Result<(), PkiError> {
    write_staged(path, bytes, access, |staged| fs::rename(staged, path))
}

/// Waits until nobody else holds the lock of a file that exists. Dropping what is returned lets go of it.
pub(super) fn lock(path: &Path) -> Result<File, PkiError> {
    let file = File::open(path).map_err(failed(path, "cannot be opened"))?;
    file.lock().map_err(failed(path, "cannot be locked"))?;
    Ok(file)
}

/// Writes beside `path` and lets `place` move it there.
fn write_staged(path: &Path, bytes: &[u8], access: Access, place: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), PkiError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(PkiError::Invalid(format!("{} is not the path of a file", path.display())));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let staged = parent.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let mode = if access == Access::Owner { 0o600 } else { 0o644 };
    let written = write_synced(&staged, bytes, mode).and_then(|()| place(&staged)).and_then(|()| File::open(parent)?.sync_all());
    // Gone already if it was moved.
    let _ = fs::remove_file(&staged);
    written.map_err(failed(path, "cannot be written"))
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // A leftover of a killed process that had the same id.
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A file's text; none when it does not exist.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, PkiError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(path, "cannot be read")(e)),
    }
}

/// The private key in a file; none when the file does not exist. A key that others can read is refused.
pub(super) fn read_key(path: &Path) -> Result<Option<KeyPair>, PkiError> {
    let Some(pem) = read(path)? else { return Ok(None) };
    let mode = fs::metadata(path).map_err(failed(path, "cannot be read"))?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PkiError::KeyExposed { path: path.to_owned(), mode });
    }
    KeyPair::from_pem(&pem).map(Some).map_err(|_| PkiError::Unusable { path: path.to_owned(), what: "private key" })
}

/// The private key in a file, made if there is none yet. Says whether it was made.
pub(super) fn read_or_create_key(path: &Path) -> Result<(KeyPair, bool), PkiError> {
    if let Some(key) = read_key(path)? {
        return Ok((key, false));
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(PkiError::Issue)?;
    if create(path, Zeroizing::new(key.serialize_pem()).as_bytes(), Access::Owner)? {
        return Ok((key, true));
    }
    // Somebody else made it in this moment.
    let difference = "it was created by somebody else just now";
    Ok((read_key(path)?.ok_or_else(|| PkiError::Different { path: path.to_owned(), difference })?, false))
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> PkiError {
    let path = path.to_owned();
    move |source| PkiError::File { path, what, source }
}
