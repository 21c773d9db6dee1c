//! What `claviger_crypto` reads: blobs, keys of others, wrapped keys, batches between regions.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use claviger_crypto::agreement::AgreementKey;
use claviger_crypto::blob::{self, Header};
use claviger_crypto::import::{self, WrappingKey};
use claviger_crypto::wrap::{BatchHeader, BatchRoute, RegionPrivateKeys, WrappedBatch, open_batch};
use claviger_crypto::{EncryptionContext, OpenMaterial, Secret32, SecretBytes};
use claviger_types::encoding;
use claviger_types::{ClusterId, Incarnation, KeySpec, WrappingAlgorithm, WrappingKeySpec};

use crate::corpus::is_genuine;
use crate::first_line;

/// The schema byte of messages between regions.
pub const BATCH_SCHEMA: u8 = 1;

/// Keys that other programs made, with what they made of them: `tests/vectors`.
static VECTORS: LazyLock<serde_json::Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../vectors/private-keys-v1.json")).expect("the vectors are JSON"));

/// The vectors of every key.
///
/// # Panics
/// When the file is not of its form.
pub fn vectors() -> &'static [serde_json::Value] {
    VECTORS["keys"].as_array().expect("the vectors are a list")
}

/// The message that the vectors' signatures sign.
///
/// # Panics
/// When the file is not of its form.
pub fn vectors_message() -> Vec<u8> {
    from_hex(&VECTORS["message"])
}

/// The keys that are to be refused.
///
/// # Panics
/// When the file is not of its form.
pub fn vectors_refused() -> &'static [serde_json::Value] {
    VECTORS["refused"].as_array().expect("the refused keys are a list")
}

/// The bytes of a text of hexadecimal digits.
///
/// # Panics
/// When it is none.
pub fn from_hex(digits: &serde_json::Value) -> Vec<u8> {
    hex::decode(digits.as_str().expect("a text")).expect("hexadecimal digits")
}

/// The material of the vectors' key of that spec.
///
/// # Panics
/// When there is none.
pub fn material_of(spec: KeySpec) -> SecretBytes {
    let vector = vectors().iter().find(|vector| vector["spec"] == spec.as_str()).expect("a key of every asymmetric spec");
    import::parse(spec, &from_hex(&vector["encodings"]["python"])).expect("the key is good")
}

/// A secret of 32 such bytes.
///
/// # Panics
/// When there is no locked memory.
pub fn secret(byte: u8) -> Secret32 {
    Secret32::from_slice_zeroizing(&mut [byte; 32]).expect("locked memory")
}

/// The context of the blobs among the seeds.
///
/// # Panics
/// Never.
pub fn context() -> EncryptionContext {
    EncryptionContext::new(&BTreeMap::from([("purpose".to_owned(), "fuzz".to_owned())])).expect("a small context")
}

/// A ciphertext of Decrypt, ReEncrypt. Its header says the same when it is written again, and it opens if it is one of those that
/// were sealed.
pub fn blob(input: &[u8]) -> bool {
    static MATERIAL: LazyLock<Secret32> = LazyLock::new(|| secret(7));
    if let Ok(Header { key_id, material_id }) = Header::parse(input) {
        let again = blob::seal(&MATERIAL, key_id, material_id, &context(), b"").expect("it seals");
        assert_eq!(again[..52], input[..52], "another header");
    }
    let opened = blob::open(&MATERIAL, &context(), input).is_ok();
    assert!(!opened || is_genuine("blob", input), "a forged blob opened");
    opened
}

/// The plaintext of ImportKeyMaterial; before it, its spec and a line feed. What is taken can be used for everything that its spec
/// is for, and is what it is when it is read again.
pub fn private_key(input: &[u8]) -> bool {
    let Some((spec, bytes)) = first_line(input) else { return false };
    let Ok(spec) = spec.parse::<KeySpec>() else { return false };
    let Ok(canonical) = import::parse(spec, bytes) else { return false };
    for &usage in spec.usages() {
        let copy = canonical.duplicate().expect("memory");
        if let Err(error) = OpenMaterial::open(spec, usage, copy) {
            panic!("material that was imported does not open: {error}");
        }
    }
    // A seed is what is kept of ML-DSA; all else is kept in a form that could be imported.
    if !matches!(spec, KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87) {
        let again = import::parse(spec, canonical.expose()).expect("what is kept can be imported");
        assert_eq!(again.expose(), canonical.expose(), "another key");
    }
    true
}

/// The public key of DeriveSharedSecret; before it, the spec of ours and a line feed. A secret is as long as the curve's numbers.
pub fn public_key(input: &[u8]) -> bool {
    static OURS: LazyLock<Vec<(KeySpec, usize, AgreementKey)>> = LazyLock::new(|| {
        let open = |(spec, bytes)| (spec, bytes, AgreementKey::open(spec, &material_of(spec)).expect("the key is good"));
        [(KeySpec::EccNistP256, 32), (KeySpec::EccNistP384, 48), (KeySpec::EccNistP521, 66)].map(open).into()
    });
    let Some((spec, peer)) = first_line(input) else { return false };
    let Some((_, bytes, ours)) = OURS.iter().find(|(of, ..)| of.as_str() == spec) else { return false };
    let Ok(shared) = ours.derive(peer) else { return false };
    assert_eq!(shared.len(), *bytes);
    true
}

/// The wrapping key of the seeds.
///
/// # Panics
/// Never.
pub fn wrapping_key() -> WrappingKey {
    WrappingKey::from_der(WrappingKeySpec::Rsa2048, material_of(KeySpec::Rsa2048).expose()).expect("the key is good")
}

/// The encrypted material of ImportKeyMaterial; before it, the algorithm and a line feed. It opens if it is one of those that were
/// wrapped.
pub fn wrapped_material(input: &[u8]) -> bool {
    static KEY: LazyLock<WrappingKey> = LazyLock::new(wrapping_key);
    let Some((algorithm, wrapped)) = first_line(input) else { return false };
    let Ok(algorithm) = algorithm.parse::<WrappingAlgorithm>() else { return false };
    let opened = KEY.unwrap(algorithm, wrapped).is_ok();
    assert!(!opened || is_genuine("wrapped_material", input), "a forged wrapping opened");
    opened
}

/// Keys of a region, the same in every process.
///
/// # Panics
/// When there is no locked memory.
pub fn region_keys(byte: u8) -> RegionPrivateKeys {
    let mut bytes = [byte; 97];
    bytes[0] = 1;
    RegionPrivateKeys::from_secret_bytes(&bytes).expect("locked memory")
}

/// The route of the batches among the seeds: from the owner of `region_keys(1)` to that of `region_keys(2)`.
///
/// # Panics
/// Never.
pub fn route() -> BatchRoute {
    BatchRoute {
        source_region: "dc-north-1".parse().expect("a region"),
        source_cluster: ClusterId::from_bytes([1; 16]),
        source_incarnation: Incarnation::from_bytes([2; 16]),
        target_region: "dc-east-1".parse().expect("a region"),
        target_cluster: ClusterId::from_bytes([3; 16]),
        target_incarnation: Incarnation::from_bytes([4; 16]),
        recipient_key_version: 1,
    }
}

/// Documents and materials from another region. The batch reads the same when it is written again; its secrets can be counted
/// without opening them; it opens if it is one of those that were sealed.
pub fn region_batch(input: &[u8]) -> bool {
    static RECIPIENT: LazyLock<RegionPrivateKeys> = LazyLock::new(|| region_keys(2));
    static SENDER: LazyLock<RegionPrivateKeys> = LazyLock::new(|| region_keys(1));
    let Ok(batch) = encoding::decode::<WrappedBatch>(BATCH_SCHEMA, input) else { return false };
    let again = encoding::encode(BATCH_SCHEMA, &batch).expect("what was read can be written");
    assert_eq!(encoding::decode::<WrappedBatch>(BATCH_SCHEMA, &again).expect("what was written can be read"), batch);
    let counted = batch.secret_count();
    // Once as it came, and once as if it had the right way, so that the rest is reached too.
    let rerouted = WrappedBatch { header: BatchHeader { route: route(), ..batch.header.clone() }, ..batch.clone() };
    let _ = open_batch(&RECIPIENT, &SENDER.public(), &route(), &rerouted);
    match open_batch(&RECIPIENT, &SENDER.public(), &route(), &batch) {
        Ok(secrets) => {
            // The bytes, not the input: a length can be written in more than one way.
            assert!(is_genuine("region_batch", &again), "a forged batch opened");
            assert_eq!(secrets.len(), counted.expect("a batch that opens has its form"));
            true
        }
        Err(_) => false,
    }
}
