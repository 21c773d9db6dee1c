//! ML-DSA (FIPS 204), pure and with an empty context: of messages with aws-lc, of an external mu with `ml-dsa`.
//!
//! Both are the hedged variant. What `ml-dsa` makes of a seed is large and is made for each signature: parts of it on the
//! heap, wiped when dropped, parts on the stack, scrubbed.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, ParsedPublicKey, PqdsaKeyPair, PqdsaSigningAlgorithm,
};
use claviger_types::{KeySpec, SigningAlgorithm};
use ml_dsa::signature::rand_core::{TryCryptoRng, TryRng};
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, VerifyingKey};

use super::{Input, MU_BYTES, public};
use crate::{CryptoError, Secret32, SecretBytes, random, scrub};

pub(super) struct Pair {
    private: PqdsaKeyPair,
    public: ParsedPublicKey,
    seed: Secret32,
    /// Some 60 KiB for the largest, so it is made when the first mu is verified.
    public_mu: OnceLock<MuVerifier>,
    spec: KeySpec,
}

pub(super) enum MuVerifier {
    MlDsa44(VerifyingKey<MlDsa44>),
    MlDsa65(VerifyingKey<MlDsa65>),
    MlDsa87(VerifyingKey<MlDsa87>),
}

/// aws-lc's name of a spec's parameter set.
///
/// # Errors
/// [`CryptoError::Material`] for other specs.
pub(crate) fn algorithm(spec: KeySpec) -> Result<&'static PqdsaSigningAlgorithm, CryptoError> {
    match spec {
        KeySpec::MlDsa44 => Ok(&ML_DSA_44_SIGNING),
        KeySpec::MlDsa65 => Ok(&ML_DSA_65_SIGNING),
        KeySpec::MlDsa87 => Ok(&ML_DSA_87_SIGNING),
        _ => Err(CryptoError::Material { spec, reason: "keys of this spec are not of ML-DSA" }),
    }
}

impl Pair {
    pub(super) fn open(spec: KeySpec, canonical: &SecretBytes) -> Result<(Self, Vec<u8>), CryptoError> {
        let bad = |reason| CryptoError::Material { spec, reason };
        let seed = canonical.as_secret32().ok_or(bad("it must have 32 bytes"))?.duplicate()?;
        let private = PqdsaKeyPair::from_seed(algorithm(spec)?, seed.expose()).map_err(|_| bad("it is not a seed"))?;
        let public = public::parse(spec, SigningAlgorithm::MlDsaShake256, private.public_key().as_ref())?;
        let der: PublicKeyX509Der<'_> = private.public_key().as_der().map_err(|_| bad("its public key cannot be encoded"))?;
        let der = der.as_ref().to_vec();
        Ok((Self { private, public, seed, public_mu: OnceLock::new(), spec }, der))
    }

    pub(super) fn sign(&self, input: &Input<'_>) -> Result<Vec<u8>, CryptoError> {
        match input {
            Input::Message(message) => {
                let mut signature = vec![0; self.private.algorithm().signature_len()];
                let length = self.private.sign(message, &mut signature).map_err(|_| CryptoError::Sign)?;
                signature.truncate(length);
                Ok(signature)
            }
            Input::Mu(mu) => match self.spec {
                KeySpec::MlDsa44 => sign_mu::<MlDsa44>(&self.seed, mu),
                KeySpec::MlDsa65 => sign_mu::<MlDsa65>(&self.seed, mu),
                _ => sign_mu::<MlDsa87>(&self.seed, mu),
            },
            Input::Digest(_) => Err(CryptoError::Sign),
        }
    }

    pub(super) fn verify(&self, input: &Input<'_>, signature: &[u8]) -> bool {
        match input {
            Input::Mu(mu) => MuVerifier::of(self.spec, self.private.public_key().as_ref(), &self.public_mu)
                .is_some_and(|verifier| verifier.verify(mu, signature)),
            Input::Message(_) | Input::Digest(_) => public::verify(&self.public, input, signature),
        }
    }
}

fn sign_mu<P: MlDsaParams>(seed: &Secret32, mu: &[u8; MU_BYTES]) -> Result<Vec<u8>, CryptoError> {
    scrub::deeper(|| {
        let key = ml_dsa::SigningKey::<P>::from_seed(seed.expose().into());
        key.expanded_key().sign_mu_randomized(mu.into(), &mut AwsLcRandom).map(|signature| signature.encode().to_vec())
    })
    .map_err(|_| CryptoError::Sign)
}

impl MuVerifier {
    /// Nothing when `public_key` is not as long as keys of `spec` are, which aws-lc has seen to.
    pub(super) fn of<'a>(spec: KeySpec, public_key: &[u8], place: &'a OnceLock<Self>) -> Option<&'a Self> {
        if let Some(verifier) = place.get() {
            return Some(verifier);
        }
        let verifier = match spec {
            KeySpec::MlDsa44 => Self::MlDsa44(VerifyingKey::decode(public_key.try_into().ok()?)),
            KeySpec::MlDsa65 => Self::MlDsa65(VerifyingKey::decode(public_key.try_into().ok()?)),
            _ => Self::MlDsa87(VerifyingKey::decode(public_key.try_into().ok()?)),
        };
        Some(place.get_or_init(|| verifier))
    }

    pub(super) fn verify(&self, mu: &[u8; MU_BYTES], signature: &[u8]) -> bool {
        match self {
            Self::MlDsa44(key) => verify_mu(key, mu, signature),
            Self::MlDsa65(key) => verify_mu(key, mu, signature),
            Self::MlDsa87(key) => verify_mu(key, mu, signature),
        }
    }
}

fn verify_mu<P: MlDsaParams>(key: &VerifyingKey<P>, mu: &[u8; MU_BYTES], signature: &[u8]) -> bool {
    Signature::<P>::try_from(signature).is_ok_and(|signature| key.verify_mu(mu.into(), &signature))
}

/// aws-lc's generator under the name that `ml-dsa` knows.
struct AwsLcRandom;

impl TryRng for AwsLcRandom {
    type Error = CryptoError;

    fn try_next_u32(&mut self) -> Result<u32, CryptoError> {
        random::bytes().map(u32::from_le_bytes)
    }

    fn try_next_u64(&mut self) -> Result<u64, CryptoError> {
        random::bytes().map(u64::from_le_bytes)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        random::fill(bytes)
    }
}

impl TryCryptoRng for AwsLcRandom {}
