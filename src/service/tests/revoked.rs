//! A caller whose certificate is revoked, at a node that hears of it only while the request waits at the read gate.

use std::collections::BTreeSet;

use claviger_consensus::Region as _;
use claviger_shapes::{ErrorCode, Operation};
use claviger_state::Refusal;
use claviger_types::RevocationFlag;
use serde_json::{Value, json};

use super::access::naming;
use crate::testing::{Deployment, EVERYBODY, Node, alice, arn_of};

/// Every operation.
fn all(node: &Node, key: &str) -> Vec<(Operation, Value)> {
    let others = [
        (Operation::CreateAlias, json!({"AliasName": "alias/a", "TargetKeyId": key})),
        (Operation::UpdateAlias, json!({"AliasName": "alias/a", "TargetKeyId": key})),
        (Operation::DeleteAlias, json!({"AliasName": "alias/a"})),
        (Operation::ListAliases, json!({})),
        (Operation::TagResource, json!({"KeyId": key, "Tags": [{"TagKey": "t", "TagValue": "v"}]})),
        (Operation::UntagResource, json!({"KeyId": key, "TagKeys": ["t"]})),
        (Operation::ListResourceTags, json!({"KeyId": key})),
        (Operation::UpdateKeyDescription, json!({"KeyId": key, "Description": "d"})),
        (Operation::CreateKey, json!({})),
        (Operation::ListKeys, json!({})),
        (Operation::GenerateRandom, json!({"NumberOfBytes": 8})),
        (Operation::GetKeyPolicy, json!({"KeyId": key})),
        (Operation::ListKeyPolicies, json!({"KeyId": key})),
        (Operation::PutKeyPolicy, json!({"KeyId": key, "Policy": EVERYBODY})),
        (Operation::CreateGrant, json!({"KeyId": key, "GranteePrincipal": arn_of(&alice()), "Operations": ["Decrypt"]})),
        (Operation::ListGrants, json!({"KeyId": key})),
        (Operation::ListRetirableGrants, json!({"RetiringPrincipal": arn_of(&alice())})),
        (Operation::RetireGrant, json!({"KeyId": key, "GrantId": "0f".repeat(32)})),
        (Operation::RevokeGrant, json!({"KeyId": key, "GrantId": "0f".repeat(32)})),
        (Operation::ScheduleKeyDeletion, json!({"KeyId": key})),
        (Operation::CancelKeyDeletion, json!({"KeyId": key})),
        (Operation::EnableKeyRotation, json!({"KeyId": key})),
        (Operation::DisableKeyRotation, json!({"KeyId": key})),
        (Operation::GetKeyRotationStatus, json!({"KeyId": key})),
        (Operation::ListKeyRotations, json!({"KeyId": key})),
        (Operation::RotateKeyOnDemand, json!({"KeyId": key})),
        (
            Operation::GetParametersForImport,
            json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}),
        ),
        (Operation::ImportKeyMaterial, json!({"KeyId": key, "ImportToken": "AQ==", "EncryptedKeyMaterial": "AQ==", "ValidTo": 1})),
        (Operation::DeleteImportedKeyMaterial, json!({"KeyId": key})),
        (Operation::GetKeyLastUsage, json!({"KeyId": key})),
        (Operation::GetPublicKey, json!({"KeyId": key})),
        (Operation::Sign, json!({"KeyId": key, "Message": "AQ==", "SigningAlgorithm": "ECDSA_SHA_256"})),
        (Operation::Verify, json!({"KeyId": key, "Message": "AQ==", "SigningAlgorithm": "ECDSA_SHA_256", "Signature": "AQ=="})),
        (Operation::GenerateMac, json!({"KeyId": key, "Message": "AQ==", "MacAlgorithm": "HMAC_SHA_256"})),
        (Operation::VerifyMac, json!({"KeyId": key, "Message": "AQ==", "MacAlgorithm": "HMAC_SHA_256", "Mac": "AQ=="})),
        (Operation::DeriveSharedSecret, json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": "AQ=="})),
        (Operation::GenerateDataKeyPair, json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"})),
        (Operation::GenerateDataKeyPairWithoutPlaintext, json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"})),
    ];
    let requests: Vec<_> = naming(node, key).into_iter().map(|(operation, body, _)| (operation, body)).chain(others).collect();
    let covered: BTreeSet<_> = requests.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(covered, Operation::ALL.iter().map(|operation| operation.as_str()).collect(), "an operation is missing here");
    requests
}

#[test]
fn it_is_refused_by_every_operation_and_changes_nothing() {
    let deployment = Deployment::new();
    let mut node = deployment.node();
    let key = node.create_key(true);
    let requests = all(&node, &key);
    for (operation, body) in &requests {
        let before = deployment.memory.tables();
        let flag = RevocationFlag::default();
        node.revoked = flag.clone();
        node.region.during_read(move || flag.set());
        let (code, message) = node.error(*operation, body);
        assert_eq!((code, message.as_str()), (ErrorCode::UnrecognizedClient, "The client certificate has been revoked."), "{operation}");
        assert_eq!(*before, *deployment.memory.tables(), "{operation} changed something");
    }
    assert!(deployment.reservations.asked.lock().is_empty(), "another region was asked");
    // The same requests by a certificate that is honoured come further.
    node.revoked = RevocationFlag::default();
    for (operation, body) in &requests {
        let answer = node.ask(alice(), *operation, body).map_err(|error| error.code);
        assert_ne!(answer.err(), Some(ErrorCode::UnrecognizedClient), "{operation}");
    }
}

#[test]
fn a_write_that_authorises_again_is_asked_again() {
    let deployment = Deployment::new();
    let mut node = deployment.node();
    let key = node.create_key(true);
    for (operation, body) in
        [(Operation::DisableKey, json!({"KeyId": key})), (Operation::ReplicateKey, json!({"KeyId": key, "ReplicaRegion": "us-east-1"}))]
    {
        let flag = RevocationFlag::default();
        node.revoked = flag.clone();
        *node.region.refuse_propose.lock() = Some(Refusal::StaleAuthorisation);
        node.region.during_read(|| {});
        node.region.during_read(move || flag.set());
        assert_eq!(node.error(operation, &body).0, ErrorCode::UnrecognizedClient, "{operation}");
    }
}
