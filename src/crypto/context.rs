//! Encryption contexts in their canonical form: bound to a blob as additional data, never secret, never stored.

use std::collections::BTreeMap;

use claviger_types::limits::ENCRYPTION_CONTEXT_BYTES_MAX;
use sha2::{Digest, Sha256};

use crate::CryptoError;

/// An encryption context: its canonical bytes (DESIGN.md section 6) and their SHA-256.
///
/// Canonical: u16 count, then the pairs sorted by the bytes of their keys, each u16 length, key, u16 length, value; big-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionContext {
    canonical: Vec<u8>,
    sha256: [u8; 32],
}

impl EncryptionContext {
    /// The context of these pairs. No pairs is the context of a request that names none.
    ///
    /// # Errors
    /// [`CryptoError::ContextTooLarge`] when the canonical bytes are more than `limits::ENCRYPTION_CONTEXT_BYTES_MAX`.
    pub fn new(pairs: &BTreeMap<String, String>) -> Result<Self, CryptoError> {
        let bytes =
            pairs.iter().fold(2_usize, |sum, (key, value)| sum.saturating_add(4).saturating_add(key.len()).saturating_add(value.len()));
        if bytes > ENCRYPTION_CONTEXT_BYTES_MAX {
            return Err(CryptoError::ContextTooLarge);
        }
        let mut canonical = Vec::with_capacity(bytes);
        canonical.extend_from_slice(&length(pairs.len())?);
        // A BTreeMap of strings is sorted by their bytes.
        for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
            canonical.extend_from_slice(&length(text.len())?);
            canonical.extend_from_slice(text.as_bytes());
        }
        let sha256 = Sha256::digest(&canonical).into();
        Ok(Self { canonical, sha256 })
    }

    /// The canonical bytes.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// SHA-256 of the canonical bytes.
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

fn length(length: usize) -> Result<[u8; 2], CryptoError> {
    u16::try_from(length).map(u16::to_be_bytes).map_err(|_| CryptoError::ContextTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(pairs: &[(&str, &str)]) -> Result<EncryptionContext, CryptoError> {
        EncryptionContext::new(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn canonical_form() {
        assert_eq!(context(&[]).unwrap().canonical(), [0, 0]);
        let sorted = context(&[("ü", "3"), ("b", ""), ("B", "1")]).unwrap();
        assert_eq!(sorted.canonical(), b"\0\x03\0\x01B\0\x011\0\x01b\0\0\0\x02\xc3\xbc\0\x013");
        assert_eq!(sorted.sha256(), &<[u8; 32]>::from(Sha256::digest(sorted.canonical())));
        assert_ne!(context(&[("ab", "c")]).unwrap(), context(&[("a", "bc")]).unwrap());
    }

    #[test]
    fn the_limit_is_exact() {
        let largest = "x".repeat(ENCRYPTION_CONTEXT_BYTES_MAX - 7);
        assert_eq!(context(&[("k", &largest)]).unwrap().canonical().len(), ENCRYPTION_CONTEXT_BYTES_MAX);
        assert!(matches!(context(&[("kk", &largest)]), Err(CryptoError::ContextTooLarge)));
        assert!(matches!(context(&[("k", &"x".repeat(70_000))]), Err(CryptoError::ContextTooLarge)));
    }
}
