//! Rule 10: the target region decides about a replica by its own identities, whatever the source allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_shapes::{ErrorCode, Operation};
use claviger_types::{KeyId, KeySpec, KeyUsage, Origin, Timestamp};
use serde_json::json;

use crate::testing::{ACCOUNT, Deployment, EVERYBODY, EVERYTHING, Node, PEER, account, alice, arn_of, ready, user};
use crate::{ReservationError, ReservationRequest};

fn request() -> ReservationRequest {
    ReservationRequest {
        key_id: KeyId::multi_region([7; 16]),
        account: account(ACCOUNT),
        description: String::new(),
        tags: BTreeMap::new(),
        policy: None,
        bypass_policy_lockout_safety_check: false,
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        principal: alice(),
        source_ip: None,
        deadline: Timestamp::from_millis(u64::MAX),
    }
}

/// A target region in which alice has this policy.
fn target(policy: &str) -> (Deployment, Node) {
    let deployment = Deployment::new();
    deployment.set_identities(ACCOUNT, [user("alice", [("own", policy)])]);
    let mut node = deployment.node();
    node.service.config.region = PEER.parse().unwrap();
    (deployment, node)
}

fn asked(node: &Node, request: &ReservationRequest) -> Result<(), ReservationError> {
    ready(node.service.authorise_replica(request)).map(|_| ())
}

fn allowing(actions: &str, condition: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":{actions},"Resource":"*","Condition":{condition}}}}}"#)
}

#[test]
fn it_needs_what_create_key_needs_there() {
    let (_deployment, node) = target(EVERYTHING);
    assert_eq!(asked(&node, &request()), Ok(()));
    let stranger = ReservationRequest {
        principal: claviger_types::Principal::User { account: account(ACCOUNT), name: "mallory".to_owned() },
        ..request()
    };
    assert_eq!(asked(&node, &stranger), Err(ReservationError::UnknownPrincipal));
    let (_deployment, node) = target(&allowing(r#""kms:Describe*""#, "{}"));
    let Err(ReservationError::NotAllowed(message)) = asked(&node, &request()) else { panic!("not denied") };
    let begins = format!("User: {} is not authorized to perform: kms:CreateKey on resource: arn:aws:kms:{PEER}:", arn_of(&alice()));
    assert!(message.starts_with(&begins), "{message}");
}

#[test]
fn tags_need_their_own_action_and_conditions_see_a_replica() {
    let tagged = ReservationRequest { tags: BTreeMap::from([("team".to_owned(), "blue".to_owned())]), ..request() };
    let (_deployment, node) = target(&allowing(r#""kms:CreateKey""#, "{}"));
    assert_eq!(asked(&node, &request()), Ok(()));
    assert!(matches!(asked(&node, &tagged), Err(ReservationError::NotAllowed(message)) if message.contains("kms:TagResource")));
    for (condition, holds) in [
        (r#"{"StringEquals":{"kms:MultiRegionKeyType":"REPLICA"}}"#, true),
        (r#"{"Bool":{"kms:MultiRegion":"true"}}"#, true),
        (r#"{"StringEquals":{"aws:RequestedRegion":"dc-north-2"}}"#, true),
        (r#"{"Null":{"kms:ReplicaRegion":"false"}}"#, false),
        (r#"{"StringEquals":{"aws:RequestTag/team":"blue"}}"#, true),
    ] {
        let (_deployment, node) = target(&allowing(r#"["kms:CreateKey","kms:TagResource"]"#, condition));
        assert_eq!(asked(&node, &tagged).is_ok(), holds, "{condition}");
    }
}

#[test]
fn a_policy_is_judged_by_whom_the_target_knows() {
    let (_deployment, node) = target(EVERYTHING);
    let with = |policy: &str, bypass: bool| {
        let request = ReservationRequest { policy: Some(policy.to_owned()), bypass_policy_lockout_safety_check: bypass, ..request() };
        asked(&node, &request)
    };
    assert_eq!(with(EVERYBODY, false), Ok(()));
    assert!(matches!(with("{", false), Err(ReservationError::MalformedPolicy(_))));
    // Known at the source, perhaps, and not here.
    let of_bob = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{ACCOUNT}:user/bob"}},"Action":"kms:*","Resource":"*"}}}}"#
    );
    assert!(matches!(with(&of_bob, true), Err(ReservationError::MalformedPolicy(message)) if message.contains("user/bob")));
    let of_nobody = EVERYBODY.replace("kms:*", "kms:Decrypt");
    assert!(matches!(with(&of_nobody, false), Err(ReservationError::MalformedPolicy(message)) if message.contains("in the future")));
    assert_eq!(with(&of_nobody, true), Ok(()));
    assert!(matches!(with(&EVERYBODY.replace('{', &"{ ".repeat(1 << 14)), false), Err(ReservationError::PolicyTooLarge(_))));
}

/// Two regions that know the same caller, who may replicate here and not create there.
#[test]
fn a_caller_that_the_target_refuses_changes_nothing_at_the_source() {
    let source = Deployment::new();
    let node = source.node();
    let key = node.create_key(true);
    let replicate = || node.ask(alice(), Operation::ReplicateKey, &json!({"KeyId": key, "ReplicaRegion": PEER}));
    for (policy, code) in [(allowing(r#""kms:ReplicateKey""#, "{}"), Some(ErrorCode::AccessDenied)), (EVERYTHING.to_owned(), None)] {
        let (_deployment, there) = target(&policy);
        let reservations = Arc::clone(&source.reservations);
        *source.reservations.hook.lock() = Some(Box::new(move || {
            let (_, request) = reservations.asked.lock().last().unwrap().clone();
            *reservations.refuse.lock() = asked(&there, &request).err();
        }));
        let answer = replicate();
        assert_eq!(answer.as_ref().err().map(|error| error.code), code, "{answer:?}");
        let metadata = node.get(Operation::DescribeKey, &json!({"KeyId": key}));
        let replicas = metadata["KeyMetadata"]["MultiRegionConfiguration"]["ReplicaKeys"].as_array().unwrap().len();
        assert_eq!(replicas, usize::from(code.is_none()));
    }
    // And the other way round: who may not replicate here is not asked about there.
    let before = source.reservations.asked.lock().len();
    source.set_identities(ACCOUNT, [user("alice", [("own", &allowing(r#""kms:CreateKey""#, "{}"))])]);
    assert_eq!(replicate().unwrap_err().code, ErrorCode::AccessDenied);
    assert_eq!(source.reservations.asked.lock().len(), before);
}
