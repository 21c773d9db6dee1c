//! A backup on its way into a file, which is there whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use claviger_backup::Archive;

const BUFFER_BYTES: usize = 1 << 20;

/// A file beside its place; removed unless it is put there.
pub(super) struct PartialFile {
    out: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    placed: bool,
}

impl PartialFile {
    /// Begins the file that is to stand at `out`, for this user alone.
    pub(super) fn begin(out: &Path) -> anyhow::Result<Self> {
        refuse_existing(out)?;
        let mut partial = out.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let failed = || format!("{} cannot be written", partial.display());
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&partial).with_context(failed)?;
        // What another command left behind is taken over; what one is writing is not.
        file.try_lock().with_context(|| format!("another command writes to {}", partial.display()))?;
        file.set_len(0).and_then(|()| file.set_permissions(Permissions::from_mode(0o600))).with_context(failed)?;
        Ok(Self { out: out.to_owned(), partial, file: BufWriter::with_capacity(BUFFER_BYTES, file), placed: false })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| format!("{} cannot be written", self.partial.display()))
    }

    /// The file so far, on the disk, for reading.
    pub(super) fn sync(&mut self) -> anyhow::Result<&Path> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.with_context(|| format!("{} cannot be written", self.partial.display()))?;
        Ok(&self.partial)
    }

    /// Puts the synced file in its place.
    pub(super) fn place(mut self) -> anyhow::Result<()> {
        refuse_existing(&self.out)?;
        fs::rename(&self.partial, &self.out).with_context(|| format!("{} cannot be put in place", self.out.display()))?;
        self.placed = true;
        let parent = self.out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|parent| parent.sync_all()).with_context(|| format!("{} cannot be synced", parent.display()))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.placed {
            // What cannot be removed is taken over by the next command.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

fn refuse_existing(out: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(out) {
        Ok(_) => bail!("{} exists and is never overwritten: choose another name", out.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be looked at", out.display())),
    }
}

/// Opens a backup and reads its header.
pub(super) fn open(path: &Path) -> anyhow::Result<Archive<BufReader<File>>> {
    let named = || path.display().to_string();
    let file = File::open(path).with_context(named)?;
    Archive::begin(BufReader::with_capacity(BUFFER_BYTES, file)).with_context(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_and_private_or_not_there_and_none_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a.backup");
        let mut given_up = PartialFile::begin(&out).unwrap();
        given_up.write(b"half").unwrap();
        assert!(PartialFile::begin(&out).err().unwrap().to_string().contains("another command"));
        drop(given_up);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // Left behind by a command that was killed.
        fs::write(dir.path().join("a.backup.partial"), b"more than what is written now").unwrap();
        let mut file = PartialFile::begin(&out).unwrap();
        file.write(b"whole").unwrap();
        assert_eq!(fs::read(file.sync().unwrap()).unwrap(), b"whole");
        assert!(!out.exists());
        file.place().unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"whole");
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777 & !0o600, 0);
        assert!(PartialFile::begin(&out).err().unwrap().to_string().contains("never overwritten"));
        assert_eq!(fs::read(&out).unwrap(), b"whole");
    }
}
