//! Recipient: the attestation document of an enclave, to which an answer is encrypted (rules page, section 16).

use serde::Deserialize;

use crate::constraint::{Checks, present};
use crate::decode::{Blob, Object, Text, from_json};
use crate::{ApiError, model};

/// Who is to read the answer. Its one algorithm is RSAES_OAEP_SHA_256.
#[derive(Debug)]
pub struct Recipient {
    /// The signed document, 1 to 262,144 bytes, still to be verified.
    pub attestation_document: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RecipientWire<'a> {
    #[serde(borrow)]
    key_encryption_algorithm: Option<Text<'a>>,
    attestation_document: Option<Blob>,
}

/// The member of a body, of the operations that share their other members with one that has none.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    recipient: Option<Object<RecipientWire<'a>>>,
}

/// Reads it by itself; few requests have one, and the others are not decoded twice.
pub(crate) fn read(body: &[u8]) -> Result<Option<Object<RecipientWire<'_>>>, ApiError> {
    const NAME: &[u8] = b"\"Recipient\"";
    if !body.windows(NAME.len()).any(|part| part == NAME) {
        return Ok(None);
    }
    from_json::<Wire<'_>>(body).map(|wire| wire.recipient)
}

/// The model's constraints.
pub(crate) fn check(checks: &mut Checks, recipient: Option<&Object<RecipientWire<'_>>>) {
    let Some(Object(recipient)) = recipient else { return };
    checks.text("recipient.keyEncryptionAlgorithm", recipient.key_encryption_algorithm.as_ref(), &model::KEY_ENCRYPTION_MECHANISM);
    checks.blob("recipient.attestationDocument", recipient.attestation_document.as_ref(), model::ATTESTATION_DOCUMENT_BYTES_MAX);
}

/// Both members are needed, though the model requires neither.
pub(crate) fn parse(recipient: Option<Object<RecipientWire<'_>>>) -> Result<Option<Recipient>, ApiError> {
    let Some(Object(recipient)) = recipient else { return Ok(None) };
    if recipient.key_encryption_algorithm.is_none() || recipient.attestation_document.is_none() {
        return Err(ApiError::validation("Recipient must have KeyEncryptionAlgorithm and AttestationDocument."));
    }
    Ok(Some(Recipient { attestation_document: present(recipient.attestation_document)?.into_public() }))
}
