//! A key's life: what holds of it after every command, and each rule once.

use std::collections::BTreeSet;

use claviger_protocol::{MaterialState, SharedDoc};
use claviger_types::limits::{DAY, GRANTS_PER_STEP_MAX, MATERIALS_PER_KEY_MAX, ON_DEMAND_ROTATIONS_MAX, ROTATION_DUE_SOON};
use claviger_types::{
    GrantId, GrantOperation, ImportType, KeyId, KeySpec, KeyState, KeyUsage, MaterialId, NamedPrincipal, Origin, Sealed, Timestamp,
};

use super::Machine;
use crate::random_commands::{account, author, found, key};
use crate::read::{self, due_row};
use crate::{
    Authorised, CancelKeyDeletion, CarryOutDue, CommandBody, CreateAlias, CreateGrant, CreateKey, DeleteImportedKeyMaterial, DueWork,
    Expected, ImportKeyMaterial, KeyRecord, LastUsageRecord, LifeRefusal, Once, Operation, Outcome, RecordUsages, Refusal, Response,
    RotateKeyOnDemand, ScheduleKeyDeletion, SealedMaterial, SetKeyEnabled, SetKeyRotation, Table, UsageOperation,
};

/// The index says what the records do.
pub(super) fn invariant_due_index_fits(machine: &Machine) {
    let mut wanted: Vec<_> = machine.keys().iter().flat_map(KeyRecord::due).map(|due| due_row(&due)).collect();
    wanted.sort();
    assert_eq!(machine.table(Table::Due).into_iter().map(|(row, _)| row).collect::<Vec<_>>(), wanted);
}

/// Imports are of EXTERNAL keys, their bytes are here as they say, and the materials of all keys are in order.
pub(super) fn invariant_materials_fit(machine: &Machine) {
    for record in machine.keys() {
        let document = &record.document;
        assert!(document.materials.len() <= MATERIALS_PER_KEY_MAX && document.rotation.on_demand_used <= ON_DEMAND_ROTATIONS_MAX);
        let rotations: Vec<_> = document.materials.iter().filter_map(|material| material.rotated).map(|rotated| rotated.at).collect();
        assert!(rotations.is_sorted(), "rotations out of order");
        let pending = document.materials.iter().filter(|material| material.state == MaterialState::Pending).count();
        if document.is_alone(&author(0)) {
            assert!(pending <= usize::from(document.origin == Origin::External));
        }
        let here: BTreeSet<MaterialId> = read::material_ids(&machine.tables, &document.key_id).unwrap();
        if document.origin == Origin::External {
            let imported = record.regional.imports.iter().filter(|(_, import)| import.is_present).map(|(id, _)| *id).collect();
            assert_eq!(here, imported);
            assert!(record.regional.imports.keys().all(|id| named(document).contains(id)));
        } else {
            assert!(record.regional.imports.is_empty());
        }
    }
}

/// What a key leaves behind when it is destroyed: answers to invocations, and reservations of peers.
pub(super) fn check_destroyed(machine: &Machine, key_id: &KeyId) {
    let id = key_id.to_row();
    for (table, row, _) in machine.tables.rows() {
        let names_it = match table {
            Table::KeysByAccount => row[8..] == id,
            Table::Due => row[9..].starts_with(&id),
            Table::Dirty | Table::DirtyByAge => row.ends_with(&id),
            Table::GrantsByRetiring => row[..row.len() - 32].ends_with(&id),
            Table::Keys
            | Table::Materials
            | Table::Statuses
            | Table::AliasesByKey
            | Table::Grants
            | Table::GrantsByGrantee
            | Table::GrantsByContents
            | Table::LastUsages => row.starts_with(&id),
            _ => false,
        };
        assert!(!names_it, "{} holds {}", table.name(), hex::encode(row));
    }
    let name = key_id.to_string();
    assert!(machine.table(Table::Counters).iter().all(|(row, _)| !String::from_utf8_lossy(row).contains(&name)));
}

fn named(document: &SharedDoc) -> BTreeSet<MaterialId> {
    document.materials.iter().filter(|material| material.state != MaterialState::Discarded).map(|material| material.id).collect()
}

/// A key and what happens to it.
pub(super) struct Life {
    pub(super) machine: Machine,
    key_id: KeyId,
    invocations: u32,
}

impl Life {
    fn new(origin: Origin, spec: KeySpec, usage: KeyUsage) -> Self {
        Self::of(key(3), origin, spec, usage)
    }

    pub(super) fn of(key_id: KeyId, origin: Origin, spec: KeySpec, usage: KeyUsage) -> Self {
        let mut life = Self { machine: Machine::default(), key_id, invocations: 0 };
        life.machine.body(found()).outcome.unwrap();
        let once = life.once(Operation::CreateKey);
        let create = CreateKey {
            once,
            key_id,
            account: account(0),
            spec,
            usage,
            origin,
            description: String::new(),
            tags: Default::default(),
            policy: None,
            id_secret: Sealed::from_bytes(vec![1]),
            material: (origin == Origin::AwsKms).then(|| material(0)),
        };
        life.machine.body(CommandBody::CreateKey(Box::new(create))).outcome.unwrap();
        life
    }

    pub(super) fn once(&mut self, operation: Operation) -> Once {
        self.invocations += 1;
        let invocation_id = self.invocations.to_string();
        Once { principal: "p".to_owned(), invocation_id, operation, body_sha256: [0; 32], authorised: Authorised::default() }
    }

    pub(super) fn expected(&self) -> Expected {
        Expected { key_id: self.key_id, revision: self.record().revision }
    }

    pub(super) fn record(&self) -> KeyRecord {
        read::key(&self.machine.tables, &self.key_id).unwrap().unwrap()
    }

    fn state(&self) -> KeyState {
        self.record().state(&read::region(&self.machine.tables).unwrap().unwrap())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.machine.greatest_time
    }

    pub(super) fn passes(&mut self, time: std::time::Duration) {
        let time = self.now().plus(time);
        self.machine.apply(&crate::Command { time, body: CommandBody::Tick });
    }

    fn schedule(&mut self, window_days: u16) -> Outcome {
        let (once, key) = (self.once(Operation::ScheduleKeyDeletion), self.expected());
        self.machine.body(CommandBody::ScheduleKeyDeletion(ScheduleKeyDeletion { once, key, window_days })).outcome
    }

    fn cancel(&mut self) -> Outcome {
        let (once, key) = (self.once(Operation::CancelKeyDeletion), self.expected());
        self.machine.body(CommandBody::CancelKeyDeletion(CancelKeyDeletion { once, key })).outcome
    }

    fn enable(&mut self, enabled: bool) -> Outcome {
        let (once, key) = (self.once(Operation::EnableKey), self.expected());
        self.machine.body(CommandBody::SetKeyEnabled(SetKeyEnabled { once, key, enabled })).outcome
    }

    pub(super) fn set_rotation(&mut self, period_days: Option<u16>) -> Outcome {
        let (once, key) = (self.once(Operation::EnableKeyRotation), self.expected());
        self.machine.body(CommandBody::SetKeyRotation(SetKeyRotation { once, key, period_days })).outcome
    }

    pub(super) fn rotate(&mut self, number: u8) -> Outcome {
        let (once, key) = (self.once(Operation::RotateKeyOnDemand), self.expected());
        let rotate = RotateKeyOnDemand { once, key, material: Some(material(number)) };
        self.machine.body(CommandBody::RotateKeyOnDemand(Box::new(rotate))).outcome
    }

    fn import(&mut self, number: u8, import_type: Option<ImportType>, expires_at: Option<Timestamp>) -> Outcome {
        let (once, key) = (self.once(Operation::ImportKeyMaterial), self.expected());
        let import = ImportKeyMaterial { once, key, material: material(number), import_type, expires_at, description: None };
        self.machine.body(CommandBody::ImportKeyMaterial(Box::new(import))).outcome
    }

    fn delete_import(&mut self, number: Option<u8>) -> Outcome {
        let (once, key) = (self.once(Operation::DeleteImportedKeyMaterial), self.expected());
        let material_id = number.map(|number| material(number).id);
        self.machine.body(CommandBody::DeleteImportedKeyMaterial(DeleteImportedKeyMaterial { once, key, material_id })).outcome
    }

    pub(super) fn due(&mut self, due: CarryOutDue) -> Outcome {
        self.machine.body(CommandBody::CarryOutDue(Box::new(due))).outcome
    }
}

pub(super) fn material(number: u8) -> SealedMaterial {
    SealedMaterial { id: MaterialId::from_bytes([number; 32]), sealed: Sealed::from_bytes(vec![number]) }
}

pub(super) fn life(refusal: LifeRefusal) -> Outcome {
    Err(Refusal::Life(refusal))
}

fn generated() -> Life {
    Life::new(Origin::AwsKms, KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt)
}

fn imported() -> Life {
    Life::new(Origin::External, KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt)
}

#[test]
fn a_key_is_destroyed_after_its_window_with_all_that_is_its() {
    let mut life = generated();
    let (once, target) = (life.once(Operation::CreateAlias), life.expected());
    life.machine.body(CommandBody::CreateAlias(CreateAlias { once, name: "alias/a".parse().unwrap(), key: target })).outcome.unwrap();
    for number in 0..=GRANTS_PER_STEP_MAX {
        let (once, key) = (life.once(Operation::CreateGrant), life.expected());
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let grant = CreateGrant {
            once,
            key,
            grant_id: GrantId::from_bytes(id),
            grantee: NamedPrincipal::Account(account(1)),
            retiring: Some(NamedPrincipal::Account(account(0))),
            operations: BTreeSet::from([GrantOperation::Decrypt]),
            constraint: None,
            name: Some(format!("n{number}")),
            issuing_account: account(0),
        };
        life.machine.body(CommandBody::CreateGrant(Box::new(grant))).outcome.unwrap();
    }
    let usage = LastUsageRecord { operation: UsageOperation::Sign, at: Timestamp::from_millis(3), request_id: [1; 16] };
    life.machine.body(CommandBody::RecordUsages(RecordUsages { usages: vec![(key(3), usage)] })).outcome.unwrap();
    life.set_rotation(Some(90)).unwrap();

    let asked = life.now();
    assert_eq!(life.schedule(7), Ok(Response::Deletion { at: asked.plus(DAY * 7) }));
    assert_eq!(life.state(), KeyState::PendingDeletion);
    assert_eq!(life.schedule(7), Err(Refusal::InvalidState(KeyState::PendingDeletion)));
    let destroy = CarryOutDue::Destroy { key_id: key(3) };
    life.passes(DAY * 7 - std::time::Duration::from_millis(1));
    assert_eq!(life.due(destroy.clone()), Err(Refusal::NotDue));
    life.passes(std::time::Duration::from_millis(1));
    let due = read::due(&life.machine.tables, life.now(), None, 10).unwrap();
    assert_eq!(due.iter().map(|due| due.what).collect::<Vec<_>>(), [DueWork::Destroy]);
    assert_eq!(life.due(destroy.clone()), Ok(Response::Unfinished));
    assert_eq!(life.state(), KeyState::PendingDeletion, "between the steps it is still there, and still closed");
    let last = life.machine.body(CommandBody::CarryOutDue(Box::new(destroy.clone())));
    assert_eq!((last.outcome, last.effects.destroyed, last.effects.keys), (Ok(Response::Done), vec![key(3)], vec![key(3)]));
    assert_eq!(read::key(&life.machine.tables, &key(3)).unwrap(), None);
    check_destroyed(&life.machine, &key(3));
    assert_eq!(read::key_count(&life.machine.tables, account(0)).unwrap(), 0);
    assert_eq!(life.due(destroy), Err(Refusal::NotDue));
}

#[test]
fn a_deletion_that_is_cancelled_leaves_the_key_disabled_and_its_rotation_as_it_was() {
    let mut life = generated();
    assert_eq!(life.cancel(), Err(Refusal::InvalidState(KeyState::Enabled)));
    life.set_rotation(Some(100)).unwrap();
    for (days, outcome) in [(6, false), (31, false), (7, true)] {
        assert_eq!(life.schedule(days).is_ok(), outcome, "{days}");
    }
    life.cancel().unwrap();
    assert_eq!((life.state(), life.record().document.rotation.period_days), (KeyState::Disabled, Some(100)));
    life.passes(DAY * 8);
    assert_eq!(life.due(CarryOutDue::Destroy { key_id: key(3) }), Err(Refusal::NotDue));
}

#[test]
fn the_material_is_rotated_when_its_time_has_come_and_at_once_when_the_key_is_enabled_late() {
    let mut life = generated();
    assert_eq!(life.set_rotation(Some(89)), Err(Refusal::BadDays(89)));
    assert_eq!(life.set_rotation(Some(2561)), Err(Refusal::BadDays(2561)));
    life.set_rotation(Some(90)).unwrap();
    let first = life.record().document.rotation.next_at.unwrap();
    life.passes(DAY);
    life.set_rotation(Some(90)).unwrap();
    assert_eq!(life.record().document.rotation.next_at, Some(first), "the same period again moves nothing");
    let rotate = |life: &Life, number| CarryOutDue::Rotate { key: life.expected(), material: material(number) };
    let early = rotate(&life, 1);
    assert_eq!(life.due(early), Err(Refusal::NotDue));
    life.passes(DAY * 89);
    let due = rotate(&life, 1);
    life.due(due).unwrap();
    let document = life.record().document;
    assert_eq!(document.current_material().unwrap().id, material(1).id);
    assert_eq!(document.rotation.next_at, Some(life.now().plus(DAY * 90)));

    life.enable(false).unwrap();
    life.passes(DAY * 200);
    assert!(read::due(&life.machine.tables, life.now(), None, 10).unwrap().is_empty(), "a disabled key is not rotated");
    life.enable(true).unwrap();
    assert_eq!(read::due(&life.machine.tables, life.now(), None, 10).unwrap().len(), 1);
    life.set_rotation(None).unwrap();
    let off = rotate(&life, 2);
    assert_eq!(life.due(off), Err(Refusal::NotDue));
}

#[test]
fn rotations_on_demand_are_counted_and_keep_away_from_the_automatic_one() {
    let mut life = generated();
    life.set_rotation(Some(90)).unwrap();
    life.passes(DAY * 90 - ROTATION_DUE_SOON + std::time::Duration::from_millis(1));
    assert_eq!(life.rotate(1), self::life(LifeRefusal::RotationDue));
    life.set_rotation(None).unwrap();
    for number in 1..=ON_DEMAND_ROTATIONS_MAX {
        life.rotate(number).unwrap();
    }
    assert_eq!(life.rotate(100), self::life(LifeRefusal::TooManyRotations));
    let document = life.record().document;
    assert_eq!(document.materials.len(), 1 + usize::from(ON_DEMAND_ROTATIONS_MAX));
    assert_eq!(document.current_material().unwrap().id, material(ON_DEMAND_ROTATIONS_MAX).id);
    life.enable(false).unwrap();
    assert_eq!(life.rotate(101), Err(Refusal::InvalidState(KeyState::Disabled)));
}

#[test]
fn imported_material_comes_goes_and_comes_back() {
    let mut life = imported();
    assert_eq!(life.state(), KeyState::PendingImport);
    assert_eq!(life.import(1, Some(ImportType::ExistingKeyMaterial), None), self::life(LifeRefusal::IncorrectMaterial));
    life.import(1, None, None).unwrap();
    assert_eq!((life.state(), life.record().document.current_material().unwrap().id), (KeyState::Enabled, material(1).id));
    assert_eq!(life.import(2, None, None), self::life(LifeRefusal::IncorrectMaterial), "EXISTING is meant from now on");
    assert_eq!(life.import(1, Some(ImportType::NewKeyMaterial), None), self::life(LifeRefusal::IncorrectMaterial));
    assert_eq!(life.rotate(9), self::life(LifeRefusal::NothingPending));

    life.import(2, Some(ImportType::NewKeyMaterial), None).unwrap();
    assert_eq!(life.import(3, Some(ImportType::NewKeyMaterial), None), self::life(LifeRefusal::OtherPending { pending: material(2).id }));
    assert_eq!(life.record().document.current_material().unwrap().id, material(1).id, "it waits");
    life.delete_import(Some(2)).unwrap();
    assert_eq!(life.state(), KeyState::Enabled, "what waited was not needed");
    life.import(3, Some(ImportType::NewKeyMaterial), None).unwrap();
    life.rotate(9).unwrap();
    assert_eq!(life.record().document.current_material().unwrap().id, material(3).id);

    let deleted = life.delete_import(Some(1));
    assert_eq!((deleted, life.state()), (Ok(Response::Material { id: Some(material(1).id) }), KeyState::PendingImport));
    assert_eq!(read::material(&life.machine.tables, &key(3), &material(1).id).unwrap(), None, "its bytes are gone");
    assert_eq!(life.delete_import(Some(9)), self::life(LifeRefusal::NoSuchMaterial));
    life.import(1, None, None).unwrap();
    assert_eq!(life.state(), KeyState::Enabled);
}

#[test]
fn imported_material_expires_and_not_before_its_time() {
    let mut life = imported();
    let (now, second) = (life.now(), std::time::Duration::from_secs(1));
    assert_eq!(life.import(1, None, Some(now)), Err(Refusal::BadExpiry));
    assert_eq!(life.import(1, None, Some(now.plus(DAY * 366))), Err(Refusal::BadExpiry));
    life.import(1, None, Some(now.plus(second))).unwrap();
    let expire = CarryOutDue::Expire { key_id: key(3), material_id: material(1).id };
    assert_eq!(life.due(expire.clone()), Err(Refusal::NotDue));
    life.passes(second);
    life.due(expire.clone()).unwrap();
    assert_eq!(life.state(), KeyState::PendingImport);
    assert_eq!(life.due(expire), Err(Refusal::NotDue));
    life.schedule(7).unwrap();
    life.cancel().unwrap();
    assert_eq!(life.state(), KeyState::PendingImport, "it lacks its material still");
    life.import(1, None, None).unwrap();
    assert_eq!(life.state(), KeyState::Disabled, "the cancelled deletion has disabled it");
}

#[test]
fn an_imported_key_of_another_spec_keeps_its_first_material_for_ever() {
    let mut life = Life::new(Origin::External, KeySpec::Hmac256, KeyUsage::GenerateVerifyMac);
    life.import(1, None, None).unwrap();
    assert_eq!(life.import(2, Some(ImportType::NewKeyMaterial), None), self::life(LifeRefusal::IncorrectMaterial));
    life.delete_import(None).unwrap();
    assert_eq!(life.import(2, None, None), self::life(LifeRefusal::IncorrectMaterial));
    life.import(1, None, None).unwrap();
    assert_eq!(life.rotate(3), Err(Refusal::OtherKind));
    assert_eq!(life.set_rotation(Some(100)), Err(Refusal::OtherKind));
}

#[test]
fn an_older_use_does_not_replace_a_newer_one() {
    let mut life = generated();
    let usage = |at| LastUsageRecord { operation: UsageOperation::Encrypt, at: Timestamp::from_millis(at), request_id: [0; 16] };
    for (at, kept) in [(5, 5), (4, 5), (6, 6)] {
        let usages = vec![(key(3), usage(at)), (key(0), usage(at))];
        life.machine.body(CommandBody::RecordUsages(RecordUsages { usages })).outcome.unwrap();
        assert_eq!(read::last_usage(&life.machine.tables, &key(3)).unwrap(), Some(usage(kept)));
        assert_eq!(read::last_usage(&life.machine.tables, &key(0)).unwrap(), None, "there is no such key");
    }
}
