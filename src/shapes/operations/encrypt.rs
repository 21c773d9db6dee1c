//! Encrypt.

use claviger_types::limits::PLAINTEXT_BYTES_MAX;
use claviger_types::{EncryptionAlgorithm, KeyArn, KeyRef};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{GrantTokensWire, encryption_context, grant_tokens};
use crate::choice::optional;
use crate::constraint::{Checks, present};
use crate::decode::{Blob, Context, Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, DryRun, EncryptionContext, GrantTokens, encode, model};

/// What to encrypt. No `Debug`: it holds plaintext.
pub struct EncryptRequest {
    /// The key.
    pub key: KeyRef,
    /// 1 to 4096 bytes.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// Authenticated with the ciphertext.
    pub encryption_context: EncryptionContext,
    /// The algorithm.
    pub encryption_algorithm: EncryptionAlgorithm,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
    /// Whether only to say what would happen.
    pub dry_run: DryRun,
}

/// The ciphertext.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EncryptResponse {
    /// A message blob.
    #[serde(serialize_with = "encode::blob")]
    pub ciphertext_blob: Vec<u8>,
    /// The key that encrypted.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// The algorithm.
    #[serde(serialize_with = "encode::text")]
    pub encryption_algorithm: EncryptionAlgorithm,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    plaintext: Option<Blob>,
    encryption_context: Option<Context>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
    #[serde(borrow)]
    encryption_algorithm: Option<Text<'a>>,
    dry_run: Option<bool>,
}

impl EncryptRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("plaintext", wire.plaintext.as_ref());
        checks.blob("plaintext", wire.plaintext.as_ref(), PLAINTEXT_BYTES_MAX);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        checks.text("encryptionAlgorithm", wire.encryption_algorithm.as_ref(), &model::ENCRYPTION_ALGORITHM);
        checks.finish()?;
        let encryption_context = encryption_context(wire.encryption_context)?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Cryptographic)?;
        Ok(Self {
            key,
            plaintext: present(wire.plaintext)?.0,
            encryption_context,
            encryption_algorithm: optional("EncryptionAlgorithm", wire.encryption_algorithm.as_ref())?
                .unwrap_or(EncryptionAlgorithm::SymmetricDefault),
            dry_run: DryRun::new(wire.dry_run),
            grant_tokens: grant_tokens(wire.grant_tokens)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &serde_json::Value) -> Result<EncryptRequest, String> {
        EncryptRequest::parse(body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_context_has_a_size_limit_and_keeps_its_bytes() {
        let with_value =
            |length: usize| parse(&json!({"KeyId": "alias/a", "Plaintext": "AAE=", "EncryptionContext": {"k": "v".repeat(length)}}));
        let request = with_value(ENCRYPTION_CONTEXT_FITS).unwrap();
        assert_eq!(request.plaintext.as_slice(), [0, 1]);
        assert_eq!(request.encryption_context["k"].len(), ENCRYPTION_CONTEXT_FITS);
        let error = with_value(ENCRYPTION_CONTEXT_FITS + 1).err().unwrap();
        assert_eq!(error, "ValidationException: EncryptionContext must not be larger than 8192 bytes.");
    }

    /// 8192 bytes less the count, two lengths and the one-byte key.
    const ENCRYPTION_CONTEXT_FITS: usize = 8192 - 2 - 4 - 1;

    #[test]
    fn several_failures_are_joined_and_plaintext_is_not_shown() {
        assert_eq!(
            parse(&json!({"Plaintext": "", "EncryptionAlgorithm": "ROT13"})).err().unwrap(),
            "ValidationException: 3 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null; \
             Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1; Value 'ROT13' at \
             'encryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [SYMMETRIC_DEFAULT, RSAES_OAEP_SHA_1, \
             RSAES_OAEP_SHA_256, SM2PKE]"
        );
    }
}
