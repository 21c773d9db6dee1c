//! Reading a backup: as a stranger, who can tell whether it is whole, or with the root key, row by row.

use std::io::Read;

use claviger_barrier::{Barrier, Keyring, RootKey};
use claviger_state::{Table, check_row};
use sha2::{Digest, Sha256};

use crate::contents::{Parser, Part};
use crate::frames::{ContentReader, FrameReader};
use crate::hashing::HashingReader;
use crate::{BackupError, Footer, Header, Manifest, PURPOSE, header, secrets};

/// A backup whose header has been read.
pub struct Archive<R> {
    input: HashingReader<R>,
    header: Header,
}

/// A backup whose keyring has been opened.
pub struct OpenArchive<R> {
    contents: ContentReader<R>,
    header: Header,
    barrier: Barrier,
}

impl<R: Read> Archive<R> {
    /// Reads the header. Give it a buffered reader.
    ///
    /// # Errors
    /// When it is no backup, or not one of this format.
    pub fn begin(input: R) -> Result<Self, BackupError> {
        let mut input = HashingReader::new(input);
        let header = header::read(&mut input)?;
        Ok(Self { input, header })
    }

    /// What the backup says of itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Reads to the end and checks that nothing is missing, damaged or too much. Without the root key nobody can tell
    /// whether it was made by whom it says, nor whether it opens.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(self) -> Result<Footer, BackupError> {
        let mut frames = FrameReader::new(self.input);
        let mut piece = Vec::new();
        while !frames.next(&mut piece)? {}
        frames.finish()
    }

    /// Opens the keyring with the root key of the backup's day.
    ///
    /// # Errors
    /// [`BackupError::RootKey`] when it does not open.
    pub fn unseal(self, root_key: &RootKey) -> Result<OpenArchive<R>, BackupError> {
        let Self { input, header } = self;
        let keyring = Keyring::unseal(&header.keyring, root_key).map_err(BackupError::RootKey)?;
        if *keyring.barrier_id() != header.barrier_id {
            return Err(BackupError::OtherRegion);
        }
        let barrier = Barrier::new(keyring);
        let opener = barrier.open_stream(PURPOSE, &header.stream, &input.sha256()).map_err(BackupError::Seal)?;
        Ok(OpenArchive { contents: ContentReader::new(FrameReader::new(input), opener), header, barrier })
    }
}

impl<R: Read> OpenArchive<R> {
    /// What the backup says of itself; sealed with the rest, once a row has been read.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Gives every row to `visit`, table by table and in order, each once it is known that this version reads it and that
    /// its secrets open. Only when this returns is it known that the backup is whole: until then keep nothing of it.
    ///
    /// # Errors
    /// The first thing that is wrong, or what `visit` returns.
    pub fn rows<E: From<BackupError>>(self, mut visit: impl FnMut(Table, &[u8], &[u8]) -> Result<(), E>) -> Result<(Manifest, Footer), E> {
        let Self { mut contents, header, barrier } = self;
        let mut parser = Parser::default();
        loop {
            match parser.next(&mut contents)? {
                Part::Row(table) => {
                    let (row, record) = (&parser.row, &parser.record);
                    check_row(table, row, record).map_err(BackupError::Record)?;
                    secrets::check(&barrier, &header, (table, row), record)?;
                    visit(table, row, record)?;
                }
                Part::End(manifest, encoded) => {
                    let footer = contents.finish()?;
                    let expected = Footer { manifest_sha256: Sha256::digest(encoded).into(), rows: manifest.rows() };
                    return if footer == expected { Ok((manifest, footer)) } else { Err(BackupError::Checksum.into()) };
                }
            }
        }
    }
}
