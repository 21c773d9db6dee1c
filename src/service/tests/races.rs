//! What must never be served: a key as it was before a change that has been answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use claviger_consensus::Region as _;
use claviger_shapes::{ErrorCode, Operation};
use claviger_state::{Authorised, CommandBody, Expected, Once, SetKeyEnabled, read};
use serde_json::json;

use crate::testing::{Deployment, Node, base64, ready};

/// Disables or enables `key` as another node would, in the middle of whatever is going on.
fn switch(deployment: &Deployment, key: &str, enabled: bool) -> impl FnOnce() + Send + 'static {
    let (memory, key_id) = (Arc::clone(&deployment.memory), key.parse().unwrap());
    move || {
        let revision = read::key(&memory.tables(), &key_id).unwrap().unwrap().revision;
        let once = Once {
            principal: "somebody".to_owned(),
            invocation_id: format!("{revision} {enabled}"),
            operation: claviger_state::Operation::DisableKey,
            body_sha256: [0; 32],
            authorised: Authorised::default(),
        };
        let command = SetKeyEnabled { once, key: Expected { key_id, revision }, enabled };
        ready(memory.propose(CommandBody::SetKeyEnabled(command))).unwrap().unwrap();
    }
}

fn encrypt_code(node: &Node, key: &str) -> Result<(), ErrorCode> {
    let body = json!({"KeyId": key, "Plaintext": base64("x")});
    node.ask(crate::testing::alice(), Operation::Encrypt, &body).map(drop).map_err(|error| error.code)
}

#[test]
fn a_disabled_key_is_refused_at_once_on_every_node() {
    let deployment = Deployment::new();
    let nodes = [deployment.node(), deployment.node(), deployment.node()];
    let key = nodes[0].create_key(false);
    for round in 0..1000 {
        let (changes, others) = (round % 3, [(round + 1) % 3, (round + 2) % 3, round % 3]);
        for (operation, expected) in [(Operation::DisableKey, Err(ErrorCode::Disabled)), (Operation::EnableKey, Ok(()))] {
            nodes[changes].get(operation, &json!({"KeyId": key}));
            for other in others {
                assert_eq!(encrypt_code(&nodes[other], &key), expected, "round {round}, node {other}");
            }
        }
    }
}

#[test]
fn a_fill_overtaken_by_a_change_is_not_kept() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let key = node.create_key(false);
    // The request has read the key as enabled when the change is committed: it decides again.
    node.region.after_tables(switch(&deployment, &key, false));
    assert_eq!(encrypt_code(&node, &key), Err(ErrorCode::Disabled));
    node.region.after_tables(switch(&deployment, &key, true));
    node.get(Operation::DescribeKey, &json!({"KeyId": key}));
    assert_eq!(encrypt_code(&node, &key), Ok(()));
}

#[test]
fn a_fill_overtaken_by_a_snapshot_is_not_kept() {
    use claviger_consensus::Observer as _;

    let deployment = Deployment::new();
    let node = deployment.node();
    let key = node.create_key(false);
    let cache = Arc::clone(&node.service.cache);
    let reads = node.region.reads.load(Ordering::SeqCst);
    node.region.after_tables(move || cache.everything_changed());
    assert_eq!(encrypt_code(&node, &key), Ok(()));
    assert!(node.region.reads.load(Ordering::SeqCst) > reads + 1, "the key was read once");
    assert!(node.service.cache.get(&key.parse().unwrap()).is_some());
}

#[test]
fn a_change_between_authorisation_and_apply_is_authorised_again() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let key = node.create_key(true);
    node.region.before_propose(switch(&deployment, &key, false));
    node.region.before_propose(switch(&deployment, &key, true));
    node.get(Operation::DisableKey, &json!({"KeyId": key}));
    assert_eq!(encrypt_code(&node, &key), Err(ErrorCode::Disabled));
    node.get(Operation::EnableKey, &json!({"KeyId": key}));

    // For ReplicateKey the second look finds a key that may not be replicated any more.
    node.region.before_propose(switch(&deployment, &key, false));
    let body = json!({"KeyId": key, "ReplicaRegion": "dc-north-2"});
    assert_eq!(node.error(Operation::ReplicateKey, &body).0, ErrorCode::Disabled);
}

#[test]
fn authorising_again_has_an_end() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let key = node.create_key(false);
    for round in 0..crate::write::AUTHORISATIONS_MAX {
        node.region.before_propose(switch(&deployment, &key, round % 2 == 1));
    }
    assert_eq!(node.error(Operation::DisableKey, &json!({"KeyId": key})).0, ErrorCode::KmsInternal);
    // Nothing of it was remembered: the retry is carried out.
    node.get(Operation::DisableKey, &json!({"KeyId": key}));
}

#[test]
fn two_nodes_see_each_others_changes() {
    let deployment = Deployment::new();
    let (one, two) = (deployment.node(), deployment.node());
    let key = one.create_key(true);
    let blob = one.encrypt(&key, b"x");
    assert_eq!(two.get(Operation::Decrypt, &json!({"CiphertextBlob": blob}))["Plaintext"], base64("x"));
    two.get(Operation::ReplicateKey, &json!({"KeyId": key, "ReplicaRegion": "dc-north-2"}));
    let metadata = &one.get(Operation::DescribeKey, &json!({"KeyId": key}))["KeyMetadata"];
    assert_eq!(metadata["MultiRegionConfiguration"]["ReplicaKeys"][0]["Region"], "dc-north-2");
}
