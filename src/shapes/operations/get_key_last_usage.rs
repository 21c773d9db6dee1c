//! GetKeyLastUsage's response.

use claviger_types::{KeyId, Timestamp};
use serde::Serialize;

use crate::{Operation, encode};

/// When the key was used last in this region.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyLastUsageResponse {
    /// The key.
    #[serde(serialize_with = "encode::text")]
    pub key_id: KeyId,
    /// Empty if it was not used since tracking began.
    pub key_last_usage: KeyLastUsage,
    /// Since when it is known.
    #[serde(serialize_with = "encode::time")]
    pub tracking_start_date: Timestamp,
    /// When the key was made here.
    #[serde(serialize_with = "encode::time")]
    pub key_creation_date: Timestamp,
}

/// The last use.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyLastUsage {
    /// What was done.
    #[serde(serialize_with = "encode::optional_text", skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// When.
    #[serde(serialize_with = "encode::optional_time", skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_request_id: Option<String>,
}
