//! From any PKCS#8 that aws-lc reads to the one encoding of a key; see [`crate::material`].

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, PqdsaKeyPair, RsaKeyPair,
};
use claviger_types::KeySpec;

use crate::der::{self, RsaNumbers};
use crate::signing::ml_dsa_algorithm;
use crate::{CryptoError, SecretBytes};

/// RFC 8410, section 7: PrivateKeyInfo version 0, id-Ed25519, an OCTET STRING in an OCTET STRING.
const EDWARDS25519_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// RFC 9881, section 6, in the form that has the seed alone, before the seed.
const ML_DSA_PREFIX_BYTES: usize = 22;

/// The canonical bytes of the private key in `pkcs8` (RFC 5208, RFC 5958), which must be one of `spec`. Attributes are passed
/// over, a public key beside the private one must be its own.
///
/// # Errors
/// [`CryptoError::Material`] says what is wrong.
pub(crate) fn of_pkcs8(spec: KeySpec, pkcs8: &[u8]) -> Result<SecretBytes, CryptoError> {
    if !der::is_one_sequence(pkcs8) {
        return Err(CryptoError::Material { spec, reason: "it is not one PKCS#8 structure in DER" });
    }
    match spec {
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => rsa(spec, pkcs8),
        KeySpec::EccNistP256 | KeySpec::EccNistP384 | KeySpec::EccNistP521 | KeySpec::EccSecgP256k1 => ecc(spec, pkcs8),
        KeySpec::EccNistEdwards25519 => edwards25519(spec, pkcs8),
        KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => ml_dsa(spec, pkcs8),
        KeySpec::SymmetricDefault | KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => {
            Err(CryptoError::Material { spec, reason: "keys of this spec have no PKCS#8 form" })
        }
    }
}

fn rsa(spec: KeySpec, pkcs8: &[u8]) -> Result<SecretBytes, CryptoError> {
    // This checks that n = p q, that e d = 1, and all that is redundant in the encoding.
    let pair = RsaKeyPair::from_pkcs8(pkcs8)
        .map_err(|_| CryptoError::Material { spec, reason: "it is not a consistent RSA key of two primes" })?;
    check_rsa(spec, pair.public_key().as_ref())?;
    let canonical: Pkcs8V1Der<'_> =
        pair.as_der().map_err(|_| CryptoError::Material { spec, reason: "it cannot be encoded: a number is missing" })?;
    SecretBytes::copy_of(canonical.as_ref())
}

/// The length of the modulus of an RSA spec.
///
/// # Errors
/// [`CryptoError::Material`] for other specs.
pub(crate) fn rsa_modulus_bits(spec: KeySpec) -> Result<usize, CryptoError> {
    match spec {
        KeySpec::Rsa2048 => Ok(2048),
        KeySpec::Rsa3072 => Ok(3072),
        KeySpec::Rsa4096 => Ok(4096),
        _ => Err(CryptoError::Material { spec, reason: "it is an RSA key" }),
    }
}

/// Whether an `RSAPublicKey` has the modulus of `spec` and an exponent above 2^16 (FIPS 186-5, section 5.1; aws-lc takes up to
/// 33 bits).
pub(crate) fn check_rsa(spec: KeySpec, public_key: &[u8]) -> Result<(), CryptoError> {
    let bits = rsa_modulus_bits(spec)?;
    match RsaNumbers::of_public_key(public_key) {
        Some(RsaNumbers { modulus_bits, exponent }) if modulus_bits == bits && exponent > 0x1_0000 => Ok(()),
        Some(RsaNumbers { modulus_bits, .. }) if modulus_bits != bits => {
            Err(CryptoError::Material { spec, reason: "its modulus has another length" })
        }
        _ => Err(CryptoError::Material { spec, reason: "its public exponent must be above 65536" }),
    }
}

/// aws-lc's name of an ECDSA spec's curve and hash.
///
/// # Errors
/// [`CryptoError::Material`] for other specs.
pub(crate) fn signing_curve(spec: KeySpec) -> Result<&'static EcdsaSigningAlgorithm, CryptoError> {
    match spec {
        KeySpec::EccNistP256 => Ok(&ECDSA_P256_SHA256_ASN1_SIGNING),
        KeySpec::EccNistP384 => Ok(&ECDSA_P384_SHA384_ASN1_SIGNING),
        KeySpec::EccNistP521 => Ok(&ECDSA_P521_SHA512_ASN1_SIGNING),
        KeySpec::EccSecgP256k1 => Ok(&ECDSA_P256K1_SHA256_ASN1_SIGNING),
        _ => Err(CryptoError::Material { spec, reason: "keys of this spec have no such curve" }),
    }
}

fn ecc(spec: KeySpec, pkcs8: &[u8]) -> Result<SecretBytes, CryptoError> {
    let bad = |_| CryptoError::Material { spec, reason: "it is not an ECC key on the curve" };
    let curve = signing_curve(spec)?;
    let pair = EcdsaKeyPair::from_pkcs8(curve, pkcs8).map_err(bad)?;
    // A parsed key remembers whether it came with its public key, and how compressed; one built from its numbers does not.
    let scalar: EcPrivateKeyBin<'_> =
        pair.private_key().as_be_bytes().map_err(|_| CryptoError::Material { spec, reason: "its scalar cannot be read" })?;
    let rebuilt = EcdsaKeyPair::from_private_key_and_public_key(curve, scalar.as_ref(), pair.public_key().as_ref()).map_err(bad)?;
    let canonical = rebuilt.to_pkcs8v1().map_err(|_| CryptoError::Material { spec, reason: "it cannot be encoded" })?;
    SecretBytes::copy_of(canonical.as_ref())
}

fn edwards25519(spec: KeySpec, pkcs8: &[u8]) -> Result<SecretBytes, CryptoError> {
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| CryptoError::Material { spec, reason: "it is not an Ed25519 key" })?;
    let canonical = pair.to_pkcs8v1().map_err(|_| CryptoError::Material { spec, reason: "it cannot be encoded" })?;
    SecretBytes::copy_of(canonical.as_ref())
}

/// The seed in canonical bytes of an Edwards25519 key.
///
/// # Errors
/// [`CryptoError::Material`] when the bytes are not canonical.
pub(crate) fn edwards25519_seed(canonical: &SecretBytes) -> Result<&[u8; 32], CryptoError> {
    canonical
        .expose()
        .strip_prefix(&EDWARDS25519_PREFIX)
        .and_then(|seed| seed.try_into().ok())
        .ok_or(CryptoError::Material { spec: KeySpec::EccNistEdwards25519, reason: "its canonical bytes are others" })
}

fn ml_dsa(spec: KeySpec, pkcs8: &[u8]) -> Result<SecretBytes, CryptoError> {
    // Of a key in both forms aws-lc checks that they have one public key.
    let pair = PqdsaKeyPair::from_pkcs8(ml_dsa_algorithm(spec)?, pkcs8)
        .map_err(|_| CryptoError::Material { spec, reason: "it is not an ML-DSA key of this parameter set" })?;
    let seedless = || CryptoError::Material { spec, reason: "it lacks its seed: a key in expanded form alone has no canonical bytes" };
    let with_seed = pair.to_pkcs8v1().map_err(|_| seedless())?;
    let seed = with_seed.as_ref().get(ML_DSA_PREFIX_BYTES..).filter(|seed| seed.len() == 32).ok_or_else(seedless)?;
    SecretBytes::copy_of(seed)
}
