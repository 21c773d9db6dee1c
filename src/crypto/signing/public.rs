//! Verifying with aws-lc: one parsed public key for one algorithm.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519, ML_DSA_44, ML_DSA_65,
    ML_DSA_87, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use claviger_types::{KeySpec, SigningAlgorithm};

use super::Input;
use crate::CryptoError;

/// Parses the public key of a key of `spec`, in a form that aws-lc takes for it.
///
/// # Errors
/// [`CryptoError::Algorithm`] when aws-lc does not verify `algorithm` with keys of `spec`; [`CryptoError::Material`] when the key
/// does not parse.
pub(crate) fn parse(spec: KeySpec, algorithm: SigningAlgorithm, key: &[u8]) -> Result<ParsedPublicKey, CryptoError> {
    let verification: &'static dyn VerificationAlgorithm = match (algorithm, spec) {
        (SigningAlgorithm::RsassaPkcs1V15Sha256, _) => &RSA_PKCS1_2048_8192_SHA256,
        (SigningAlgorithm::RsassaPkcs1V15Sha384, _) => &RSA_PKCS1_2048_8192_SHA384,
        (SigningAlgorithm::RsassaPkcs1V15Sha512, _) => &RSA_PKCS1_2048_8192_SHA512,
        (SigningAlgorithm::RsassaPssSha256, _) => &RSA_PSS_2048_8192_SHA256,
        (SigningAlgorithm::RsassaPssSha384, _) => &RSA_PSS_2048_8192_SHA384,
        (SigningAlgorithm::RsassaPssSha512, _) => &RSA_PSS_2048_8192_SHA512,
        (SigningAlgorithm::EcdsaSha256, KeySpec::EccNistP256) => &ECDSA_P256_SHA256_ASN1,
        (SigningAlgorithm::EcdsaSha256, KeySpec::EccSecgP256k1) => &ECDSA_P256K1_SHA256_ASN1,
        (SigningAlgorithm::EcdsaSha384, KeySpec::EccNistP384) => &ECDSA_P384_SHA384_ASN1,
        (SigningAlgorithm::EcdsaSha512, KeySpec::EccNistP521) => &ECDSA_P521_SHA512_ASN1,
        (SigningAlgorithm::Ed25519Sha512, _) => &ED25519,
        (SigningAlgorithm::MlDsaShake256, KeySpec::MlDsa44) => &ML_DSA_44,
        (SigningAlgorithm::MlDsaShake256, KeySpec::MlDsa65) => &ML_DSA_65,
        (SigningAlgorithm::MlDsaShake256, KeySpec::MlDsa87) => &ML_DSA_87,
        _ => return Err(CryptoError::Algorithm { spec, algorithm: algorithm.as_str() }),
    };
    ParsedPublicKey::new(verification, key).map_err(|_| CryptoError::Material { spec, reason: "its public key does not parse" })
}

/// Whether `signature` is one of `input`, which is no mu.
pub(super) fn verify(key: &ParsedPublicKey, input: &Input<'_>, signature: &[u8]) -> bool {
    match input {
        Input::Message(message) => key.verify_sig(message, signature).is_ok(),
        Input::Digest(digest) => key.verify_digest_sig(digest, signature).is_ok(),
        Input::Mu(_) => false,
    }
}
