//! Decrypt.

use claviger_types::limits::CIPHERTEXT_BYTES_MAX;
use claviger_types::{EncryptionAlgorithm, KeyArn, KeyRef, MaterialId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{GrantTokensWire, encryption_context, grant_tokens};
use crate::choice::optional;
use crate::constraint::Checks;
use crate::decode::{Blob, Context, Object, Text, from_json};
use crate::dry_run::DryRunModifiersWire;
use crate::key_ref::{self, Forms};
use crate::recipient::{self, Recipient, RecipientWire};
use crate::{ApiError, DryRun, EncryptionContext, GrantTokens, encode, model};

/// What to decrypt.
#[derive(Debug)]
pub struct DecryptRequest {
    /// 1 to 6144 bytes; none in a dry run that ignores it.
    pub ciphertext_blob: Vec<u8>,
    /// Must be the one that Encrypt got.
    pub encryption_context: EncryptionContext,
    /// When given, the key that must have encrypted.
    pub key: Option<KeyRef>,
    /// The algorithm.
    pub encryption_algorithm: EncryptionAlgorithm,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
    /// Whether only to say what would happen.
    pub dry_run: DryRun,
    /// Who is to read the answer, if not the caller.
    pub recipient: Option<Recipient>,
}

/// The plaintext. No `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DecryptResponse {
    /// The key that had encrypted.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// What Encrypt got; absent when there is a recipient.
    #[serde(serialize_with = "encode::optional_secret", skip_serializing_if = "Option::is_none")]
    pub plaintext: Option<Zeroizing<Vec<u8>>>,
    /// The algorithm.
    #[serde(serialize_with = "encode::text")]
    pub encryption_algorithm: EncryptionAlgorithm,
    /// The same in a CMS envelope for the recipient.
    #[serde(serialize_with = "encode::optional_blob", skip_serializing_if = "Option::is_none")]
    pub ciphertext_for_recipient: Option<Vec<u8>>,
    /// The material that had encrypted, of a symmetric key; absent when there is a recipient.
    #[serde(serialize_with = "encode::optional_text", skip_serializing_if = "Option::is_none")]
    pub key_material_id: Option<MaterialId>,
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
        // The model does not require it, for the sake of dry runs that ignore it.
        let dry_run = DryRun::modified(wire.dry_run, wire.dry_run_modifiers.as_ref());
        if dry_run == Ok(DryRun::IgnoringCiphertext) {
            checks.required("keyId", wire.key_id.as_ref());
        } else {
            checks.required("ciphertextBlob", wire.ciphertext_blob.as_ref());
        }
        checks.blob("ciphertextBlob", wire.ciphertext_blob.as_ref(), CIPHERTEXT_BYTES_MAX);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.text("encryptionAlgorithm", wire.encryption_algorithm.as_ref(), &model::ENCRYPTION_ALGORITHM);
        recipient::check(&mut checks, wire.recipient.as_ref());
        checks.texts("dryRunModifiers", wire.dry_run_modifiers.as_ref(), &model::DRY_RUN_MODIFIER);
        checks.finish()?;
        let encryption_context = encryption_context(wire.encryption_context)?;
        let key = wire.key_id.map(|text| key_ref::parse(&text, Forms::Cryptographic)).transpose()?;
        Ok(Self {
            ciphertext_blob: wire.ciphertext_blob.map(Blob::into_public).unwrap_or_default(),
            encryption_context,
            key,
            encryption_algorithm: optional("EncryptionAlgorithm", wire.encryption_algorithm.as_ref())?
                .unwrap_or(EncryptionAlgorithm::SymmetricDefault),
            dry_run: dry_run?,
            recipient: recipient::parse(wire.recipient)?,
            grant_tokens: grant_tokens(wire.grant_tokens)?,
        })
    }
}
