//! One key has one encoding; what is no key of the spec is refused; everything that may be wrapped comes in.

use aws_lc_rs::encoding::AsRawBytes;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::PqdsaKeyPair;
use claviger_types::limits::{CIPHERTEXT_BYTES_MAX, MATERIAL_BYTES_MAX};
use claviger_types::{KeyUsage, WrappingAlgorithm, WrappingKeySpec};
use proptest::prelude::*;

use super::*;
use crate::test_materials::{Foreign, material};
use crate::{OpenMaterial, material as materials, signing};

#[test]
fn all_encodings_of_a_key_are_one_material() {
    let mut encodings = 0;
    for vector in Foreign::load().keys {
        let canonical = vector.canonical();
        for (program, encoding) in &vector.encodings {
            let parsed = parse(vector.spec(), &hex::decode(encoding).unwrap()).unwrap();
            assert_eq!(parsed.expose(), canonical.expose(), "{} by {program}", vector.spec());
            encodings += 1;
        }
        assert_eq!(materials::public_key_der(vector.spec(), &canonical).unwrap().unwrap(), vector.public_key);
    }
    assert_eq!(encodings, 3 * 2 + 4 * 5 + 3 + 3);
}

#[test]
fn what_is_generated_is_canonical_and_could_be_imported() {
    for &spec in KeySpec::ALL {
        let generated = material(spec);
        assert!(generated.expose().len() <= MATERIAL_BYTES_MAX);
        // ML-DSA comes in as PKCS#8, of which the seed is canonical.
        if !spec.as_str().starts_with("ML_DSA") {
            assert_eq!(parse(spec, generated.expose()).unwrap().expose(), generated.expose(), "{spec}");
        }
        for &usage in spec.usages() {
            let opened = OpenMaterial::open(spec, usage, generated.duplicate().unwrap()).unwrap();
            let public = materials::public_key_der(spec, &generated).unwrap();
            assert_eq!(opened.public_key_der(), public.as_deref(), "{spec} for {usage}");
            assert_eq!(public.is_some(), spec.class() == claviger_types::KeyClass::Asymmetric);
        }
        for usage in KeyUsage::ALL.iter().copied().filter(|usage| !spec.usages().contains(usage)) {
            assert!(matches!(OpenMaterial::open(spec, usage, material(spec)), Err(CryptoError::Usage { .. })));
        }
        assert_ne!(materials::generate(KeySpec::EccNistP256).unwrap().expose(), material(KeySpec::EccNistP256).expose());
    }
}

#[test]
fn keys_that_do_not_fit_their_spec_are_refused() {
    for refused in Foreign::load().refused {
        let parsed = parse(refused.spec(), &refused.bytes);
        assert!(matches!(parsed, Err(CryptoError::Material { .. })), "{}", refused.what);
    }
    for vector in Foreign::load().keys {
        let encoding = hex::decode(&vector.encodings["python"]).unwrap();
        for other in KeySpec::ALL.iter().copied().filter(|&other| other != vector.spec()) {
            // A PKCS#8 of some 48 to 141 bytes can be an HMAC key: the bytes of those mean nothing.
            let parsed = parse(other, &encoding);
            assert_eq!(parsed.is_ok(), check_hmac_length(other, encoding.len()).is_ok(), "{other} from {}", vector.spec());
        }
        for bad in [&[][..], &encoding[1..], &encoding[..encoding.len() - 1], &[&encoding[..], &[0]].concat()] {
            assert!(matches!(parse(vector.spec(), bad), Err(CryptoError::Material { .. })));
        }
    }
}

#[test]
fn lengths_of_secret_keys() {
    let lengths = |spec| (0..200).filter(move |&bytes| parse(spec, &vec![1; bytes]).is_ok()).collect::<Vec<_>>();
    assert_eq!(lengths(KeySpec::SymmetricDefault), [32]);
    assert_eq!(lengths(KeySpec::Hmac224), (28..=64).collect::<Vec<_>>());
    assert_eq!(lengths(KeySpec::Hmac256), (32..=64).collect::<Vec<_>>());
    assert_eq!(lengths(KeySpec::Hmac384), (48..=128).collect::<Vec<_>>());
    assert_eq!(lengths(KeySpec::Hmac512), (64..=128).collect::<Vec<_>>());
    let generated = [KeySpec::Hmac224, KeySpec::Hmac256, KeySpec::Hmac384, KeySpec::Hmac512].map(|spec| material(spec).expose().len());
    assert_eq!(generated, [28, 32, 48, 64]);
}

/// RFC 9881, section 6: the seed, the expanded key, or both. An element with a length below 64 KiB.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let head = match length {
        0..=127 => vec![tag, u8::try_from(length).unwrap()],
        128..=255 => vec![tag, 0x81, u8::try_from(length).unwrap()],
        _ => [&[tag, 0x82][..], &u16::try_from(length).unwrap().to_be_bytes()].concat(),
    };
    [&head, contents].concat()
}

#[test]
fn ml_dsa_comes_in_with_its_seed() {
    for (spec, last) in [(KeySpec::MlDsa44, 17), (KeySpec::MlDsa65, 18), (KeySpec::MlDsa87, 19)] {
        let seed = material(spec);
        let pair = PqdsaKeyPair::from_seed(signing::ml_dsa_algorithm(spec).unwrap(), seed.expose()).unwrap();
        let expanded = pair.private_key().as_raw_bytes().unwrap();
        let other = PqdsaKeyPair::generate(signing::ml_dsa_algorithm(spec).unwrap()).unwrap().private_key().as_raw_bytes().unwrap();
        let pkcs8 = |key: &[u8]| {
            let algorithm = element(0x30, &element(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, last]));
            element(0x30, &[element(2, &[0]), algorithm, element(4, key)].concat())
        };
        let both = |expanded: &[u8]| element(0x30, &[element(4, seed.expose()), element(4, expanded)].concat());
        let parse = |key: &[u8]| parse(spec, &pkcs8(key));
        assert_eq!(parse(&element(0x80, seed.expose())).unwrap().expose(), seed.expose());
        assert_eq!(parse(&both(expanded.as_ref())).unwrap().expose(), seed.expose());
        let Err(seedless) = parse(&element(4, expanded.as_ref())) else { panic!("a key without a seed has come in") };
        assert!(seedless.to_string().contains("seed"), "{seedless}");
        assert!(parse(&both(other.as_ref())).is_err(), "the two forms are of two keys");
        assert!(parse(&element(0x80, &seed.expose()[1..])).is_err());
        assert!(super::parse(spec, seed.expose()).is_err(), "a bare seed is no PKCS#8");
    }
}

fn wrap(algorithm: WrappingAlgorithm, public_key_der: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
    let oaep = match algorithm {
        WrappingAlgorithm::RsaesOaepSha1 | WrappingAlgorithm::RsaAesKeyWrapSha1 => &OAEP_SHA1_MGF1SHA1,
        WrappingAlgorithm::RsaesOaepSha256 | WrappingAlgorithm::RsaAesKeyWrapSha256 => &OAEP_SHA256_MGF1SHA256,
    };
    let rsa = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public_key_der).unwrap()).unwrap();
    let encrypt = |plaintext: &[u8]| {
        let mut ciphertext = vec![0; rsa.ciphertext_size()];
        rsa.encrypt(oaep, plaintext, &mut ciphertext, None).ok().map(|ciphertext| ciphertext.to_vec())
    };
    match algorithm {
        WrappingAlgorithm::RsaesOaepSha1 | WrappingAlgorithm::RsaesOaepSha256 => encrypt(plaintext),
        WrappingAlgorithm::RsaAesKeyWrapSha1 | WrappingAlgorithm::RsaAesKeyWrapSha256 => {
            let mut wrapped = vec![0; plaintext.len() + 16];
            let kek = AesKek::new(&AES_256, &[5; 32]).unwrap();
            let wrapped = kek.wrap_with_padding(plaintext, &mut wrapped).unwrap();
            Some([&encrypt(&[5; 32])?, &*wrapped].concat())
        }
    }
}

#[test]
fn everything_that_may_be_wrapped_comes_in() {
    let mut unwrapped = 0;
    for &wrapping in WrappingKeySpec::ALL {
        // The shared RSA keys, as a token would bring them back.
        let der = material(key_spec_of(wrapping));
        let key = WrappingKey::from_der(wrapping, der.expose()).unwrap();
        assert_eq!(*key.to_der(), der.expose());
        for (&algorithm, &spec) in WrappingAlgorithm::ALL.iter().flat_map(|a| KeySpec::ALL.iter().map(move |s| (a, s))) {
            let plaintext = material(spec);
            let wrapped = wrap(algorithm, key.public_key_der(), plaintext.expose());
            if !wrapping_is_allowed(spec, algorithm, wrapping) {
                assert!(wrapped.is_none(), "{spec} fits into {algorithm} with {wrapping}");
                continue;
            }
            let wrapped = wrapped.unwrap();
            assert!(wrapped.len() <= CIPHERTEXT_BYTES_MAX);
            assert_eq!(*key.unwrap(algorithm, &wrapped).unwrap(), plaintext.expose(), "{spec} in {algorithm} with {wrapping}");
            for other in WrappingAlgorithm::ALL.iter().copied().filter(|&other| other != algorithm) {
                assert!(matches!(key.unwrap(other, &wrapped), Err(CryptoError::InvalidCiphertext)));
            }
            unwrapped += 1;
        }
    }
    assert_eq!(unwrapped, 3 * (2 * 16 + 2 * 13) - 2);
}

fn key_spec_of(wrapping: WrappingKeySpec) -> KeySpec {
    wrapping.as_str().parse().unwrap()
}

#[test]
fn a_generated_wrapping_key_survives_its_token() {
    let key = WrappingKey::generate(WrappingKeySpec::Rsa2048).unwrap();
    let again = WrappingKey::from_der(WrappingKeySpec::Rsa2048, &key.to_der()).unwrap();
    assert_eq!(again.public_key_der(), key.public_key_der());
    let wrapped = wrap(WrappingAlgorithm::RsaAesKeyWrapSha256, key.public_key_der(), b"anything").unwrap();
    assert_eq!(*again.unwrap(WrappingAlgorithm::RsaAesKeyWrapSha256, &wrapped).unwrap(), b"anything");
    assert!(WrappingKey::from_der(WrappingKeySpec::Rsa3072, &key.to_der()).is_err());
    let too_long = vec![0; CIPHERTEXT_BYTES_MAX + 1];
    assert!(matches!(again.unwrap(WrappingAlgorithm::RsaAesKeyWrapSha256, &too_long), Err(CryptoError::InvalidCiphertext)));
}

proptest! {
    #[test]
    fn no_changed_bit_unwraps(place in any::<proptest::sample::Index>(), bit in 0..8) {
        let key = WrappingKey::from_der(WrappingKeySpec::Rsa2048, material(KeySpec::Rsa2048).expose()).unwrap();
        let plaintext = material(KeySpec::EccNistP256);
        let mut wrapped = wrap(WrappingAlgorithm::RsaAesKeyWrapSha256, key.public_key_der(), plaintext.expose()).unwrap();
        let index = place.index(wrapped.len());
        wrapped[index] ^= 1_u8 << bit;
        prop_assert!(key.unwrap(WrappingAlgorithm::RsaAesKeyWrapSha256, &wrapped).is_err());
        prop_assert!(key.unwrap(WrappingAlgorithm::RsaAesKeyWrapSha256, &wrapped[..index]).is_err());
    }

    /// What is redundant in an encoding is checked; what is not read makes no other material.
    #[test]
    fn a_changed_bit_makes_no_other_key(place in any::<proptest::sample::Index>(), bit in 0..8) {
        for spec in [KeySpec::Rsa2048, KeySpec::EccNistP256, KeySpec::EccNistP521, KeySpec::EccSecgP256k1] {
            let canonical = material(spec);
            let mut changed = canonical.expose().to_vec();
            changed[place.index(canonical.expose().len())] ^= 1_u8 << bit;
            prop_assert!(parse(spec, &changed).is_ok_and(|parsed| parsed.expose() == canonical.expose()) || parse(spec, &changed).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_key(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for spec in KeySpec::ALL.iter().copied().filter(|spec| spec.class() == claviger_types::KeyClass::Asymmetric) {
            prop_assert!(parse(spec, &bytes).is_err());
            prop_assert!(parse(spec, &element(0x30, &bytes)).is_err());
        }
    }
}
