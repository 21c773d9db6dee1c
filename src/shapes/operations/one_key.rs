//! What asks for nothing but a key: EnableKey, DisableKey, CancelKeyDeletion, DisableKeyRotation, GetKeyRotationStatus,
//! RotateKeyOnDemand, GetKeyLastUsage.

use claviger_types::{KeyArn, KeyRef};
use serde::{Deserialize, Serialize};

use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, encode, model};

/// Which key.
#[derive(Debug)]
pub struct OneKeyRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
}

/// The key again: what CancelKeyDeletion and RotateKeyOnDemand answer.
#[derive(Debug, Serialize)]
pub struct OneKeyResponse {
    /// The key.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
}

impl OneKeyRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.finish()?;
        Ok(Self { key: key_ref::parse(&present(wire.key_id)?, Forms::Management)? })
    }
}
