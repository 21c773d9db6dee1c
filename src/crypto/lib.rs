//! Cryptography of DESIGN.md section 6: secrets in locked memory, materials of every key spec and what is done with them,
//! their import, the message blob, KeyMaterialIds, the region wrap.
//!
//! *Architecture invariants.* Nothing here does I/O apart from asking the operating system for random bytes, locked
//! memory and process limits; nothing is async and nothing is logged. Long-lived symmetric secrets exist in
//! [`secret::Secret32`] alone: every function takes them by reference, reads them in place and scrubs what the
//! computation left on the stack. Opened private keys are aws-lc's, on its heap; HMAC keys that do not have 32 bytes are on
//! ours, wiped on drop. What sealing the barrier does with records belongs to the crate `barrier`.

pub mod agreement;
pub mod blob;
pub mod context;
mod der;
pub mod encryption;
mod error;
pub mod import;
pub mod kdf;
pub mod mac;
pub mod material;
pub mod material_id;
pub mod random;
pub mod scrub;
pub mod secret;
pub mod signing;
pub mod wrap;

#[cfg(test)]
mod memory_scan;
#[cfg(test)]
mod residue;
#[cfg(test)]
mod test_materials;
#[cfg(test)]
mod vectors;

pub use context::EncryptionContext;
pub use error::CryptoError;
pub use material::OpenMaterial;
pub use secret::{Secret32, SecretBytes};
