//! AES-256-GCM under a key that serves once: HKDF-SHA256 of a long-lived key and a random salt gives key and nonce.
//!
//! A nonce never meets the same key twice as long as salts do not collide, at 2^-32 after 2^112 uses.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, Key, KeyInit, Nonce, Tag};
use claviger_crypto::{CryptoError, Secret32, kdf, scrub};
use zeroize::Zeroizing;

/// Bytes of the salt that goes before every ciphertext.
pub(crate) const SALT_BYTES: usize = 32;
/// Bytes of the tag that follows it.
pub(crate) const TAG_BYTES: usize = 16;

/// The cipher refused: nothing more is known, or may be told.
pub(crate) struct Refused;

/// One use of a long-lived key for one purpose.
pub(crate) struct SingleUse {
    /// Key and nonce.
    okm: Zeroizing<[u8; 44]>,
}

impl SingleUse {
    /// `label` separates purposes that share a long-lived key.
    pub(crate) fn derive(key: &Secret32, label: &[u8], salt: &[u8; SALT_BYTES]) -> Result<Self, CryptoError> {
        let mut single_use = Self { okm: Zeroizing::new([0; 44]) };
        kdf::hkdf_sha256(key, salt, &[label], single_use.okm.as_mut_slice())?;
        Ok(single_use)
    }

    /// Encrypts `plaintext` into `ciphertext`, which has the same length.
    pub(crate) fn seal(self, aad: &[u8], plaintext: &[u8], ciphertext: &mut [u8], tag: &mut [u8; TAG_BYTES]) -> Result<(), Refused> {
        scrub::shallow(|| {
            let (cipher, nonce) = self.cipher()?;
            let buffer = InOutBuf::new(plaintext, ciphertext).map_err(|_| Refused)?;
            *tag = cipher.encrypt_inout_detached(&nonce, aad, buffer).map_err(|_| Refused)?.into();
            Ok(())
        })
    }

    /// Decrypts `ciphertext` into `plaintext`, which has the same length and stays as it was when the tag is wrong.
    pub(crate) fn open(self, aad: &[u8], ciphertext: &[u8], tag: &[u8; TAG_BYTES], plaintext: &mut [u8]) -> Result<(), Refused> {
        scrub::shallow(|| {
            let (cipher, nonce) = self.cipher()?;
            let buffer = InOutBuf::new(ciphertext, plaintext).map_err(|_| Refused)?;
            cipher.decrypt_inout_detached(&nonce, aad, buffer, &Tag::from(*tag)).map_err(|_| Refused)
        })
    }

    fn cipher(&self) -> Result<(Aes256Gcm, Nonce<aes_gcm::aead::consts::U12>), Refused> {
        let (key, nonce) = self.okm.split_at(32);
        let key = <&Key<Aes256Gcm>>::try_from(key).map_err(|_| Refused)?;
        let nonce = Nonce::try_from(nonce).map_err(|_| Refused)?;
        Ok((Aes256Gcm::new(key), nonce))
    }
}
