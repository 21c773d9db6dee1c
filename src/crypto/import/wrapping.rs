//! The RSA key pairs under which material comes in, and the unwrapping of what was wrapped with them.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm};
use claviger_types::limits::CIPHERTEXT_BYTES_MAX;
use claviger_types::{KeySpec, WrappingAlgorithm, WrappingKeySpec};
use zeroize::Zeroizing;

use crate::encryption::EncryptionKey;
use crate::{CryptoError, SecretBytes, material, scrub};

/// AES-KWP (RFC 5649) of the shortest plaintext.
const KWP_BYTES_MIN: usize = 16;
/// What AES-KWP adds without padding.
const KWP_OVERHEAD_BYTES: usize = 8;

/// A wrapping key pair. GetParametersForImport gives its public half away and seals its private half into the import token.
pub struct WrappingKey {
    pkcs8: SecretBytes,
    key: EncryptionKey,
}

impl WrappingKey {
    /// A fresh pair. *Blocks*, as [`material::generate`] does.
    ///
    /// # Errors
    /// As [`material::generate`].
    pub fn generate(spec: WrappingKeySpec) -> Result<Self, CryptoError> {
        Self::open(spec, material::generate(key_spec(spec))?)
    }

    /// The inverse of [`WrappingKey::to_der`]. The caller wipes `der`.
    ///
    /// # Errors
    /// [`CryptoError::Material`] when it is no such key.
    pub fn from_der(spec: WrappingKeySpec, der: &[u8]) -> Result<Self, CryptoError> {
        Self::open(spec, material::of_pkcs8(key_spec(spec), der)?)
    }

    fn open(spec: WrappingKeySpec, pkcs8: SecretBytes) -> Result<Self, CryptoError> {
        let key = EncryptionKey::open(key_spec(spec), &pkcs8)?;
        Ok(Self { pkcs8, key })
    }

    /// The private key as PKCS#8, for a token to hold sealed.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.pkcs8.expose().to_vec())
    }

    /// The public key as SubjectPublicKeyInfo.
    pub fn public_key_der(&self) -> &[u8] {
        self.key.public_key_der()
    }

    /// Unwraps material. What the plaintext must be is [`super::parse`]'s business.
    ///
    /// # Errors
    /// [`CryptoError::InvalidCiphertext`], without a reason.
    pub fn unwrap(&self, algorithm: WrappingAlgorithm, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if wrapped.len() > CIPHERTEXT_BYTES_MAX {
            return Err(CryptoError::InvalidCiphertext);
        }
        match algorithm {
            WrappingAlgorithm::RsaesOaepSha1 => self.key.decrypt_oaep(&OAEP_SHA1_MGF1SHA1, wrapped),
            WrappingAlgorithm::RsaesOaepSha256 => self.key.decrypt_oaep(&OAEP_SHA256_MGF1SHA256, wrapped),
            WrappingAlgorithm::RsaAesKeyWrapSha1 => self.unwrap_hybrid(&OAEP_SHA1_MGF1SHA1, wrapped),
            WrappingAlgorithm::RsaAesKeyWrapSha256 => self.unwrap_hybrid(&OAEP_SHA256_MGF1SHA256, wrapped),
        }
    }

    /// RSAES-OAEP of an AES-256 key, then AES-KWP of the material under it (CKM_RSA_AES_KEY_WRAP of PKCS#11).
    fn unwrap_hybrid(&self, oaep: &'static OaepAlgorithm, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (wrapped_key, wrapped) = wrapped.split_at_checked(self.key.modulus_bytes()).ok_or(CryptoError::InvalidCiphertext)?;
        let key = self.key.decrypt_oaep(oaep, wrapped_key)?;
        unwrap_kwp(&key, wrapped)
    }
}

/// AES-256-KWP (RFC 5649).
pub(crate) fn unwrap_kwp(key: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    if wrapped.len() < KWP_BYTES_MIN {
        return Err(CryptoError::InvalidCiphertext);
    }
    let mut plaintext = Zeroizing::new(vec![0; wrapped.len() - KWP_OVERHEAD_BYTES]);
    let length = scrub::shallow(|| {
        let kek = AesKek::new(&AES_256, key).map_err(|_| CryptoError::InvalidCiphertext)?;
        kek.unwrap_with_padding(wrapped, &mut plaintext).map(|plaintext| plaintext.len()).map_err(|_| CryptoError::InvalidCiphertext)
    })?;
    plaintext.truncate(length);
    Ok(plaintext)
}

/// Whether AWS lets material of `spec` come in under `algorithm` with such a wrapping key: RSA private keys do not fit into
/// RSAES-OAEP, and that of P-521 does not with RSA_2048.
pub const fn wrapping_is_allowed(spec: KeySpec, algorithm: WrappingAlgorithm, wrapping: WrappingKeySpec) -> bool {
    match algorithm {
        WrappingAlgorithm::RsaAesKeyWrapSha1 | WrappingAlgorithm::RsaAesKeyWrapSha256 => true,
        WrappingAlgorithm::RsaesOaepSha1 | WrappingAlgorithm::RsaesOaepSha256 => match spec {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => false,
            KeySpec::EccNistP521 => !matches!(wrapping, WrappingKeySpec::Rsa2048),
            _ => true,
        },
    }
}

const fn key_spec(spec: WrappingKeySpec) -> KeySpec {
    match spec {
        WrappingKeySpec::Rsa2048 => KeySpec::Rsa2048,
        WrappingKeySpec::Rsa3072 => KeySpec::Rsa3072,
        WrappingKeySpec::Rsa4096 => KeySpec::Rsa4096,
    }
}
