//! Decrypt.

use claviger_types::limits::CIPHERTEXT_BYTES_MAX;
use claviger_types::{EncryptionAlgorithm, KeyArn, KeyRef, MaterialId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{DryRunModifiersWire, GrantTokensWire, encryption_context, grant_tokens};
use crate::constraint::{Checks, present};
use crate::decode::{Blob, Context, Object, Text, from_json};
use crate::key_ref::{self, Forms};
use crate::unsupported::{RecipientWire, check_recipient, only, refuse, refuse_items, refuse_true};
use crate::{ApiError, EncryptionContext, GrantTokens, encode, model};

/// What to decrypt.
#[derive(Debug)]
pub struct DecryptRequest {
    /// 1 to 6144 bytes.
    pub ciphertext_blob: Vec<u8>,
    /// Must be the one that Encrypt got.
    pub encryption_context: EncryptionContext,
    /// When given, the key that must have encrypted.
    pub key: Option<KeyRef>,
    /// The algorithm.
    pub encryption_algorithm: EncryptionAlgorithm,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
}

/// The plaintext. No `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DecryptResponse {
    /// The key that had encrypted.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// What Encrypt got.
    #[serde(serialize_with = "encode::secret")]
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The algorithm.
    #[serde(serialize_with = "encode::text")]
    pub encryption_algorithm: EncryptionAlgorithm,
    /// The material that had encrypted.
    #[serde(serialize_with = "encode::text")]
    pub key_material_id: MaterialId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    ciphertext_blob: Option<Blob>,
    encryption_context: Option<Context>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    encryption_algorithm: Option<Text<'a>>,
    #[serde(borrow)]
    recipient: Option<Object<RecipientWire<'a>>>,
    dry_run: Option<bool>,
    #[serde(borrow)]
    dry_run_modifiers: Option<DryRunModifiersWire<'a>>,
}

impl DecryptRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        // The model does not require it, for the sake of DryRunModifiers, which are refused below.
        checks.required("ciphertextBlob", wire.ciphertext_blob.as_ref());
        checks.blob("ciphertextBlob", wire.ciphertext_blob.as_ref(), CIPHERTEXT_BYTES_MAX);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.text("encryptionAlgorithm", wire.encryption_algorithm.as_ref(), &model::ENCRYPTION_ALGORITHM);
        check_recipient(&mut checks, wire.recipient.as_ref());
        checks.texts("dryRunModifiers", wire.dry_run_modifiers.as_ref(), &model::DRY_RUN_MODIFIER);
        checks.finish()?;
        let encryption_context = encryption_context(wire.encryption_context)?;
        let key = wire.key_id.map(|text| key_ref::parse(&text, Forms::Cryptographic)).transpose()?;
        only("EncryptionAlgorithm", wire.encryption_algorithm.as_ref(), EncryptionAlgorithm::SymmetricDefault.as_str())?;
        refuse("Recipient", wire.recipient.as_ref())?;
        refuse_true("DryRun", wire.dry_run)?;
        refuse_items("DryRunModifiers", wire.dry_run_modifiers.as_ref())?;
        Ok(Self {
            ciphertext_blob: present(wire.ciphertext_blob)?.into_public(),
            encryption_context,
            key,
            encryption_algorithm: EncryptionAlgorithm::SymmetricDefault,
            grant_tokens: grant_tokens(wire.grant_tokens)?,
        })
    }
}
