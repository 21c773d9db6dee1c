//! The manifest: what every table holds, counted and hashed.

use claviger_state::Table;
use claviger_types::encoding;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::BackupError;

const SCHEMA: u8 = 1;

/// One table of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its rows and records.
    pub bytes: u64,
    /// SHA-256 of all of them, each behind its length.
    pub sha256: [u8; 32],
}

/// All tables of a backup, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Every table that the program knew, also those without rows.
    pub tables: Vec<TableSum>,
}

impl Manifest {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Rows of one table.
    pub fn rows_of(&self, table: Table) -> u64 {
        self.tables.iter().filter(|sum| sum.name == table.name()).map(|sum| sum.rows).sum()
    }

    /// Bytes of all tables.
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.bytes).sum()
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, BackupError> {
        encoding::encode(SCHEMA, self).map_err(|source| BackupError::Encode { what: "manifest", source })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BackupError> {
        encoding::decode(SCHEMA, bytes).map_err(|source| BackupError::Decode { what: "manifest", source })
    }
}

/// A manifest in the making, by whoever writes or reads the rows.
#[derive(Default)]
pub(crate) struct Sums {
    done: Manifest,
    open: Option<(TableSum, Sha256)>,
}

impl Sums {
    pub(crate) fn begin(&mut self, table: Table) {
        self.close();
        let sum = TableSum { name: table.name().to_owned(), rows: 0, bytes: 0, sha256: [0; 32] };
        self.open = Some((sum, Sha256::new()));
    }

    /// Counts a row by its parts as they are written.
    pub(crate) fn row(&mut self, parts: [&[u8]; 4]) {
        if let Some((sum, hasher)) = &mut self.open {
            sum.rows += 1;
            sum.bytes += (parts[1].len() + parts[3].len()) as u64;
            parts.iter().for_each(|part| hasher.update(part));
        }
    }

    fn close(&mut self) {
        if let Some((sum, hasher)) = self.open.take() {
            self.done.tables.push(TableSum { sha256: hasher.finalize().into(), ..sum });
        }
    }

    pub(crate) fn finish(mut self) -> Manifest {
        self.close();
        self.done
    }
}
