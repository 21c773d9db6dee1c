//! Golden files of keys' lives.

use claviger_types::{ImportType, KeyState, Timestamp};

use super::{expected, key_id, material_id, once, record, region, sealed};
use crate::{
    CancelKeyDeletion, CarryOutDue, CommandBody, DeleteImportedKeyMaterial, DetachMember, ImportKeyMaterial, LastUsageRecord, LifeRefusal,
    Operation, RecordUsages, Refusal, RotateKeyOnDemand, ScheduleKeyDeletion, SealedMaterial, SetKeyRotation, UsageOperation,
};

fn material() -> SealedMaterial {
    SealedMaterial { id: material_id(5), sealed: sealed(11) }
}

fn usage() -> LastUsageRecord {
    LastUsageRecord { operation: UsageOperation::VerifyMac, at: Timestamp::from_millis(1_700_000_000_129), request_id: [0xab; 16] }
}

pub(super) fn bodies() -> Vec<CommandBody> {
    let key = expected();
    vec![
        CommandBody::ScheduleKeyDeletion(ScheduleKeyDeletion { once: once(Operation::ScheduleKeyDeletion), key, window_days: 30 }),
        CommandBody::CancelKeyDeletion(CancelKeyDeletion { once: once(Operation::CancelKeyDeletion), key }),
        CommandBody::SetKeyRotation(SetKeyRotation { once: once(Operation::EnableKeyRotation), key, period_days: Some(2560) }),
        CommandBody::RotateKeyOnDemand(Box::new(RotateKeyOnDemand {
            once: once(Operation::RotateKeyOnDemand),
            key,
            material: Some(material()),
        })),
        CommandBody::ImportKeyMaterial(Box::new(ImportKeyMaterial {
            once: once(Operation::ImportKeyMaterial),
            key,
            material: material(),
            import_type: Some(ImportType::ExistingKeyMaterial),
            expires_at: Some(Timestamp::from_millis(1_700_000_000_130)),
            description: Some("aus dem Tresor".to_owned()),
        })),
        CommandBody::DeleteImportedKeyMaterial(DeleteImportedKeyMaterial {
            once: once(Operation::DeleteImportedKeyMaterial),
            key,
            material_id: Some(material_id(5)),
        }),
        CommandBody::CarryOutDue(Box::new(CarryOutDue::Rotate { key, material: material() })),
        CommandBody::RecordUsages(RecordUsages { usages: vec![(key_id(), usage())] }),
        CommandBody::DetachMember(DetachMember { region: region("dc-south-1"), keys: vec![key_id()] }),
    ]
}

pub(super) fn refusals() -> [Refusal; 16] {
    [
        Refusal::InvalidState(KeyState::PendingDeletion),
        Refusal::InvalidState(KeyState::PendingReplicaDeletion),
        Refusal::InvalidState(KeyState::PendingImport),
        Refusal::Life(LifeRefusal::InOtherRegions),
        Refusal::Life(LifeRefusal::TooManyRotations),
        Refusal::Life(LifeRefusal::RotationDue),
        Refusal::Life(LifeRefusal::NothingPending),
        Refusal::Life(LifeRefusal::OtherPending { pending: material_id(5) }),
        Refusal::Life(LifeRefusal::IncorrectMaterial),
        Refusal::Life(LifeRefusal::TooManyMaterials),
        Refusal::Life(LifeRefusal::NoSuchMaterial),
        Refusal::Life(LifeRefusal::RotationInProgress),
        Refusal::BadDays(6),
        Refusal::BadExpiry,
        Refusal::OtherKind,
        Refusal::NotDue,
    ]
}

#[test]
fn records_of_lives() {
    record("last-usage", &usage());
}

#[test]
fn due_work_of_every_kind() {
    let key_id = key_id();
    for (name, due) in
        [("destroy", CarryOutDue::Destroy { key_id }), ("expire", CarryOutDue::Expire { key_id, material_id: material_id(5) })]
    {
        super::golden(&format!("due-{name}"), crate::Command::SCHEMA, &due);
    }
}
