//! EnableKeyRotation's request, GetKeyRotationStatus's response, and ListKeyRotations.

use claviger_types::limits::{LIST_KEY_ROTATIONS_LIMIT_MAX, ROTATION_PERIOD_DAYS, ROTATION_PERIOD_DAYS_DEFAULT};
use claviger_types::{ExpirationModel, ImportState, KeyArn, KeyId, KeyMaterialState, KeyRef, MaterialId, RotationType, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use super::paging::{self, Paging};
use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, encode, model};

/// How many rotations are returned when the request sets no limit (rules page, section 14).
const LIMIT_DEFAULT: usize = 100;

/// What to rotate, and how often.
#[derive(Debug)]
pub struct EnableKeyRotationRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// 90 to 2560 days.
    pub rotation_period_in_days: u16,
}

/// Whether and when a key is rotated.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyRotationStatusResponse {
    /// Whether automatic rotation is on.
    pub key_rotation_enabled: bool,
    /// The key.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// While it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_period_in_days: Option<u16>,
    /// While it is on.
    #[serde(serialize_with = "encode::optional_time", skip_serializing_if = "Option::is_none")]
    pub next_rotation_date: Option<Timestamp>,
    /// While a rotation on demand waits for other regions.
    #[serde(serialize_with = "encode::optional_time", skip_serializing_if = "Option::is_none")]
    pub on_demand_rotation_start_date: Option<Timestamp>,
}

/// Whose rotations, and which page.
#[derive(Debug)]
pub struct ListKeyRotationsRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// Whether the first material and one that waits are listed too.
    pub all_key_material: bool,
    /// Which page.
    pub paging: Paging,
}

/// One page of rotations.
#[derive(Debug)]
pub struct ListKeyRotationsResponse {
    /// The rotations, oldest first.
    pub rotations: Vec<RotationListEntry>,
    /// `Some` when more follow.
    pub next_marker: Option<String>,
}

/// A material and how it became current.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotationListEntry {
    /// The key.
    #[serde(serialize_with = "encode::text")]
    pub key_id: KeyId,
    /// The material.
    #[serde(serialize_with = "encode::text")]
    pub key_material_id: MaterialId,
    /// What it is called, when it was imported under a description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_material_description: Option<String>,
    /// Whether it is there, of imported ones.
    #[serde(serialize_with = "encode::optional_text", skip_serializing_if = "Option::is_none")]
    pub import_state: Option<ImportState>,
    /// Its use.
    #[serde(serialize_with = "encode::text")]
    pub key_material_state: KeyMaterialState,
    /// Whether it expires, of imported ones that are there.
    #[serde(serialize_with = "encode::optional_text", skip_serializing_if = "Option::is_none")]
    pub expiration_model: Option<ExpirationModel>,
    /// When it does.
    #[serde(serialize_with = "encode::optional_time", skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Timestamp>,
    /// When it became current, unless it was the first or waits.
    #[serde(serialize_with = "encode::optional_time", skip_serializing_if = "Option::is_none")]
    pub rotation_date: Option<Timestamp>,
    /// Why.
    #[serde(serialize_with = "encode::optional_text", skip_serializing_if = "Option::is_none")]
    pub rotation_type: Option<RotationType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    rotation_period_in_days: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListWire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    include_key_material: Option<Text<'a>>,
    limit: Option<i32>,
    #[serde(borrow)]
    marker: Option<Text<'a>>,
}

impl EnableKeyRotationRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        let (least, most) = (i32::from(*ROTATION_PERIOD_DAYS.start()), i32::from(*ROTATION_PERIOD_DAYS.end()));
        checks.range("rotationPeriodInDays", wire.rotation_period_in_days, least, most);
        checks.finish()?;
        let days = wire.rotation_period_in_days.map_or(Ok(ROTATION_PERIOD_DAYS_DEFAULT), u16::try_from);
        let rotation_period_in_days = days.map_err(|_| ApiError::internal())?;
        Ok(Self { key: key_ref::parse(&present(wire.key_id)?, Forms::Management)?, rotation_period_in_days })
    }
}

impl ListKeyRotationsRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: ListWire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.text("includeKeyMaterial", wire.include_key_material.as_ref(), &model::INCLUDE_KEY_MATERIAL);
        Paging::check(&mut checks, wire.limit, wire.marker.as_ref());
        checks.finish()?;
        Ok(Self {
            key: key_ref::parse(&present(wire.key_id)?, Forms::Management)?,
            all_key_material: wire.include_key_material.is_some_and(|Text(text)| text == "ALL_KEY_MATERIAL"),
            paging: Paging::new(wire.limit, wire.marker, LIMIT_DEFAULT, LIST_KEY_ROTATIONS_LIMIT_MAX),
        })
    }
}

impl Serialize for ListKeyRotationsResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        paging::serialize("Rotations", &self.rotations, self.next_marker.as_ref(), serializer)
    }
}
