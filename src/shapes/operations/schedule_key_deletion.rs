//! ScheduleKeyDeletion.

use claviger_types::limits::{DELETION_WINDOW_DAYS, DELETION_WINDOW_DAYS_DEFAULT};
use claviger_types::{KeyArn, KeyRef, KeyState, Timestamp};
use serde::{Deserialize, Serialize};

use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, encode, model};

/// What to delete, and when.
#[derive(Debug)]
pub struct ScheduleKeyDeletionRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// How long it waits, 7 to 30 days.
    pub pending_window_in_days: u16,
}

/// When it will be deleted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScheduleKeyDeletionResponse {
    /// The key.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// Not before this.
    #[serde(serialize_with = "encode::time")]
    pub deletion_date: Timestamp,
    /// Its state from now on.
    #[serde(serialize_with = "encode::text")]
    pub key_state: KeyState,
    /// As asked.
    pub pending_window_in_days: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    pending_window_in_days: Option<i32>,
}

impl ScheduleKeyDeletionRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.range("pendingWindowInDays", wire.pending_window_in_days, 1, 365);
        checks.finish()?;
        let days = wire.pending_window_in_days.map_or(Ok(DELETION_WINDOW_DAYS_DEFAULT), u16::try_from);
        let days = days.ok().filter(|days| DELETION_WINDOW_DAYS.contains(days));
        // The shape of the model allows more than AWS's text, which is what AWS does.
        let Some(pending_window_in_days) = days else {
            let (first, last) = (DELETION_WINDOW_DAYS.start(), DELETION_WINDOW_DAYS.end());
            return Err(ApiError::validation(format!("PendingWindowInDays must be between {first} and {last}")));
        };
        Ok(Self { key: key_ref::parse(&present(wire.key_id)?, Forms::Management)?, pending_window_in_days })
    }
}
