//! The canonical bytes that are hashed: a label, then every part behind its length as u64, big-endian.
//!
//! Unambiguous: no two different sequences of parts, and no two uses with different labels, give the same bytes.

use sha2::Digest;

/// Hashes parts as they come.
pub(super) struct Transcript<D>(D);

impl<D: Digest> Transcript<D> {
    pub(super) fn new(label: &str) -> Self {
        Self(D::new()).part(label.as_bytes())
    }

    pub(super) fn part(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    pub(super) fn finish(self) -> sha2::digest::Output<D> {
        self.0.finalize()
    }
}
