//! A region's key pairs: X-Wing for receiving, Ed25519 and ML-DSA-65 for signing, and the fingerprint that operators compare.
//!
//! Private keys are kept as their 32-byte seeds in locked memory and expanded for each batch, which costs a fraction of
//! signing it and leaves no expanded key lying about.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
use claviger_types::{ClusterId, Region};
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, Serializable};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::byte_string;
use super::transcript::Transcript;
use crate::{CryptoError, Secret32, scrub};

/// X-Wing: an ML-KEM-768 encapsulation key (1184) and an X25519 public key (32).
const KEM_PUBLIC_BYTES: usize = 1216;
/// RFC 8032.
const ED25519_PUBLIC_BYTES: usize = 32;
/// FIPS 204, table 2.
const ML_DSA_65_PUBLIC_BYTES: usize = 1952;

const SECRET_VERSION: u8 = 1;
const SECRET_BYTES: usize = 1 + 3 * 32;

pub(super) type KemPrivateKey = <XWing as Kem>::PrivateKey;
pub(super) type KemPublicKey = <XWing as Kem>::PublicKey;

/// What peers know of a region. The lengths are right in every value; whether the keys are the region's is for the
/// operators who compare the [`fingerprint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedPublicKeys")]
pub struct RegionPublicKeys {
    #[serde(with = "byte_string")]
    kem: Vec<u8>,
    #[serde(with = "byte_string")]
    ed25519: Vec<u8>,
    #[serde(with = "byte_string")]
    ml_dsa_65: Vec<u8>,
}

#[derive(Deserialize)]
struct UncheckedPublicKeys {
    #[serde(with = "byte_string")]
    kem: Vec<u8>,
    #[serde(with = "byte_string")]
    ed25519: Vec<u8>,
    #[serde(with = "byte_string")]
    ml_dsa_65: Vec<u8>,
}

impl TryFrom<UncheckedPublicKeys> for RegionPublicKeys {
    type Error = CryptoError;

    fn try_from(unchecked: UncheckedPublicKeys) -> Result<Self, CryptoError> {
        Self::new(unchecked.kem, unchecked.ed25519, unchecked.ml_dsa_65)
    }
}

impl RegionPublicKeys {
    /// From the raw public keys: 1216, 32 and 1952 bytes.
    ///
    /// # Errors
    /// [`CryptoError::RegionKey`] when one has another length or is no X-Wing key.
    pub fn new(kem: Vec<u8>, ed25519: Vec<u8>, ml_dsa_65: Vec<u8>) -> Result<Self, CryptoError> {
        let keys = Self { kem, ed25519, ml_dsa_65 };
        if keys.kem.len() != KEM_PUBLIC_BYTES {
            return Err(CryptoError::RegionKey("the X-Wing public key must have 1216 bytes"));
        }
        if keys.ed25519.len() != ED25519_PUBLIC_BYTES {
            return Err(CryptoError::RegionKey("the Ed25519 public key must have 32 bytes"));
        }
        if keys.ml_dsa_65.len() != ML_DSA_65_PUBLIC_BYTES {
            return Err(CryptoError::RegionKey("the ML-DSA-65 public key must have 1952 bytes"));
        }
        keys.kem_key()?;
        Ok(keys)
    }

    /// The raw X-Wing public key.
    pub fn kem(&self) -> &[u8] {
        &self.kem
    }

    /// The raw Ed25519 public key.
    pub fn ed25519(&self) -> &[u8] {
        &self.ed25519
    }

    /// The raw ML-DSA-65 public key.
    pub fn ml_dsa_65(&self) -> &[u8] {
        &self.ml_dsa_65
    }

    pub(super) fn kem_key(&self) -> Result<KemPublicKey, CryptoError> {
        KemPublicKey::from_bytes(&self.kem).map_err(|_| CryptoError::RegionKey("not an X-Wing public key"))
    }
}

/// What operators read to each other when two regions meet: SHA-256 over region, cluster id and all three public keys, as
/// sixteen groups of four hexadecimal digits.
pub fn fingerprint(region: &Region, cluster: ClusterId, keys: &RegionPublicKeys) -> String {
    let digest = Transcript::<Sha256>::new("claviger region fingerprint v1")
        .part(region.as_str().as_bytes())
        .part(cluster.as_bytes())
        .part(&keys.kem)
        .part(&keys.ed25519)
        .part(&keys.ml_dsa_65)
        .finish();
    let groups: Vec<String> = digest.chunks(2).map(hex::encode).collect();
    groups.join("-")
}

/// A region's private keys. Without `Debug`, `Clone` and serde, as every secret.
pub struct RegionPrivateKeys {
    kem: Secret32,
    ed25519: Secret32,
    ml_dsa_65: Secret32,
    public: RegionPublicKeys,
}

impl RegionPrivateKeys {
    /// Three fresh key pairs.
    ///
    /// # Errors
    /// When no locked memory can be had or the random generator fails.
    pub fn generate() -> Result<Self, CryptoError> {
        Self::from_seeds(Secret32::random()?, Secret32::random()?, Secret32::random()?)
    }

    /// The bytes for the barrier to seal: a version and the three seeds.
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES));
        bytes.push(SECRET_VERSION);
        self.seeds().into_iter().for_each(|seed| bytes.extend_from_slice(seed.expose()));
        bytes
    }

    /// The inverse of [`RegionPrivateKeys::to_secret_bytes`]. The caller zeroizes `bytes`.
    ///
    /// # Errors
    /// [`CryptoError::RegionKey`] when the bytes are not of that form.
    pub fn from_secret_bytes(bytes: &[u8]) -> Result<Self, CryptoError> {
        const BAD: CryptoError = CryptoError::RegionKey("sealed private keys must be version 1 and three seeds of 32 bytes");
        let seed = |number: usize| -> Result<Secret32, CryptoError> {
            Secret32::try_new_with(|slot| {
                slot.copy_from_slice(&bytes[1 + 32 * number..][..32]);
                Ok(())
            })
        };
        if bytes.len() != SECRET_BYTES || bytes[0] != SECRET_VERSION {
            return Err(BAD);
        }
        Self::from_seeds(seed(0)?, seed(1)?, seed(2)?)
    }

    /// The public halves.
    pub fn public(&self) -> RegionPublicKeys {
        self.public.clone()
    }

    pub(crate) fn seeds(&self) -> [&Secret32; 3] {
        [&self.kem, &self.ed25519, &self.ml_dsa_65]
    }

    /// The X-Wing private key, to be used and dropped inside `scrub::deep`.
    pub(super) fn kem_key(&self) -> Result<KemPrivateKey, CryptoError> {
        KemPrivateKey::from_bytes(self.kem.expose()).map_err(|_| CryptoError::RegionKey("not an X-Wing private key"))
    }

    /// The Ed25519 and the ML-DSA-65 signature of `message`.
    pub(super) fn sign(&self, message: &[u8]) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        scrub::deep(|| {
            let ed25519 = expand_ed25519(&self.ed25519)?.try_sign(message).map_err(|_| CryptoError::Sign)?;
            let mut ml_dsa_65 = vec![0; ML_DSA_65_SIGNING.signature_len()];
            expand_ml_dsa_65(&self.ml_dsa_65)?.sign(message, &mut ml_dsa_65).map_err(|_| CryptoError::Sign)?;
            Ok((ed25519.as_ref().to_vec(), ml_dsa_65))
        })
    }

    fn from_seeds(kem: Secret32, ed25519: Secret32, ml_dsa_65: Secret32) -> Result<Self, CryptoError> {
        let public = scrub::deep(|| {
            let kem = KemPrivateKey::from_bytes(kem.expose()).map_err(|_| CryptoError::RegionKey("not an X-Wing private key"))?;
            RegionPublicKeys::new(
                XWing::sk_to_pk(&kem).to_bytes().to_vec(),
                expand_ed25519(&ed25519)?.public_key().as_ref().to_vec(),
                expand_ml_dsa_65(&ml_dsa_65)?.public_key().as_ref().to_vec(),
            )
        })?;
        Ok(Self { kem, ed25519, ml_dsa_65, public })
    }
}

fn expand_ed25519(seed: &Secret32) -> Result<Ed25519KeyPair, CryptoError> {
    Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| CryptoError::RegionKey("not an Ed25519 seed"))
}

fn expand_ml_dsa_65(seed: &Secret32) -> Result<PqdsaKeyPair, CryptoError> {
    PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, seed.expose()).map_err(|_| CryptoError::RegionKey("not an ML-DSA-65 seed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed() -> RegionPrivateKeys {
        let mut bytes = vec![SECRET_VERSION];
        (1..=3).for_each(|seed| bytes.extend_from_slice(&[seed; 32]));
        RegionPrivateKeys::from_secret_bytes(&bytes).unwrap()
    }

    /// Pins the seed formats and the fingerprint's encoding: operators compare them across versions.
    #[test]
    fn the_fingerprint_of_fixed_keys_never_changes() {
        let (region, cluster) = ("eu-west-1".parse().unwrap(), ClusterId::from_bytes([9; 16]));
        let keys = fixed().public();
        // The public key that RFC 8032 gives the seed 02…02; any other implementation shows the same.
        assert_eq!(hex::encode(keys.ed25519()), "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394");
        let shown = fingerprint(&region, cluster, &keys);
        assert_eq!(shown, "e066-d0a8-d666-b8f5-d07b-6ed8-3b32-5728-b6ec-1ca3-49de-6cbd-a595-9cd6-69c6-0614");
        assert_ne!(shown, fingerprint(&"eu-west-2".parse().unwrap(), cluster, &keys));
        assert_ne!(shown, fingerprint(&region, ClusterId::from_bytes([8; 16]), &keys));
        assert_ne!(shown, fingerprint(&region, cluster, &RegionPrivateKeys::generate().unwrap().public()));
    }

    #[test]
    fn private_keys_survive_sealing() {
        let keys = RegionPrivateKeys::generate().unwrap();
        let bytes = keys.to_secret_bytes();
        assert_eq!(RegionPrivateKeys::from_secret_bytes(&bytes).unwrap().public(), keys.public());
        for bad in [&bytes[1..], &bytes[..96], &[], &[&[2], &bytes[1..]].concat()] {
            assert!(matches!(RegionPrivateKeys::from_secret_bytes(bad), Err(CryptoError::RegionKey(_))));
        }
    }

    #[test]
    fn public_keys_of_a_wrong_length_are_refused_in_every_format() {
        let keys = fixed().public();
        let bytes = claviger_types::encoding::encode(1, &keys).unwrap();
        assert_eq!(claviger_types::encoding::decode::<RegionPublicKeys>(1, &bytes).unwrap(), keys);
        let text = serde_json::to_string(&keys).unwrap();
        assert_eq!(serde_json::from_str::<RegionPublicKeys>(&text).unwrap(), keys);
        let short = claviger_types::encoding::encode(1, &(vec![1_u8; 1215], vec![1_u8; 32], vec![1_u8; 1952])).unwrap();
        assert!(claviger_types::encoding::decode::<RegionPublicKeys>(1, &short).is_err());
        let (kem, ed25519, ml_dsa_65) = (keys.kem.clone(), keys.ed25519.clone(), keys.ml_dsa_65.clone());
        assert!(RegionPublicKeys::new(kem.clone(), ed25519[1..].to_vec(), ml_dsa_65.clone()).is_err());
        assert!(RegionPublicKeys::new(kem, ed25519, ml_dsa_65[1..].to_vec()).is_err());
        // An ML-KEM key whose coefficients are not reduced is no key (FIPS 203, section 7.2).
        assert!(RegionPublicKeys::new(vec![0xff; KEM_PUBLIC_BYTES], vec![0; 32], vec![0; 1952]).is_err());
    }
}
