//! Who may use which key, and in whose words it is refused.

use claviger_shapes::{ErrorCode, Operation};
use serde_json::{Value, json};

use crate::testing::{ACCOUNT, Deployment, HERE, Node, OTHER_ACCOUNT, alice, arn, base64, carol};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

/// Every operation that names a key, with a body that names `key`, and its action.
pub(super) fn naming(node: &Node, key: &str) -> Vec<(Operation, Value, &'static str)> {
    let own = node.create_key(false);
    let blob = node.encrypt(&own, b"x");
    vec![
        (Operation::DescribeKey, json!({"KeyId": key}), "kms:DescribeKey"),
        (Operation::EnableKey, json!({"KeyId": key}), "kms:EnableKey"),
        (Operation::DisableKey, json!({"KeyId": key}), "kms:DisableKey"),
        (Operation::Encrypt, json!({"KeyId": key, "Plaintext": base64("x")}), "kms:Encrypt"),
        (Operation::Decrypt, json!({"KeyId": key, "CiphertextBlob": blob}), "kms:Decrypt"),
        (Operation::GenerateDataKey, json!({"KeyId": key, "KeySpec": "AES_256"}), "kms:GenerateDataKey"),
        (Operation::GenerateDataKeyWithoutPlaintext, json!({"KeyId": key, "KeySpec": "AES_256"}), "kms:GenerateDataKeyWithoutPlaintext"),
        (Operation::ReEncrypt, json!({"SourceKeyId": key, "DestinationKeyId": own, "CiphertextBlob": blob}), "kms:ReEncryptFrom"),
        (Operation::ReEncrypt, json!({"DestinationKeyId": key, "CiphertextBlob": blob}), "kms:ReEncryptTo"),
        (Operation::ReplicateKey, json!({"KeyId": key, "ReplicaRegion": "dc-north-2"}), "kms:ReplicateKey"),
    ]
}

fn takes_aliases(operation: Operation) -> bool {
    !matches!(operation, Operation::EnableKey | Operation::DisableKey | Operation::ReplicateKey)
}

#[test]
fn an_unknown_key_of_the_own_account_is_not_found_under_its_arn() {
    let node = Deployment::new().node();
    for key in [UNKNOWN, &arn(UNKNOWN)] {
        for (operation, body, _) in naming(&node, key) {
            let message = format!("Key '{}' does not exist", arn(UNKNOWN));
            assert_eq!(node.error(operation, &body), (ErrorCode::NotFound, message), "{operation}");
        }
    }
}

#[test]
fn a_key_of_another_account_is_denied_in_the_same_words_whether_it_exists_or_not() {
    let node = Deployment::new().node();
    let answer = node.ask(carol(), Operation::CreateKey, &json!({})).unwrap();
    let exists = answer["KeyMetadata"]["KeyId"].as_str().unwrap();
    for key_id in [exists, UNKNOWN] {
        let foreign = format!("arn:aws:kms:{HERE}:{OTHER_ACCOUNT}:key/{key_id}");
        for (operation, body, action) in naming(&node, &foreign) {
            let message = format!(
                "User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: {action} on resource: {foreign} because no \
                 resource-based policy allows the {action} action"
            );
            assert_eq!(node.error(operation, &body), (ErrorCode::AccessDenied, message), "{operation}");
        }
    }
    // By its bare id it would be one of the own account, and there it is not.
    for (operation, body, _) in naming(&node, exists) {
        let message = format!("Key '{}' does not exist", arn(exists));
        assert_eq!(node.error(operation, &body), (ErrorCode::NotFound, message), "{operation}");
    }
}

#[test]
fn a_key_arn_of_another_region_or_partition_is_invalid() {
    let node = Deployment::new().node();
    let key = node.create_key(true);
    for (elsewhere, message) in [
        (format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{key}"), "Invalid arn us-east-1"),
        (format!("arn:aws:kms:us-east-1:{OTHER_ACCOUNT}:key/{key}"), "Invalid arn us-east-1"),
        (format!("arn:aws-cn:kms:{HERE}:{ACCOUNT}:key/{key}"), "Invalid arn aws-cn"),
    ] {
        for (operation, body, _) in naming(&node, &elsewhere) {
            assert_eq!(node.error(operation, &body), (ErrorCode::NotFound, message.to_owned()), "{operation}");
        }
    }
}

#[test]
fn an_alias_that_does_not_exist() {
    let node = Deployment::new().node();
    let own = format!("arn:aws:kms:{HERE}:{ACCOUNT}:alias/a");
    for alias in ["alias/a", &own] {
        for (operation, body, _) in naming(&node, alias).into_iter().filter(|(operation, ..)| takes_aliases(*operation)) {
            assert_eq!(node.error(operation, &body), (ErrorCode::NotFound, format!("Alias {own} is not found.")), "{operation}");
        }
    }
    let foreign = format!("arn:aws:kms:{HERE}:{OTHER_ACCOUNT}:alias/a");
    for (operation, body, _) in naming(&node, &foreign).into_iter().filter(|(operation, ..)| takes_aliases(*operation)) {
        assert_eq!(node.error(operation, &body).0, ErrorCode::AccessDenied, "{operation}");
    }
    let elsewhere = format!("arn:aws:kms:us-east-1:{ACCOUNT}:alias/a");
    for (operation, body, _) in naming(&node, &elsewhere).into_iter().filter(|(operation, ..)| takes_aliases(*operation)) {
        assert_eq!(node.error(operation, &body).1, "Invalid arn us-east-1", "{operation}");
    }
}

#[test]
fn a_ciphertext_of_an_unknown_or_foreign_key_is_refused_in_one_way() {
    let (deployment, elsewhere) = (Deployment::new(), Deployment::new());
    let (node, other_node) = (deployment.node(), elsewhere.node());
    let unknown = other_node.encrypt(&other_node.create_key(false), b"x");
    let own = node.create_key(false);
    let foreign = node.encrypt(&own, b"x");
    let refused = claviger_shapes::ApiError::ciphertext_inaccessible();
    assert_eq!(node.ask(alice(), Operation::Decrypt, &json!({"CiphertextBlob": unknown})).unwrap_err(), refused);
    assert_eq!(node.ask(carol(), Operation::Decrypt, &json!({"CiphertextBlob": foreign})).unwrap_err(), refused);
    let body = json!({"CiphertextBlob": unknown, "DestinationKeyId": own});
    assert_eq!(node.ask(alice(), Operation::ReEncrypt, &body).unwrap_err(), refused);
}
