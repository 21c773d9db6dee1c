//! What a node keeps on its disk: the Raft log and the state machine's tables, each in a RocksDB of its own.
//!
//! Two databases, because a snapshot of the state must carry neither log nor vote. The log is the truth: its writes are
//! synced before anybody is told ([`LogStore`]). The state may lose its newest suffix in a crash, never a middle, and is
//! made again from the log ([`StateStore`]). This crate deals in bytes and tables: it knows nothing of openraft, seals
//! nothing and never decides what a record means. A failed write stops the store for good: nothing is tried twice.

#[cfg(test)]
mod child_process;
mod database;
mod directory;
mod disk;
#[cfg(test)]
mod erase_tests;
mod error;
mod fsync;
mod local;
mod log;
mod options;
mod snapshot;
mod state;
mod storage;

pub use disk::DiskUse;
pub use error::StorageError;
pub use local::{LocalIdentity, LocalStore};
pub use log::{Done, LogStore, SimulatedBatch, SimulatedDisk, SimulatedWriter};
pub use options::StorageOptions;
pub use snapshot::{SNAPSHOT_CHUNK_BYTES_MAX, SnapshotDir, SnapshotFile, SnapshotReceiver};
pub use state::{StateImport, StateSnapshot, StateStore};
pub use storage::Storage;
