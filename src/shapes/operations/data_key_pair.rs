//! GenerateDataKeyPair and GenerateDataKeyPairWithoutPlaintext: one request, two responses.

use claviger_types::{DataKeyPairSpec, KeyArn, KeyRef, MaterialId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{GrantTokensWire, encryption_context, grant_tokens};
use crate::choice::choice;
use crate::constraint::{Checks, present};
use crate::decode::{Context, Object, Text, from_json};
use crate::key_ref::{self, Forms};
use crate::recipient::{self, Recipient, RecipientWire};
use crate::{ApiError, DryRun, EncryptionContext, GrantTokens, encode, model};

/// What to make.
#[derive(Debug)]
pub struct DataKeyPairRequest {
    /// The symmetric key that encrypts the private key.
    pub key: KeyRef,
    /// What kind of pair.
    pub key_pair_spec: DataKeyPairSpec,
    /// Authenticated with the ciphertext.
    pub encryption_context: EncryptionContext,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
    /// Whether only to say what would happen.
    pub dry_run: DryRun,
    /// Who is to read the private key, if not the caller; never of the operation without plaintext.
    pub recipient: Option<Recipient>,
}

/// A pair, its private key in clear (or for the recipient) and encrypted. No `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyPairResponse {
    /// A message blob that holds the private key.
    #[serde(serialize_with = "encode::blob")]
    pub private_key_ciphertext_blob: Vec<u8>,
    /// PKCS#8, DER; absent when there is a recipient.
    #[serde(serialize_with = "encode::optional_secret", skip_serializing_if = "Option::is_none")]
    pub private_key_plaintext: Option<Zeroizing<Vec<u8>>>,
    /// SubjectPublicKeyInfo, DER.
    #[serde(serialize_with = "encode::blob")]
    pub public_key: Vec<u8>,
    /// The key that encrypted.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// What kind of pair.
    #[serde(serialize_with = "encode::text")]
    pub key_pair_spec: DataKeyPairSpec,
    /// The private key in a CMS envelope for the recipient.
    #[serde(serialize_with = "encode::optional_blob", skip_serializing_if = "Option::is_none")]
    pub ciphertext_for_recipient: Option<Vec<u8>>,
    /// The material that encrypted.
    #[serde(serialize_with = "encode::text")]
    pub key_material_id: MaterialId,
}

/// A pair, its private key encrypted only.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyPairWithoutPlaintextResponse {
    /// A message blob that holds the private key.
    #[serde(serialize_with = "encode::blob")]
    pub private_key_ciphertext_blob: Vec<u8>,
    /// SubjectPublicKeyInfo, DER.
    #[serde(serialize_with = "encode::blob")]
    pub public_key: Vec<u8>,
    /// The key that encrypted.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// What kind of pair.
    #[serde(serialize_with = "encode::text")]
    pub key_pair_spec: DataKeyPairSpec,
    /// The material that encrypted.
    #[serde(serialize_with = "encode::text")]
    pub key_material_id: MaterialId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    encryption_context: Option<Context>,
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    key_pair_spec: Option<Text<'a>>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
    dry_run: Option<bool>,
}

impl DataKeyPairRequest {
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
        checks.required("keyPairSpec", wire.key_pair_spec.as_ref());
        checks.text("keyPairSpec", wire.key_pair_spec.as_ref(), &model::DATA_KEY_PAIR_SPEC);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        recipient::check(&mut checks, recipient.as_ref());
        checks.finish()?;
        Ok(Self {
            encryption_context: encryption_context(wire.encryption_context)?,
            key: key_ref::parse(&present(wire.key_id)?, Forms::Cryptographic)?,
            key_pair_spec: choice("KeyPairSpec", &present(wire.key_pair_spec)?)?,
            grant_tokens: grant_tokens(wire.grant_tokens)?,
            dry_run: DryRun::new(wire.dry_run),
            recipient: recipient::parse(recipient)?,
        })
    }
}
