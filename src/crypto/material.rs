//! Materials of every key spec: making them, their canonical bytes, and the forms in which they are used.
//!
//! Canonical bytes are what is sealed, sent to other regions and named by a KeyMaterialId, so that one key has one
//! encoding whatever program it was imported from:
//!
//! * symmetric keys: the 32 bytes; HMAC keys: the bytes;
//! * RSA: PKCS#8 (RFC 5208) with an RSAPrivateKey (RFC 8017) of two primes. What the key's maker chose stays as it is: the
//!   order of the primes, and d modulo φ(n) or λ(n). To exchange them would need arithmetic on secrets that aws-lc does not offer;
//! * elliptic curves: PKCS#8 with an ECPrivateKey (RFC 5915) without parameters and with the public key, uncompressed;
//! * Edwards25519: PKCS#8 (RFC 8410), version 1;
//! * ML-DSA: the 32-byte seed ξ (FIPS 204, section 3.6.3).
//!
//! Opened private keys live on aws-lc's heap, which aws-lc wipes; seeds and symmetric keys stay in the locked slab.

mod canonical;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use claviger_types::{KeySpec, KeyUsage};

use crate::agreement::AgreementKey;
use crate::encryption::EncryptionKey;
use crate::mac::MacKey;
use crate::signing::SigningKey;
use crate::{CryptoError, Secret32, SecretBytes, random};

pub(crate) use canonical::{check_rsa, edwards25519_seed, of_pkcs8, rsa_modulus_bits, signing_curve};

/// A material in the form in which keys of one usage need it.
pub enum OpenMaterial {
    /// Of SYMMETRIC_DEFAULT: see [`crate::blob`].
    Symmetric(Secret32),
    /// Of HMAC keys.
    Mac(MacKey),
    /// Of RSA keys that encrypt.
    Encryption(EncryptionKey),
    /// Of keys that sign.
    Signing(Box<SigningKey>),
    /// Of keys that agree on secrets.
    Agreement(AgreementKey),
}

impl OpenMaterial {
    /// Opens canonical bytes for one of the usages of `spec`. A few milliseconds for RSA-4096, microseconds for the others.
    ///
    /// # Errors
    /// [`CryptoError::Usage`] when keys of this spec are not for `usage`; [`CryptoError::Material`] when the bytes are no
    /// material of it.
    pub fn open(spec: KeySpec, usage: KeyUsage, canonical: SecretBytes) -> Result<Self, CryptoError> {
        if !spec.usages().contains(&usage) {
            return Err(CryptoError::Usage { spec, usage });
        }
        Ok(match (usage, spec) {
            (KeyUsage::EncryptDecrypt, KeySpec::SymmetricDefault) => {
                Self::Symmetric(canonical.into_secret32().map_err(|_| CryptoError::Material { spec, reason: "it must have 32 bytes" })?)
            }
            (KeyUsage::EncryptDecrypt, _) => Self::Encryption(EncryptionKey::open(spec, &canonical)?),
            (KeyUsage::SignVerify, _) => Self::Signing(Box::new(SigningKey::open(spec, &canonical)?)),
            (KeyUsage::GenerateVerifyMac, _) => Self::Mac(MacKey::open(spec, canonical)?),
            (KeyUsage::KeyAgreement, _) => Self::Agreement(AgreementKey::open(spec, &canonical)?),
        })
    }

    /// The public half as SubjectPublicKeyInfo (RFC 5280), of materials that have one.
    pub fn public_key_der(&self) -> Option<&[u8]> {
        match self {
            Self::Symmetric(_) | Self::Mac(_) => None,
            Self::Encryption(key) => Some(key.public_key_der()),
            Self::Signing(key) => Some(key.public_key_der()),
            Self::Agreement(key) => Some(key.public_key_der()),
        }
    }
}

/// A fresh material of `spec`: its canonical bytes, which for key pairs but ML-DSA are the PKCS#8 that GenerateDataKeyPair returns.
///
/// *Blocks*: RSA takes from a tenth of a second to several seconds; call it where that holds nobody up.
///
/// # Errors
/// [`CryptoError::KeyGeneration`], [`CryptoError::Random`], or when no locked memory can be had.
pub fn generate(spec: KeySpec) -> Result<SecretBytes, CryptoError> {
    let failed = |_| CryptoError::KeyGeneration(spec);
    match spec {
        KeySpec::SymmetricDefault | KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => Secret32::random().map(SecretBytes::from),
        // As long as the hash is, which is what AWS says of the keys that it makes.
        KeySpec::Hmac224 => SecretBytes::try_new_with(28, random::fill),
        KeySpec::Hmac256 => SecretBytes::try_new_with(32, random::fill),
        KeySpec::Hmac384 => SecretBytes::try_new_with(48, random::fill),
        KeySpec::Hmac512 => SecretBytes::try_new_with(64, random::fill),
        KeySpec::Rsa2048 => generate_rsa(spec, KeySize::Rsa2048),
        KeySpec::Rsa3072 => generate_rsa(spec, KeySize::Rsa3072),
        KeySpec::Rsa4096 => generate_rsa(spec, KeySize::Rsa4096),
        KeySpec::EccNistP256 | KeySpec::EccNistP384 | KeySpec::EccNistP521 | KeySpec::EccSecgP256k1 => {
            let pair = EcdsaKeyPair::generate(signing_curve(spec)?).map_err(failed)?;
            SecretBytes::copy_of(pair.to_pkcs8v1().map_err(failed)?.as_ref())
        }
        KeySpec::EccNistEdwards25519 => {
            let pair = Ed25519KeyPair::generate().map_err(failed)?;
            SecretBytes::copy_of(pair.to_pkcs8v1().map_err(failed)?.as_ref())
        }
    }
}

fn generate_rsa(spec: KeySpec, size: KeySize) -> Result<SecretBytes, CryptoError> {
    let failed = |_| CryptoError::KeyGeneration(spec);
    let pair = RsaKeyPair::generate(size).map_err(failed)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    SecretBytes::copy_of(der.as_ref())
}

/// The public half of canonical bytes as SubjectPublicKeyInfo, of specs that have one.
///
/// # Errors
/// [`CryptoError::Material`] when the bytes are no material of `spec`.
pub fn public_key_der(spec: KeySpec, canonical: &SecretBytes) -> Result<Option<Vec<u8>>, CryptoError> {
    if !spec.usages().contains(&KeyUsage::SignVerify) {
        return Ok(None);
    }
    SigningKey::open(spec, canonical).map(|key| Some(key.public_key_der().to_vec()))
}
