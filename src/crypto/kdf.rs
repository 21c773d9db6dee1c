//! HKDF-SHA256 (RFC 5869) and HMAC-SHA256 (RFC 2104) over secrets that stay in locked memory.
//!
//! Inputs are read in place and the stack is scrubbed; outputs go where the caller says, who zeroizes them.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{CryptoError, Secret32, scrub};

/// HKDF-Extract with `salt`, then HKDF-Expand with the concatenation of `info` until `okm` is full (at most 8160 bytes).
///
/// # Errors
/// [`CryptoError::KeyDerivation`] when `okm` is longer than that.
pub fn hkdf_sha256(secret: &Secret32, salt: &[u8; 32], info: &[&[u8]], okm: &mut [u8]) -> Result<(), CryptoError> {
    scrub::shallow(|| Hkdf::<Sha256>::new(Some(salt), secret.expose()).expand_multi_info(info, okm)).map_err(|_| CryptoError::KeyDerivation)
}

/// HMAC-SHA256 with `key` over the concatenation of `message`.
///
/// # Errors
/// [`CryptoError::KeyDerivation`], which a key of 32 bytes never causes.
pub fn hmac_sha256(key: &Secret32, message: &[&[u8]]) -> Result<[u8; 32], CryptoError> {
    let mut tag = [0; 32];
    scrub::shallow(|| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).map_err(|_| CryptoError::KeyDerivation)?;
        message.iter().for_each(|part| mac.update(part));
        tag.copy_from_slice(&mac.finalize().into_bytes());
        Ok(())
    })
    .map(|()| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's `hmac` and `hashlib`, step by step as RFC 5869 has it.
    #[test]
    fn known_answers() {
        let secret = Secret32::from_slice_zeroizing(&mut [0x0b; 32]).unwrap();
        let mut okm = [0; 42];
        hkdf_sha256(&secret, &[0x5a; 32], &[b"one", b"two"], &mut okm).unwrap();
        assert_eq!(hex::encode(okm), "13a9c75419526e947cc0b5e98908f4075723555f97bfad8c97cd10ac91dacd56b9b8476ec5734d9b420d");
        assert_eq!(
            hex::encode(hmac_sha256(&secret, &[b"one", b"two"]).unwrap()),
            "3f39aeac52a3bc70c18b4b729b1738ad5097907022b7ec56099a7a163d029af0"
        );
    }

    #[test]
    fn too_long_an_output_is_refused() {
        let secret = Secret32::random().unwrap();
        assert!(matches!(hkdf_sha256(&secret, &[0; 32], &[], &mut [0; 8161]), Err(CryptoError::KeyDerivation)));
    }
}
