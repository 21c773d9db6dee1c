//! CreateKey, DescribeKey, EnableKey, DisableKey.

use claviger_shapes::{ErrorCode, Operation};
use serde_json::{Value, json};

use crate::testing::{ACCOUNT, Deployment, HERE, arn};

#[test]
fn a_new_single_region_key() {
    let node = Deployment::new().node();
    let body = json!({"Description": "for payroll", "Tags": [{"TagKey": "team", "TagValue": "hr"}]});
    let metadata = &node.get(Operation::CreateKey, &body)["KeyMetadata"];
    let key_id = metadata["KeyId"].as_str().unwrap();
    let material = metadata["CurrentKeyMaterialId"].as_str().unwrap();
    assert_eq!(material.len(), 64);
    assert_eq!(key_id.len(), 36);
    assert_eq!(
        *metadata,
        json!({
            "AWSAccountId": ACCOUNT,
            "KeyId": key_id,
            "Arn": arn(key_id),
            "CreationDate": 1_700_000_000.0,
            "Enabled": true,
            "Description": "for payroll",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": "Enabled",
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": false,
            "CurrentKeyMaterialId": material,
        })
    );
    assert_eq!(node.get(Operation::DescribeKey, &json!({"KeyId": key_id}))["KeyMetadata"], *metadata);
    assert_eq!(node.get(Operation::DescribeKey, &json!({"KeyId": arn(key_id)}))["KeyMetadata"], *metadata);
}

#[test]
fn a_new_multi_region_key_is_a_lone_primary() {
    let node = Deployment::new().node();
    let metadata = &node.get(Operation::CreateKey, &json!({"MultiRegion": true}))["KeyMetadata"];
    let key_id = metadata["KeyId"].as_str().unwrap();
    assert!(key_id.starts_with("mrk-"));
    assert_eq!(metadata["MultiRegion"], true);
    assert_eq!(
        metadata["MultiRegionConfiguration"],
        json!({"MultiRegionKeyType": "PRIMARY", "PrimaryKey": {"Arn": arn(key_id), "Region": HERE}, "ReplicaKeys": []})
    );
}

#[test]
fn two_keys_have_nothing_in_common() {
    let node = Deployment::new().node();
    let [one, two] = [0, 1].map(|_| node.get(Operation::CreateKey, &json!({}))["KeyMetadata"].clone());
    assert_ne!(one["KeyId"], two["KeyId"]);
    assert_ne!(one["CurrentKeyMaterialId"], two["CurrentKeyMaterialId"]);
}

#[test]
fn disabled_and_enabled_again() {
    let node = Deployment::new().node();
    let key = json!({"KeyId": node.create_key(false)});
    let state = || {
        let metadata = node.get(Operation::DescribeKey, &key)["KeyMetadata"].clone();
        (metadata["KeyState"].clone(), metadata["Enabled"].clone())
    };
    for _ in 0..2 {
        assert_eq!(node.get(Operation::DisableKey, &key), Value::Null);
        assert_eq!(state(), ("Disabled".into(), false.into()));
    }
    for _ in 0..2 {
        assert_eq!(node.get(Operation::EnableKey, &key), Value::Null);
        assert_eq!(state(), ("Enabled".into(), true.into()));
    }
}

#[test]
fn management_takes_no_alias() {
    let node = Deployment::new().node();
    let alias_arn = format!("arn:aws:kms:{HERE}:{ACCOUNT}:alias/a");
    for operation in [Operation::EnableKey, Operation::DisableKey] {
        assert_eq!(node.error(operation, &json!({"KeyId": "alias/a"})), (ErrorCode::NotFound, "Invalid keyId 'alias/a'".to_owned()));
        assert_eq!(node.error(operation, &json!({"KeyId": alias_arn})).0, ErrorCode::InvalidArn);
    }
}

#[test]
fn material_and_id_secret_are_sealed_before_they_are_proposed() {
    use claviger_barrier::RecordPlace;
    use claviger_consensus::Region as _;
    use claviger_state::read;

    let deployment = Deployment::new();
    let node = deployment.node();
    let key_id = node.create_key(false).parse().unwrap();
    let tables = deployment.memory.tables();
    let record = read::key(&tables, &key_id).unwrap().unwrap();
    let material_id = record.document.current_material().unwrap().id;
    let material = read::material(&tables, &key_id, &material_id).unwrap().unwrap();
    let open = |place: &RecordPlace, sealed| deployment.barrier.unseal32(place.context(), sealed).unwrap();
    let material = open(&RecordPlace::material(&key_id, &material_id), &material.sealed);
    let id_secret = open(&RecordPlace::id_secret(&key_id), &record.id_secret);
    assert_eq!(claviger_crypto::material_id::compute(&id_secret, key_id, &material).unwrap(), material_id);
    for (_, _, record) in tables.rows() {
        for secret in [&material, &id_secret] {
            assert!(!record.windows(8).any(|window| secret.expose().windows(8).any(|piece| piece == window)));
        }
    }
}
