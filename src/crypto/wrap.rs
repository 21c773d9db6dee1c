//! The region wrap: how secrets travel from one region to another (DESIGN.md section 6).
//!
//! One batch is one HPKE Base encapsulation (RFC 9180 with X-Wing, HKDF-SHA256, AES-256-GCM) to the receiving region's
//! key, every secret, of whatever length, sealed in order under that context, and two detached signatures of the sending
//! region, Ed25519 and ML-DSA-65, over all of it. HPKE's own authenticated mode does not exist for post-quantum KEMs. Both
//! signatures are verified before anything is decapsulated. What the documents mean, and whether a batch is a repetition, is
//! the receiver's business: batches carry state, so a replayed one changes nothing.

mod batch;
mod byte_string;
mod keys;
mod transcript;

pub use batch::{
    BATCH_DOCUMENTS_BYTES_MAX, BATCH_SEALED_BYTES_MAX, BATCH_SECRETS_MAX, BatchHeader, BatchRoute, WrappedBatch, open_batch, seal_batch,
    sealed_bytes,
};
pub use keys::{RegionPrivateKeys, RegionPublicKeys, fingerprint};

#[cfg(test)]
pub(crate) use batch::tests;
