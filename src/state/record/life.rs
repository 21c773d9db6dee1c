//! Records of a key's life: imports, deletion, last use, and what falls due.

use claviger_types::{KeyId, MaterialId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Record, Table};

/// A material of an EXTERNAL key, as this region has it (rule 9: bytes and expiry are regional).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Whether its bytes are here.
    pub is_present: bool,
    /// When it expires; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// What its importer calls it.
    pub description: Option<String>,
}

/// A deletion that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Not before this.
    pub at: Timestamp,
}

/// The operations whose use of a key is recorded (AWS: KeyLastUsageTrackingOperation). Variants are appended, never reordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the operation of its name")]
pub enum UsageOperation {
    Decrypt,
    DeriveSharedSecret,
    Encrypt,
    GenerateDataKey,
    GenerateDataKeyPair,
    GenerateDataKeyPairWithoutPlaintext,
    GenerateDataKeyWithoutPlaintext,
    GenerateMac,
    ReEncrypt,
    Sign,
    Verify,
    VerifyMac,
}

/// The last successful use of a key in this region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUsageRecord {
    /// What was done.
    pub operation: UsageOperation,
    /// When, by log time as the node that did it knew it.
    pub at: Timestamp,
    /// The request's id.
    pub request_id: [u8; 16],
}

impl Record for LastUsageRecord {
    const TABLE: Table = Table::LastUsages;
    const SCHEMA: u8 = 1;
}

/// Something that happens to a key once its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Due {
    /// Not before this.
    pub at: Timestamp,
    /// What.
    pub what: DueWork,
    /// To which key.
    pub key_id: KeyId,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DueWork {
    /// The key is deleted.
    Destroy,
    /// Its material is rotated.
    Rotate,
    /// An imported material expires.
    Expire(MaterialId),
}
