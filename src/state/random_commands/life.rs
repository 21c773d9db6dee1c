//! Random commands of keys' lives: deletion, rotation, import, last use, and what falls due, at times that are sometimes too early.

use claviger_state::{
    CancelKeyDeletion, CarryOutDue, CommandBody, DeleteImportedKeyMaterial, ImportKeyMaterial, LastUsageRecord, Operation, RecordUsages,
    RotateKeyOnDemand, ScheduleKeyDeletion, SetKeyRotation, Tables, UsageOperation, read,
};
use claviger_types::{ImportType, Origin, Timestamp};
use proptest::prelude::*;

use super::{KEYS, expected, held, key, material, once_of, rarely};

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Schedule { key: u8, days: u16, stale: bool, invocation: u8 },
    Cancel { key: u8, invocation: u8 },
    SetRotation { key: u8, days: Option<u16>, invocation: u8 },
    Rotate { key: u8, number: u8, stale: bool, invocation: u8 },
    Import { key: u8, number: u8, import_type: Option<bool>, expires: Option<u64>, described: bool, invocation: u8 },
    DeleteImport { key: u8, number: Option<u8>, invocation: u8 },
    Due { number: u8 },
    DestroyAnyway { key: u8 },
    Used { keys: Vec<(u8, u16)> },
}

pub(super) fn kind() -> impl Strategy<Value = Kind> {
    let invocation = prop_oneof![1 => 0_u8..10, 2 => 10..=u8::MAX];
    let days = prop_oneof![5 => 7_u16..=30, 1 => 0_u16..400];
    let period = prop_oneof![5 => 90_u16..=2560, 1 => 0_u16..100];
    prop_oneof![
        3 => (0..KEYS, days, rarely(), invocation.clone()).prop_map(|(key, days, stale, invocation)| Kind::Schedule { key, days, stale, invocation }),
        1 => (0..KEYS, invocation.clone()).prop_map(|(key, invocation)| Kind::Cancel { key, invocation }),
        4 => (0..KEYS, prop::option::weighted(0.8, period), invocation.clone())
            .prop_map(|(key, days, invocation)| Kind::SetRotation { key, days, invocation }),
        6 => (0..KEYS, 1_u8..8, rarely(), invocation.clone()).prop_map(|(key, number, stale, invocation)| Kind::Rotate { key, number, stale, invocation }),
        10 => (3_u8..5, 0_u8..5, prop::option::of(any::<bool>()), prop::option::of(0_u64..500), any::<bool>(), invocation.clone()).prop_map(
            |(key, number, import_type, expires, described, invocation)| Kind::Import { key, number, import_type, expires, described, invocation }
        ),
        3 => (3_u8..5, prop::option::of(0_u8..5), invocation).prop_map(|(key, number, invocation)| Kind::DeleteImport { key, number, invocation }),
        8 => (0_u8..4).prop_map(|number| Kind::Due { number }),
        1 => (0..KEYS).prop_map(|key| Kind::DestroyAnyway { key }),
        2 => prop::collection::vec((0..KEYS, any::<u16>()), 1..4).prop_map(|keys| Kind::Used { keys }),
    ]
}

/// Which keys wait for their import once they are made.
pub(super) fn origin(key: u8, invocation: u8) -> Origin {
    if key == 3 || key == 4 && invocation.is_multiple_of(2) { Origin::External } else { Origin::AwsKms }
}

impl Kind {
    pub(super) fn body(&self, tables: &dyn Tables, time: Timestamp) -> CommandBody {
        match self {
            Self::Schedule { key, days, stale, invocation } => CommandBody::ScheduleKeyDeletion(ScheduleKeyDeletion {
                once: once_of(self, Operation::ScheduleKeyDeletion, *invocation),
                key: expected(tables, *key, *stale),
                window_days: *days,
            }),
            Self::Cancel { key, invocation } => CommandBody::CancelKeyDeletion(CancelKeyDeletion {
                once: once_of(self, Operation::CancelKeyDeletion, *invocation),
                key: expected(tables, *key, false),
            }),
            Self::SetRotation { key, days, invocation } => CommandBody::SetKeyRotation(SetKeyRotation {
                once: once_of(self, Operation::EnableKeyRotation, *invocation),
                key: expected(tables, *key, false),
                period_days: *days,
            }),
            Self::Rotate { key, number, stale, invocation } => CommandBody::RotateKeyOnDemand(Box::new(RotateKeyOnDemand {
                once: once_of(self, Operation::RotateKeyOnDemand, *invocation),
                key: expected(tables, *key, *stale),
                material: Some(material(*key, *number)),
            })),
            Self::Import { key, number, import_type, expires, described, invocation } => {
                CommandBody::ImportKeyMaterial(Box::new(ImportKeyMaterial {
                    once: once_of(self, Operation::ImportKeyMaterial, *invocation),
                    key: expected(tables, *key, false),
                    material: material(*key, *number),
                    import_type: import_type.map(|new| if new { ImportType::NewKeyMaterial } else { ImportType::ExistingKeyMaterial }),
                    expires_at: expires.map(|days| time.plus(claviger_types::limits::DAY * u32::try_from(days).unwrap())),
                    description: described.then(|| format!("import {number}")),
                }))
            }
            Self::DeleteImport { key, number, invocation } => CommandBody::DeleteImportedKeyMaterial(DeleteImportedKeyMaterial {
                once: once_of(self, Operation::DeleteImportedKeyMaterial, *invocation),
                key: expected(tables, *key, false),
                material_id: number.map(|number| material(*key, number).id),
            }),
            Self::Due { number } => {
                // Whatever is next, at this command's time or some later one's.
                let due = read::due(tables, Timestamp::from_millis(u64::MAX), None, 1 + usize::from(*number)).unwrap();
                due.last().map_or(CommandBody::Tick, |due| CommandBody::CarryOutDue(Box::new(carry_out(tables, due))))
            }
            Self::DestroyAnyway { key: number } => CommandBody::CarryOutDue(Box::new(CarryOutDue::Destroy { key_id: key(*number) })),
            Self::Used { keys } => CommandBody::RecordUsages(RecordUsages {
                usages: keys
                    .iter()
                    .map(|(number, at)| {
                        let at = Timestamp::from_millis(u64::from(*at));
                        (key(*number), LastUsageRecord { operation: UsageOperation::Decrypt, at, request_id: [*number; 16] })
                    })
                    .collect(),
            }),
        }
    }

    /// The time of a command that should find what it wants due.
    pub(super) fn time(&self, tables: &dyn Tables) -> Option<Timestamp> {
        let Self::Due { number } = self else { return None };
        let due = read::due(tables, Timestamp::from_millis(u64::MAX), None, 1 + usize::from(*number)).unwrap();
        // The odd ones come a moment too early.
        due.last().map(|due| Timestamp::from_millis(due.at.as_millis() - u64::from(number % 2)))
    }
}

fn carry_out(tables: &dyn Tables, due: &claviger_state::Due) -> CarryOutDue {
    use claviger_state::DueWork;
    let number = due.key_id.bytes()[0];
    match due.what {
        DueWork::Destroy => CarryOutDue::Destroy { key_id: due.key_id },
        DueWork::Expire(material_id) => CarryOutDue::Expire { key_id: due.key_id, material_id },
        DueWork::Rotate => {
            let held = held(tables, number).unwrap();
            let next = u8::try_from(held.document.materials.len() % 16).unwrap();
            CarryOutDue::Rotate { key: expected(tables, number, false), material: material(number, next) }
        }
    }
}
