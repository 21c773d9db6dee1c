//! GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial.

use claviger_types::limits::CIPHERTEXT_BYTES_MAX;
use claviger_types::{ImportType, KeyArn, KeyRef, MaterialId, Timestamp, WrappingAlgorithm, WrappingKeySpec};
use serde::{Deserialize, Serialize};

use crate::choice::{choice, optional};
use crate::constraint::{Checks, present};
use crate::decode::{Blob, Seconds, Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, encode, model};

/// For which import, and how its material will be wrapped.
#[derive(Debug)]
pub struct GetParametersForImportRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// How.
    pub wrapping_algorithm: WrappingAlgorithm,
    /// With what.
    pub wrapping_key_spec: WrappingKeySpec,
}

/// What to wrap with, and what to show at the import.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetParametersForImportResponse {
    /// The key.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// Sealed; says nothing to anybody else.
    #[serde(serialize_with = "encode::blob")]
    pub import_token: Vec<u8>,
    /// SubjectPublicKeyInfo, DER.
    #[serde(serialize_with = "encode::blob")]
    pub public_key: Vec<u8>,
    /// Until when both are good.
    #[serde(serialize_with = "encode::time")]
    pub parameters_valid_to: Timestamp,
}

/// Wrapped material and what it is.
#[derive(Debug)]
pub struct ImportKeyMaterialRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// What GetParametersForImport returned.
    pub import_token: Vec<u8>,
    /// 1 to 6144 bytes.
    pub encrypted_key_material: Vec<u8>,
    /// When it expires; `None` is never.
    pub valid_to: Option<Timestamp>,
    /// Whether it is new or known; `None` is as the key has none or some.
    pub import_type: Option<ImportType>,
    /// What to call it; `None` keeps what it is called.
    pub key_material_description: Option<String>,
    /// Which it must be.
    pub key_material_id: Option<MaterialId>,
}

/// Which material to delete.
#[derive(Debug)]
pub struct DeleteImportedKeyMaterialRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// `None` is the current one.
    pub key_material_id: Option<MaterialId>,
}

/// What was imported or deleted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportedResponse {
    /// The key.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// The material.
    #[serde(serialize_with = "encode::optional_text", skip_serializing_if = "Option::is_none")]
    pub key_material_id: Option<MaterialId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ParametersWire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    wrapping_algorithm: Option<Text<'a>>,
    #[serde(borrow)]
    wrapping_key_spec: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImportWire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    import_token: Option<Blob>,
    encrypted_key_material: Option<Blob>,
    valid_to: Option<Seconds>,
    #[serde(borrow)]
    expiration_model: Option<Text<'a>>,
    #[serde(borrow)]
    import_type: Option<Text<'a>>,
    #[serde(borrow)]
    key_material_description: Option<Text<'a>>,
    #[serde(borrow)]
    key_material_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteWire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    key_material_id: Option<Text<'a>>,
}

impl GetParametersForImportRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: ParametersWire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("wrappingAlgorithm", wire.wrapping_algorithm.as_ref());
        checks.text("wrappingAlgorithm", wire.wrapping_algorithm.as_ref(), &model::WRAPPING_ALGORITHM);
        checks.required("wrappingKeySpec", wire.wrapping_key_spec.as_ref());
        checks.text("wrappingKeySpec", wire.wrapping_key_spec.as_ref(), &model::WRAPPING_KEY_SPEC);
        checks.finish()?;
        Ok(Self {
            key: key_ref::parse(&present(wire.key_id)?, Forms::Management)?,
            wrapping_algorithm: choice("WrappingAlgorithm", &present(wire.wrapping_algorithm)?)?,
            wrapping_key_spec: choice("WrappingKeySpec", &present(wire.wrapping_key_spec)?)?,
        })
    }
}

impl ImportKeyMaterialRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: ImportWire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("importToken", wire.import_token.as_ref());
        checks.blob("importToken", wire.import_token.as_ref(), CIPHERTEXT_BYTES_MAX);
        checks.required("encryptedKeyMaterial", wire.encrypted_key_material.as_ref());
        checks.blob("encryptedKeyMaterial", wire.encrypted_key_material.as_ref(), CIPHERTEXT_BYTES_MAX);
        checks.text("expirationModel", wire.expiration_model.as_ref(), &model::EXPIRATION_MODEL);
        checks.text("importType", wire.import_type.as_ref(), &model::IMPORT_TYPE);
        checks.text("keyMaterialDescription", wire.key_material_description.as_ref(), &model::KEY_MATERIAL_DESCRIPTION);
        checks.text("keyMaterialId", wire.key_material_id.as_ref(), &model::BACKING_KEY_ID);
        checks.finish()?;
        let expires = wire.expiration_model.as_ref().is_none_or(|Text(text)| text != "KEY_MATERIAL_DOES_NOT_EXPIRE");
        let valid_to = match (expires, wire.valid_to) {
            (true, None) => return Err(ApiError::validation("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")),
            (false, Some(_)) => {
                return Err(ApiError::validation("A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"));
            }
            (_, valid_to) => valid_to.map(|Seconds(time)| time),
        };
        let import_type = optional("ImportType", wire.import_type.as_ref())?;
        let key_material_id = material_id(wire.key_material_id.as_ref())?;
        if import_type == Some(ImportType::NewKeyMaterial) && key_material_id.is_some() {
            return Err(ApiError::validation("KeyMaterialId cannot be specified if the ImportType is NEW_KEY_MATERIAL."));
        }
        Ok(Self {
            key: key_ref::parse(&present(wire.key_id)?, Forms::Management)?,
            import_token: present(wire.import_token)?.into_public(),
            encrypted_key_material: present(wire.encrypted_key_material)?.into_public(),
            valid_to,
            import_type,
            key_material_description: wire.key_material_description.map(|text| text.0.into_owned()),
            key_material_id,
        })
    }
}

impl DeleteImportedKeyMaterialRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: DeleteWire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.text("keyMaterialId", wire.key_material_id.as_ref(), &model::BACKING_KEY_ID);
        checks.finish()?;
        let key_material_id = material_id(wire.key_material_id.as_ref())?;
        Ok(Self { key: key_ref::parse(&present(wire.key_id)?, Forms::Management)?, key_material_id })
    }
}

/// The model's pattern makes it one.
fn material_id(text: Option<&Text<'_>>) -> Result<Option<MaterialId>, ApiError> {
    text.map(|Text(text)| text.parse().map_err(|_| ApiError::internal())).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn import(members: &Value) -> Result<ImportKeyMaterialRequest, String> {
        let mut body = json!({"KeyId": "mrk-000102030405060708090a0b0c0d0e0f", "ImportToken": "AQ==", "EncryptedKeyMaterial": "Ag=="});
        body.as_object_mut().unwrap().append(&mut members.as_object().unwrap().clone());
        ImportKeyMaterialRequest::parse(body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_date_exactly_when_it_expires() {
        let without = "ValidationException: A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES";
        assert_eq!(import(&json!({})).unwrap_err(), without);
        assert_eq!(import(&json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES"})).unwrap_err(), without);
        let never = json!({"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"});
        assert_eq!(import(&never).unwrap().valid_to, None);
        assert!(import(&json!({"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ValidTo": 1})).is_err());
        assert_eq!(import(&json!({"ValidTo": 1_700_000_000.5})).unwrap().valid_to, Some(Timestamp::from_millis(1_700_000_000_500)));
        for bad in [json!(-1), json!(1e300), json!("2026-01-01")] {
            assert!(import(&json!({ "ValidTo": bad })).unwrap_err().starts_with("SerializationException"));
        }
    }

    #[test]
    fn a_new_material_has_no_id_yet() {
        let id = "0f".repeat(32);
        let request = import(&json!({"ValidTo": 1, "ImportType": "EXISTING_KEY_MATERIAL", "KeyMaterialId": id})).unwrap();
        assert_eq!(request.key_material_id.unwrap().to_string(), id);
        assert!(import(&json!({"ValidTo": 1, "ImportType": "NEW_KEY_MATERIAL", "KeyMaterialId": id})).is_err());
    }
}
