//! Frames: the sealed contents in pieces of 1 MiB, and the footer behind them.

use std::io::{Read, Write};

use claviger_barrier::{STREAM_TAG_BYTES, StreamOpener, StreamSealer};

use crate::hashing::{HashingReader, HashingWriter};
use crate::{BackupError, FRAME_BYTES};

const MORE: u8 = 0;
const LAST: u8 = 1;

/// What stands at the end of a backup in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Names the backup: the hash of its manifest, which has the hashes of all tables.
    pub manifest_sha256: [u8; 32],
    /// Rows of all tables.
    pub rows: u64,
}

/// Takes contents and writes frames.
pub(crate) struct FrameWriter<W> {
    out: HashingWriter<W>,
    sealer: StreamSealer,
    piece: Vec<u8>,
}

impl<W: Write> FrameWriter<W> {
    pub(crate) fn new(out: HashingWriter<W>, sealer: StreamSealer) -> Self {
        Self { out, sealer, piece: Vec::with_capacity(FRAME_BYTES + STREAM_TAG_BYTES) }
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        while !bytes.is_empty() {
            // A full frame waits for the byte after it: it may be the last.
            if self.piece.len() == FRAME_BYTES {
                self.flush(MORE)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(FRAME_BYTES - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn flush(&mut self, kind: u8) -> Result<(), BackupError> {
        self.sealer.seal(&mut self.piece, kind == LAST).map_err(BackupError::Seal)?;
        let length = u32::try_from(self.piece.len()).map_err(|_| BackupError::Malformed("a frame is too large"))?;
        self.out.write(&[kind])?;
        self.out.write(&length.to_be_bytes())?;
        self.out.write(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self, footer: &Footer) -> Result<(), BackupError> {
        self.flush(LAST)?;
        self.out.write(&footer.manifest_sha256)?;
        self.out.write(&footer.rows.to_be_bytes())?;
        self.out.finish()
    }
}

/// Reads frames, and what is behind them.
pub(crate) struct FrameReader<R>(HashingReader<R>);

impl<R: Read> FrameReader<R> {
    pub(crate) const fn new(input: HashingReader<R>) -> Self {
        Self(input)
    }

    /// Puts the next frame, sealed, into `piece`, and says whether it is the last.
    pub(crate) fn next(&mut self, piece: &mut Vec<u8>) -> Result<bool, BackupError> {
        let [kind] = self.0.read_array()?;
        let length = u32::from_be_bytes(self.0.read_array()?) as usize;
        let full = FRAME_BYTES + STREAM_TAG_BYTES;
        let is_last = match kind {
            MORE if length == full => false,
            LAST if (STREAM_TAG_BYTES..=full).contains(&length) => true,
            _ => return Err(BackupError::Malformed("a frame has no such kind and length")),
        };
        piece.clear();
        piece.resize(length, 0);
        self.0.read(piece)?;
        Ok(is_last)
    }

    /// After the last frame.
    pub(crate) fn finish(mut self) -> Result<Footer, BackupError> {
        let footer = Footer { manifest_sha256: self.0.read_array()?, rows: u64::from_be_bytes(self.0.read_array()?) };
        self.0.finish()?;
        Ok(footer)
    }
}

/// The contents as they were before they were sealed.
pub(crate) struct ContentReader<R> {
    frames: FrameReader<R>,
    opener: StreamOpener,
    piece: Vec<u8>,
    at: usize,
    opened: u64,
    ended: bool,
}

impl<R: Read> ContentReader<R> {
    pub(crate) const fn new(frames: FrameReader<R>, opener: StreamOpener) -> Self {
        Self { frames, opener, piece: Vec::new(), at: 0, opened: 0, ended: false }
    }

    /// Fills `bytes`.
    pub(crate) fn read(&mut self, mut bytes: &mut [u8]) -> Result<(), BackupError> {
        while !bytes.is_empty() {
            if self.at == self.piece.len() {
                self.next_frame()?;
            }
            let count = bytes.len().min(self.piece.len() - self.at);
            let (now, later) = bytes.split_at_mut(count);
            now.copy_from_slice(&self.piece[self.at..self.at + count]);
            self.at += count;
            bytes = later;
        }
        Ok(())
    }

    pub(crate) fn read_array<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    fn next_frame(&mut self) -> Result<(), BackupError> {
        if self.ended {
            return Err(BackupError::Malformed("the contents end early"));
        }
        self.ended = self.frames.next(&mut self.piece)?;
        let frame = self.opened;
        self.opener.open(&mut self.piece, self.ended).map_err(|source| BackupError::Frame { frame, source })?;
        self.opened += 1;
        self.at = 0;
        Ok(())
    }

    /// After the contents' own end.
    pub(crate) fn finish(self) -> Result<Footer, BackupError> {
        if !self.ended || self.at != self.piece.len() {
            return Err(BackupError::Malformed("something follows the manifest"));
        }
        self.frames.finish()
    }
}
