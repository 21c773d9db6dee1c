//! The barrier: the layer below which only ciphertext exists (DESIGN.md section 6).
//!
//! A root key, brought by a provider and never on disk in clear beyond that provider's file, seals the [`Keyring`]; a
//! term key of the keyring and a random salt give every record a key of its own; the [`Barrier`] seals and opens records
//! bound to their place. The keyring belongs to a region, not to a node.
//!
//! *Architecture invariants.* This crate reads no tables and knows no consensus: callers say where a record belongs, in
//! the spelling of [`RecordPlace`] where it holds a secret. It stores nothing but the root key's file. Keys and opened
//! 32-byte secrets live in `claviger_crypto::Secret32`; other plaintexts in zeroizing buffers.

mod aead;
mod derive;
mod error;
mod keyring;
mod place;
pub mod provider;
mod record;
mod root_key;
mod stream;

#[cfg(test)]
#[path = "../crypto/memory_scan.rs"]
#[allow(dead_code, reason = "shared with the tests of `crypto`, which use all of it")]
mod memory_scan;
#[cfg(test)]
mod residue;

pub use error::BarrierError;
pub use keyring::Keyring;
pub use place::RecordPlace;
pub use record::{Barrier, RecordContext};
pub use root_key::RootKey;
pub use stream::{STREAM_TAG_BYTES, StreamOpener, StreamSealer, StreamSeed};
