//! ReplicateKey at the primary, and every way in which it can be refused.

use std::sync::Arc;

use claviger_shapes::{ErrorCode, Operation};
use claviger_types::limits::RESERVATION_WINDOW;
use claviger_types::{Clock as _, Timestamp};
use serde_json::{Value, json};

use crate::ReservationError;
use crate::testing::{ACCOUNT, Deployment, HERE, PEER, account, alice, arn};

fn body(key: &str) -> Value {
    json!({"KeyId": key, "ReplicaRegion": PEER, "Description": "in the north", "Tags": [{"TagKey": "k", "TagValue": "v"}]})
}

#[test]
fn the_replica_is_creating_and_the_target_was_asked_first() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let key = node.create_key(true);
    deployment.clock.advance(3_600_000);
    let answer = node.get(Operation::ReplicateKey, &body(&key));
    let metadata = &answer["ReplicaKeyMetadata"];
    let replica_arn = format!("arn:aws:kms:{PEER}:{ACCOUNT}:key/{key}");
    assert_eq!(metadata["Arn"], replica_arn);
    assert_eq!((&metadata["KeyState"], &metadata["Enabled"]), (&json!("Creating"), &json!(false)));
    assert_eq!((&metadata["Description"], metadata.get("CurrentKeyMaterialId")), (&json!("in the north"), None));
    let related = json!({
        "MultiRegionKeyType": "REPLICA",
        "PrimaryKey": {"Arn": arn(&key), "Region": HERE},
        "ReplicaKeys": [{"Arn": replica_arn, "Region": PEER}],
    });
    assert_eq!(metadata["MultiRegionConfiguration"], related);
    assert_eq!(answer["ReplicaTags"], json!([{"TagKey": "k", "TagValue": "v"}]));
    let policy: Value = serde_json::from_str(answer["ReplicaPolicy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Principal"]["AWS"], format!("arn:aws:iam::{ACCOUNT}:root"));

    let asked = deployment.reservations.asked.lock();
    let [(region, request)] = asked.as_slice() else { panic!("asked {} times", asked.len()) };
    assert_eq!((region.as_str(), request.key_id.to_string(), request.account), (PEER, key.clone(), account(ACCOUNT)));
    assert_eq!((request.description.as_str(), request.tags["k"].as_str()), ("in the north", "v"));
    // Nothing was written for an hour, and log time went on.
    assert_eq!(request.deadline, deployment.clock.now().plus(RESERVATION_WINDOW));

    let mut primary = related;
    primary["MultiRegionKeyType"] = json!("PRIMARY");
    assert_eq!(node.get(Operation::DescribeKey, &json!({"KeyId": key}))["KeyMetadata"]["MultiRegionConfiguration"], primary);
}

#[test]
fn a_retry_gets_the_same_answer_and_asks_nobody() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let key = node.create_key(true);
    let replicate = |hash| node.ask_once(alice(), Operation::ReplicateKey, &body(&key), Some(("id", hash)));
    let first = replicate(1).unwrap();
    assert_eq!(replicate(1).unwrap(), first);
    assert_eq!(deployment.reservations.asked.lock().len(), 1);
    assert_eq!(replicate(2).unwrap_err().code, ErrorCode::Validation);
    // A new invocation finds the replica.
    assert_eq!(node.error(Operation::ReplicateKey, &body(&key)).0, ErrorCode::AlreadyExists);
}

#[test]
fn what_cannot_be_replicated_is_refused_before_the_target_is_troubled() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let single = node.create_key(false);
    let message = format!("{} is not a multi-region primary key.", arn(&single));
    assert_eq!(node.error(Operation::ReplicateKey, &body(&single)), (ErrorCode::UnsupportedOperation, message));

    let key = node.create_key(true);
    let here = json!({"KeyId": key, "ReplicaRegion": HERE});
    assert_eq!(node.error(Operation::ReplicateKey, &here).0, ErrorCode::AlreadyExists, "the primary is in its own region");

    node.get(Operation::DisableKey, &json!({"KeyId": key}));
    assert_eq!(node.error(Operation::ReplicateKey, &body(&key)), (ErrorCode::Disabled, format!("{} is disabled.", arn(&key))));
    assert!(deployment.reservations.asked.lock().is_empty());
}

#[test]
fn every_refusal_of_the_target() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let key = node.create_key(true);
    for (refusal, code) in [
        (ReservationError::AlreadyExists, ErrorCode::AlreadyExists),
        (ReservationError::LimitExceeded, ErrorCode::LimitExceeded),
        (ReservationError::NotAllowed("not for this account".to_owned()), ErrorCode::AccessDenied),
        (ReservationError::UnknownPrincipal, ErrorCode::AccessDenied),
        (ReservationError::MalformedPolicy("no policy".to_owned()), ErrorCode::MalformedPolicyDocument),
        (ReservationError::PolicyTooLarge("too large".to_owned()), ErrorCode::LimitExceeded),
        (ReservationError::UnknownRegion, ErrorCode::UnsupportedOperation),
        (ReservationError::Unreachable, ErrorCode::KmsInternal),
        (ReservationError::Busy, ErrorCode::KmsInvalidState),
    ] {
        *deployment.reservations.refuse.lock() = Some(refusal.clone());
        let error = node.error(Operation::ReplicateKey, &body(&key));
        assert_eq!(error.0, code);
        if let ReservationError::NotAllowed(text) = refusal {
            assert_eq!(error.1, text);
        }
        let metadata = &node.get(Operation::DescribeKey, &json!({"KeyId": key}))["KeyMetadata"];
        assert_eq!(metadata["MultiRegionConfiguration"]["ReplicaKeys"], json!([]), "nothing was committed");
    }
    // None of them was remembered as the answer.
    node.get(Operation::ReplicateKey, &body(&key));
}

#[test]
fn a_region_that_is_no_peer_is_refused_by_the_log_as_well() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let key = node.create_key(true);
    let unknown = json!({"KeyId": key, "ReplicaRegion": "us-east-1"});
    assert_eq!(node.error(Operation::ReplicateKey, &unknown).0, ErrorCode::UnsupportedOperation);
    assert_eq!(deployment.reservations.asked.lock().len(), 1);
}

#[test]
fn a_commit_after_the_deadline_is_refused_and_can_be_retried() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let key = node.create_key(true);
    let clock = Arc::clone(&deployment.clock);
    *deployment.reservations.hook.lock() = Some(Box::new(move || clock.advance(30_001)));
    // As an SDK retries: under the same invocation id.
    let replicate = || node.ask_once(alice(), Operation::ReplicateKey, &body(&key), Some(("id", 1)));
    assert_eq!(replicate().unwrap_err().code, ErrorCode::KmsInternal);
    let metadata = &node.get(Operation::DescribeKey, &json!({"KeyId": key}))["KeyMetadata"];
    assert_eq!(metadata["MultiRegionConfiguration"]["ReplicaKeys"], json!([]));
    replicate().unwrap();
    // A clock that is behind log time does not shorten the window.
    assert!(deployment.reservations.asked.lock()[1].1.deadline >= Timestamp::from_millis(1_700_000_060_001));
}

/// The first try's commit is what the second runs into: it must answer as the first would have.
#[test]
fn a_retry_that_its_own_first_try_overtakes_gets_the_first_tries_answer() {
    let deployment = Deployment::new();
    let (first, second) = (deployment.node(), deployment.node());
    let key = first.create_key(true);
    let (reservations, request) = (Arc::clone(&deployment.reservations), body(&key));
    *deployment.reservations.hook.lock() = Some(Box::new(move || {
        first.ask_once(alice(), Operation::ReplicateKey, &request, Some(("id", 1))).unwrap();
        *reservations.refuse.lock() = Some(ReservationError::AlreadyExists);
    }));
    let answer = second.ask_once(alice(), Operation::ReplicateKey, &body(&key), Some(("id", 1))).unwrap();
    assert_eq!(answer["ReplicaKeyMetadata"]["KeyState"], "Creating");
    assert_eq!(deployment.reservations.asked.lock().len(), 2);
}
