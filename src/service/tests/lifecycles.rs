//! Random lives of keys of every kind: what DescribeKey may and must show of each at every step (rules page, section 3), what its
//! rotations add up to, and that what was encrypted opens whenever the key is enabled.

use std::collections::BTreeMap;
use std::time::Duration;

use claviger_consensus::Region as _;
use claviger_crypto::{SecretBytes, material};
use claviger_shapes::{ErrorCode, Operation};
use claviger_state::{self as state, Authorised, CommandBody, Expected, Once};
use claviger_types::limits::{DESTRUCTION_DELAY, ON_DEMAND_ROTATIONS_MAX, ROTATION_PERIOD_DAYS};
use claviger_types::{Clock as _, ImportType};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::scheduler::Leader;
use crate::testing::{alice, arn, base64, ready};

/// A spec, a usage that it has, an origin, and whether the key is multi-region.
type Kind = (&'static str, &'static str, &'static str, bool);

const KINDS: [Kind; 10] = [
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS", false),
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS", true),
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EXTERNAL", false),
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EXTERNAL", true),
    ("HMAC_256", "GENERATE_VERIFY_MAC", "AWS_KMS", false),
    ("HMAC_512", "GENERATE_VERIFY_MAC", "EXTERNAL", true),
    ("ECC_NIST_P256", "SIGN_VERIFY", "AWS_KMS", true),
    ("ECC_NIST_P384", "KEY_AGREEMENT", "AWS_KMS", false),
    ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "EXTERNAL", false),
    ("ML_DSA_44", "SIGN_VERIFY", "AWS_KMS", false),
];

/// One thing that happens; keys are numbers among those that were made.
#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    /// An operation on the key alone, with what else it says.
    Ask(usize, Operation, Value),
    /// Of new material, or of the first that the key had; it expires after so many days.
    Import {
        key: usize,
        again: bool,
        days: Option<u16>,
    },
    Encrypt(usize),
    Days(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..6_usize;
    let plain = prop::sample::select(vec![
        Operation::EnableKey,
        Operation::DisableKey,
        Operation::CancelKeyDeletion,
        Operation::DisableKeyRotation,
        Operation::RotateKeyOnDemand,
        Operation::DeleteImportedKeyMaterial,
    ]);
    prop_oneof![
        2 => (0..KINDS.len()).prop_map(Step::Create),
        6 => (key.clone(), plain).prop_map(|(key, operation)| Step::Ask(key, operation, json!({}))),
        1 => (key.clone(), 5..33_u16).prop_map(|(key, days)| {
            Step::Ask(key, Operation::ScheduleKeyDeletion, json!({"PendingWindowInDays": days}))
        }),
        2 => (key.clone(), 80..200_u16).prop_map(|(key, days)| {
            Step::Ask(key, Operation::EnableKeyRotation, json!({"RotationPeriodInDays": days}))
        }),
        4 => (key.clone(), any::<bool>(), prop::option::of(1..300_u16)).prop_map(|(key, again, days)| Step::Import { key, again, days }),
        3 => key.prop_map(Step::Encrypt),
        3 => (1..120_u16).prop_map(Step::Days),
    ]
}

struct Known {
    id: String,
    kind: Kind,
    /// What was encrypted with it.
    blobs: Vec<String>,
    /// The first material that was imported into it.
    first: Option<SecretBytes>,
    deletion_at: Option<u64>,
    on_demand: usize,
}

struct Lives {
    leader: Leader,
    keys: Vec<Known>,
    invocations: u32,
}

impl Lives {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Create(kind) => self.create(KINDS[*kind]),
            Step::Ask(key, operation, more) => self.ask(*key, *operation, more),
            Step::Import { key, again, days } => self.import(*key, *again, *days),
            Step::Encrypt(key) => {
                let Some(known) = self.keys.get_mut(*key) else { return };
                let body = json!({"KeyId": known.id, "Plaintext": base64("x")});
                if let Ok(answer) = self.leader.node.ask(alice(), Operation::Encrypt, &body) {
                    known.blobs.push(answer["CiphertextBlob"].as_str().unwrap().to_owned());
                }
            }
            Step::Days(days) => self.leader.days_pass(u64::from(*days)),
        }
        // Twice, with the hour of what destroys between them.
        self.leader.look();
        self.leader.passes(DESTRUCTION_DELAY);
        self.leader.look();
    }

    fn create(&mut self, kind: Kind) {
        let (spec, usage, origin, multi_region) = kind;
        let body = json!({"KeySpec": spec, "KeyUsage": usage, "Origin": origin, "MultiRegion": multi_region});
        let created = self.leader.node.get(Operation::CreateKey, &body);
        let id = created["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        self.keys.push(Known { id, kind, blobs: Vec::new(), first: None, deletion_at: None, on_demand: 0 });
    }

    fn ask(&mut self, key: usize, operation: Operation, more: &Value) {
        let now = self.leader.deployment.clock.now().as_millis();
        let Some(known) = self.keys.get_mut(key) else { return };
        let mut body = more.clone();
        body["KeyId"] = json!(known.id);
        if self.leader.node.ask(alice(), operation, &body).is_err() {
            return;
        }
        match operation {
            Operation::ScheduleKeyDeletion => {
                let days = more["PendingWindowInDays"].as_u64().unwrap();
                known.deletion_at = Some(now + days * 24 * 60 * 60 * 1000);
            }
            Operation::CancelKeyDeletion => known.deletion_at = None,
            Operation::RotateKeyOnDemand => known.on_demand += 1,
            _ => {}
        }
    }

    fn import(&mut self, key: usize, again: bool, days: Option<u16>) {
        let Some(known) = self.keys.get_mut(key) else { return };
        let Some(record) = self.leader.record(&known.id).filter(|_| known.kind.2 == "EXTERNAL") else { return };
        let bytes = material::generate(record.document.spec).unwrap();
        let bytes = if again { known.first.as_ref().map_or(bytes, |first| SecretBytes::copy_of(first.expose()).unwrap()) } else { bytes };
        let is_known = again && known.first.is_some();
        self.invocations += 1;
        let once = Once {
            principal: "arn:aws:iam::111122223333:user/alice".to_owned(),
            invocation_id: format!("import {}", self.invocations),
            operation: state::Operation::ImportKeyMaterial,
            body_sha256: [0; 32],
            authorised: Authorised::default(),
        };
        let is_symmetric = known.kind.0 == "SYMMETRIC_DEFAULT";
        let import_type = is_symmetric.then_some(if is_known { ImportType::ExistingKeyMaterial } else { ImportType::NewKeyMaterial });
        let expires_at = days.map(|days| self.leader.deployment.clock.now().plus(Duration::from_secs(u64::from(days) * 24 * 60 * 60)));
        let command = CommandBody::ImportKeyMaterial(Box::new(state::ImportKeyMaterial {
            once,
            key: Expected { key_id: known.id.parse().unwrap(), revision: record.revision },
            material: self.leader.node.service.seal_material(&record, &bytes).unwrap(),
            import_type,
            expires_at,
            description: None,
        }));
        let taken = ready(self.leader.deployment.memory.propose(command)).unwrap().is_ok();
        if taken && known.first.is_none() {
            known.first = Some(bytes);
        }
    }

    fn check(&self) {
        self.keys.iter().for_each(|known| self.check_key(known));
    }

    fn check_key(&self, known: &Known) {
        let (node, now) = (&self.leader.node, self.leader.deployment.clock.now().as_millis());
        let of_key = json!({"KeyId": known.id});
        if known.deletion_at.is_some_and(|at| at <= now) {
            assert_eq!(node.error(Operation::DescribeKey, &of_key).0, ErrorCode::NotFound, "its window has passed");
            return;
        }
        let described = node.get(Operation::DescribeKey, &of_key);
        let shown = &described["KeyMetadata"];
        let state = shown["KeyState"].as_str().unwrap();
        check_presence(known, shown, state);
        assert_eq!(state == "PendingDeletion", known.deletion_at.is_some());
        if known.kind.0 == "SYMMETRIC_DEFAULT" {
            self.check_rotations(known, state, shown["CurrentKeyMaterialId"].as_str());
            for blob in &known.blobs {
                let opened = node.ask(alice(), Operation::Decrypt, &json!({"CiphertextBlob": blob}));
                assert_eq!(opened.is_ok(), state == "Enabled", "{state}: {opened:?}");
            }
        }
    }

    fn check_rotations(&self, known: &Known, state: &str, current: Option<&str>) {
        let (node, now) = (&self.leader.node, self.leader.deployment.clock.now().as_millis() as f64 / 1000.0);
        let listed = |include: &str| {
            let body = json!({"KeyId": known.id, "IncludeKeyMaterial": include, "Limit": 1000});
            let listed = node.get(Operation::ListKeyRotations, &body);
            assert_eq!(listed["Truncated"], false);
            listed["Rotations"].as_array().unwrap().clone()
        };
        let (rotations, all) = (listed("ROTATIONS_ONLY"), listed("ALL_KEY_MATERIAL"));
        let of_state = |wanted: &str| all.iter().filter(|entry| entry["KeyMaterialState"] == wanted).collect::<Vec<_>>();
        assert_eq!(of_state("CURRENT").first().map(|entry| entry["KeyMaterialId"].as_str().unwrap()), current);
        assert!(of_state("CURRENT").len() <= 1 && of_state("PENDING_ROTATION").len() <= 1);
        let by = |kind: &str| rotations.iter().filter(|entry| entry["RotationType"] == kind).count();
        assert_eq!(by("ON_DEMAND"), known.on_demand);
        assert!(known.on_demand <= usize::from(ON_DEMAND_ROTATIONS_MAX));
        assert_eq!(by("ON_DEMAND") + by("AUTOMATIC"), rotations.len());
        // Each rotation replaced a material, and the first was not rotated to.
        let kept = of_state("CURRENT").len() + of_state("NON_CURRENT").len();
        assert_eq!(rotations.len(), kept.saturating_sub(1));
        let dates: Vec<f64> = rotations.iter().map(|entry| entry["RotationDate"].as_f64().unwrap()).collect();
        assert!(dates.is_sorted() && dates.iter().all(|date| *date <= now));
        let ids: BTreeMap<&str, usize> = all.iter().map(|entry| (entry["KeyMaterialId"].as_str().unwrap(), 1)).collect();
        assert_eq!(ids.len(), all.len(), "a material twice");
        for entry in &all {
            let is_external = known.kind.2 == "EXTERNAL";
            assert_eq!(entry.get("ImportState").is_some(), is_external, "{entry}");
            assert_eq!(entry.get("RotationType").is_some(), entry.get("RotationDate").is_some(), "{entry}");
        }
        let status = node.ask(alice(), Operation::GetKeyRotationStatus, &json!({"KeyId": known.id}));
        let Ok(status) = status else { return };
        let is_on = status["KeyRotationEnabled"] == true;
        assert_eq!(status.get("NextRotationDate").is_some(), is_on, "{status}");
        if is_on {
            assert!(known.kind.2 == "AWS_KMS" && state != "PendingDeletion", "{status}");
            let days = status["RotationPeriodInDays"].as_u64().unwrap();
            assert!(ROTATION_PERIOD_DAYS.contains(&u16::try_from(days).unwrap()));
            // Overdue only while it may not be rotated.
            assert!(state != "Enabled" || status["NextRotationDate"].as_f64().unwrap() > now, "{state} {status}");
        }
    }
}

/// KeyMetadata presence rules (rules page, section 3).
fn check_presence(known: &Known, shown: &Value, state: &str) {
    let (spec, usage, origin, multi_region) = known.kind;
    let has = |member: &str| shown.get(member).is_some();
    for always in [
        "AWSAccountId",
        "KeyId",
        "Arn",
        "CreationDate",
        "Enabled",
        "Description",
        "KeyUsage",
        "KeyState",
        "Origin",
        "KeyManager",
        "KeySpec",
        "MultiRegion",
    ] {
        assert!(has(always), "{always}: {shown}");
    }
    assert_eq!(shown["Arn"], arn(&known.id));
    // The old name's enumeration ends before these.
    let is_new_spec = spec == "ECC_NIST_EDWARDS25519" || spec.starts_with("ML_DSA");
    assert_eq!(shown.get("CustomerMasterKeySpec"), (!is_new_spec).then_some(&json!(spec)));
    assert_eq!(shown["KeySpec"], spec);
    assert_eq!((&shown["KeyUsage"], &shown["Origin"], &shown["MultiRegion"]), (&json!(usage), &json!(origin), &json!(multi_region)));
    assert_eq!(shown["Enabled"], json!(state == "Enabled"));
    for (member, of) in [
        ("EncryptionAlgorithms", "ENCRYPT_DECRYPT"),
        ("SigningAlgorithms", "SIGN_VERIFY"),
        ("MacAlgorithms", "GENERATE_VERIFY_MAC"),
        ("KeyAgreementAlgorithms", "KEY_AGREEMENT"),
    ] {
        assert_eq!(has(member), usage == of, "{member}: {shown}");
    }
    assert_eq!(has("DeletionDate"), state == "PendingDeletion", "{shown}");
    assert!(!has("PendingDeletionWindowInDays") && !has("CustomKeyStoreId") && !has("CloudHsmClusterId") && !has("XksKeyConfiguration"));
    let is_external = origin == "EXTERNAL";
    assert_eq!(has("ExpirationModel"), is_external && known.first.is_some() && state != "PendingImport", "{shown}");
    assert_eq!(has("ValidTo"), shown["ExpirationModel"] == "KEY_MATERIAL_EXPIRES", "{shown}");
    assert!(is_external || state != "PendingImport");
    assert_eq!(has("MultiRegionConfiguration"), multi_region);
    if multi_region {
        let replicas = &shown["MultiRegionConfiguration"]["ReplicaKeys"];
        assert_eq!(replicas, &json!([]), "{shown}");
    }
    let has_material = !is_external || known.first.is_some();
    assert_eq!(has("CurrentKeyMaterialId"), spec == "SYMMETRIC_DEFAULT" && has_material, "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_life_keeps_to_the_rules(steps in prop::collection::vec(step(), 1..60)) {
        let mut lives = Lives { leader: Leader::new(), keys: Vec::new(), invocations: 0 };
        for step in &steps {
            lives.step(step);
            lives.check();
        }
    }
}
