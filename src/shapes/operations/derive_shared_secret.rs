//! DeriveSharedSecret.

use claviger_types::{KeyAgreementAlgorithm, KeyArn, KeyRef, Origin};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{GrantTokensWire, grant_tokens};
use crate::choice::choice;
use crate::constraint::{Checks, present};
use crate::decode::{Blob, Object, Text, from_json};
use crate::key_ref::{self, Forms};
use crate::recipient::{self, Recipient, RecipientWire};
use crate::{ApiError, DryRun, GrantTokens, encode, model};

/// What to derive from.
#[derive(Debug)]
pub struct DeriveSharedSecretRequest {
    /// The key.
    pub key: KeyRef,
    /// The algorithm.
    pub key_agreement_algorithm: KeyAgreementAlgorithm,
    /// The peer's public key, 1 to 8192 bytes: SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
    /// Whether only to say what would happen.
    pub dry_run: DryRun,
    /// Who is to read the answer, if not the caller.
    pub recipient: Option<Recipient>,
}

/// The secret, in clear or for the recipient. No `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeriveSharedSecretResponse {
    /// The key.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// The x coordinate; absent when there is a recipient.
    #[serde(serialize_with = "encode::optional_secret", skip_serializing_if = "Option::is_none")]
    pub shared_secret: Option<Zeroizing<Vec<u8>>>,
    /// The same in a CMS envelope for the recipient.
    #[serde(serialize_with = "encode::optional_blob", skip_serializing_if = "Option::is_none")]
    pub ciphertext_for_recipient: Option<Vec<u8>>,
    /// The algorithm.
    #[serde(serialize_with = "encode::text")]
    pub key_agreement_algorithm: KeyAgreementAlgorithm,
    /// Where the key's material comes from.
    #[serde(serialize_with = "encode::text")]
    pub key_origin: Origin,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    key_agreement_algorithm: Option<Text<'a>>,
    public_key: Option<Blob>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
    dry_run: Option<bool>,
    #[serde(borrow)]
    recipient: Option<Object<RecipientWire<'a>>>,
}

impl DeriveSharedSecretRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("keyAgreementAlgorithm", wire.key_agreement_algorithm.as_ref());
        checks.text("keyAgreementAlgorithm", wire.key_agreement_algorithm.as_ref(), &model::KEY_AGREEMENT_ALGORITHM);
        checks.required("publicKey", wire.public_key.as_ref());
        checks.blob("publicKey", wire.public_key.as_ref(), model::PUBLIC_KEY_BYTES_MAX);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        recipient::check(&mut checks, wire.recipient.as_ref());
        checks.finish()?;
        Ok(Self {
            key: key_ref::parse(&present(wire.key_id)?, Forms::Cryptographic)?,
            key_agreement_algorithm: choice("KeyAgreementAlgorithm", &present(wire.key_agreement_algorithm)?)?,
            public_key: present(wire.public_key)?.into_public(),
            grant_tokens: grant_tokens(wire.grant_tokens)?,
            dry_run: DryRun::new(wire.dry_run),
            recipient: recipient::parse(wire.recipient)?,
        })
    }
}
