//! ECDSA (FIPS 186-5) on the NIST curves and secp256k1, each with the one hash that AWS pairs with it.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair, ParsedPublicKey};
use claviger_types::KeySpec;

use super::{Input, public};
use crate::material::signing_curve;
use crate::{CryptoError, SecretBytes};

pub(super) struct Pair {
    private: EcdsaKeyPair,
    public: ParsedPublicKey,
}

impl Pair {
    pub(super) fn open(spec: KeySpec, canonical: &SecretBytes) -> Result<(Self, Vec<u8>), CryptoError> {
        let bad = |_| CryptoError::Material { spec, reason: "it is not an ECC key on the curve" };
        let private = EcdsaKeyPair::from_pkcs8(signing_curve(spec)?, canonical.expose()).map_err(bad)?;
        let algorithm =
            *spec.signing_algorithms().first().ok_or(CryptoError::Material { spec, reason: "keys of this spec do not sign" })?;
        let public = public::parse(spec, algorithm, private.public_key().as_ref())?;
        let der: PublicKeyX509Der<'_> =
            private.public_key().as_der().map_err(|_| CryptoError::Material { spec, reason: "its public key cannot be encoded" })?;
        let der = der.as_ref().to_vec();
        Ok((Self { private, public }, der))
    }

    pub(super) fn sign(&self, input: &Input<'_>) -> Result<Vec<u8>, CryptoError> {
        match input {
            Input::Message(message) => self.private.sign(&SystemRandom::new(), message),
            Input::Digest(digest) => self.private.sign_digest(digest),
            Input::Mu(_) => return Err(CryptoError::Sign),
        }
        .map(|signature| signature.as_ref().to_vec())
        .map_err(|_| CryptoError::Sign)
    }

    pub(super) fn verify(&self, input: &Input<'_>, signature: &[u8]) -> bool {
        public::verify(&self.public, input, signature)
    }
}
