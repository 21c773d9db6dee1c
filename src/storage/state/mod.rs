//! The state machine's tables on the disk.
//!
//! A commit is one write batch without a write-ahead log: the Raft log is the truth. All column families, the Raft
//! metadata among them, reach the disk together (atomic flush), so what a crash leaves is the state at one earlier point
//! of the log. The log may be purged only below [`StateStore::durable_meta`]. One directory, a *generation*, is in use;
//! installing a snapshot makes a new one beside it and switches.

#[cfg(test)]
mod crash_tests;
mod engine;
#[cfg(test)]
mod equivalence_tests;
mod generation;
mod import;
#[cfg(test)]
mod import_tests;
mod install;
mod memory;
mod rocks;
mod rows;
mod store;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use engine::Backing;
pub use import::StateImport;
#[cfg(test)]
pub(crate) use install::fill as install_files;
pub use rows::StateSnapshot;
pub use store::StateStore;

/// The column family of the caller's metadata: what it has applied, its membership.
const META_FAMILY: &str = "raft-meta";
