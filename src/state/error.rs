//! Why the state machine cannot go on. A refusal of a command is not among these: see [`crate::Refusal`].

use claviger_types::encoding::EncodingError;

use crate::Table;

/// A fault of the node, not of the command: the node must stop rather than guess.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A stored record does not decode.
    #[error("corrupt record in table {} at row {row}", .table.name())]
    Corrupt {
        /// The table.
        table: Table,
        /// The row, in hexadecimal.
        row: String,
        /// What is wrong with it.
        source: EncodingError,
    },
    /// A row's key is not of its table's form.
    #[error("corrupt row {row} in table {}", .table.name())]
    CorruptRow {
        /// The table.
        table: Table,
        /// The row, in hexadecimal.
        row: String,
    },
    /// A record cannot be encoded.
    #[error("a record for table {} does not encode", .table.name())]
    Encode {
        /// The table.
        table: Table,
        /// Why.
        source: EncodingError,
    },
    /// The tables cannot be read.
    #[error("the tables cannot be read")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StateError {
    pub(crate) fn corrupt_row(table: Table, row: &[u8]) -> Self {
        Self::CorruptRow { table, row: hex::encode(row) }
    }
}
