//! Refuses, by name, members that the model has and Claviger does not implement yet. None is ever ignored.

use serde::Deserialize;

use crate::constraint::Checks;
use crate::decode::{Blob, List, Object, Text};
use crate::{ApiError, ErrorCode, model};

/// A member that is not implemented at all.
pub(crate) fn refuse<T>(name: &str, value: Option<&T>) -> Result<(), ApiError> {
    match value {
        None => Ok(()),
        Some(_) => Err(unsupported(name)),
    }
}

/// A flag of which only the default, false, is implemented.
pub(crate) fn refuse_true(name: &str, value: Option<bool>) -> Result<(), ApiError> {
    refuse(name, value.filter(|&set| set).as_ref())
}

/// A list of which only the empty one is implemented.
pub(crate) fn refuse_items<T, const MAX: usize>(name: &str, value: Option<&List<T, MAX>>) -> Result<(), ApiError> {
    refuse(name, value.filter(|list| !list.items().is_empty()))
}

/// An enum of which one value is implemented.
pub(crate) fn only(name: &str, value: Option<&Text<'_>>, implemented: &str) -> Result<(), ApiError> {
    match value {
        Some(Text(text)) if text != implemented => Err(unsupported(&format!("{name} {text}"))),
        _ => Ok(()),
    }
}

fn unsupported(what: &str) -> ApiError {
    ApiError::new(ErrorCode::UnsupportedOperation, format!("{what} is not supported."))
}

/// The Recipient member: checked, then refused.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RecipientWire<'a> {
    #[serde(borrow)]
    key_encryption_algorithm: Option<Text<'a>>,
    attestation_document: Option<Blob>,
}

/// The model's constraints of Recipient.
pub(crate) fn check_recipient(checks: &mut Checks, recipient: Option<&Object<RecipientWire<'_>>>) {
    let Some(Object(recipient)) = recipient else { return };
    checks.text("recipient.keyEncryptionAlgorithm", recipient.key_encryption_algorithm.as_ref(), &model::KEY_ENCRYPTION_MECHANISM);
    checks.blob("recipient.attestationDocument", recipient.attestation_document.as_ref(), model::ATTESTATION_DOCUMENT_BYTES_MAX);
}
