//! Exactly once: retries, reused ids, lost answers.

use claviger_consensus::{ProposeError, Unavailable};
use claviger_shapes::{ErrorCode, Operation};
use serde_json::{Value, json};

use crate::testing::{ACCOUNT, Deployment, HERE, Node, alice, carol};

fn count(node: &Node) -> usize {
    node.get(Operation::ListKeys, &json!({}))["Keys"].as_array().unwrap().len()
}

#[test]
fn a_retry_gets_the_same_key_on_any_node() {
    let deployment = Deployment::new();
    let (one, two) = (deployment.node(), deployment.node());
    let create = |node: &Node| node.ask_once(alice(), Operation::CreateKey, &json!({}), Some(("id", 1))).unwrap();
    let first = create(&one);
    assert_eq!(create(&two), first);
    assert_eq!(create(&one), first);
    assert_eq!(count(&one), 1);
}

#[test]
fn a_retry_after_a_lost_answer_takes_effect_once() {
    let deployment = Deployment::new();
    let node = deployment.node();
    for (applied, keys) in [(true, 1), (false, 2)] {
        *node.region.fail_propose.lock() = Some((ProposeError::Unknown, applied));
        let invocation = format!("id {applied}");
        let create = || node.ask_once(alice(), Operation::CreateKey, &json!({}), Some((&invocation, 1)));
        assert_eq!(create().unwrap_err().code, ErrorCode::KmsInternal, "SDKs retry it");
        create().unwrap();
        assert_eq!(count(&node), keys);
    }
}

#[test]
fn without_an_invocation_id_every_request_is_its_own() {
    let node = Deployment::new().node();
    node.create_key(false);
    node.create_key(false);
    assert_eq!(count(&node), 2);
}

#[test]
fn an_invocation_id_used_for_another_request_is_refused() {
    let node = Deployment::new().node();
    let ask = |operation, body: &Value, hash| node.ask_once(alice(), operation, body, Some(("id", hash)));
    let created = ask(Operation::CreateKey, &json!({}), 1).unwrap();
    let key = json!({"KeyId": created["KeyMetadata"]["KeyId"]});
    for (operation, body, hash) in [
        (Operation::CreateKey, json!({"Description": "x"}), 2),
        (Operation::DisableKey, key.clone(), 1),
        (Operation::EnableKey, key.clone(), 3),
    ] {
        let error = ask(operation, &body, hash).unwrap_err();
        assert_eq!(error.code, ErrorCode::Validation);
        assert!(error.message.contains("amz-sdk-invocation-id"));
    }
    assert_eq!(count(&node), 1);
    assert_eq!(node.get(Operation::DescribeKey, &key)["KeyMetadata"]["KeyState"], "Enabled");
}

#[test]
fn invocation_ids_of_two_principals_are_different_ids() {
    let node = Deployment::new().node();
    let create = |principal| node.ask_once(principal, Operation::CreateKey, &json!({}), Some(("id", 1))).unwrap();
    assert_ne!(create(alice())["KeyMetadata"]["KeyId"], create(carol())["KeyMetadata"]["KeyId"]);
}

#[test]
fn a_retried_disable_does_not_undo_a_later_enable() {
    let node = Deployment::new().node();
    let key = json!({"KeyId": node.create_key(false)});
    let disable = || node.ask_once(alice(), Operation::DisableKey, &key, Some(("disable", 1))).unwrap();
    disable();
    node.get(Operation::EnableKey, &key);
    disable();
    assert_eq!(node.get(Operation::DescribeKey, &key)["KeyMetadata"]["KeyState"], "Enabled");
}

#[test]
fn the_table_is_consulted_after_the_gate_and_before_anything_is_resolved() {
    use std::sync::atomic::Ordering;

    let node = Deployment::new().node();
    let create = || node.ask_once(alice(), Operation::CreateKey, &json!({}), Some(("id", 1)));
    create().unwrap();
    node.region.cut_off.store(true, Ordering::SeqCst);
    assert_eq!(create().unwrap_err().code, ErrorCode::DependencyTimeout);
    node.region.cut_off.store(false, Ordering::SeqCst);
    // A key that was never there is not what a reused id is told of.
    let unknown = json!({"KeyId": format!("arn:aws:kms:{HERE}:{ACCOUNT}:key/00000000-0000-4000-8000-000000000000")});
    let error = node.ask_once(alice(), Operation::DisableKey, &unknown, Some(("id", 1))).unwrap_err();
    assert_eq!(error.code, ErrorCode::Validation);
    // A remembered answer costs no proposal.
    node.region.before_propose(|| panic!("proposed"));
    create().unwrap();
}

#[test]
fn without_a_leader_every_operation_that_reads_says_so() {
    use std::sync::atomic::Ordering;

    let node = Deployment::new().node();
    let key = node.create_key(true);
    let blob = node.encrypt(&key, b"x");
    node.create_alias("alias/a", &key);
    node.region.cut_off.store(true, Ordering::SeqCst);
    for (operation, body) in [
        (Operation::CreateKey, json!({})),
        (Operation::Decrypt, json!({"CiphertextBlob": blob})),
        (Operation::DescribeKey, json!({"KeyId": key})),
        (Operation::DisableKey, json!({"KeyId": key})),
        (Operation::EnableKey, json!({"KeyId": key})),
        (Operation::Encrypt, json!({"KeyId": key, "Plaintext": "eA=="})),
        (Operation::GenerateDataKey, json!({"KeyId": key, "KeySpec": "AES_256"})),
        (Operation::GenerateDataKeyWithoutPlaintext, json!({"KeyId": key, "KeySpec": "AES_256"})),
        (Operation::ListKeys, json!({})),
        (Operation::ReEncrypt, json!({"CiphertextBlob": blob, "DestinationKeyId": key})),
        (Operation::CreateAlias, json!({"AliasName": "alias/b", "TargetKeyId": key})),
        (Operation::UpdateAlias, json!({"AliasName": "alias/a", "TargetKeyId": key})),
        (Operation::DeleteAlias, json!({"AliasName": "alias/a"})),
        (Operation::ListAliases, json!({})),
        (Operation::UpdateKeyDescription, json!({"KeyId": key, "Description": ""})),
    ] {
        assert_eq!(node.error(operation, &body).0, ErrorCode::DependencyTimeout, "{operation}");
    }
    // Those whose model lacks DependencyTimeoutException.
    for (operation, body) in [
        (Operation::ReplicateKey, json!({"KeyId": key, "ReplicaRegion": "dc-north-2"})),
        (Operation::TagResource, json!({"KeyId": key, "Tags": []})),
        (Operation::UntagResource, json!({"KeyId": key, "TagKeys": []})),
        (Operation::ListResourceTags, json!({"KeyId": key})),
    ] {
        assert_eq!(node.error(operation, &body).0, ErrorCode::KmsInternal, "{operation}");
    }
}

#[test]
fn proposals_that_fail() {
    let node = Deployment::new().node();
    let key = node.create_key(true);
    node.create_alias("alias/a", &key);
    for (operation, body) in [
        (Operation::CreateKey, json!({})),
        (Operation::DisableKey, json!({"KeyId": key})),
        (Operation::EnableKey, json!({"KeyId": key})),
        (Operation::ReplicateKey, json!({"KeyId": key, "ReplicaRegion": "dc-north-2"})),
        (Operation::CreateAlias, json!({"AliasName": "alias/b", "TargetKeyId": key})),
        (Operation::UpdateAlias, json!({"AliasName": "alias/a", "TargetKeyId": key})),
        (Operation::DeleteAlias, json!({"AliasName": "alias/a"})),
        (Operation::TagResource, json!({"KeyId": key, "Tags": []})),
        (Operation::UntagResource, json!({"KeyId": key, "TagKeys": []})),
        (Operation::UpdateKeyDescription, json!({"KeyId": key, "Description": ""})),
    ] {
        let not_modelled = matches!(operation, Operation::ReplicateKey | Operation::TagResource | Operation::UntagResource);
        let no_leader = if not_modelled { ErrorCode::KmsInternal } else { ErrorCode::DependencyTimeout };
        for (error, code) in [
            (ProposeError::Unavailable(Unavailable), no_leader),
            (ProposeError::Overloaded, ErrorCode::Throttling),
            (ProposeError::Unknown, ErrorCode::KmsInternal),
            (ProposeError::TooLarge, ErrorCode::KmsInternal),
        ] {
            *node.region.fail_propose.lock() = Some((error, false));
            assert_eq!(node.error(operation, &body).0, code, "{operation}");
        }
    }
}

#[test]
fn refusals_of_the_state_machine() {
    use claviger_state::Refusal;
    use claviger_types::KeyState;

    let node = Deployment::new().node();
    let key = node.create_key(true);
    let create = (Operation::CreateKey, json!({}));
    let disable = (Operation::DisableKey, json!({"KeyId": key}));
    let enable = (Operation::EnableKey, json!({"KeyId": key}));
    let replicate = (Operation::ReplicateKey, json!({"KeyId": key, "ReplicaRegion": "dc-north-2"}));
    node.create_alias("alias/a", &key);
    let name = (Operation::CreateAlias, json!({"AliasName": "alias/b", "TargetKeyId": key}));
    let rename = (Operation::UpdateAlias, json!({"AliasName": "alias/a", "TargetKeyId": key}));
    let unname = (Operation::DeleteAlias, json!({"AliasName": "alias/a"}));
    let tag = (Operation::TagResource, json!({"KeyId": key, "Tags": []}));
    let untag = (Operation::UntagResource, json!({"KeyId": key, "TagKeys": []}));
    let describe = (Operation::UpdateKeyDescription, json!({"KeyId": key, "Description": ""}));
    for ((operation, body), refusal, code) in [
        (&create, Refusal::TooManyKeys, ErrorCode::LimitExceeded),
        (&create, Refusal::InvocationReused, ErrorCode::Validation),
        (&create, Refusal::AlreadyExists, ErrorCode::KmsInternal),
        (&create, Refusal::NotFounded, ErrorCode::KmsInternal),
        (&disable, Refusal::NotFound, ErrorCode::NotFound),
        (&disable, Refusal::InvalidState(KeyState::Creating), ErrorCode::KmsInvalidState),
        (&enable, Refusal::InvalidState(KeyState::Unavailable), ErrorCode::KmsInvalidState),
        (&enable, Refusal::NotFounded, ErrorCode::KmsInternal),
        (&replicate, Refusal::NotFound, ErrorCode::NotFound),
        (&replicate, Refusal::InvalidState(KeyState::Disabled), ErrorCode::Disabled),
        (&replicate, Refusal::NotPrimary, ErrorCode::UnsupportedOperation),
        (&replicate, Refusal::AlreadyExists, ErrorCode::AlreadyExists),
        (&replicate, Refusal::UnknownPeer, ErrorCode::UnsupportedOperation),
        (&replicate, Refusal::TooManyRegions, ErrorCode::LimitExceeded),
        (&replicate, Refusal::ReservationLapsed, ErrorCode::KmsInternal),
        (&replicate, Refusal::InvocationReused, ErrorCode::Validation),
        (&name, Refusal::NotFound, ErrorCode::NotFound),
        (&name, Refusal::AlreadyExists, ErrorCode::AlreadyExists),
        (&name, Refusal::TooManyAliases, ErrorCode::LimitExceeded),
        (&name, Refusal::InvalidState(KeyState::Creating), ErrorCode::KmsInvalidState),
        (&name, Refusal::InvocationReused, ErrorCode::Validation),
        (&name, Refusal::NotFounded, ErrorCode::KmsInternal),
        (&rename, Refusal::AliasNotFound, ErrorCode::NotFound),
        (&rename, Refusal::AliasOfAnotherKind, ErrorCode::Validation),
        (&rename, Refusal::TooManyAliases, ErrorCode::LimitExceeded),
        (&rename, Refusal::InvalidState(KeyState::Unavailable), ErrorCode::KmsInvalidState),
        (&unname, Refusal::AliasNotFound, ErrorCode::NotFound),
        (&unname, Refusal::InvocationReused, ErrorCode::Validation),
        (&tag, Refusal::TooManyTags, ErrorCode::LimitExceeded),
        (&tag, Refusal::InvalidState(KeyState::Creating), ErrorCode::KmsInvalidState),
        (&untag, Refusal::NotFound, ErrorCode::NotFound),
        (&untag, Refusal::InvalidState(KeyState::Creating), ErrorCode::KmsInvalidState),
        (&describe, Refusal::InvalidState(KeyState::Creating), ErrorCode::KmsInvalidState),
        (&describe, Refusal::InvocationReused, ErrorCode::Validation),
    ] {
        *node.region.refuse_propose.lock() = Some(refusal.clone());
        assert_eq!(node.error(*operation, body).0, code, "{operation}: {refusal}");
    }
}
