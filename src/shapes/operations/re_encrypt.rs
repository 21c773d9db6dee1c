//! ReEncrypt.

use claviger_types::limits::CIPHERTEXT_BYTES_MAX;
use claviger_types::{EncryptionAlgorithm, KeyArn, KeyRef, MaterialId};
use serde::{Deserialize, Serialize};

use super::{GrantTokensWire, encryption_context, grant_tokens};
use crate::choice::optional;
use crate::constraint::{Checks, present};
use crate::decode::{Blob, Context, Text, from_json};
use crate::dry_run::DryRunModifiersWire;
use crate::key_ref::{self, Forms};
use crate::{ApiError, DryRun, EncryptionContext, GrantTokens, encode, model};

/// What to encrypt again, and how.
#[derive(Debug)]
pub struct ReEncryptRequest {
    /// 1 to 6144 bytes; none in a dry run that ignores it.
    pub ciphertext_blob: Vec<u8>,
    /// The context that the ciphertext has.
    pub source_encryption_context: EncryptionContext,
    /// When given, the key that must have encrypted.
    pub source_key: Option<KeyRef>,
    /// The algorithm that had encrypted.
    pub source_encryption_algorithm: EncryptionAlgorithm,
    /// The key to encrypt with.
    pub destination_key: KeyRef,
    /// The context that the new ciphertext gets.
    pub destination_encryption_context: EncryptionContext,
    /// The algorithm to encrypt with.
    pub destination_encryption_algorithm: EncryptionAlgorithm,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
    /// Whether only to say what would happen.
    pub dry_run: DryRun,
}

/// The new ciphertext.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReEncryptResponse {
    /// A message blob.
    #[serde(serialize_with = "encode::blob")]
    pub ciphertext_blob: Vec<u8>,
    /// The key that had encrypted.
    #[serde(rename = "SourceKeyId", serialize_with = "encode::text")]
    pub source_key: KeyArn,
    /// The key that encrypted.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// The algorithm that had encrypted.
    #[serde(serialize_with = "encode::text")]
    pub source_encryption_algorithm: EncryptionAlgorithm,
    /// The algorithm that encrypted.
    #[serde(serialize_with = "encode::text")]
    pub destination_encryption_algorithm: EncryptionAlgorithm,
    /// The material that had encrypted, of a symmetric key.
    #[serde(serialize_with = "encode::optional_text", skip_serializing_if = "Option::is_none")]
    pub source_key_material_id: Option<MaterialId>,
    /// The material that encrypted, of a symmetric key.
    #[serde(serialize_with = "encode::optional_text", skip_serializing_if = "Option::is_none")]
    pub destination_key_material_id: Option<MaterialId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    ciphertext_blob: Option<Blob>,
    source_encryption_context: Option<Context>,
    #[serde(borrow)]
    source_key_id: Option<Text<'a>>,
    #[serde(borrow)]
    destination_key_id: Option<Text<'a>>,
    destination_encryption_context: Option<Context>,
    #[serde(borrow)]
    source_encryption_algorithm: Option<Text<'a>>,
    #[serde(borrow)]
    destination_encryption_algorithm: Option<Text<'a>>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
    dry_run: Option<bool>,
    #[serde(borrow)]
    dry_run_modifiers: Option<DryRunModifiersWire<'a>>,
}

impl ReEncryptRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        // The model does not require it, for the sake of dry runs that ignore it.
        let dry_run = DryRun::modified(wire.dry_run, wire.dry_run_modifiers.as_ref());
        if dry_run == Ok(DryRun::IgnoringCiphertext) {
            checks.required("sourceKeyId", wire.source_key_id.as_ref());
        } else {
            checks.required("ciphertextBlob", wire.ciphertext_blob.as_ref());
        }
        checks.blob("ciphertextBlob", wire.ciphertext_blob.as_ref(), CIPHERTEXT_BYTES_MAX);
        checks.text("sourceKeyId", wire.source_key_id.as_ref(), &model::KEY_ID);
        checks.required("destinationKeyId", wire.destination_key_id.as_ref());
        checks.text("destinationKeyId", wire.destination_key_id.as_ref(), &model::KEY_ID);
        checks.text("sourceEncryptionAlgorithm", wire.source_encryption_algorithm.as_ref(), &model::ENCRYPTION_ALGORITHM);
        checks.text("destinationEncryptionAlgorithm", wire.destination_encryption_algorithm.as_ref(), &model::ENCRYPTION_ALGORITHM);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        checks.texts("dryRunModifiers", wire.dry_run_modifiers.as_ref(), &model::DRY_RUN_MODIFIER);
        checks.finish()?;
        let source_encryption_context = encryption_context(wire.source_encryption_context)?;
        let destination_encryption_context = encryption_context(wire.destination_encryption_context)?;
        let source_key = wire.source_key_id.map(|text| key_ref::parse(&text, Forms::Cryptographic)).transpose()?;
        let destination_key = key_ref::parse(&present(wire.destination_key_id)?, Forms::Cryptographic)?;
        Ok(Self {
            ciphertext_blob: wire.ciphertext_blob.map(Blob::into_public).unwrap_or_default(),
            dry_run: dry_run?,
            source_encryption_context,
            source_key,
            source_encryption_algorithm: optional("SourceEncryptionAlgorithm", wire.source_encryption_algorithm.as_ref())?
                .unwrap_or(EncryptionAlgorithm::SymmetricDefault),
            destination_key,
            destination_encryption_context,
            destination_encryption_algorithm: optional("DestinationEncryptionAlgorithm", wire.destination_encryption_algorithm.as_ref())?
                .unwrap_or(EncryptionAlgorithm::SymmetricDefault),
            grant_tokens: grant_tokens(wire.grant_tokens)?,
        })
    }
}
