//! The public key that a document names.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};

use crate::{AttestationError, EnvelopeError};

pub(crate) const MODULUS_BITS_MIN: usize = 2048;
pub(crate) const MODULUS_BITS_MAX: usize = 4096;

/// An RSA key that encrypts.
pub(crate) struct RecipientKey {
    key: OaepPublicEncryptingKey,
    /// SHA-256 of its SubjectPublicKeyInfo (RFC 7093, section 2, method 4).
    pub(crate) identifier: [u8; 32],
}

impl RecipientKey {
    /// Reads a SubjectPublicKeyInfo, and nothing behind it.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, AttestationError> {
        let key = PublicEncryptingKey::from_der(der).map_err(|_| AttestationError::PublicKey)?;
        let written: PublicKeyX509Der<'_> = key.as_der().map_err(|_| AttestationError::PublicKey)?;
        if !(MODULUS_BITS_MIN..=MODULUS_BITS_MAX).contains(&key.key_size_bits()) || written.as_ref() != der {
            return Err(AttestationError::PublicKey);
        }
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| AttestationError::PublicKey)?;
        let mut identifier = [0; 32];
        identifier.copy_from_slice(digest(&SHA256, der).as_ref());
        Ok(Self { key, identifier })
    }

    /// RSAES_OAEP_SHA_256: SHA-256 for the hash and for MGF1, no label.
    pub(crate) fn encrypt(&self, content_key: &[u8; 32]) -> Result<Vec<u8>, EnvelopeError> {
        let mut ciphertext = vec![0; self.key.ciphertext_size()];
        let encrypted = self.key.encrypt(&OAEP_SHA256_MGF1SHA256, content_key, &mut ciphertext, None);
        let length = encrypted.map_err(|_| EnvelopeError::Key)?.len();
        ciphertext.truncate(length);
        Ok(ciphertext)
    }
}
