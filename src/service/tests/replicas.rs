//! A key of which another region is the primary: Creating, then active, then detached.

use std::collections::{BTreeMap, BTreeSet};

use claviger_barrier::RecordPlace;
use claviger_crypto::{EncryptionContext, Secret32, blob, material_id};
use claviger_shapes::{ErrorCode, Operation};
use claviger_state::protocol::{InProgress, MaterialEntry, MaterialState, MemberStatus, NewDocument, SharedDoc};
use claviger_state::{CommandBody, ReceiveDocuments, ReceivedDocument, Reserve, Response, SealedMaterial};
use claviger_types::{KeyId, KeySpec, KeyUsage, MaterialId, Origin, Region, Timestamp};
use serde_json::json;

use crate::testing::{ACCOUNT, Deployment, HERE, PEER, account, arn, base64, peer_author};

/// A key as its primary, the peer, has it.
struct Primary {
    document: SharedDoc,
    id_secret: Secret32,
    materials: BTreeMap<MaterialId, Secret32>,
}

impl Primary {
    fn new() -> Self {
        let (id_secret, material) = (Secret32::random().unwrap(), Secret32::random().unwrap());
        let key_id = KeyId::multi_region([5; 16]);
        let id = material_id::compute(&id_secret, key_id, &material).unwrap();
        let document = SharedDoc::create(NewDocument {
            author: peer_author(),
            key_id,
            account: account(ACCOUNT),
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            created_at: Timestamp::from_millis(1),
            material: Some(id),
        });
        Self { document, id_secret, materials: BTreeMap::from([(id, material)]) }
    }

    fn set_member(&mut self, status: MemberStatus) {
        let next = self.document.version.next();
        let member = self.document.members.get_mut(&here()).unwrap();
        (member.status, member.since) = (status, next.clone());
        self.document.version = next;
    }

    /// New material in this state; what was current becomes past when it is.
    fn add_material(&mut self, state: MaterialState) -> MaterialId {
        let material = Secret32::random().unwrap();
        let id = material_id::compute(&self.id_secret, self.document.key_id, &material).unwrap();
        if state == MaterialState::Current {
            self.document.materials.iter_mut().for_each(|entry| entry.state = MaterialState::Past);
        }
        self.document.materials.push(MaterialEntry { id, created_at: Timestamp::from_millis(2), state, rotated: None, united: false });
        self.document.version = self.document.version.next();
        let since = self.document.version.clone();
        let in_progress = InProgress { since, kind: None, started_at: Timestamp::from_millis(2) };
        self.document.in_progress = self.document.pending_material().map(|_| in_progress);
        self.materials.insert(id, material);
        id
    }

    /// What this region's receiver makes of a shipment.
    fn ship(&self, deployment: &Deployment) {
        let key_id = self.document.key_id;
        let seal = |place: &RecordPlace, secret: &Secret32| deployment.barrier.seal(place.context(), secret.expose()).unwrap();
        let materials = self
            .materials
            .iter()
            .map(|(id, material)| SealedMaterial { id: *id, sealed: seal(&RecordPlace::material(&key_id, id), material) });
        let received = ReceivedDocument {
            document: self.document.clone(),
            id_secret: Some(seal(&RecordPlace::id_secret(&key_id), &self.id_secret)),
            materials: materials.collect(),
        };
        let body = CommandBody::ReceiveDocuments(ReceiveDocuments { from: peer_author(), documents: vec![received] });
        assert_eq!(deployment.apply(body), Response::Documents(vec![Ok(())]));
    }

    fn encrypt(&self, id: MaterialId, plaintext: &[u8]) -> String {
        let context = EncryptionContext::new(&BTreeMap::new()).unwrap();
        base64(blob::seal(&self.materials[&id], self.document.key_id, id, &context, plaintext).unwrap())
    }
}

fn here() -> Region {
    HERE.parse().unwrap()
}

/// A replica that is Creating in `deployment`.
fn replica(deployment: &Deployment) -> Primary {
    let mut primary = Primary::new();
    let deadline = Timestamp::from_millis(u64::MAX);
    deployment.apply(CommandBody::Reserve(Box::new(Reserve {
        primary: peer_author(),
        key_id: primary.document.key_id,
        account: account(ACCOUNT),
        description: "a replica".to_owned(),
        tags: BTreeMap::new(),
        policy: None,
        deadline,
        authorised: claviger_state::Authorised::default(),
    })));
    primary.document = primary.document.add_member(&peer_author(), &here(), deadline, Timestamp::from_millis(2)).unwrap();
    primary.ship(deployment);
    primary
}

#[test]
fn a_replica_that_is_creating_is_shown_and_not_used() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let primary = replica(&deployment);
    let key = primary.document.key_id.to_string();
    let metadata = &node.get(Operation::DescribeKey, &json!({"KeyId": key}))["KeyMetadata"];
    assert_eq!((&metadata["KeyState"], &metadata["Enabled"]), (&json!("Creating"), &json!(false)));
    assert_eq!((&metadata["Description"], metadata.get("CurrentKeyMaterialId")), (&json!("a replica"), None));
    assert_eq!(metadata["MultiRegionConfiguration"]["MultiRegionKeyType"], "REPLICA");
    let creating = (ErrorCode::KmsInvalidState, format!("{} is creating.", arn(&key)));
    let blob = primary.encrypt(*primary.materials.keys().next().unwrap(), b"x");
    for (operation, body) in [
        (Operation::Encrypt, json!({"KeyId": key, "Plaintext": base64("x")})),
        (Operation::Decrypt, json!({"CiphertextBlob": blob})),
        (Operation::GenerateDataKey, json!({"KeyId": key, "KeySpec": "AES_256"})),
        (Operation::GenerateDataKeyWithoutPlaintext, json!({"KeyId": key, "KeySpec": "AES_256"})),
        (Operation::ReEncrypt, json!({"CiphertextBlob": blob, "DestinationKeyId": key})),
        (Operation::EnableKey, json!({"KeyId": key})),
        (Operation::DisableKey, json!({"KeyId": key})),
    ] {
        assert_eq!(node.error(operation, &body), creating, "{operation}");
    }
}

#[test]
fn an_active_replica_opens_what_its_primary_sealed_and_is_no_primary() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let mut primary = replica(&deployment);
    let (key, id) = (primary.document.key_id.to_string(), *primary.materials.keys().next().unwrap());
    // Cached while Creating: the change of status must reach the cache like any other.
    assert_eq!(node.error(Operation::Encrypt, &json!({"KeyId": key, "Plaintext": base64("x")})).0, ErrorCode::KmsInvalidState);
    primary.set_member(MemberStatus::Active);
    primary.ship(&deployment);
    let opened = node.get(Operation::Decrypt, &json!({"CiphertextBlob": primary.encrypt(id, b"from the north")}));
    assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!(base64("from the north")), &json!(arn(&key))));
    let message = format!("{} is not a multi-region primary key.", arn(&key));
    let body = json!({"KeyId": key, "ReplicaRegion": PEER});
    assert_eq!(node.error(Operation::ReplicateKey, &body), (ErrorCode::UnsupportedOperation, message));
    // Switched off here, and only here.
    node.get(Operation::DisableKey, &json!({"KeyId": key}));
    assert_eq!(node.error(Operation::Encrypt, &json!({"KeyId": key, "Plaintext": base64("x")})).0, ErrorCode::Disabled);
}

#[test]
fn pending_material_decrypts_and_does_not_encrypt_until_it_is_current() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let mut primary = replica(&deployment);
    let first = *primary.materials.keys().next().unwrap();
    primary.set_member(MemberStatus::Active);
    primary.ship(&deployment);
    let key = primary.document.key_id.to_string();
    let old = node.encrypt(&key, b"old");

    let next = primary.add_material(MaterialState::Pending);
    let blob = primary.encrypt(next, b"new");
    assert_eq!(node.error(Operation::Decrypt, &json!({"CiphertextBlob": blob})).0, ErrorCode::KeyUnavailable, "not here yet");
    primary.ship(&deployment);
    let opened = node.get(Operation::Decrypt, &json!({"CiphertextBlob": blob}));
    assert_eq!((&opened["Plaintext"], &opened["KeyMaterialId"]), (&json!(base64("new")), &json!(next.to_string())));
    let used = |node: &crate::testing::Node| {
        node.get(Operation::GenerateDataKey, &json!({"KeyId": key, "NumberOfBytes": 1}))["KeyMaterialId"].clone()
    };
    assert_eq!(used(&node), first.to_string());

    primary.document.materials.iter_mut().for_each(|entry| {
        entry.state = if entry.id == next { MaterialState::Current } else { MaterialState::Past };
    });
    primary.document.in_progress = None;
    primary.document.version = primary.document.version.next();
    primary.ship(&deployment);
    assert_eq!(used(&node), next.to_string());
    assert_eq!(node.get(Operation::Decrypt, &json!({"CiphertextBlob": old}))["Plaintext"], base64("old"));
}

#[test]
fn a_material_that_a_newer_document_lacks_still_decrypts() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let mut primary = replica(&deployment);
    primary.set_member(MemberStatus::Active);
    let lost = primary.add_material(MaterialState::Past);
    primary.ship(&deployment);
    let blob = primary.encrypt(lost, b"kept");
    primary.document.materials.retain(|entry| entry.id != lost);
    primary.document.version = primary.document.version.next();
    let ids: BTreeSet<_> = primary.document.material_ids();
    primary.materials.retain(|id, _| ids.contains(id));
    primary.ship(&deployment);
    assert_eq!(node.get(Operation::Decrypt, &json!({"CiphertextBlob": blob}))["Plaintext"], base64("kept"));
}

#[test]
fn a_detached_replica_is_unavailable_and_can_be_switched() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let mut primary = replica(&deployment);
    primary.set_member(MemberStatus::Detached);
    primary.ship(&deployment);
    let key = primary.document.key_id.to_string();
    let message = format!("{} is unavailable.", arn(&key));
    let body = json!({"KeyId": key, "Plaintext": base64("x")});
    assert_eq!(node.error(Operation::Encrypt, &body), (ErrorCode::KmsInvalidState, message));
    node.get(Operation::DisableKey, &json!({"KeyId": key}));
}
