//! Keys that a restore withholds: disabled for everybody, and no caller lifts that.

use claviger_shapes::{ErrorCode, Operation};
use claviger_types::Incarnation;
use serde_json::json;

use crate::testing::{Deployment, PEER, arn, base64};

#[test]
fn a_key_of_another_life_is_disabled_and_enable_key_says_who_can_help() {
    let deployment = Deployment::new();
    let before = deployment.node();
    let key = before.create_key(true);
    let blob = before.encrypt(&key, b"x");
    let after = deployment.node_in_life(Incarnation::from_bytes([2; 16]));
    let disabled = (ErrorCode::Disabled, format!("{} is disabled.", arn(&key)));
    assert_eq!(after.error(Operation::Encrypt, &json!({"KeyId": key, "Plaintext": base64("x")})), disabled);
    assert_eq!(after.error(Operation::Decrypt, &json!({"CiphertextBlob": blob})), disabled);
    let described = after.get(Operation::DescribeKey, &json!({"KeyId": key}));
    assert_eq!((&described["KeyMetadata"]["KeyState"], &described["KeyMetadata"]["Enabled"]), (&json!("Disabled"), &json!(false)));
    let (code, message) = after.error(Operation::EnableKey, &json!({"KeyId": key}));
    assert_eq!(code, ErrorCode::KmsInvalidState);
    assert!(message.contains("operator"), "{message}");
    // Whoever would revoke may.
    after.get(Operation::DisableKey, &json!({"KeyId": key}));
    // The document is another life's: no place is asked for in vain.
    let replicate = json!({"KeyId": key, "ReplicaRegion": PEER});
    assert_eq!(after.error(Operation::ReplicateKey, &replicate).0, ErrorCode::UnsupportedOperation);
}
