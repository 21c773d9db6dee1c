//! Imported material (rules page, section 7): what a plaintext must be to become the material of a key, and how it comes in.

mod wrapping;

use std::ops::RangeInclusive;

use claviger_types::KeySpec;
use claviger_types::limits::{HMAC_224_KEY_BYTES, HMAC_256_KEY_BYTES, HMAC_384_KEY_BYTES, HMAC_512_KEY_BYTES};

use crate::{CryptoError, SecretBytes, material};

#[cfg(test)]
pub(crate) use wrapping::unwrap_kwp;
pub use wrapping::{WrappingKey, wrapping_is_allowed};

/// Checks the plaintext of an import for a key of `spec` and returns its canonical bytes. The caller wipes `plaintext`.
///
/// Symmetric keys have 32 bytes, HMAC keys as many as AWS allows for their spec; the others are a private key in PKCS#8,
/// DER, unencrypted: RSA with the modulus of the spec and an exponent above 2^16, ECC on its curve, ML-DSA with its seed.
///
/// # Errors
/// [`CryptoError::Material`] says what is wrong.
pub fn parse(spec: KeySpec, plaintext: &[u8]) -> Result<SecretBytes, CryptoError> {
    match spec {
        KeySpec::SymmetricDefault if plaintext.len() == 32 => SecretBytes::copy_of(plaintext),
        KeySpec::SymmetricDefault => Err(CryptoError::Material { spec, reason: "it must have 32 bytes" }),
        KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => {
            check_hmac_length(spec, plaintext.len())?;
            SecretBytes::copy_of(plaintext)
        }
        _ => material::of_pkcs8(spec, plaintext),
    }
}

pub(crate) fn check_hmac_length(spec: KeySpec, bytes: usize) -> Result<(), CryptoError> {
    let allowed: RangeInclusive<usize> = match spec {
        KeySpec::Hmac224 => HMAC_224_KEY_BYTES,
        KeySpec::Hmac256 => HMAC_256_KEY_BYTES,
        KeySpec::Hmac384 => HMAC_384_KEY_BYTES,
        KeySpec::Hmac512 => HMAC_512_KEY_BYTES,
        _ => return Err(CryptoError::Material { spec, reason: "keys of this spec make no MACs" }),
    };
    if allowed.contains(&bytes) {
        Ok(())
    } else {
        Err(CryptoError::Material { spec, reason: "it has a length that HMAC keys of this spec may not have" })
    }
}

#[cfg(test)]
mod tests;
