//! One batch from region to region: sealing, and opening after everything that can be checked was checked.

use aws_lc_rs::signature::{ED25519, ML_DSA_65, UnparsedPublicKey, VerificationAlgorithm};
use claviger_types::limits::MATERIAL_BYTES_MAX;
use claviger_types::{ClusterId, Incarnation, Region};
use hpke::aead::{AeadTag, AesGcm256};
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender};
use serde::{Deserialize, Serialize};
use sha2::{Sha256, Sha512};

use super::byte_string;
use super::keys::{RegionPrivateKeys, RegionPublicKeys};
use super::transcript::Transcript;
use crate::{CryptoError, SecretBytes, scrub};

/// Secrets in one batch: at two or three a key, some thousands of keys.
pub const BATCH_SECRETS_MAX: usize = 16_384;
/// Bytes of sealed secrets in one batch ([`sealed_bytes`] each): [`BATCH_SECRETS_MAX`] of 32 bytes, or over a thousand of RSA-4096.
pub const BATCH_SEALED_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Bytes of documents in one batch. With the secrets it stays below `limits::RECORD_BYTES_MAX`, so that a batch can be one message.
pub const BATCH_DOCUMENTS_BYTES_MAX: usize = 12 * 1024 * 1024;

/// X-Wing: an ML-KEM-768 ciphertext (1088) and an X25519 public key (32).
const ENCAPSULATED_BYTES: usize = 1120;
/// Before each sealed secret, its length: u16, big-endian.
const LENGTH_BYTES: usize = 2;
/// After it, its tag.
const TAG_BYTES: usize = 16;
const ED25519_SIGNATURE_BYTES: usize = 64;
/// FIPS 204, table 2.
const ML_DSA_65_SIGNATURE_BYTES: usize = 3309;

/// What a secret of `secret_bytes` takes of [`BATCH_SEALED_BYTES_MAX`].
pub const fn sealed_bytes(secret_bytes: usize) -> usize {
    LENGTH_BYTES + secret_bytes + TAG_BYTES
}

/// From whom to whom, and for which of the receiver's keys: the same for all batches between two regions until one of them changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRoute {
    /// The sending region.
    pub source_region: Region,
    /// Its cluster.
    pub source_cluster: ClusterId,
    /// Its incarnation.
    pub source_incarnation: Incarnation,
    /// The receiving region.
    pub target_region: Region,
    /// Its cluster.
    pub target_cluster: ClusterId,
    /// Its incarnation.
    pub target_incarnation: Incarnation,
    /// Which of the receiver's key sets the batch is sealed to.
    pub recipient_key_version: u32,
}

/// The signed header of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    /// From whom to whom.
    pub route: BatchRoute,
    /// The sender's count of batches on this route.
    pub number: u64,
}

impl BatchHeader {
    /// SHA-256 over every field, each behind its length.
    fn digest(&self) -> [u8; 32] {
        let route = &self.route;
        Transcript::<Sha256>::new("claviger batch header v1")
            .part(route.source_region.as_str().as_bytes())
            .part(route.source_cluster.as_bytes())
            .part(route.source_incarnation.as_bytes())
            .part(route.target_region.as_str().as_bytes())
            .part(route.target_cluster.as_bytes())
            .part(route.target_incarnation.as_bytes())
            .part(&route.recipient_key_version.to_be_bytes())
            .part(&self.number.to_be_bytes())
            .finish()
            .into()
    }
}

/// A batch as it is sent. Nothing in it may be believed before [`open_batch`] returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedBatch {
    /// From whom to whom, and which one.
    pub header: BatchHeader,
    /// The documents, encoded by the protocol. Signed, not secret.
    #[serde(with = "byte_string")]
    pub documents: Vec<u8>,
    /// HPKE's encapsulated key, 1120 bytes.
    #[serde(with = "byte_string")]
    pub encapsulated_key: Vec<u8>,
    /// The sealed secrets one after the other: the length of each as u16, big-endian, its ciphertext and its tag.
    #[serde(with = "byte_string")]
    pub sealed_secrets: Vec<u8>,
    /// The sending region's Ed25519 signature, 64 bytes.
    #[serde(with = "byte_string")]
    pub signature_ed25519: Vec<u8>,
    /// The sending region's ML-DSA-65 signature, 3309 bytes.
    #[serde(with = "byte_string")]
    pub signature_ml_dsa_65: Vec<u8>,
}

impl WrappedBatch {
    /// What both signatures sign: a label and SHA-512 over all parts, each behind its length.
    fn signed_message(&self) -> Vec<u8> {
        let digest = Transcript::<Sha512>::new("claviger batch v2")
            .part(&self.header.digest())
            .part(&self.documents)
            .part(&self.encapsulated_key)
            .part(&self.sealed_secrets)
            .finish();
        [b"claviger batch signature v2\0".as_slice(), &digest].concat()
    }

    /// How many secrets it says to hold.
    ///
    /// # Errors
    /// [`CryptoError::BatchShape`] when its sealed secrets are malformed.
    pub fn secret_count(&self) -> Result<usize, CryptoError> {
        self.parts().map(|parts| parts.len())
    }

    fn check_shape(&self) -> Result<(), CryptoError> {
        check_sizes(self.documents.len(), 0, self.sealed_secrets.len())?;
        if self.encapsulated_key.len() != ENCAPSULATED_BYTES {
            return Err(CryptoError::BatchShape("the encapsulated key must have 1120 bytes"));
        }
        if self.signature_ed25519.len() != ED25519_SIGNATURE_BYTES || self.signature_ml_dsa_65.len() != ML_DSA_65_SIGNATURE_BYTES {
            return Err(CryptoError::BatchShape("the signatures must have 64 and 3309 bytes"));
        }
        Ok(())
    }

    fn parts(&self) -> Result<Vec<Part<'_>>, CryptoError> {
        let (mut parts, mut rest) = (Vec::new(), self.sealed_secrets.as_slice());
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk().ok_or(CryptoError::BatchShape("a sealed secret is cut off"))?;
            let length = usize::from(u16::from_be_bytes(*length));
            if !(1..=MATERIAL_BYTES_MAX).contains(&length) {
                return Err(CryptoError::BatchShape("a secret has a length that none may have"));
            }
            let (sealed, behind) =
                behind.split_at_checked(length + TAG_BYTES).ok_or(CryptoError::BatchShape("a sealed secret is cut off"))?;
            if parts.len() == BATCH_SECRETS_MAX {
                return Err(CryptoError::BatchShape("too many secrets"));
            }
            let (ciphertext, tag) = sealed.split_at(length);
            parts.push(Part { ciphertext, tag });
            rest = behind;
        }
        Ok(parts)
    }
}

/// One sealed secret.
struct Part<'a> {
    ciphertext: &'a [u8],
    tag: &'a [u8],
}

/// Seals `secrets` and signs them together with `documents`, from the region that owns `sender` to the one that owns `recipient`.
///
/// # Errors
/// [`CryptoError::BatchShape`] when there is more than a batch may hold; otherwise when sealing or signing fails.
pub fn seal_batch(
    sender: &RegionPrivateKeys,
    recipient: &RegionPublicKeys,
    header: &BatchHeader,
    documents: &[u8],
    secrets: &[SecretBytes],
) -> Result<WrappedBatch, CryptoError> {
    let lengths = secrets.iter().map(secret_length).collect::<Result<Vec<u16>, _>>()?;
    let total = lengths.iter().map(|&length| sealed_bytes(length.into())).sum();
    check_sizes(documents.len(), secrets.len(), total)?;
    let binding = Binding::new(header, documents, &lengths);
    let recipient = recipient.kem_key()?;
    let mut sealed_secrets = vec![0; total];
    let encapsulated_key = scrub::deep(|| {
        let (encapsulated_key, mut context) =
            setup_sender::<AesGcm256, HkdfSha256, XWing>(&OpModeS::Base, &recipient, &binding.info()).map_err(|_| CryptoError::Seal)?;
        let mut rest = sealed_secrets.as_mut_slice();
        for (index, (secret, length)) in secrets.iter().zip(&lengths).enumerate() {
            let place = rest.split_off_mut(..sealed_bytes(secret.expose().len())).ok_or(CryptoError::Seal)?;
            let (prefix, place) = place.split_at_mut(LENGTH_BYTES);
            prefix.copy_from_slice(&length.to_be_bytes());
            let (ciphertext, tag) = place.split_at_mut(secret.expose().len());
            let buffer = InOutBuf::new(secret.expose(), ciphertext).map_err(|_| CryptoError::Seal)?;
            tag.copy_from_slice(&context.seal_inout_detached(buffer, &binding.aad(index)).map_err(|_| CryptoError::Seal)?.to_bytes());
        }
        Ok::<_, CryptoError>(encapsulated_key.to_bytes().to_vec())
    })?;
    let mut batch = WrappedBatch {
        header: header.clone(),
        documents: documents.to_vec(),
        encapsulated_key,
        sealed_secrets,
        signature_ed25519: Vec::new(),
        signature_ml_dsa_65: Vec::new(),
    };
    (batch.signature_ed25519, batch.signature_ml_dsa_65) = sender.sign(&batch.signed_message())?;
    Ok(batch)
}

/// Checks sizes, route and both signatures, in this order, then opens the secrets, in the order in which they were sealed.
///
/// `expected` is what the receiver knows of the sender and of itself; `batch.header` and `batch.documents` are the
/// sender's once this has returned.
///
/// # Errors
/// [`CryptoError::BatchShape`], [`CryptoError::BatchRoute`], [`CryptoError::BatchSignature`] or [`CryptoError::BatchOpen`],
/// by the first check that failed.
pub fn open_batch(
    recipient: &RegionPrivateKeys,
    sender: &RegionPublicKeys,
    expected: &BatchRoute,
    batch: &WrappedBatch,
) -> Result<Vec<SecretBytes>, CryptoError> {
    batch.check_shape()?;
    let parts = batch.parts()?;
    if batch.header.route != *expected {
        return Err(CryptoError::BatchRoute);
    }
    let message = batch.signed_message();
    verify("Ed25519", &ED25519, sender.ed25519(), &message, &batch.signature_ed25519)?;
    verify("ML-DSA-65", &ML_DSA_65, sender.ml_dsa_65(), &message, &batch.signature_ml_dsa_65)?;

    let lengths =
        parts.iter().map(|part| u16::try_from(part.ciphertext.len())).collect::<Result<Vec<_>, _>>().map_err(|_| CryptoError::BatchOpen)?;
    let binding = Binding::new(&batch.header, &batch.documents, &lengths);
    let encapsulated_key = <XWing as Kem>::EncappedKey::from_bytes(&batch.encapsulated_key).map_err(|_| CryptoError::BatchOpen)?;
    scrub::deep(|| {
        let mut context =
            setup_receiver::<AesGcm256, HkdfSha256, XWing>(&OpModeR::Base, &recipient.kem_key()?, &encapsulated_key, &binding.info())
                .map_err(|_| CryptoError::BatchOpen)?;
        let open = |(index, Part { ciphertext, tag }): (usize, Part<'_>)| {
            let tag = AeadTag::from_bytes(tag).map_err(|_| CryptoError::BatchOpen)?;
            SecretBytes::try_new_with(ciphertext.len(), |place| {
                let buffer = InOutBuf::new(ciphertext, place).map_err(|_| CryptoError::BatchOpen)?;
                context.open_inout_detached(buffer, &binding.aad(index), &tag).map_err(|_| CryptoError::BatchOpen)
            })
        };
        parts.into_iter().enumerate().map(open).collect()
    })
}

fn secret_length(secret: &SecretBytes) -> Result<u16, CryptoError> {
    match u16::try_from(secret.expose().len()) {
        Ok(0) | Err(_) => Err(CryptoError::BatchShape("a secret has a length that none may have")),
        Ok(length) => Ok(length),
    }
}

fn check_sizes(documents_bytes: usize, secrets: usize, sealed_bytes: usize) -> Result<(), CryptoError> {
    if documents_bytes > BATCH_DOCUMENTS_BYTES_MAX {
        return Err(CryptoError::BatchShape("too many bytes of documents"));
    }
    if secrets > BATCH_SECRETS_MAX {
        return Err(CryptoError::BatchShape("too many secrets"));
    }
    if sealed_bytes > BATCH_SEALED_BYTES_MAX {
        return Err(CryptoError::BatchShape("too many bytes of secrets"));
    }
    Ok(())
}

fn verify(
    name: &'static str,
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).map_err(|_| CryptoError::BatchSignature(name))
}

/// What ties the sealed secrets to their batch: HPKE's info is the header, each secret's additional data the whole, lengths
/// included, and its place in it.
struct Binding {
    header: [u8; 32],
    contents: [u8; 32],
}

impl Binding {
    fn new(header: &BatchHeader, documents: &[u8], lengths: &[u16]) -> Self {
        let header = header.digest();
        let contents = Transcript::<Sha256>::new("claviger batch contents v2")
            .part(&header)
            .part(documents)
            .part(&lengths.iter().flat_map(|length| length.to_be_bytes()).collect::<Vec<u8>>())
            .finish()
            .into();
        Self { header, contents }
    }

    fn info(&self) -> Vec<u8> {
        [b"claviger region wrap v2\0".as_slice(), &self.header].concat()
    }

    fn aad(&self, index: usize) -> [u8; 40] {
        let mut aad = [0; 40];
        aad[..32].copy_from_slice(&self.contents);
        aad[32..].copy_from_slice(&(index as u64).to_be_bytes());
        aad
    }
}

#[cfg(test)]
pub(crate) mod tests;
