//! Why the storage cannot go on. Every variant names the place; those that an operator can mend name the remedy.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use claviger_state::StateError;
use claviger_types::encoding::EncodingError;

/// A fault of the disk, of what is on it, or of how it is used. Cloned to every caller once a store has stopped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// A file operation failed.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// Another process uses the data directory.
    #[error("the data directory {} is in use by another process: stop that one, or give this node a directory of its own", .0.display())]
    Locked(PathBuf),
    /// The directory holds something else.
    #[error("{} is not empty and not a Claviger data directory: name an empty directory or a Claviger one", .0.display())]
    NotClaviger(PathBuf),
    /// The directory was written by another version of Claviger.
    #[error("the data directory {} has format {found:?}, this build reads {expected:?}: run the version that wrote it", .path.display())]
    Format {
        /// The data directory.
        path: PathBuf,
        /// What its FORMAT file says.
        found: String,
        /// What this build reads.
        expected: &'static str,
    },
    /// Something that must be in the data directory is missing or malformed.
    #[error("{} is damaged: {reason}; restore the directory, or let the node join its region anew under a new id on an empty one", .path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// RocksDB failed.
    #[error("the database {} failed to {doing}", .path.display())]
    Database {
        /// What was tried.
        doing: &'static str,
        /// The database's directory.
        path: PathBuf,
        /// What RocksDB says.
        source: rocksdb::Error,
    },
    /// RocksDB found damage at a row, or no database can have held what is there.
    #[error("corruption in table {table} at row {row}: {reason}")]
    Corrupt {
        /// The column family.
        table: &'static str,
        /// The row, in hexadecimal; where a scan was, for a scan.
        row: String,
        /// What is wrong.
        reason: String,
    },
    /// An entry of the log is missing.
    #[error("the log has a hole: entry {index} is missing between entries {first} and {last}")]
    LogHole {
        /// What is missing.
        index: u64,
        /// The log's first entry.
        first: u64,
        /// The log's last entry.
        last: u64,
    },
    /// An append would leave a hole in the log or overwrite an entry.
    #[error("entry {found} was appended where entry {expected} belongs")]
    NotContiguous {
        /// The index that belongs there.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// A record does not encode.
    #[error("the {what} does not encode")]
    Encode {
        /// Which record.
        what: &'static str,
        /// Why.
        source: Arc<EncodingError>,
    },
    /// The node's identity has been written before and differs.
    #[error("the data directory belongs to another node: its identity is written once")]
    IdentityTaken,
    /// A snapshot or a part of it is not acceptable; the present state is untouched.
    #[error("snapshot {name}: {reason}")]
    Snapshot {
        /// The snapshot.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store was closed.
    #[error("the store has been closed")]
    Closed,
}

impl StorageError {
    /// For `map_err`: an operation on a path failed.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source: Arc::new(source) }
    }

    /// For `map_err`: an operation on a database failed.
    pub(crate) fn database(doing: &'static str, path: &Path) -> impl FnOnce(rocksdb::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Database { doing, path, source }
    }

    /// For `map_err`: a read of a row failed. Damage is told from other faults.
    pub(crate) fn read(table: &'static str, row: &[u8], path: &Path) -> impl FnOnce(rocksdb::Error) -> Self {
        let (row, path) = (hex::encode(row), path.to_owned());
        move |source| match source.kind() {
            rocksdb::ErrorKind::Corruption => Self::Corrupt { table, row, reason: source.into_string() },
            _ => Self::Database { doing: "read", path, source },
        }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn snapshot(name: &str, reason: impl Into<String>) -> Self {
        Self::Snapshot { name: name.to_owned(), reason: reason.into() }
    }
}

impl From<StorageError> for StateError {
    fn from(error: StorageError) -> Self {
        Self::Storage(Box::new(error))
    }
}
