//! Commands of a key's life: deletion, rotation, import, last use.

use claviger_types::{ExpirationModel, ImportType, KeyId, MaterialId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Expected, Once, SealedMaterial};
use crate::LastUsageRecord;

/// ScheduleKeyDeletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleKeyDeletion {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// How long it waits, days: [`claviger_types::limits::DELETION_WINDOW_DAYS`].
    pub window_days: u16,
}

/// CancelKeyDeletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelKeyDeletion {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
}

/// EnableKeyRotation and DisableKeyRotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetKeyRotation {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// The period, days: [`claviger_types::limits::ROTATION_PERIOD_DAYS`]; `None` switches it off.
    pub period_days: Option<u16>,
}

/// RotateKeyOnDemand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateKeyOnDemand {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// The new material; `None` for an imported key, whose material is here already.
    pub material: Option<SealedMaterial>,
}

/// ImportKeyMaterial. Its proposer has unwrapped the material and computed its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportKeyMaterial {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// The material.
    pub material: SealedMaterial,
    /// What the request says it is.
    pub import_type: Option<ImportType>,
    /// When it expires; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// Its description; `None` keeps the one that it has.
    pub description: Option<String>,
}

impl ImportKeyMaterial {
    /// As the API calls it.
    pub const fn expiration_model(&self) -> ExpirationModel {
        if self.expires_at.is_some() { ExpirationModel::Expires } else { ExpirationModel::DoesNotExpire }
    }
}

/// DeleteImportedKeyMaterial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteImportedKeyMaterial {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// Which material; `None` is the current one.
    pub material_id: Option<MaterialId>,
}

/// What the scheduler has found due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CarryOutDue {
    /// An automatic rotation.
    Rotate {
        /// The key, as it was when the material was made for it.
        key: Expected,
        /// The new material.
        material: SealedMaterial,
    },
    /// A key's deletion, or a bounded step of it: again until it is gone.
    Destroy {
        /// The key.
        key_id: KeyId,
    },
    /// The expiry of an imported material.
    Expire {
        /// The key.
        key_id: KeyId,
        /// Its material.
        material_id: MaterialId,
    },
}

/// When keys were used last, as one node has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordUsages {
    /// At most [`claviger_types::limits::USAGES_PER_COMMAND_MAX`], one a key.
    pub usages: Vec<(KeyId, LastUsageRecord)>,
}
