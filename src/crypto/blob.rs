//! Message blob v1: what Encrypt and the data key operations return (DESIGN.md section 6, which has the layout).
//!
//! A blob commits to its key, material and encryption context and names no region. Opening says only whether it worked:
//! every failure is the same error, and the commitment is compared in constant time before the cipher is asked.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use claviger_types::limits::PLAINTEXT_BYTES_MAX;
use claviger_types::{KeyId, MaterialId};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{CryptoError, EncryptionContext, Secret32, kdf, random};

/// How much longer a blob is than its plaintext.
pub const OVERHEAD_BYTES: usize = PREFIX_BYTES + TAG_BYTES;

const VERSION: u8 = 1;
const SUITE: u8 = 1;
const FLAG_MULTI_REGION: u16 = 1;
const INFO_LABEL: &[u8] = b"kms-msg-v1\0";

const HEADER_BYTES: usize = 52;
const SALT_END: usize = HEADER_BYTES + 32;
/// Header, salt and commitment: all that precedes the ciphertext, and all of it additional data.
const PREFIX_BYTES: usize = SALT_END + 32;
const TAG_BYTES: usize = 16;

/// What a blob says of itself, readable without any key and believed only once the blob opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The key that sealed it.
    pub key_id: KeyId,
    /// The version of the key's material.
    pub material_id: MaterialId,
}

impl Header {
    /// Reads the header of `blob` and checks its length.
    ///
    /// # Errors
    /// [`CryptoError::InvalidCiphertext`] when the bytes cannot be a blob of this version.
    pub fn parse(blob: &[u8]) -> Result<Self, CryptoError> {
        if !(OVERHEAD_BYTES..=OVERHEAD_BYTES + PLAINTEXT_BYTES_MAX).contains(&blob.len()) {
            return Err(CryptoError::InvalidCiphertext);
        }
        let (&[version, suite, flags @ ..], rest) = blob.split_first_chunk::<4>().ok_or(CryptoError::InvalidCiphertext)?;
        let (key_id, rest) = rest.split_first_chunk::<16>().ok_or(CryptoError::InvalidCiphertext)?;
        let (material_id, _) = rest.split_first_chunk::<32>().ok_or(CryptoError::InvalidCiphertext)?;
        let flags = u16::from_be_bytes(flags);
        if version != VERSION || suite != SUITE || flags & !FLAG_MULTI_REGION != 0 {
            return Err(CryptoError::InvalidCiphertext);
        }
        Ok(Self { key_id: KeyId::from_parts(*key_id, flags & FLAG_MULTI_REGION != 0), material_id: MaterialId::from_bytes(*material_id) })
    }

    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let flags = if self.key_id.is_multi_region() { FLAG_MULTI_REGION } else { 0 };
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = VERSION;
        bytes[1] = SUITE;
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[4..20].copy_from_slice(self.key_id.bytes());
        bytes[20..].copy_from_slice(self.material_id.as_bytes());
        bytes
    }
}

/// Seals `plaintext` (at most `limits::PLAINTEXT_BYTES_MAX` bytes) under `material`, which `key_id` and `material_id` name.
///
/// # Errors
/// When the plaintext is too large or the random generator fails.
pub fn seal(
    material: &Secret32,
    key_id: KeyId,
    material_id: MaterialId,
    context: &EncryptionContext,
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    seal_with_salt(material, Header { key_id, material_id }, &random::bytes()?, context, plaintext)
}

/// Opens a blob under `material`, which the caller chose by the blob's [`Header`].
///
/// # Errors
/// [`CryptoError::InvalidCiphertext`], whatever is wrong.
pub fn open(material: &Secret32, context: &EncryptionContext, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    Header::parse(blob)?;
    let (prefix, ciphertext) = blob.split_first_chunk::<PREFIX_BYTES>().ok_or(CryptoError::InvalidCiphertext)?;
    let keys = MessageKeys::derive(material, prefix, context).map_err(|_| CryptoError::InvalidCiphertext)?;
    if !bool::from(keys.commitment().ct_eq(&prefix[SALT_END..])) {
        return Err(CryptoError::InvalidCiphertext);
    }
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    let aad = additional_data(prefix, context);
    let opened = keys.cipher()?.open_in_place(keys.nonce()?, Aad::from(aad), &mut plaintext).map_err(|_| CryptoError::InvalidCiphertext)?;
    let opened_bytes = opened.len();
    plaintext.truncate(opened_bytes);
    Ok(plaintext)
}

fn seal_with_salt(
    material: &Secret32,
    header: Header,
    salt: &[u8; 32],
    context: &EncryptionContext,
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    if plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(CryptoError::PlaintextTooLarge(plaintext.len()));
    }
    let mut prefix = [0; PREFIX_BYTES];
    prefix[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
    prefix[HEADER_BYTES..SALT_END].copy_from_slice(salt);
    let keys = MessageKeys::derive(material, &prefix, context)?;
    prefix[SALT_END..].copy_from_slice(keys.commitment());
    let (cipher, nonce, aad) = (keys.cipher()?, keys.nonce()?, additional_data(&prefix, context));

    let mut blob = vec![0; OVERHEAD_BYTES + plaintext.len()];
    blob[..PREFIX_BYTES].copy_from_slice(&prefix);
    let (ciphertext, tag) = blob[PREFIX_BYTES..].split_at_mut(plaintext.len());
    cipher.seal_out_of_place_scatter(nonce, Aad::from(aad), plaintext, ciphertext, &[], tag).map_err(|_| CryptoError::Seal)?;
    Ok(blob)
}

fn additional_data(prefix: &[u8; PREFIX_BYTES], context: &EncryptionContext) -> Vec<u8> {
    [prefix.as_slice(), context.canonical()].concat()
}

/// The output of the key derivation: encryption key, nonce and commitment of one message.
struct MessageKeys(Zeroizing<[u8; 76]>);

impl MessageKeys {
    /// Uses header and salt of `prefix`; its commitment is not read.
    fn derive(material: &Secret32, prefix: &[u8; PREFIX_BYTES], context: &EncryptionContext) -> Result<Self, CryptoError> {
        let mut salt = [0; 32];
        salt.copy_from_slice(&prefix[HEADER_BYTES..SALT_END]);
        let mut keys = Self(Zeroizing::new([0; 76]));
        kdf::hkdf_sha256(material, &salt, &[INFO_LABEL, &prefix[..HEADER_BYTES], context.sha256()], keys.0.as_mut_slice())?;
        Ok(keys)
    }

    fn cipher(&self) -> Result<LessSafeKey, CryptoError> {
        UnboundKey::new(&AES_256_GCM, &self.0[..32]).map(LessSafeKey::new).map_err(|_| CryptoError::KeyDerivation)
    }

    fn nonce(&self) -> Result<Nonce, CryptoError> {
        Nonce::try_assume_unique_for_key(&self.0[32..44]).map_err(|_| CryptoError::KeyDerivation)
    }

    fn commitment(&self) -> &[u8] {
        &self.0[44..]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// `tests/vectors/message-blob-v1.json`, made by an independent implementation.
    #[derive(Deserialize)]
    pub(crate) struct Vectors {
        pub(crate) blobs: Vec<BlobVector>,
        pub(crate) material_ids: Vec<MaterialIdVector>,
    }

    #[derive(Deserialize)]
    pub(crate) struct BlobVector {
        material: String,
        multi_region: bool,
        key_id: String,
        material_id: String,
        salt: String,
        encryption_context: BTreeMap<String, String>,
        plaintext: String,
        blob: String,
    }

    #[derive(Deserialize)]
    pub(crate) struct MaterialIdVector {
        pub(crate) id_secret: String,
        pub(crate) key_id: String,
        pub(crate) material: String,
        pub(crate) material_id: String,
    }

    impl Vectors {
        pub(crate) fn load() -> Self {
            serde_json::from_str(include_str!("../../tests/vectors/message-blob-v1.json")).unwrap()
        }
    }

    pub(crate) fn secret(hex_digits: &str) -> Secret32 {
        Secret32::from_slice_zeroizing(&mut hex::decode(hex_digits).unwrap()).unwrap()
    }

    fn array<const N: usize>(hex_digits: &str) -> [u8; N] {
        hex::decode(hex_digits).unwrap().try_into().unwrap()
    }

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext::new(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()).unwrap()
    }

    const KEY: KeyId = KeyId::from_parts([0x11; 16], true);
    const MATERIAL: MaterialId = MaterialId::from_bytes([0x22; 32]);

    #[test]
    fn known_answers() {
        let vectors = Vectors::load();
        assert_eq!(vectors.blobs.len(), 6);
        for vector in vectors.blobs {
            let material = secret(&vector.material);
            let header = Header {
                key_id: KeyId::from_parts(array(&vector.key_id), vector.multi_region),
                material_id: vector.material_id.parse().unwrap(),
            };
            let context = EncryptionContext::new(&vector.encryption_context).unwrap();
            let plaintext = hex::decode(&vector.plaintext).unwrap();
            let blob = seal_with_salt(&material, header, &array(&vector.salt), &context, &plaintext).unwrap();
            assert_eq!(hex::encode(&blob), vector.blob);
            assert_eq!(Header::parse(&blob).unwrap(), header);
            assert_eq!(*open(&material, &context, &blob).unwrap(), plaintext);
        }
    }

    #[test]
    fn any_one_flipped_bit_is_an_invalid_ciphertext() {
        let (material, context) = (Secret32::random().unwrap(), context(&[("a", "b")]));
        let blob = seal(&material, KEY, MATERIAL, &context, b"forty-two").unwrap();
        for bit in 0..blob.len() * 8 {
            let mut flipped = blob.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(open(&material, &context, &flipped), Err(CryptoError::InvalidCiphertext)), "bit {bit}");
        }
        assert_eq!(open(&material, &context, &blob).unwrap().as_slice(), b"forty-two");
    }

    #[test]
    fn truncated_and_overlong_blobs_are_invalid() {
        let (material, context) = (Secret32::random().unwrap(), context(&[]));
        let blob = seal(&material, KEY, MATERIAL, &context, &[1; 40]).unwrap();
        for bytes in 0..blob.len() {
            assert!(matches!(open(&material, &context, &blob[..bytes]), Err(CryptoError::InvalidCiphertext)), "{bytes} bytes");
        }
        assert!(open(&material, &context, &[&*blob, &[0]].concat()).is_err());
        assert!(matches!(Header::parse(&vec![1; OVERHEAD_BYTES + PLAINTEXT_BYTES_MAX + 1]), Err(CryptoError::InvalidCiphertext)));
    }

    /// A blob whose cipher would open: that the commitment is right must be checked by itself.
    #[test]
    fn a_wrong_commitment_is_invalid_though_the_cipher_agrees() {
        let (material, context) = (Secret32::random().unwrap(), context(&[]));
        let mut blob = seal(&material, KEY, MATERIAL, &context, b"x").unwrap();
        let mut prefix = *blob.first_chunk::<PREFIX_BYTES>().unwrap();
        let keys = MessageKeys::derive(&material, &prefix, &context).unwrap();
        for flip in [1, 0] {
            prefix[SALT_END] = keys.commitment()[0] ^ flip;
            let aad = Aad::from(additional_data(&prefix, &context));
            let (ciphertext, tag) = blob[PREFIX_BYTES..].split_at_mut(1);
            keys.cipher().unwrap().seal_out_of_place_scatter(keys.nonce().unwrap(), aad, b"x", ciphertext, &[], tag).unwrap();
            blob[..PREFIX_BYTES].copy_from_slice(&prefix);
            assert_eq!(open(&material, &context, &blob).is_ok(), flip == 0);
        }
    }

    #[test]
    fn another_material_or_context_does_not_open() {
        let (material, sealed_with) = (Secret32::random().unwrap(), context(&[("a", "b")]));
        let blob = seal(&material, KEY, MATERIAL, &sealed_with, b"x").unwrap();
        assert!(open(&Secret32::random().unwrap(), &sealed_with, &blob).is_err());
        for other in [context(&[]), context(&[("a", "c")]), context(&[("A", "b")]), context(&[("a", "b"), ("c", "")])] {
            assert!(matches!(open(&material, &other, &blob), Err(CryptoError::InvalidCiphertext)));
        }
    }

    #[test]
    fn sealing_twice_gives_two_blobs_and_too_much_is_refused() {
        let (material, context) = (Secret32::random().unwrap(), context(&[]));
        assert_ne!(seal(&material, KEY, MATERIAL, &context, b"x").unwrap(), seal(&material, KEY, MATERIAL, &context, b"x").unwrap());
        let too_much = vec![0; PLAINTEXT_BYTES_MAX + 1];
        assert!(matches!(seal(&material, KEY, MATERIAL, &context, &too_much), Err(CryptoError::PlaintextTooLarge(_))));
    }

    proptest! {
        #[test]
        fn round_trips(plaintext: Vec<u8>, pairs: BTreeMap<String, String>, key: [u8; 16], multi_region: bool) {
            let material = Secret32::random().unwrap();
            let context = EncryptionContext::new(&pairs).unwrap();
            let blob = seal(&material, KeyId::from_parts(key, multi_region), MATERIAL, &context, &plaintext).unwrap();
            prop_assert_eq!(blob.len(), plaintext.len() + OVERHEAD_BYTES);
            prop_assert_eq!(Header::parse(&blob).unwrap().key_id, KeyId::from_parts(key, multi_region));
            prop_assert_eq!(&*open(&material, &context, &blob).unwrap(), &plaintext);
        }

        #[test]
        fn hostile_bytes_never_panic_or_open(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(open(&Secret32::random().unwrap(), &EncryptionContext::new(&BTreeMap::new()).unwrap(), &bytes).is_err());
        }
    }
}
