//! Snapshots of the state on the disk: a RocksDB checkpoint with a manifest that is written last.
//!
//! They are read and written in chunks, never held whole in memory. What comes from another node is checked against its
//! manifest, name by name, size by size, hash by hash, before it may be installed.

mod dir;
mod manifest;
mod receiver;
#[cfg(test)]
mod tests;

pub use dir::SnapshotDir;
pub(crate) use dir::Snapshots;
pub use manifest::SnapshotFile;
pub use receiver::SnapshotReceiver;

/// Largest chunk of a snapshot that is read or written at once, in bytes.
pub const SNAPSHOT_CHUNK_BYTES_MAX: usize = 4 << 20;
