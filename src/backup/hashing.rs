//! Reading and writing with a running SHA-256 of all bytes that passed.

use std::io::{ErrorKind, Read, Write};

use sha2::{Digest, Sha256};

use crate::BackupError;

pub(crate) struct HashingWriter<W> {
    out: W,
    hasher: Sha256,
}

impl<W: Write> HashingWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, hasher: Sha256::new() }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.hasher.update(bytes);
        self.out.write_all(bytes).map_err(written)
    }

    /// The hash so far.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }

    /// Writes the hash of everything before, and all that waits in buffers.
    pub(crate) fn finish(mut self) -> Result<(), BackupError> {
        let sha256 = self.sha256();
        self.out.write_all(&sha256).and_then(|()| self.out.flush()).map_err(written)
    }
}

fn written(source: std::io::Error) -> BackupError {
    BackupError::Io { doing: "written", source }
}

pub(crate) struct HashingReader<R> {
    input: R,
    hasher: Sha256,
    passed: u64,
}

impl<R: Read> HashingReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, hasher: Sha256::new(), passed: 0 }
    }

    /// Fills `bytes`; an end before that is [`BackupError::Truncated`].
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        self.input.read_exact(bytes).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => BackupError::Truncated(self.passed),
            _ => BackupError::Io { doing: "read", source },
        })?;
        self.hasher.update(&*bytes);
        self.passed += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn read_array<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }

    /// Checks that the hash of everything before comes next, and then the end.
    pub(crate) fn finish(mut self) -> Result<(), BackupError> {
        let expected = self.sha256();
        if self.read_array()? != expected {
            return Err(BackupError::Checksum);
        }
        match self.input.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(BackupError::Trailing),
            Err(source) => Err(BackupError::Io { doing: "read", source }),
        }
    }
}
