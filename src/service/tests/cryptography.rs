//! Encrypt, Decrypt, ReEncrypt, the data keys, GenerateRandom.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use claviger_crypto::{EncryptionContext, Secret32, blob};
use claviger_shapes::{ErrorCode, Operation};
use claviger_types::MaterialId;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::{Deployment, Node, arn, base64, bytes};

fn material_id(node: &Node, key: &str) -> Value {
    node.get(Operation::DescribeKey, &json!({"KeyId": key}))["KeyMetadata"]["CurrentKeyMaterialId"].clone()
}

#[test]
fn what_encrypt_returned_decrypt_opens() {
    let node = Deployment::new().node();
    for multi_region in [false, true] {
        let key = node.create_key(multi_region);
        let answer = node.get(Operation::Encrypt, &json!({"KeyId": key, "Plaintext": base64("attack at dawn")}));
        assert_eq!(answer["KeyId"], arn(&key));
        assert_eq!(answer["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
        assert_eq!(answer.as_object().unwrap().len(), 3, "Encrypt names no material");
        let opened = json!({
            "KeyId": arn(&key),
            "Plaintext": base64("attack at dawn"),
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyMaterialId": material_id(&node, &key),
        });
        let blob = &answer["CiphertextBlob"];
        assert_eq!(node.get(Operation::Decrypt, &json!({"CiphertextBlob": blob})), opened);
        assert_eq!(node.get(Operation::Decrypt, &json!({"CiphertextBlob": blob, "KeyId": key})), opened);
        assert_eq!(node.get(Operation::Decrypt, &json!({"CiphertextBlob": blob, "KeyId": arn(&key)})), opened);
    }
}

#[test]
fn another_key_than_the_one_that_encrypted_is_the_incorrect_key() {
    let node = Deployment::new().node();
    let (one, two) = (node.create_key(false), node.create_key(false));
    let blob = node.encrypt(&one, b"x");
    let message = "The key ID in the request does not identify a CMK that can perform this operation.";
    let incorrect = (ErrorCode::IncorrectKey, message.to_owned());
    assert_eq!(node.error(Operation::Decrypt, &json!({"CiphertextBlob": blob, "KeyId": two})), incorrect);
    assert_eq!(node.error(Operation::ReEncrypt, &json!({"CiphertextBlob": blob, "SourceKeyId": two, "DestinationKeyId": one})), incorrect);
    // The ciphertext may name a key that nobody here knows: the key that the request names decides.
    let elsewhere = Deployment::new().node();
    let unknown = elsewhere.encrypt(&elsewhere.create_key(true), b"x");
    assert_eq!(node.error(Operation::Decrypt, &json!({"CiphertextBlob": unknown, "KeyId": two})), incorrect);
}

#[test]
fn a_changed_ciphertext_does_not_open() {
    let node = Deployment::new().node();
    let key = node.create_key(false);
    let blob = bytes(&Value::String(node.encrypt(&key, b"forty-two")));
    let invalid = (ErrorCode::InvalidCiphertext, String::new());
    for bit in 0..blob.len() * 8 {
        let mut flipped = blob.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // With the key named, a blob that names another is the incorrect key; any other change is an invalid ciphertext.
        let named = node.error(Operation::Decrypt, &json!({"CiphertextBlob": base64(&flipped), "KeyId": key}));
        let names_another = (24..32).contains(&bit) || (32..160).contains(&bit);
        match named.0 {
            ErrorCode::IncorrectKey => assert!(names_another, "bit {bit}"),
            _ => assert_eq!(named, invalid, "bit {bit}"),
        }
        let unnamed = node.error(Operation::Decrypt, &json!({"CiphertextBlob": base64(&flipped)}));
        match unnamed.0 {
            ErrorCode::AccessDenied => assert!(names_another, "bit {bit}"),
            _ => assert_eq!(unnamed, invalid, "bit {bit}"),
        }
    }
    for garbage in [vec![0], vec![1; 131], vec![1; 6144], blob[..blob.len() - 1].to_vec()] {
        for body in [json!({"CiphertextBlob": base64(&garbage)}), json!({"CiphertextBlob": base64(&garbage), "KeyId": key})] {
            let code = node.error(Operation::Decrypt, &body).0;
            assert!(matches!(code, ErrorCode::InvalidCiphertext), "{code}");
        }
    }
}

#[test]
fn an_unknown_material_is_unavailable_for_a_multi_region_key_and_invalid_for_another() {
    let node = Deployment::new().node();
    for (multi_region, expected) in [(true, ErrorCode::KeyUnavailable), (false, ErrorCode::InvalidCiphertext)] {
        let key = node.create_key(multi_region);
        let context = EncryptionContext::new(&BTreeMap::new()).unwrap();
        let unknown = MaterialId::from_bytes([7; 32]);
        let blob = blob::seal(&Secret32::random().unwrap(), key.parse().unwrap(), unknown, &context, b"x").unwrap();
        for body in [json!({"CiphertextBlob": base64(&blob)}), json!({"CiphertextBlob": base64(&blob), "KeyId": key})] {
            assert_eq!(node.error(Operation::Decrypt, &body).0, expected);
        }
        let body = json!({"CiphertextBlob": base64(&blob), "DestinationKeyId": key});
        assert_eq!(node.error(Operation::ReEncrypt, &body).0, expected);
    }
}

#[test]
fn data_keys() {
    let node = Deployment::new().node();
    let key = node.create_key(false);
    for (size, bytes_expected) in
        [(json!({"KeySpec": "AES_128"}), 16), (json!({"KeySpec": "AES_256"}), 32), (json!({"NumberOfBytes": 1024}), 1024)]
    {
        let mut body = json!({"KeyId": key, "EncryptionContext": {"a": "b"}});
        body.as_object_mut().unwrap().extend(size.as_object().unwrap().clone());
        let answer = node.get(Operation::GenerateDataKey, &body);
        assert_eq!(bytes(&answer["Plaintext"]).len(), bytes_expected);
        assert_eq!((&answer["KeyId"], &answer["KeyMaterialId"]), (&json!(arn(&key)), &material_id(&node, &key)));
        let opened = node.get(Operation::Decrypt, &json!({"CiphertextBlob": answer["CiphertextBlob"], "EncryptionContext": {"a": "b"}}));
        assert_eq!(opened["Plaintext"], answer["Plaintext"]);
        assert_ne!(node.get(Operation::GenerateDataKey, &body)["Plaintext"], answer["Plaintext"]);

        let without = node.get(Operation::GenerateDataKeyWithoutPlaintext, &body);
        assert_eq!(without.get("Plaintext"), None);
        assert_eq!((&without["KeyId"], &without["KeyMaterialId"]), (&answer["KeyId"], &answer["KeyMaterialId"]));
        let opened = node.get(Operation::Decrypt, &json!({"CiphertextBlob": without["CiphertextBlob"], "EncryptionContext": {"a": "b"}}));
        assert_eq!(bytes(&opened["Plaintext"]).len(), bytes_expected);
        assert_ne!(opened["Plaintext"], answer["Plaintext"]);
    }
}

#[test]
fn re_encrypt_to_another_key_and_context() {
    let node = Deployment::new().node();
    let (one, two) = (node.create_key(false), node.create_key(true));
    let blob = node.get(Operation::Encrypt, &json!({"KeyId": one, "Plaintext": base64("x"), "EncryptionContext": {"a": "1"}}));
    let body = json!({
        "CiphertextBlob": blob["CiphertextBlob"],
        "SourceEncryptionContext": {"a": "1"},
        "DestinationKeyId": two,
        "DestinationEncryptionContext": {"b": "2"},
    });
    let answer = node.get(Operation::ReEncrypt, &body);
    let again = &answer["CiphertextBlob"];
    assert_eq!(
        answer,
        json!({
            "CiphertextBlob": again,
            "SourceKeyId": arn(&one),
            "KeyId": arn(&two),
            "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "SourceKeyMaterialId": material_id(&node, &one),
            "DestinationKeyMaterialId": material_id(&node, &two),
        })
    );
    let opened = node.get(Operation::Decrypt, &json!({"CiphertextBlob": again, "EncryptionContext": {"b": "2"}}));
    assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!(base64("x")), &json!(arn(&two))));
    let wrong = json!({"CiphertextBlob": blob["CiphertextBlob"], "DestinationKeyId": two});
    assert_eq!(node.error(Operation::ReEncrypt, &wrong).0, ErrorCode::InvalidCiphertext);
}

#[test]
fn random_bytes_need_no_table_but_those_that_say_who_asks() {
    let node = Deployment::new().node();
    let body = json!({"NumberOfBytes": 32});
    let draw = || bytes(&node.get(Operation::GenerateRandom, &body)["Plaintext"]);
    assert_eq!(draw().len(), 32);
    assert_ne!(draw(), draw());
    // The first time, who asks: its account, then it.
    assert_eq!((node.region.gates.load(Ordering::SeqCst), node.region.reads.load(Ordering::SeqCst)), (3, 2));
    node.region.cut_off.store(true, Ordering::SeqCst);
    assert_eq!(node.error(Operation::GenerateRandom, &body).0, ErrorCode::DependencyTimeout);
}

#[test]
fn a_hit_looks_at_no_table() {
    let node = Deployment::new().node();
    let key = node.create_key(true);
    let blob = node.encrypt(&key, b"x");
    let reads = node.region.reads.load(Ordering::SeqCst);
    let gates = node.region.gates.load(Ordering::SeqCst);
    node.encrypt(&key, b"y");
    node.get(Operation::Decrypt, &json!({"CiphertextBlob": blob}));
    node.get(Operation::Decrypt, &json!({"CiphertextBlob": blob, "KeyId": arn(&key)}));
    node.get(Operation::GenerateDataKey, &json!({"KeyId": key, "KeySpec": "AES_256"}));
    node.get(Operation::ReEncrypt, &json!({"CiphertextBlob": blob, "DestinationKeyId": key}));
    assert_eq!(node.region.reads.load(Ordering::SeqCst), reads);
    assert_eq!(node.region.gates.load(Ordering::SeqCst), gates + 5, "each passed the gate");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn round_trips_and_only_with_the_same_context(
        plaintext in proptest::collection::vec(any::<u8>(), 1..=4096),
        context in proptest::collection::btree_map("[a-cA-C]{0,2}", "[a-c]{0,2}", 0..4),
        other in proptest::collection::btree_map("[a-cA-C]{0,2}", "[a-c]{0,2}", 0..4),
        multi_region: bool,
    ) {
        let node = Deployment::new().node();
        let key = node.create_key(multi_region);
        let body = json!({"KeyId": key, "Plaintext": base64(&plaintext), "EncryptionContext": context});
        let blob = node.get(Operation::Encrypt, &body)["CiphertextBlob"].clone();
        let opened = node.get(Operation::Decrypt, &json!({"CiphertextBlob": blob, "EncryptionContext": context}));
        prop_assert_eq!(bytes(&opened["Plaintext"]), plaintext);
        if other != context {
            let body = json!({"CiphertextBlob": blob, "EncryptionContext": other});
            prop_assert_eq!(node.error(Operation::Decrypt, &body), (ErrorCode::InvalidCiphertext, String::new()));
        }
    }
}
