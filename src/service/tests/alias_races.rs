//! What must never be served: the key that an alias had named before a change that has been answered.

use std::sync::Arc;

use claviger_consensus::Observer as _;
use claviger_shapes::{ErrorCode, Operation};
use claviger_types::{AliasRow, KeyArn, KeyRef};
use serde_json::json;

use crate::testing::{ACCOUNT, Deployment, Node, account, base64};

fn row() -> AliasRow {
    AliasRow::new(account(ACCOUNT), &"alias/a".parse().unwrap())
}

/// Which of two keys encrypts under the alias.
fn encrypts(node: &Node, keys: &[String; 2]) -> usize {
    let answer = node.get(Operation::Encrypt, &json!({"KeyId": "alias/a", "Plaintext": base64("x")}));
    let Ok(KeyRef::Arn(KeyArn { key_id, .. })) = answer["KeyId"].as_str().unwrap().parse() else { panic!("not an ARN") };
    keys.iter().position(|key| *key == key_id.to_string()).unwrap()
}

fn move_to(node: &Node, key: &str) {
    node.get(Operation::UpdateAlias, &json!({"AliasName": "alias/a", "TargetKeyId": key}));
}

/// Nodes with two keys; the alias names the first.
fn deployment<const NODES: usize>() -> (Deployment, [Arc<Node>; NODES], [String; 2]) {
    let deployment = Deployment::new();
    let nodes = [(); NODES].map(|()| Arc::new(deployment.node()));
    let keys = [0, 1].map(|_| nodes[0].create_key(false));
    nodes[0].create_alias("alias/a", &keys[0]);
    (deployment, nodes, keys)
}

#[test]
fn a_moved_alias_is_followed_at_once_on_every_node() {
    let (_, nodes, keys) = deployment::<3>();
    for round in 0..1000 {
        let to = (round + 1) % 2;
        move_to(&nodes[round % 3], &keys[to]);
        for (number, node) in nodes.iter().enumerate() {
            assert_eq!(encrypts(node, &keys), to, "round {round}, node {number}");
        }
    }
}

#[test]
fn a_deleted_alias_is_gone_at_once_on_every_node() {
    let (_, nodes, keys) = deployment::<3>();
    for round in 0..200 {
        nodes.iter().for_each(|node| assert_eq!(encrypts(node, &keys), round % 2));
        nodes[round % 3].get(Operation::DeleteAlias, &json!({"AliasName": "alias/a"}));
        for node in &nodes {
            let body = json!({"KeyId": "alias/a", "Plaintext": base64("x")});
            assert_eq!(node.error(Operation::Encrypt, &body).0, ErrorCode::NotFound, "round {round}");
        }
        nodes[(round + 1) % 3].create_alias("alias/a", &keys[(round + 1) % 2]);
    }
}

#[test]
fn a_fill_overtaken_by_a_move_is_not_kept() {
    let (_, [node, other], keys) = deployment::<2>();
    let to = keys[1].clone();
    // The alias was read as it was when the move is committed.
    node.region.after_tables(move || move_to(&other, &to));
    assert_eq!(encrypts(&node, &keys), 1, "it is looked at again");
    assert_eq!(encrypts(&node, &keys), 1);
}

#[test]
fn a_fill_overtaken_by_a_snapshot_is_not_kept() {
    let (_, [node], keys) = deployment::<1>();
    let cache = Arc::clone(&node.service.cache);
    // Once for the first look at the alias and once for the second; the key, the account and the caller are read in between.
    for times in [1, 0, 0, 0, 1] {
        let cache = Arc::clone(&cache);
        node.region.after_tables(move || (0..times).for_each(|_| cache.everything_changed()));
    }
    assert_eq!(encrypts(&node, &keys), 0);
    assert!(node.service.cache.alias(&row()).is_none());
    assert_eq!(encrypts(&node, &keys), 0);
    assert!(node.service.cache.alias(&row()).is_some());
}

/// How keys are replaced: the alias is moved, and when that has been answered the old key is disabled. Nobody who uses the
/// alias may see it disabled.
#[test]
fn whoever_comes_by_an_alias_sees_no_key_as_it_became_after_the_alias_had_left_it() {
    for operation in [Operation::Encrypt, Operation::GenerateDataKey, Operation::Decrypt, Operation::DescribeKey] {
        let (_, [node, other], keys) = deployment::<2>();
        let [old, new] = keys.clone();
        let blob = node.encrypt(&new, b"x");
        node.region.after_tables(move || {
            move_to(&other, &new);
            other.get(Operation::DisableKey, &json!({"KeyId": old}));
        });
        let body = match operation {
            Operation::Encrypt => json!({"KeyId": "alias/a", "Plaintext": base64("x")}),
            Operation::GenerateDataKey => json!({"KeyId": "alias/a", "KeySpec": "AES_256"}),
            Operation::Decrypt => json!({"KeyId": "alias/a", "CiphertextBlob": blob}),
            _ => json!({"KeyId": "alias/a"}),
        };
        let answer = node.get(operation, &body);
        let key = if operation == Operation::DescribeKey { &answer["KeyMetadata"]["Arn"] } else { &answer["KeyId"] };
        assert!(key.as_str().unwrap().ends_with(&keys[1]), "{operation}: {answer}");
    }
}

#[test]
fn an_alias_that_went_and_came_back_was_not_there_meanwhile() {
    let (_, [node, other], keys) = deployment::<2>();
    let [old, new] = keys.clone();
    let (again, back) = (Arc::clone(&other), old.clone());
    // When the alias was read, and when the key was.
    node.region.after_tables(move || {
        move_to(&other, &new);
        other.get(Operation::DisableKey, &json!({"KeyId": old}));
    });
    node.region.after_tables(move || {
        again.get(Operation::EnableKey, &json!({"KeyId": back}));
        move_to(&again, &back);
    });
    assert_eq!(encrypts(&node, &keys), 0);
}

#[test]
fn following_an_alias_has_an_end() {
    let (_, [node, other], keys) = deployment::<2>();
    for round in 0..100 {
        let (other, to) = (Arc::clone(&other), keys[(round + 1) % 2].clone());
        node.region.after_tables(move || move_to(&other, &to));
    }
    let body = json!({"KeyId": "alias/a", "Plaintext": base64("x")});
    assert_eq!(node.error(Operation::Encrypt, &body).0, ErrorCode::KmsInternal);
}
