//! GenerateDataKey and GenerateDataKeyWithoutPlaintext: one request, two responses.

use claviger_types::limits::RANDOM_BYTES_MAX;
use claviger_types::{KeyArn, KeyRef, MaterialId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{GrantTokensWire, encryption_context, grant_tokens};
use crate::constraint::{Checks, present};
use crate::decode::{Context, Object, Text, from_json};
use crate::key_ref::{self, Forms};
use crate::recipient::{self, Recipient, RecipientWire};
use crate::{ApiError, DryRun, EncryptionContext, GrantTokens, encode, model};

/// What to make.
#[derive(Debug)]
pub struct DataKeyRequest {
    /// The key that encrypts the data key.
    pub key: KeyRef,
    /// Authenticated with the ciphertext.
    pub encryption_context: EncryptionContext,
    /// Length of the data key, 1 to 1024 bytes: 16 or 32 when the request named a spec.
    pub number_of_bytes: usize,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
    /// Whether only to say what would happen.
    pub dry_run: DryRun,
    /// Who is to read the data key, if not the caller; never of the operation without plaintext.
    pub recipient: Option<Recipient>,
}

/// A data key, in plaintext and encrypted. No `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyResponse {
    /// A message blob that holds the data key.
    #[serde(serialize_with = "encode::blob")]
    pub ciphertext_blob: Vec<u8>,
    /// The data key; absent when there is a recipient.
    #[serde(serialize_with = "encode::optional_secret", skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<Zeroizing<Vec<u8>>>,
    /// The key that encrypted it.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// The data key in a CMS envelope for the recipient.
    #[serde(serialize_with = "encode::optional_blob", skip_serializing_if = "Option::is_none")]
    pub ciphertext_for_recipient: Option<Vec<u8>>,
    /// The material that encrypted it; absent when there is a recipient.
    #[serde(serialize_with = "encode::optional_text", skip_serializing_if = "Option::is_none")]
    pub key_material_id: Option<MaterialId>,
}

/// A data key, encrypted only.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyWithoutPlaintextResponse {
    /// A message blob that holds the data key.
    #[serde(serialize_with = "encode::blob")]
    pub ciphertext_blob: Vec<u8>,
    /// The key that encrypted it.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// The material that encrypted it.
    #[serde(serialize_with = "encode::text")]
    pub key_material_id: MaterialId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    encryption_context: Option<Context>,
    number_of_bytes: Option<i32>,
    #[serde(borrow)]
    key_spec: Option<Text<'a>>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
    dry_run: Option<bool>,
}

impl DataKeyRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        Self::of(body, recipient::read(body)?)
    }

    /// The operation without plaintext has no Recipient in the model: there it is one of the unknown members.
    pub(crate) fn parse_without_recipient(body: &[u8]) -> Result<Self, ApiError> {
        Self::of(body, None)
    }

    fn of(body: &[u8], recipient: Option<Object<RecipientWire<'_>>>) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.range("numberOfBytes", wire.number_of_bytes, 1, i32::try_from(RANDOM_BYTES_MAX).unwrap_or(i32::MAX));
        checks.text("keySpec", wire.key_spec.as_ref(), &model::DATA_KEY_SPEC);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        recipient::check(&mut checks, recipient.as_ref());
        checks.finish()?;
        let number_of_bytes = match (wire.key_spec.as_ref().map(|text| text.0.as_ref()), wire.number_of_bytes) {
            (Some("AES_256"), None) => 32,
            (Some(_), None) => 16,
            (None, Some(bytes)) => usize::try_from(bytes).map_err(|_| ApiError::internal())?,
            _ => return Err(ApiError::validation("Please specify either number of bytes or key spec.")),
        };
        let encryption_context = encryption_context(wire.encryption_context)?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Cryptographic)?;
        Ok(Self {
            key,
            encryption_context,
            number_of_bytes,
            grant_tokens: grant_tokens(wire.grant_tokens)?,
            dry_run: DryRun::new(wire.dry_run),
            recipient: recipient::parse(recipient)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_way_to_say_the_length() {
        let parse = |members: &str| {
            DataKeyRequest::parse(format!(r#"{{"KeyId":"alias/a"{members}}}"#).as_bytes())
                .map(|r| r.number_of_bytes)
                .map_err(|e| e.to_string())
        };
        assert_eq!(parse(r#","KeySpec":"AES_128""#), Ok(16));
        assert_eq!(parse(r#","KeySpec":"AES_256""#), Ok(32));
        assert_eq!(parse(r#","NumberOfBytes":1024"#), Ok(1024));
        let neither = Err("ValidationException: Please specify either number of bytes or key spec.".to_owned());
        assert_eq!(parse(""), neither);
        assert_eq!(parse(r#","KeySpec":"AES_256","NumberOfBytes":32"#), neither);
    }
}
