//! Every spec, algorithm and message type; what must be refused; what other programs signed; mu made by hand.

use proptest::prelude::*;
use shake::{ExtendableOutput, Shake256, Update, XofReader};

use super::*;
use crate::test_materials::{Foreign, material};

fn open(spec: KeySpec) -> SigningKey {
    SigningKey::open(spec, &material(spec)).unwrap()
}

fn signing_specs() -> impl Iterator<Item = KeySpec> {
    KeySpec::ALL.iter().copied().filter(|spec| !spec.signing_algorithms().is_empty())
}

/// A message of the type and length that `check` lets pass.
fn message_for(algorithm: SigningAlgorithm, message_type: MessageType, message: &[u8]) -> Vec<u8> {
    match message_type {
        MessageType::Raw => message.to_vec(),
        MessageType::Digest => digest::digest(hash(algorithm).unwrap(), message).as_ref().to_vec(),
        MessageType::ExternalMu => vec![7; MU_BYTES],
    }
}

#[test]
fn every_spec_algorithm_and_message_type_makes_a_round_trip_or_is_refused() {
    let (mut signed, mut refused) = (0, 0);
    for spec in signing_specs() {
        let key = open(spec);
        for (&algorithm, &message_type) in SigningAlgorithm::ALL.iter().flat_map(|a| MessageType::ALL.iter().map(move |t| (a, t))) {
            let message = if message_type == MessageType::Digest && algorithm == SigningAlgorithm::MlDsaShake256 {
                vec![0; 64]
            } else {
                message_for(algorithm, message_type, b"a message")
            };
            if !spec.signing_algorithms().contains(&algorithm) {
                let refusals = [
                    key.sign(algorithm, message_type, &message).map(|_| ()),
                    key.verify(algorithm, message_type, &message, &[0; 64]).map(|_| ()),
                ];
                assert!(refusals.iter().all(|refusal| matches!(refusal, Err(CryptoError::Algorithm { .. }))));
                continue;
            }
            let signature = match key.sign(algorithm, message_type, &message) {
                Ok(signature) => signature,
                Err(error) => {
                    assert!(matches!(error, CryptoError::MessageType { .. }), "{error}");
                    assert!(matches!(key.verify(algorithm, message_type, &message, &[0]), Err(CryptoError::MessageType { .. })));
                    refused += 1;
                    continue;
                }
            };
            signed += 1;
            let verify = |message: &[u8], signature: &[u8]| key.verify(algorithm, message_type, message, signature).unwrap();
            assert!(verify(&message, &signature), "{spec} {algorithm} {message_type}");
            let mut other = message.clone();
            other[0] ^= 1;
            assert!(!verify(&other, &signature), "{spec} {algorithm} {message_type}");
            // Signatures of any shape are wrong, not errors.
            for bad in [&[][..], &signature[1..], &signature[..signature.len() - 1], &[&signature[..], &[0]].concat(), &[0; 6144]] {
                assert!(!verify(&message, bad), "{spec} {algorithm} {message_type}");
            }
        }
    }
    // RSA 3 x 6 x 2, ECDSA 4 x 2, Edwards25519 2, ML-DSA 3 x 2; refused is the third message type of each, and two of Edwards25519's.
    assert_eq!((signed, refused), (36 + 8 + 2 + 6, 18 + 4 + 4 + 3));
}

/// RAW hashes what DIGEST takes hashed; only ED25519_PH_SHA_512 hashes its digest again.
#[test]
fn a_message_and_its_digest_are_the_same_message() {
    let mut compared = 0;
    for spec in signing_specs().filter(|spec| !matches!(spec, KeySpec::EccNistEdwards25519)) {
        let key = open(spec);
        for &algorithm in spec.signing_algorithms().iter().filter(|&&algorithm| hash(algorithm).is_some()) {
            let message = message_for(algorithm, MessageType::Raw, b"a message");
            let digest = message_for(algorithm, MessageType::Digest, b"a message");
            let of_message = key.sign(algorithm, MessageType::Raw, &message).unwrap();
            let of_digest = key.sign(algorithm, MessageType::Digest, &digest).unwrap();
            assert!(key.verify(algorithm, MessageType::Digest, &digest, &of_message).unwrap());
            assert!(key.verify(algorithm, MessageType::Raw, &message, &of_digest).unwrap());
            compared += 1;
        }
    }
    assert_eq!(compared, 3 * 6 + 4);
}

#[test]
fn digests_and_mus_have_the_right_length() {
    for spec in signing_specs() {
        for &algorithm in spec.signing_algorithms() {
            let lengths = [0, 1, 28, 32, 48, 63, 64, 65];
            let passing = |message_type| lengths.into_iter().filter(move |&bytes| check(spec, algorithm, message_type, bytes).is_ok());
            if algorithm != SigningAlgorithm::Ed25519Sha512 && algorithm != SigningAlgorithm::MlDsaShake256 {
                assert_eq!(passing(MessageType::Digest).collect::<Vec<_>>(), [hash(algorithm).unwrap().output_len()]);
                let text = check(spec, algorithm, MessageType::Digest, 1).unwrap_err().to_string();
                assert_eq!(text, format!("Digest is invalid length for algorithm {algorithm}."));
            }
            if algorithm == SigningAlgorithm::MlDsaShake256 {
                assert_eq!(passing(MessageType::ExternalMu).collect::<Vec<_>>(), [64]);
                assert!(matches!(check(spec, algorithm, MessageType::ExternalMu, 63), Err(CryptoError::MuLength(63))));
            }
        }
    }
}

#[test]
fn what_other_programs_signed_verifies() {
    let foreign = Foreign::load();
    let mut verified = 0;
    for vector in &foreign.keys {
        let key = SigningKey::open(vector.spec(), &vector.canonical()).unwrap();
        assert_eq!(key.public_key_der(), vector.public_key);
        for (algorithm, signature) in &vector.signatures {
            let signature = hex::decode(signature).unwrap();
            assert!(key.verify(algorithm.parse().unwrap(), MessageType::Raw, &foreign.message, &signature).unwrap(), "{algorithm}");
            verified += 1;
        }
    }
    assert_eq!(verified, 3 * 6 + 4 + 1 + 3);
}

/// FIPS 204, algorithms 2 and 7: SHAKE256(SHAKE256(pk, 64) ‖ 0 ‖ length of the context ‖ context ‖ M, 64) for a pure signature.
pub(crate) fn mu_with_context(public_key: &[u8], context: &[u8], message: &[u8]) -> [u8; 64] {
    let shake = |parts: &[&[u8]]| {
        let mut hasher = Shake256::default();
        parts.iter().for_each(|part| hasher.update(part));
        let mut out = [0; 64];
        hasher.finalize_xof().read(&mut out);
        out
    };
    shake(&[&shake(&[public_key]), &[0, context.len().try_into().unwrap()], context, message])
}

#[test]
fn a_mu_made_by_hand_stands_for_its_message() {
    for (spec, public_key_bytes) in [(KeySpec::MlDsa44, 1312), (KeySpec::MlDsa65, 1952), (KeySpec::MlDsa87, 2592)] {
        let (key, algorithm) = (open(spec), SigningAlgorithm::MlDsaShake256);
        let der = key.public_key_der();
        for message in [&b"a message"[..], &[9; 4096]] {
            let mu = mu_with_context(&der[der.len() - public_key_bytes..], b"", message);
            let of_message = key.sign(algorithm, MessageType::Raw, message).unwrap();
            let of_mu = key.sign(algorithm, MessageType::ExternalMu, &mu).unwrap();
            assert!(key.verify(algorithm, MessageType::ExternalMu, &mu, &of_message).unwrap());
            assert!(key.verify(algorithm, MessageType::Raw, message, &of_mu).unwrap());
            // A mu is not a message of 64 bytes.
            assert!(!key.verify(algorithm, MessageType::Raw, &mu, &of_mu).unwrap());
            assert_ne!(of_mu, key.sign(algorithm, MessageType::ExternalMu, &mu).unwrap(), "signatures are hedged");
        }
    }
}

/// ED25519_PH_SHA_512 signs the digest as a message: what RFC 8032 calls PH(M) is the hash of the digest.
#[test]
fn ed25519ph_is_not_ed25519_of_the_digest() {
    let (key, digest) = (open(KeySpec::EccNistEdwards25519), [3; 64]);
    let pure = key.sign(SigningAlgorithm::Ed25519Sha512, MessageType::Raw, &digest).unwrap();
    let prehashed = key.sign(SigningAlgorithm::Ed25519PhSha512, MessageType::Digest, &digest).unwrap();
    assert!(!key.verify(SigningAlgorithm::Ed25519PhSha512, MessageType::Digest, &digest, &pure).unwrap());
    assert!(!key.verify(SigningAlgorithm::Ed25519Sha512, MessageType::Raw, &digest, &prehashed).unwrap());
    // An independent statement of it: the hash context that RFC 8032 has, over SHA-512 of the digest.
    let seed = crate::material::edwards25519_seed(&material(KeySpec::EccNistEdwards25519)).unwrap().to_owned();
    let again = sha2::Digest::chain_update(<sha2::Sha512 as sha2::Digest>::new(), digest);
    let expected = ed25519_dalek::SigningKey::from_bytes(&seed).sign_prehashed(again, None).unwrap();
    assert_eq!(prehashed, expected.to_bytes());
}

#[test]
fn keys_of_other_specs_do_not_open() {
    for &spec in KeySpec::ALL {
        for other in KeySpec::ALL.iter().copied().filter(|&other| other != spec) {
            // Seeds of ML-DSA are 32 bytes whatever the parameter set, as symmetric keys and HMAC keys are.
            let opened = SigningKey::open(spec, &material(other));
            let is_seed = spec.as_str().starts_with("ML_DSA") && material(other).as_secret32().is_some();
            assert_eq!(opened.is_ok(), is_seed, "{spec} from {other}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_bit_verifies(
        message in proptest::collection::vec(any::<u8>(), 1..200), place in any::<proptest::sample::Index>(), bit in 0..8,
    ) {
        for spec in [KeySpec::Rsa2048, KeySpec::EccNistP256, KeySpec::EccSecgP256k1, KeySpec::EccNistEdwards25519, KeySpec::MlDsa44] {
            let key = open(spec);
            let algorithm = spec.signing_algorithms()[0];
            let signature = key.sign(algorithm, MessageType::Raw, &message).unwrap();
            prop_assert!(key.verify(algorithm, MessageType::Raw, &message, &signature).unwrap());
            let mut changed = signature.clone();
            changed[place.index(signature.len())] ^= 1_u8 << bit;
            prop_assert!(!key.verify(algorithm, MessageType::Raw, &message, &changed).unwrap());
            let mut changed = message.clone();
            changed[place.index(message.len())] ^= 1_u8 << bit;
            prop_assert!(!key.verify(algorithm, MessageType::Raw, &changed, &signature).unwrap());
        }
        let (key, algorithm) = (open(KeySpec::MlDsa44), SigningAlgorithm::MlDsaShake256);
        let mut signature = key.sign(algorithm, MessageType::ExternalMu, &[5; 64]).unwrap();
        let index = place.index(signature.len());
        signature[index] ^= 1_u8 << bit;
        prop_assert!(!key.verify(algorithm, MessageType::ExternalMu, &[5; 64], &signature).unwrap());
    }
}
