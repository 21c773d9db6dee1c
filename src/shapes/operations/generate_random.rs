//! GenerateRandom.

use claviger_types::limits::RANDOM_BYTES_MAX;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::constraint::Checks;
use crate::decode::{Object, Text, from_json};
use crate::recipient::{self, Recipient, RecipientWire};
use crate::unsupported::refuse;
use crate::{ApiError, encode, model};

/// How much to return.
#[derive(Debug)]
pub struct GenerateRandomRequest {
    /// 1 to 1024.
    pub number_of_bytes: usize,
    /// Who is to read them, if not the caller.
    pub recipient: Option<Recipient>,
}

/// Random bytes. No `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateRandomResponse {
    /// The bytes; absent when there is a recipient.
    #[serde(serialize_with = "encode::optional_secret", skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<Zeroizing<Vec<u8>>>,
    /// The bytes in a CMS envelope for the recipient.
    #[serde(serialize_with = "encode::optional_blob", skip_serializing_if = "Option::is_none")]
    pub ciphertext_for_recipient: Option<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    number_of_bytes: Option<i32>,
    #[serde(borrow)]
    custom_key_store_id: Option<Text<'a>>,
    #[serde(borrow)]
    recipient: Option<Object<RecipientWire<'a>>>,
}

impl GenerateRandomRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.range("numberOfBytes", wire.number_of_bytes, 1, i32::try_from(RANDOM_BYTES_MAX).unwrap_or(i32::MAX));
        checks.text("customKeyStoreId", wire.custom_key_store_id.as_ref(), &model::CUSTOM_KEY_STORE_ID);
        recipient::check(&mut checks, wire.recipient.as_ref());
        checks.finish()?;
        let Some(bytes) = wire.number_of_bytes else { return Err(ApiError::validation("NumberOfBytes is required.")) };
        refuse("CustomKeyStoreId", wire.custom_key_store_id.as_ref())?;
        let number_of_bytes = usize::try_from(bytes).map_err(|_| ApiError::internal())?;
        Ok(Self { number_of_bytes, recipient: recipient::parse(wire.recipient)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_message_when_nothing_is_asked() {
        let error = GenerateRandomRequest::parse(b"{}").err().unwrap();
        assert_eq!(error.to_string(), "ValidationException: NumberOfBytes is required.");
        assert_eq!(GenerateRandomRequest::parse(br#"{"NumberOfBytes":5}"#).unwrap().number_of_bytes, 5);
    }
}
