//! What crosses the wire, what is noticed, what is refused.

use claviger_types::encoding;
use claviger_types::limits::RECORD_BYTES_MAX;
use proptest::prelude::*;

use super::*;
use crate::random;

/// Two symmetric materials first, then HMAC keys and a private key.
const LENGTHS: [usize; 6] = [32, 32, 28, 1, 128, MATERIAL_BYTES_MAX];

pub(crate) fn route() -> BatchRoute {
    BatchRoute {
        source_region: "eu-west-1".parse().unwrap(),
        source_cluster: ClusterId::from_bytes([1; 16]),
        source_incarnation: Incarnation::from_bytes([2; 16]),
        target_region: "eu-north-2".parse().unwrap(),
        target_cluster: ClusterId::from_bytes([3; 16]),
        target_incarnation: Incarnation::from_bytes([4; 16]),
        recipient_key_version: 5,
    }
}

type Change = fn(&mut WrappedBatch);

struct Fixture {
    source: RegionPrivateKeys,
    target: RegionPrivateKeys,
    secrets: Vec<SecretBytes>,
    batch: WrappedBatch,
}

impl Fixture {
    fn new() -> Self {
        let (source, target) = (RegionPrivateKeys::generate().unwrap(), RegionPrivateKeys::generate().unwrap());
        let secrets: Vec<SecretBytes> = LENGTHS.map(|length| SecretBytes::try_new_with(length, random::fill).unwrap()).into();
        let header = BatchHeader { route: route(), number: 6 };
        let batch = seal_batch(&source, &target.public(), &header, b"documents", &secrets).unwrap();
        Self { source, target, secrets, batch }
    }

    fn open(&self, batch: &WrappedBatch) -> Result<Vec<SecretBytes>, CryptoError> {
        open_batch(&self.target, &self.source.public(), &batch.header.route, batch)
    }

    /// The batch changed and signed again by the sender: what an attacker with both signing keys, or a bug, could send.
    fn resigned(&self, change: impl FnOnce(&mut WrappedBatch)) -> WrappedBatch {
        let mut batch = self.batch.clone();
        change(&mut batch);
        (batch.signature_ed25519, batch.signature_ml_dsa_65) = self.source.sign(&batch.signed_message()).unwrap();
        batch
    }
}

#[test]
fn a_batch_crosses_the_wire() {
    let fixture = Fixture::new();
    let wire = encoding::encode(1, &fixture.batch).unwrap();
    let opened = fixture.open(&encoding::decode(1, &wire).unwrap()).unwrap();
    assert_eq!(opened.len(), LENGTHS.len());
    assert_eq!(fixture.batch.secret_count().unwrap(), LENGTHS.len());
    assert_eq!(opened.iter().map(|secret| secret.as_secret32().is_some()).collect::<Vec<_>>(), LENGTHS.map(|length| length == 32));
    assert!(opened.iter().zip(&fixture.secrets).all(|(opened, sent)| opened.expose() == sent.expose()));
    for secret in fixture.secrets.iter().filter(|secret| secret.expose().len() > 8) {
        assert!(!wire.windows(8).any(|window| window == &secret.expose()[..8]));
    }
}

#[test]
fn a_batch_without_secrets_is_a_signed_message() {
    let fixture = Fixture::new();
    let header = BatchHeader { route: route(), number: 7 };
    let batch = seal_batch(&fixture.source, &fixture.target.public(), &header, b"only documents", &[]).unwrap();
    assert!(fixture.open(&batch).unwrap().is_empty());
}

/// Pins the bytes that are signed and bound: two versions of the program must agree on them. Made with Python's `hashlib`.
#[test]
fn the_signed_bytes_never_change() {
    let batch = WrappedBatch {
        header: BatchHeader { route: route(), number: 6 },
        documents: b"documents".to_vec(),
        encapsulated_key: vec![7; ENCAPSULATED_BYTES],
        sealed_secrets: vec![8; sealed_bytes(32)],
        signature_ed25519: Vec::new(),
        signature_ml_dsa_65: Vec::new(),
    };
    let binding = Binding::new(&batch.header, &batch.documents, &[32, 2375]);
    assert_eq!(hex::encode(binding.header), "74cf4657237760e69a7f76a0d96f477d3a6498c13ced0830f28a7d584d0ef311");
    assert_eq!(hex::encode(binding.contents), "7ee327e667cb893bcb7996bd29111b888a9336bf4f502bcc4c5db443ae3170f1");
    assert_eq!(
        hex::encode(&batch.signed_message()[28..]),
        "22e1693602a9079aedb878df099a776fb76605c956cf27b1d98dd937e189d62e63cdf73412b7c09b6f35a77845d5c16bb46caeb57758b0c663e5fce0f8efdd3d"
    );
}

#[test]
fn a_change_of_any_part_is_noticed() {
    let fixture = Fixture::new();
    let changes: [(&str, Change); 15] = [
        ("source region", |batch| batch.header.route.source_region = "eu-west-2".parse().unwrap()),
        ("source cluster", |batch| batch.header.route.source_cluster = ClusterId::from_bytes([9; 16])),
        ("source incarnation", |batch| batch.header.route.source_incarnation = Incarnation::from_bytes([9; 16])),
        ("target region", |batch| batch.header.route.target_region = "eu-west-2".parse().unwrap()),
        ("target cluster", |batch| batch.header.route.target_cluster = ClusterId::from_bytes([9; 16])),
        ("target incarnation", |batch| batch.header.route.target_incarnation = Incarnation::from_bytes([9; 16])),
        ("recipient key version", |batch| batch.header.route.recipient_key_version += 1),
        ("batch number", |batch| batch.header.number += 1),
        ("documents", |batch| batch.documents[0] ^= 1),
        ("more documents", |batch| batch.documents.push(0)),
        ("encapsulated key", |batch| batch.encapsulated_key[1119] ^= 1),
        ("a secret", |batch| batch.sealed_secrets[60] ^= 1),
        ("swapped secrets", |batch| batch.sealed_secrets.rotate_left(sealed_bytes(32))),
        ("fewer secrets", |batch| batch.sealed_secrets.truncate(2 * sealed_bytes(32))),
        // The first secret swallows the second: nothing but the lengths is changed.
        ("lengths", |batch| batch.sealed_secrets[..2].copy_from_slice(&82_u16.to_be_bytes())),
    ];
    for (what, change) in changes {
        let mut changed = fixture.batch.clone();
        change(&mut changed);
        assert!(matches!(fixture.open(&changed), Err(CryptoError::BatchSignature("Ed25519"))), "{what}");
        // Even with valid signatures: the secrets are bound to header, documents, number and place.
        assert!(matches!(fixture.open(&fixture.resigned(change)), Err(CryptoError::BatchOpen)), "{what}, signed again");
    }
    assert!(fixture.open(&fixture.batch).is_ok());
    // The two checks above see only the header that the batch itself names.
    let mut expected = route();
    expected.recipient_key_version = 4;
    let other = open_batch(&fixture.target, &fixture.source.public(), &expected, &fixture.batch);
    assert!(matches!(other, Err(CryptoError::BatchRoute)));
}

#[test]
fn both_signatures_must_be_the_senders() {
    let fixture = Fixture::new();
    let stranger = RegionPrivateKeys::generate().unwrap();
    let (ed25519, ml_dsa_65) = stranger.sign(&fixture.batch.signed_message()).unwrap();
    let forged = WrappedBatch { signature_ed25519: ed25519, ..fixture.batch.clone() };
    assert!(matches!(fixture.open(&forged), Err(CryptoError::BatchSignature("Ed25519"))));
    let forged = WrappedBatch { signature_ml_dsa_65: ml_dsa_65, ..fixture.batch.clone() };
    assert!(matches!(fixture.open(&forged), Err(CryptoError::BatchSignature("ML-DSA-65"))));
    for (ed25519_bytes, ml_dsa_65_bytes) in [(0, 3309), (64, 0), (63, 3309), (64, 3310)] {
        let mut cut = fixture.batch.clone();
        cut.signature_ed25519.resize(ed25519_bytes, 0);
        cut.signature_ml_dsa_65.resize(ml_dsa_65_bytes, 0);
        assert!(matches!(fixture.open(&cut), Err(CryptoError::BatchShape(_))));
    }
}

#[test]
fn only_the_recipient_opens_it() {
    let fixture = Fixture::new();
    let stranger = RegionPrivateKeys::generate().unwrap();
    let opened = open_batch(&stranger, &fixture.source.public(), &route(), &fixture.batch);
    assert!(matches!(opened, Err(CryptoError::BatchOpen)));
    let opened = open_batch(&fixture.target, &stranger.public(), &route(), &fixture.batch);
    assert!(matches!(opened, Err(CryptoError::BatchSignature(_))));
}

#[test]
fn sizes_are_checked_first() {
    let fixture = Fixture::new();
    let changes: [Change; 10] = [
        |batch| batch.encapsulated_key.truncate(1119),
        |batch| batch.encapsulated_key.clear(),
        |batch| batch.sealed_secrets.truncate(1),
        |batch| batch.sealed_secrets.truncate(49),
        |batch| batch.sealed_secrets.extend([0, 0].into_iter().chain([0; TAG_BYTES])),
        |batch| batch.sealed_secrets.extend((MATERIAL_BYTES_MAX + 1).to_be_bytes()[6..].iter().copied().chain([0; 3000])),
        |batch| batch.sealed_secrets = [&[0, 1][..], &[0; 1 + TAG_BYTES]].concat().repeat(BATCH_SECRETS_MAX + 1),
        |batch| batch.sealed_secrets = vec![0; BATCH_SEALED_BYTES_MAX + 1],
        |batch| batch.documents = vec![0; BATCH_DOCUMENTS_BYTES_MAX + 1],
        |batch| batch.signature_ed25519.clear(),
    ];
    for change in changes {
        let mut changed = fixture.batch.clone();
        change(&mut changed);
        assert!(matches!(fixture.open(&changed), Err(CryptoError::BatchShape(_))));
    }
    let seal = |secrets: &[SecretBytes]| seal_batch(&fixture.source, &fixture.target.public(), &fixture.batch.header, b"", secrets);
    let secrets =
        |count: usize, length: usize| -> Vec<SecretBytes> { (0..count).map(|_| SecretBytes::copy_of(&vec![1; length]).unwrap()).collect() };
    assert!(matches!(seal(&secrets(BATCH_SECRETS_MAX + 1, 1)), Err(CryptoError::BatchShape("too many secrets"))));
    let most = BATCH_SEALED_BYTES_MAX / sealed_bytes(MATERIAL_BYTES_MAX);
    assert!(fixture.open(&seal(&secrets(most, MATERIAL_BYTES_MAX)).unwrap()).is_ok_and(|opened| opened.len() == most));
    assert!(matches!(seal(&secrets(most + 1, MATERIAL_BYTES_MAX)), Err(CryptoError::BatchShape("too many bytes of secrets"))));
    assert!(matches!(seal(&secrets(1, 0)), Err(CryptoError::BatchShape(_))));
}

#[test]
fn a_full_batch_is_one_message() {
    let rest = ENCAPSULATED_BYTES + ED25519_SIGNATURE_BYTES + ML_DSA_65_SIGNATURE_BYTES + 1024;
    assert!(BATCH_DOCUMENTS_BYTES_MAX + BATCH_SEALED_BYTES_MAX + rest < RECORD_BYTES_MAX);
    assert!(BATCH_SECRETS_MAX * sealed_bytes(32) < BATCH_SEALED_BYTES_MAX);
}

proptest! {
    /// The lengths are read before any signature is verified.
    #[test]
    fn hostile_lengths_are_refused_or_add_up(bytes in proptest::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..400)) {
        let batch = WrappedBatch {
            header: BatchHeader { route: route(), number: 6 },
            documents: Vec::new(),
            encapsulated_key: vec![7; ENCAPSULATED_BYTES],
            sealed_secrets: bytes,
            signature_ed25519: Vec::new(),
            signature_ml_dsa_65: Vec::new(),
        };
        match batch.parts() {
            Ok(parts) => {
                let total: usize = parts.iter().map(|part| sealed_bytes(part.ciphertext.len())).sum();
                prop_assert_eq!(total, batch.sealed_secrets.len());
                prop_assert!(parts.iter().all(|part| part.tag.len() == TAG_BYTES));
            }
            Err(error) => prop_assert!(matches!(error, CryptoError::BatchShape(_))),
        }
    }
}
