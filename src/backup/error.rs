//! Why a backup cannot be made, or a file is not a backup that can be used.

use std::io;

use claviger_barrier::BarrierError;
use claviger_state::StateError;
use claviger_types::encoding::EncodingError;

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file, or where it is written to, failed.
    #[error("the backup cannot be {doing}")]
    Io {
        /// What was tried: "read", "written".
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// It is something else.
    #[error("this is not a Claviger backup")]
    NotABackup,
    /// It was written in another format.
    #[error("the backup has format {0}, this version reads 1: use the version that wrote it")]
    Format(u8),
    /// The file ends early.
    #[error("the backup is cut off after {0} bytes")]
    Truncated(u64),
    /// Something follows the end.
    #[error("something follows the end of the backup")]
    Trailing,
    /// The hash at the end is not that of the bytes before it.
    #[error("the backup is damaged: its bytes do not have the hash that stands at its end")]
    Checksum,
    /// A part is not of its form.
    #[error("the backup is malformed: {0}")]
    Malformed(&'static str),
    /// A part does not decode.
    #[error("the backup's {what} does not decode")]
    Decode {
        /// Which part.
        what: &'static str,
        /// Why.
        source: EncodingError,
    },
    /// A part does not encode.
    #[error("the backup's {what} does not encode")]
    Encode {
        /// Which part.
        what: &'static str,
        /// Why.
        source: EncodingError,
    },
    /// The keyring does not open.
    #[error("the backup's keyring does not open with this root key: a backup opens with the root key of its day, if it is undamaged")]
    RootKey(#[source] BarrierError),
    /// A frame was changed, or belongs elsewhere.
    #[error("frame {frame} of the backup was changed, or belongs to another backup")]
    Frame {
        /// Its number, from 0.
        frame: u64,
        /// What the barrier says.
        source: BarrierError,
    },
    /// The contents could not be sealed.
    #[error("the backup cannot be sealed")]
    Seal(#[source] BarrierError),
    /// A table that this version does not know.
    #[error("the backup has a table {0:?}, which this version does not know: use the version that wrote it, or a later one")]
    UnknownTable(String),
    /// A table does not have what the manifest says.
    #[error("the backup's table {0} is not what its manifest says")]
    Manifest(String),
    /// The header says one thing and the sealed contents another.
    #[error("the backup's header does not describe its contents")]
    OtherRegion,
    /// A secret does not open in its place.
    #[error("a secret of table {table} at row {row} does not open")]
    Secret {
        /// The table.
        table: &'static str,
        /// The row, in hexadecimal.
        row: String,
        /// What the barrier says.
        source: BarrierError,
    },
    /// A record is not one that this version reads.
    #[error("the backup holds what this version does not read")]
    Record(#[source] StateError),
    /// The tables that were to be backed up cannot be read.
    #[error("the state cannot be read")]
    State(#[source] StateError),
    /// There is no region to back up.
    #[error("there is no region here yet")]
    NotFounded,
}
