//! The header: what is said of a backup in clear, so that it can be found and opened.

use std::io::{Read, Write};

use claviger_barrier::StreamSeed;
use claviger_types::encoding;
use claviger_types::{ClusterId, Incarnation, Partition, Region, Sealed, Timestamp, TrustDomain};
use serde::{Deserialize, Serialize};

use crate::BackupError;
use crate::hashing::{HashingReader, HashingWriter};

const MAGIC: &[u8; 16] = b"claviger backup\n";
const FORMAT: u8 = 1;
const SCHEMA: u8 = 1;
/// A keyring of as many terms as it may have, twice.
const HEADER_BYTES_MAX: usize = 4 << 20;

/// Whose backup it is, and of when. Without the root key nobody vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The region.
    pub region: Region,
    /// The partition of its ARNs.
    pub partition: Partition,
    /// The trust domain of its certificates.
    pub trust_domain: TrustDomain,
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Its barrier.
    pub barrier_id: [u8; 16],
    /// When the backup was made, by the clock of the node that made it.
    pub created_at: Timestamp,
    /// The last entry of the region's log that is in it.
    pub applied_index: u64,
    /// The version of the program that made it.
    pub program: String,
    /// The barrier's keyring, sealed by the root key of that day.
    pub keyring: Sealed,
    pub(crate) stream: StreamSeed,
}

impl Header {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, BackupError> {
        encoding::encode(SCHEMA, self).map_err(|source| BackupError::Encode { what: "header", source })
    }
}

pub(crate) fn write<W: Write>(out: &mut HashingWriter<W>, encoded: &[u8]) -> Result<(), BackupError> {
    out.write(&prefix(encoded)?)?;
    out.write(encoded)
}

/// Everything before the header.
fn prefix(encoded: &[u8]) -> Result<Vec<u8>, BackupError> {
    let length = u32::try_from(encoded.len()).ok().filter(|length| *length as usize <= HEADER_BYTES_MAX);
    let length = length.ok_or(BackupError::Malformed("the header is too large"))?;
    Ok([MAGIC.as_slice(), &[FORMAT], &length.to_be_bytes()].concat())
}

/// Reads a file up to its first frame.
pub(crate) fn read<R: Read>(input: &mut HashingReader<R>) -> Result<Header, BackupError> {
    let magic: [u8; 16] = input.read_array().map_err(|error| match error {
        BackupError::Truncated(_) => BackupError::NotABackup,
        other => other,
    })?;
    if magic != *MAGIC {
        return Err(BackupError::NotABackup);
    }
    let [format] = input.read_array()?;
    if format != FORMAT {
        return Err(BackupError::Format(format));
    }
    let length = u32::from_be_bytes(input.read_array()?) as usize;
    if length > HEADER_BYTES_MAX {
        return Err(BackupError::Malformed("the header is too large"));
    }
    let mut encoded = vec![0; length];
    input.read(&mut encoded)?;
    encoding::decode(SCHEMA, &encoded).map_err(|source| BackupError::Decode { what: "header", source })
}
