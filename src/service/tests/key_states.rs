//! The order of checks where more than one would refuse, and the disabled column of the state matrix.

use claviger_shapes::{ErrorCode, Operation};
use serde_json::json;

use crate::testing::{Deployment, arn, base64};

#[test]
fn a_disabled_key_does_no_cryptography() {
    let node = Deployment::new().node();
    let (key, other) = (node.create_key(false), node.create_key(false));
    let (blob, other_blob) = (node.encrypt(&key, b"x"), node.encrypt(&other, b"x"));
    node.get(Operation::DisableKey, &json!({"KeyId": key}));
    let disabled = (ErrorCode::Disabled, format!("{} is disabled.", arn(&key)));
    for (operation, body) in [
        (Operation::Encrypt, json!({"KeyId": key, "Plaintext": base64("x")})),
        (Operation::Decrypt, json!({"CiphertextBlob": blob})),
        (Operation::GenerateDataKey, json!({"KeyId": key, "KeySpec": "AES_256"})),
        (Operation::GenerateDataKeyWithoutPlaintext, json!({"KeyId": key, "KeySpec": "AES_256"})),
        (Operation::ReEncrypt, json!({"CiphertextBlob": blob, "DestinationKeyId": other})),
        (Operation::ReEncrypt, json!({"CiphertextBlob": other_blob, "DestinationKeyId": key})),
    ] {
        assert_eq!(node.error(operation, &body), disabled, "{operation}");
    }
    node.get(Operation::EnableKey, &json!({"KeyId": key}));
    assert_eq!(node.get(Operation::Decrypt, &json!({"CiphertextBlob": blob}))["Plaintext"], base64("x"));
}

#[test]
fn state_is_told_before_what_is_wrong_with_the_ciphertext_and_after_who_may() {
    let node = Deployment::new().node();
    let (key, other) = (node.create_key(false), node.create_key(false));
    let other_blob = node.encrypt(&other, b"x");
    node.get(Operation::DisableKey, &json!({"KeyId": key}));
    for blob in [other_blob.clone(), base64("garbage")] {
        assert_eq!(node.error(Operation::Decrypt, &json!({"CiphertextBlob": blob, "KeyId": key})).0, ErrorCode::Disabled);
        let body = json!({"CiphertextBlob": blob, "SourceKeyId": key, "DestinationKeyId": other});
        assert_eq!(node.error(Operation::ReEncrypt, &body).0, ErrorCode::Disabled);
    }
    // An unknown destination comes before the source's state.
    let body = json!({"CiphertextBlob": other_blob, "SourceKeyId": key, "DestinationKeyId": "00000000-0000-4000-8000-000000000000"});
    assert_eq!(node.error(Operation::ReEncrypt, &body).0, ErrorCode::NotFound);
}
