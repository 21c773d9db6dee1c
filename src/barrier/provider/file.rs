//! The `file` provider: the root key in a file of its own, for its owner's eyes alone, or in a systemd credential.
//!
//! The file is text, two lines, so that a wrong file is told from a wrong key:
//!
//! ```text
//! claviger root key v1
//! <64 lower-case hexadecimal digits>
//! ```
//!
//! systemd opens a credential to a service's user with an access control list, whose mask stat shows as group read
//! permission (mode 0440): that bit alone is allowed, and only inside `$CREDENTIALS_DIRECTORY`.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{env, fs};

use claviger_crypto::Secret32;
use zeroize::Zeroizing;

use crate::{BarrierError, RootKey};

const HEADING: &[u8] = b"claviger root key v1\n";
const DIGITS: usize = 64;
const FILE_BYTES: usize = HEADING.len() + DIGITS + 1;
const GROUP_READ: u32 = 0o040;

/// Reads and makes root key files.
pub struct FileProvider;

impl FileProvider {
    /// Makes a root key and writes it to a new file of mode 0600; file and directory are synced before this returns.
    ///
    /// # Errors
    /// [`BarrierError::RootKeyExists`] when there is anything at `path`; [`BarrierError::RootKeyFile`] when it cannot be written,
    /// and then nothing is left there.
    pub fn create(path: &Path) -> Result<RootKey, BarrierError> {
        let failed = |source| BarrierError::RootKeyFile { action: "write", path: path.to_owned(), source };
        let secret = Secret32::random()?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => BarrierError::RootKeyExists { path: path.to_owned() },
            _ => failed(source),
        })?;
        write(&mut file, &secret).and_then(|()| sync_parent(path)).map_err(|source| {
            let _ = fs::remove_file(path);
            failed(source)
        })?;
        Ok(RootKey::from_secret(secret))
    }

    /// Reads a root key file or a systemd credential.
    ///
    /// # Errors
    /// [`BarrierError::RootKeyMode`] when others than the owner have any permission on it, [`BarrierError::RootKeyFormat`] when it
    /// is something else, [`BarrierError::RootKeyFile`] when it cannot be read.
    pub fn load(path: &Path) -> Result<RootKey, BarrierError> {
        load(path, env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).as_deref())
    }
}

fn load(path: &Path, credentials: Option<&Path>) -> Result<RootKey, BarrierError> {
    let failed = |source| BarrierError::RootKeyFile { action: "read", path: path.to_owned(), source };
    let format = |reason| BarrierError::RootKeyFormat { path: path.to_owned(), reason };
    // What is checked is the open file, so it cannot be exchanged in between. Opening a pipe must not wait for a writer.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(format("it is not a regular file"));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    let allowed = if is_credential(path, credentials) { GROUP_READ } else { 0 };
    if mode & 0o077 & !allowed != 0 {
        return Err(BarrierError::RootKeyMode { path: path.to_owned(), mode });
    }
    if metadata.len() != FILE_BYTES as u64 {
        return Err(format("it does not have the 86 bytes of a root key file"));
    }
    let mut text = Zeroizing::new([0_u8; FILE_BYTES]);
    file.read_exact(text.as_mut_slice()).map_err(failed)?;
    let digits = text
        .strip_prefix(HEADING)
        .and_then(|rest| rest.strip_suffix(b"\n"))
        .ok_or_else(|| format("it does not begin with the line `claviger root key v1`"))?;
    let secret = Secret32::try_new_with(|slot| {
        hex::decode_to_slice(digits, slot).map_err(|_| format("its second line is not 64 hexadecimal digits"))
    })?;
    Ok(RootKey::from_secret(secret))
}

fn write(file: &mut File, secret: &Secret32) -> io::Result<()> {
    // Some file systems ignore the mode at creation.
    file.set_permissions(Permissions::from_mode(0o600))?;
    let mut text = Zeroizing::new([b'\n'; FILE_BYTES]);
    text[..HEADING.len()].copy_from_slice(HEADING);
    hex::encode_to_slice(secret.expose(), &mut text[HEADING.len()..FILE_BYTES - 1]).map_err(io::Error::other)?;
    file.write_all(text.as_slice())?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

fn is_credential(path: &Path, credentials: Option<&Path>) -> bool {
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    let credentials = credentials.and_then(|directory| directory.canonicalize().ok());
    parent.is_some() && parent == credentials
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_was_created_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        let created = FileProvider::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(FileProvider::load(&path).unwrap().secret().expose(), created.secret().expose());
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("claviger root key v1\n{}\n", hex::encode(created.secret().expose())));
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(FileProvider::create(&path), Err(BarrierError::RootKeyExists { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let missing = directory.path().join("missing").join("root.key");
        assert!(matches!(FileProvider::create(&missing), Err(BarrierError::RootKeyFile { action: "write", .. })));
    }

    #[test]
    fn a_file_that_others_may_use_is_refused_with_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        FileProvider::create(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o610, 0o601, 0o644, 0o777] {
            set_mode(&path, mode);
            let Err(error @ BarrierError::RootKeyMode { .. }) = FileProvider::load(&path) else { panic!("mode {mode:o} was accepted") };
            assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
            assert!(error.to_string().contains(&format!("mode 0{mode:o}")), "{error}");
        }
        for mode in [0o400, 0o600] {
            set_mode(&path, mode);
            assert!(FileProvider::load(&path).is_ok());
        }
    }

    #[test]
    fn a_systemd_credential_may_show_group_read_and_no_more() {
        let (credentials, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = credentials.path().join("claviger-root-key");
        FileProvider::create(&path).unwrap();
        set_mode(&path, 0o440);
        assert!(load(&path, Some(credentials.path())).is_ok());
        assert!(matches!(load(&path, Some(elsewhere.path())), Err(BarrierError::RootKeyMode { .. })));
        assert!(matches!(load(&path, None), Err(BarrierError::RootKeyMode { .. })));
        for mode in [0o444, 0o460, 0o441] {
            set_mode(&path, mode);
            assert!(matches!(load(&path, Some(credentials.path())), Err(BarrierError::RootKeyMode { .. })));
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        let digits = "0".repeat(DIGITS);
        let bad = [
            String::new(),
            digits.clone(),
            format!("claviger root key v2\n{digits}\n"),
            format!("claviger root key v1\n{digits}\n\n"),
            format!("claviger root key v1\n{}g\n", &digits[1..]),
            format!("claviger root key v1\n{digits} "),
        ];
        for text in bad {
            fs::write(&path, &text).unwrap();
            set_mode(&path, 0o600);
            assert!(matches!(FileProvider::load(&path), Err(BarrierError::RootKeyFormat { .. })), "{text:?}");
        }
        set_mode(directory.path(), 0o700);
        assert!(matches!(FileProvider::load(directory.path()), Err(BarrierError::RootKeyFormat { .. })));
        let missing = FileProvider::load(&directory.path().join("missing"));
        assert!(matches!(missing, Err(BarrierError::RootKeyFile { action: "read", .. })));
    }
}
