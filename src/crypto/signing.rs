//! Sign and Verify with every signing spec.
//!
//! RSA, ECDSA, Ed25519 and ML-DSA are aws-lc's, of digests too. Two things that its Rust interface does not offer come from
//! elsewhere: Ed25519ph from `ed25519-dalek`, ML-DSA of an external mu from `ml-dsa`. Public keys are parsed once for each
//! opened key and algorithm. Signatures are made with fresh randomness where the algorithm has any (PSS salts, ECDSA, ML-DSA);
//! Ed25519 has none.

mod ecdsa;
mod ed25519;
mod ml_dsa;
mod public;
mod rsa;

use aws_lc_rs::digest::{self, Digest, SHA256, SHA384, SHA512};
use claviger_types::{KeySpec, MessageType, SigningAlgorithm};

use crate::{CryptoError, SecretBytes};

pub(crate) use ml_dsa::algorithm as ml_dsa_algorithm;

/// FIPS 204, section 6.2: the message representative.
const MU_BYTES: usize = 64;

/// A key pair that signs.
pub struct SigningKey {
    spec: KeySpec,
    pair: Pair,
    public_key_der: Vec<u8>,
}

enum Pair {
    Rsa(rsa::Pair),
    Ecdsa(ecdsa::Pair),
    Ed25519(ed25519::Pair),
    MlDsa(ml_dsa::Pair),
}

/// What is signed, after [`check`].
enum Input<'a> {
    /// A message that the algorithm hashes.
    Message(&'a [u8]),
    /// A message already hashed.
    Digest(Digest),
    /// ML-DSA's message representative.
    Mu(&'a [u8; MU_BYTES]),
}

impl SigningKey {
    /// Opens canonical bytes.
    ///
    /// # Errors
    /// [`CryptoError::Material`] when they are no key of `spec`, or keys of `spec` do not sign.
    pub fn open(spec: KeySpec, canonical: &SecretBytes) -> Result<Self, CryptoError> {
        let (pair, public_key_der) = match spec {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => {
                let (pair, der) = rsa::Pair::open(spec, canonical)?;
                (Pair::Rsa(pair), der)
            }
            KeySpec::EccNistP256 | KeySpec::EccNistP384 | KeySpec::EccNistP521 | KeySpec::EccSecgP256k1 => {
                let (pair, der) = ecdsa::Pair::open(spec, canonical)?;
                (Pair::Ecdsa(pair), der)
            }
            KeySpec::EccNistEdwards25519 => {
                let (pair, der) = ed25519::Pair::open(spec, canonical)?;
                (Pair::Ed25519(pair), der)
            }
            KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => {
                let (pair, der) = ml_dsa::Pair::open(spec, canonical)?;
                (Pair::MlDsa(pair), der)
            }
            KeySpec::SymmetricDefault | KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => {
                return Err(CryptoError::Material { spec, reason: "keys of this spec do not sign" });
            }
        };
        Ok(Self { spec, pair, public_key_der })
    }

    /// The public half as SubjectPublicKeyInfo.
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_key_der
    }

    /// The signature of `message`: DER (X9.62) for ECDSA, else as the algorithm's standard has it.
    ///
    /// # Errors
    /// As [`check`]; [`CryptoError::Sign`] when aws-lc fails.
    pub fn sign(&self, algorithm: SigningAlgorithm, message_type: MessageType, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let input = Input::new(self.spec, algorithm, message_type, message)?;
        match &self.pair {
            Pair::Rsa(pair) => pair.sign(algorithm, &input),
            Pair::Ecdsa(pair) => pair.sign(&input),
            Pair::Ed25519(pair) => pair.sign(algorithm, &input),
            Pair::MlDsa(pair) => pair.sign(&input),
        }
    }

    /// Whether `signature` is the key's signature of `message`.
    ///
    /// # Errors
    /// As [`check`]. A signature of whatever shape is never an error.
    pub fn verify(
        &self,
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, CryptoError> {
        let input = Input::new(self.spec, algorithm, message_type, message)?;
        match &self.pair {
            Pair::Rsa(pair) => pair.verify(algorithm, &input, signature),
            Pair::Ecdsa(pair) => Ok(pair.verify(&input, signature)),
            Pair::Ed25519(pair) => Ok(pair.verify(algorithm, &input, signature)),
            Pair::MlDsa(pair) => Ok(pair.verify(&input, signature)),
        }
    }
}

/// Whether keys of `spec` can sign or verify a message of this type and length with `algorithm`; needs no key.
///
/// * RSA and ECDSA take RAW and DIGEST; ED25519_SHA_512 takes RAW alone and ED25519_PH_SHA_512 DIGEST alone; ML-DSA takes
///   RAW and EXTERNAL_MU.
/// * A digest is as long as the algorithm's hash, a mu has 64 bytes.
///
/// # Errors
/// [`CryptoError::Algorithm`], [`CryptoError::MessageType`], [`CryptoError::DigestLength`] or [`CryptoError::MuLength`], by the
/// first that does not hold.
pub fn check(spec: KeySpec, algorithm: SigningAlgorithm, message_type: MessageType, message_bytes: usize) -> Result<(), CryptoError> {
    if !spec.signing_algorithms().contains(&algorithm) {
        return Err(CryptoError::Algorithm { spec, algorithm: algorithm.as_str() });
    }
    let fits = match algorithm {
        SigningAlgorithm::Ed25519Sha512 => matches!(message_type, MessageType::Raw),
        SigningAlgorithm::Ed25519PhSha512 => matches!(message_type, MessageType::Digest),
        SigningAlgorithm::MlDsaShake256 => matches!(message_type, MessageType::Raw | MessageType::ExternalMu),
        _ => matches!(message_type, MessageType::Raw | MessageType::Digest),
    };
    match message_type {
        _ if !fits => Err(CryptoError::MessageType { algorithm, message_type }),
        MessageType::Digest if Some(message_bytes) != hash(algorithm).map(digest::Algorithm::output_len) => {
            Err(CryptoError::DigestLength { algorithm })
        }
        MessageType::ExternalMu if message_bytes != MU_BYTES => Err(CryptoError::MuLength(message_bytes)),
        _ => Ok(()),
    }
}

/// The hash with which an algorithm begins; ML-DSA has none of a fixed length.
fn hash(algorithm: SigningAlgorithm) -> Option<&'static digest::Algorithm> {
    match algorithm {
        SigningAlgorithm::RsassaPssSha256 | SigningAlgorithm::RsassaPkcs1V15Sha256 | SigningAlgorithm::EcdsaSha256 => Some(&SHA256),
        SigningAlgorithm::RsassaPssSha384 | SigningAlgorithm::RsassaPkcs1V15Sha384 | SigningAlgorithm::EcdsaSha384 => Some(&SHA384),
        SigningAlgorithm::RsassaPssSha512
        | SigningAlgorithm::RsassaPkcs1V15Sha512
        | SigningAlgorithm::EcdsaSha512
        | SigningAlgorithm::Ed25519Sha512
        | SigningAlgorithm::Ed25519PhSha512 => Some(&SHA512),
        SigningAlgorithm::MlDsaShake256 => None,
    }
}

impl<'a> Input<'a> {
    fn new(spec: KeySpec, algorithm: SigningAlgorithm, message_type: MessageType, message: &'a [u8]) -> Result<Self, CryptoError> {
        check(spec, algorithm, message_type, message.len())?;
        match message_type {
            MessageType::Raw => Ok(Self::Message(message)),
            // AWS takes the digest for the message and hashes it again: the model's text on MessageType, with FIPS 186-5, section 7.8.1.
            MessageType::Digest if algorithm == SigningAlgorithm::Ed25519PhSha512 => Ok(Self::Message(message)),
            MessageType::Digest => hash(algorithm)
                .and_then(|hash| Digest::import_less_safe(message, hash).ok())
                .map(Self::Digest)
                .ok_or(CryptoError::DigestLength { algorithm }),
            MessageType::ExternalMu => message.try_into().map(Self::Mu).map_err(|_| CryptoError::MuLength(message.len())),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

/// For test vectors, which have public keys alone.
#[cfg(test)]
pub(crate) mod vectors {
    use std::sync::OnceLock;

    use super::*;

    pub(crate) fn hash(algorithm: SigningAlgorithm) -> Option<&'static digest::Algorithm> {
        super::hash(algorithm)
    }

    pub(crate) fn verify_message(spec: KeySpec, algorithm: SigningAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        public::parse(spec, algorithm, key).is_ok_and(|key| public::verify(&key, &Input::Message(message), signature))
    }

    pub(crate) fn verify_digest(spec: KeySpec, algorithm: SigningAlgorithm, key: &[u8], digest: Digest, signature: &[u8]) -> bool {
        public::parse(spec, algorithm, key).is_ok_and(|key| public::verify(&key, &Input::Digest(digest), signature))
    }

    pub(crate) fn verify_mu(spec: KeySpec, key: &[u8], mu: &[u8; MU_BYTES], signature: &[u8]) -> bool {
        ml_dsa::MuVerifier::of(spec, key, &OnceLock::new()).is_some_and(|verifier| verifier.verify(mu, signature))
    }
}
