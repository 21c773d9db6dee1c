//! RSASSA-PSS, with a salt as long as the hash, and RSASSA-PKCS1-v1_5 (RFC 8017).

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    KeyPair, ParsedPublicKey, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use claviger_types::{KeySpec, SigningAlgorithm};

use super::{Input, public};
use crate::material::check_rsa;
use crate::{CryptoError, SecretBytes};

const ALGORITHMS: usize = 6;

pub(super) struct Pair {
    spec: KeySpec,
    private: RsaKeyPair,
    /// aws-lc parses a public key for one algorithm; most keys are used with one of the six, so each is parsed when it is first used.
    public: [OnceLock<ParsedPublicKey>; ALGORITHMS],
}

impl Pair {
    pub(super) fn open(spec: KeySpec, canonical: &SecretBytes) -> Result<(Self, Vec<u8>), CryptoError> {
        let private = RsaKeyPair::from_pkcs8(canonical.expose())
            .map_err(|_| CryptoError::Material { spec, reason: "it is not a consistent RSA key of two primes" })?;
        check_rsa(spec, private.public_key().as_ref())?;
        let der: PublicKeyX509Der<'_> =
            private.public_key().as_der().map_err(|_| CryptoError::Material { spec, reason: "its public key cannot be encoded" })?;
        let der = der.as_ref().to_vec();
        Ok((Self { spec, private, public: Default::default() }, der))
    }

    pub(super) fn sign(&self, algorithm: SigningAlgorithm, input: &Input<'_>) -> Result<Vec<u8>, CryptoError> {
        let (_, encoding) = self.parameters(algorithm)?;
        let mut signature = vec![0; self.private.public_modulus_len()];
        match input {
            Input::Message(message) => self.private.sign(encoding, &SystemRandom::new(), message, &mut signature),
            Input::Digest(digest) => self.private.sign_digest(encoding, digest, &mut signature),
            Input::Mu(_) => return Err(CryptoError::Sign),
        }
        .map_err(|_| CryptoError::Sign)?;
        Ok(signature)
    }

    pub(super) fn verify(&self, algorithm: SigningAlgorithm, input: &Input<'_>, signature: &[u8]) -> Result<bool, CryptoError> {
        self.public(algorithm).map(|key| public::verify(key, input, signature))
    }

    fn public(&self, algorithm: SigningAlgorithm) -> Result<&ParsedPublicKey, CryptoError> {
        let (index, _) = self.parameters(algorithm)?;
        if let Some(key) = self.public[index].get() {
            return Ok(key);
        }
        let key = public::parse(self.spec, algorithm, self.private.public_key().as_ref())?;
        Ok(self.public[index].get_or_init(|| key))
    }

    /// The algorithm's place in `public`, and aws-lc's name for it when signing.
    fn parameters(&self, algorithm: SigningAlgorithm) -> Result<(usize, &'static dyn RsaEncoding), CryptoError> {
        Ok(match algorithm {
            SigningAlgorithm::RsassaPkcs1V15Sha256 => (0, &RSA_PKCS1_SHA256),
            SigningAlgorithm::RsassaPkcs1V15Sha384 => (1, &RSA_PKCS1_SHA384),
            SigningAlgorithm::RsassaPkcs1V15Sha512 => (2, &RSA_PKCS1_SHA512),
            SigningAlgorithm::RsassaPssSha256 => (3, &RSA_PSS_SHA256),
            SigningAlgorithm::RsassaPssSha384 => (4, &RSA_PSS_SHA384),
            SigningAlgorithm::RsassaPssSha512 => (5, &RSA_PSS_SHA512),
            _ => return Err(CryptoError::Algorithm { spec: self.spec, algorithm: algorithm.as_str() }),
        })
    }
}
