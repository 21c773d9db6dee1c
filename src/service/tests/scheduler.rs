//! What happens to keys by time: log time is the deployment's clock, the hour of what destroys a clock of the test's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use claviger_consensus::{NoDueWork, Region as _};
use claviger_crypto::material;
use claviger_shapes::{ErrorCode, Operation};
use claviger_state::{self as state, Authorised, CommandBody, Expected, KeyRecord, Once, read};
use claviger_types::limits::{DESTRUCTION_DELAY, MATERIALS_PER_KEY_MAX};
use claviger_types::{Clock as _, Incarnation, KeySpec};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::scheduler::Schedule;
use crate::testing::{ACCOUNT, Deployment, Node, PEER, alice, arn, base64, ready};

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// A node that leads, and its monotonic clock.
pub(super) struct Leader {
    pub(super) deployment: Deployment,
    pub(super) node: Node,
    schedule: Schedule,
    monotonic: Arc<Mutex<Instant>>,
}

impl Leader {
    pub(super) fn new() -> Self {
        let deployment = Deployment::new();
        let node = deployment.node();
        Self::of(deployment, node)
    }

    fn of(deployment: Deployment, node: Node) -> Self {
        let monotonic = Arc::new(Mutex::new(Instant::now()));
        let clock = Arc::clone(&monotonic);
        Self { deployment, node, schedule: Schedule::new(move || *clock.lock()), monotonic }
    }

    pub(super) fn look(&mut self) {
        ready(self.node.service.do_what_is_due(&mut self.schedule));
    }

    pub(super) fn days_pass(&self, days: u64) {
        self.deployment.clock.advance(days * DAY_MILLIS);
    }

    pub(super) fn passes(&self, time: Duration) {
        *self.monotonic.lock() += time;
    }

    pub(super) fn record(&self, key: &str) -> Option<KeyRecord> {
        read::key(&*self.deployment.memory.tables(), &key.parse().unwrap()).unwrap()
    }

    fn rotations(&self, key: &str) -> Vec<Value> {
        let listed = self.node.get(Operation::ListKeyRotations, &json!({"KeyId": key}));
        listed["Rotations"].as_array().unwrap().clone()
    }

    /// A key that is rotated every ninety days.
    fn rotated_key(&self) -> String {
        let key = self.node.create_key(false);
        self.node.get(Operation::EnableKeyRotation, &json!({"KeyId": key, "RotationPeriodInDays": 90}));
        key
    }

    fn decrypts(&self, blob: &str) -> bool {
        self.node.ask(alice(), Operation::Decrypt, &json!({"CiphertextBlob": blob})).is_ok_and(|answer| answer["Plaintext"] == base64("x"))
    }
}

#[test]
fn a_key_is_rotated_at_its_date_and_what_was_encrypted_before_still_opens() {
    let mut leader = Leader::new();
    let key = leader.rotated_key();
    let before = leader.node.encrypt(&key, b"x");
    leader.days_pass(89);
    leader.look();
    assert!(leader.rotations(&key).is_empty());
    leader.days_pass(1);
    leader.look();
    leader.look();
    let rotations = leader.rotations(&key);
    assert_eq!(rotations.len(), 1);
    assert_eq!(rotations[0]["RotationType"], "AUTOMATIC");
    let after = leader.node.encrypt(&key, b"x");
    assert!(leader.decrypts(&before) && leader.decrypts(&after));
    assert_eq!(leader.record(&key).unwrap().document.materials.len(), 2);
    // The next period begins at the rotation.
    leader.days_pass(90);
    leader.look();
    assert_eq!(leader.rotations(&key).len(), 2);
    assert!(leader.decrypts(&before) && leader.decrypts(&after));
}

#[test]
fn a_disabled_key_is_rotated_at_once_when_it_is_enabled_overdue() {
    let mut leader = Leader::new();
    let key = leader.rotated_key();
    leader.node.get(Operation::DisableKey, &json!({"KeyId": key}));
    leader.days_pass(200);
    leader.look();
    assert!(leader.rotations(&key).is_empty());
    leader.node.get(Operation::EnableKey, &json!({"KeyId": key}));
    leader.look();
    assert_eq!(leader.rotations(&key).len(), 1);
}

/// Nobody is active but this region yet, so the new material is current at once; a rotation is begun once, not at every look.
#[test]
fn a_key_that_other_regions_have_is_rotated_where_its_primary_is() {
    let mut leader = Leader::new();
    let key = leader.node.create_key(true);
    leader.node.get(Operation::EnableKeyRotation, &json!({"KeyId": key}));
    leader.node.get(Operation::ReplicateKey, &json!({"KeyId": key, "ReplicaRegion": PEER}));
    leader.days_pass(365);
    leader.look();
    leader.look();
    assert_eq!(leader.rotations(&key).len(), 1);
    assert_eq!(leader.node.region.due_work.load(Ordering::SeqCst), 1);
}

#[test]
fn a_withheld_key_is_not_rotated() {
    let before = Leader::new();
    before.rotated_key();
    let restored = before.deployment.node_in_life(Incarnation::from_bytes([2; 16]));
    let mut leader = Leader::of(before.deployment, restored);
    leader.days_pass(400);
    leader.look();
    assert_eq!(leader.node.region.due_work.load(Ordering::SeqCst), 0);
}

#[test]
fn a_key_with_as_many_materials_as_it_may_have_is_not_tried_at_every_look() {
    let mut leader = Leader::new();
    let key = leader.rotated_key();
    for _ in 1..MATERIALS_PER_KEY_MAX {
        leader.days_pass(90);
        leader.look();
    }
    assert_eq!(leader.record(&key).unwrap().document.materials.len(), MATERIALS_PER_KEY_MAX);
    let proposed = |leader: &Leader| leader.node.region.due_work.load(Ordering::SeqCst);
    let before = proposed(&leader);
    leader.days_pass(90);
    leader.look();
    leader.look();
    assert_eq!(proposed(&leader), before + 1, "once, and then not for a while");
    leader.passes(DESTRUCTION_DELAY);
    leader.look();
    assert_eq!(proposed(&leader), before + 2);
}

#[test]
fn a_key_is_deleted_after_its_window_and_the_hour() {
    let mut leader = Leader::new();
    let key = leader.node.create_key(false);
    let blob = leader.node.encrypt(&key, b"x");
    leader.node.create_alias("alias/gone", &key);
    leader.node.get(Operation::ScheduleKeyDeletion, &json!({"KeyId": key, "PendingWindowInDays": 7}));
    leader.passes(2 * DESTRUCTION_DELAY);
    leader.days_pass(6);
    leader.look();
    leader.passes(2 * DESTRUCTION_DELAY);
    leader.look();
    assert!(leader.record(&key).is_some(), "its window has not passed");
    leader.days_pass(1);
    leader.look();
    leader.passes(DESTRUCTION_DELAY - Duration::from_millis(1));
    leader.look();
    assert!(leader.record(&key).is_some(), "the hour has not passed");
    leader.passes(Duration::from_millis(1));
    leader.look();
    assert!(leader.record(&key).is_none());
    assert_eq!(leader.node.error(Operation::DescribeKey, &json!({"KeyId": arn(&key)})).0, ErrorCode::NotFound);
    assert_eq!(leader.node.error(Operation::DescribeKey, &json!({"KeyId": "alias/gone"})).0, ErrorCode::NotFound);
    assert!(!leader.decrypts(&blob));
    assert!(read::material_ids(&*leader.deployment.memory.tables(), &key.parse().unwrap()).unwrap().is_empty());
}

#[test]
fn a_deletion_that_was_cancelled_and_scheduled_anew_waits_its_own_hour() {
    let mut leader = Leader::new();
    let key = leader.node.create_key(false);
    let schedule = json!({"KeyId": key, "PendingWindowInDays": 7});
    leader.node.get(Operation::ScheduleKeyDeletion, &schedule);
    leader.days_pass(7);
    leader.look();
    leader.passes(DESTRUCTION_DELAY);
    leader.node.get(Operation::CancelKeyDeletion, &json!({"KeyId": key}));
    leader.look();
    leader.node.get(Operation::ScheduleKeyDeletion, &schedule);
    leader.days_pass(7);
    leader.look();
    assert!(leader.record(&key).is_some());
    leader.passes(DESTRUCTION_DELAY);
    leader.look();
    assert!(leader.record(&key).is_none());
}

#[test]
fn a_key_with_many_grants_is_gone_after_one_look() {
    let mut leader = Leader::new();
    let key = leader.node.create_key(false);
    let grants = 2 * claviger_types::limits::GRANTS_PER_STEP_MAX + 1;
    for number in 0..grants {
        let body = json!({"KeyId": key, "GranteePrincipal": format!("arn:aws:iam::{ACCOUNT}:user/alice"), "Operations": ["Encrypt"],
            "Constraints": {"EncryptionContextEquals": {"number": number.to_string()}}});
        leader.node.get(Operation::CreateGrant, &body);
    }
    leader.node.get(Operation::ScheduleKeyDeletion, &json!({"KeyId": key}));
    leader.days_pass(30);
    leader.look();
    leader.passes(DESTRUCTION_DELAY);
    leader.look();
    assert!(leader.record(&key).is_none());
    assert!(read::grants_of(&*leader.deployment.memory.tables(), &key.parse().unwrap(), None, 10).unwrap().is_empty());
    assert_eq!(leader.node.region.due_work.load(Ordering::SeqCst), 3);
}

#[test]
fn imported_material_expires_after_its_date_and_the_hour() {
    let mut leader = Leader::new();
    let created = leader.node.get(Operation::CreateKey, &json!({"Origin": "EXTERNAL"}));
    let key = created["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let record = leader.record(&key).unwrap();
    let sealed = leader.node.service.seal_material(&record, &material::generate(KeySpec::SymmetricDefault).unwrap()).unwrap();
    let once = Once {
        principal: "arn:aws:iam::111122223333:user/alice".to_owned(),
        invocation_id: "import".to_owned(),
        operation: state::Operation::ImportKeyMaterial,
        body_sha256: [0; 32],
        authorised: Authorised::default(),
    };
    let expires_at = Some(leader.deployment.clock.now().plus(Duration::from_secs(24 * 60 * 60)));
    leader.deployment.apply(CommandBody::ImportKeyMaterial(Box::new(state::ImportKeyMaterial {
        once,
        key: Expected { key_id: key.parse().unwrap(), revision: record.revision },
        material: sealed,
        import_type: None,
        expires_at,
        description: None,
    })));
    let blob = leader.node.encrypt(&key, b"x");
    leader.days_pass(1);
    leader.look();
    assert!(leader.decrypts(&blob), "the hour has not passed");
    leader.passes(DESTRUCTION_DELAY);
    leader.look();
    assert_eq!(leader.node.error(Operation::Decrypt, &json!({"CiphertextBlob": blob})).0, ErrorCode::KmsInvalidState);
    let described = leader.node.get(Operation::DescribeKey, &json!({"KeyId": key}));
    assert_eq!(described["KeyMetadata"]["KeyState"], "PendingImport");
    assert!(read::material_ids(&*leader.deployment.memory.tables(), &key.parse().unwrap()).unwrap().is_empty());
}

#[test]
fn nothing_is_done_without_a_permit_and_no_hour_runs() {
    let mut leader = Leader::new();
    let (rotated, deleted) = (leader.rotated_key(), leader.node.create_key(false));
    leader.node.get(Operation::ScheduleKeyDeletion, &json!({"KeyId": deleted, "PendingWindowInDays": 7}));
    leader.days_pass(100);
    *leader.node.region.no_due_work.lock() = Some(NoDueWork::OwnClock { offset_millis: 6000 });
    leader.look();
    leader.passes(DESTRUCTION_DELAY);
    leader.look();
    assert_eq!(leader.node.region.due_work.load(Ordering::SeqCst), 0);
    *leader.node.region.no_due_work.lock() = None;
    leader.look();
    assert_eq!(leader.rotations(&rotated).len(), 1);
    assert!(leader.record(&deleted).is_some(), "its hour has begun now");
    leader.passes(DESTRUCTION_DELAY);
    leader.look();
    assert!(leader.record(&deleted).is_none());
}
