//! The Raft log on the disk: entries, vote, committed position and what was purged, as bytes.
//!
//! All writes go through one queue to one writer, a thread of its own, which carries out what has gathered in one synced write and
//! only then calls back, in order ([`writer`]). Reads see a write as soon as the call that made it has returned, whether
//! it has reached the disk or not: what has not is kept in memory ([`view`]). A write that fails stops the store: it and
//! every later call give the same error, and what is on the disk is what was called back, and possibly more.

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
mod disk;
mod rocks;
mod simulated;
#[cfg(test)]
mod simulated_tests;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod view;
mod writer;

pub(crate) use disk::LogDisk;
pub use simulated::{SimulatedBatch, SimulatedDisk, SimulatedWriter};
pub use store::LogStore;

use crate::StorageError;

/// Called once, when a write is on the disk or has failed. It runs on the writer thread: it must not block nor wait for
/// another write of the same store.
pub type Done = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

const ENTRIES_FAMILY: &str = "entries";
const RAFT_FAMILY: &str = "raft";
const VOTE_ROW: &[u8] = b"vote";
const COMMITTED_ROW: &[u8] = b"committed";
/// Index (8 bytes), then the caller's log id.
const PURGED_ROW: &[u8] = b"purged";
