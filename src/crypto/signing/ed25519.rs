//! Ed25519 with aws-lc, and Ed25519ph with an empty context with `ed25519-dalek` (both RFC 8032 and FIPS 186-5, section 7).
//!
//! Ed25519ph hashes its message with SHA-512 first. That of ED25519_PH_SHA_512 is the 64-byte digest that the caller sent.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, ParsedPublicKey};
use claviger_types::{KeySpec, SigningAlgorithm};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest, Sha512};

use super::{Input, public};
use crate::material::edwards25519_seed;
use crate::{CryptoError, Secret32, SecretBytes, scrub};

pub(super) struct Pair {
    private: Ed25519KeyPair,
    public: ParsedPublicKey,
    /// What Ed25519ph expands for each signature.
    seed: Secret32,
    public_ph: VerifyingKey,
}

impl Pair {
    pub(super) fn open(spec: KeySpec, canonical: &SecretBytes) -> Result<(Self, Vec<u8>), CryptoError> {
        let unfit = CryptoError::Material { spec, reason: "it is not an Ed25519 key" };
        let seed = Secret32::try_new_with(|bytes| {
            bytes.copy_from_slice(edwards25519_seed(canonical)?);
            Ok::<_, CryptoError>(())
        })?;
        let Ok(private) = Ed25519KeyPair::from_seed_unchecked(seed.expose()) else { return Err(unfit) };
        let raw = private.public_key().as_ref();
        let public = public::parse(spec, SigningAlgorithm::Ed25519Sha512, raw)?;
        let Some(public_ph) = raw.try_into().ok().and_then(|raw| VerifyingKey::from_bytes(raw).ok()) else { return Err(unfit) };
        let der: Result<PublicKeyX509Der<'_>, _> = private.public_key().as_der();
        let der = der.map_err(|_| unfit)?.as_ref().to_vec();
        Ok((Self { private, public, seed, public_ph }, der))
    }

    pub(super) fn sign(&self, algorithm: SigningAlgorithm, input: &Input<'_>) -> Result<Vec<u8>, CryptoError> {
        let Input::Message(message) = input else { return Err(CryptoError::Sign) };
        if algorithm == SigningAlgorithm::Ed25519PhSha512 {
            return sign_ph(&self.seed, message);
        }
        self.private.try_sign(message).map(|signature| signature.as_ref().to_vec()).map_err(|_| CryptoError::Sign)
    }

    pub(super) fn verify(&self, algorithm: SigningAlgorithm, input: &Input<'_>, signature: &[u8]) -> bool {
        let Input::Message(message) = input else { return false };
        if algorithm == SigningAlgorithm::Ed25519PhSha512 {
            return verify_ph(&self.public_ph, message, signature);
        }
        public::verify(&self.public, input, signature)
    }
}

fn sign_ph(seed: &Secret32, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let hash = Sha512::new().chain_update(message);
    scrub::deep(|| SigningKey::from_bytes(seed.expose()).sign_prehashed(hash, None).map(|signature| signature.to_bytes().to_vec()))
        .map_err(|_| CryptoError::Sign)
}

fn verify_ph(public: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    let hash = Sha512::new().chain_update(message);
    Signature::from_slice(signature).is_ok_and(|signature| public.verify_prehashed_strict(hash, None, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.3.
    #[test]
    fn known_answer_of_ed25519ph() {
        let seed = hex::decode("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42").unwrap();
        let public = hex::decode("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf").unwrap();
        let expected = "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41\
                        31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406";
        let signature = sign_ph(&Secret32::from_slice_zeroizing(&mut seed.clone()).unwrap(), b"abc").unwrap();
        assert_eq!(hex::encode(&signature), expected);
        let public = VerifyingKey::from_bytes(public.as_slice().try_into().unwrap()).unwrap();
        assert!(verify_ph(&public, b"abc", &signature));
        assert!(!verify_ph(&public, b"abd", &signature));
    }
}
