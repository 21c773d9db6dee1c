//! Sign and Verify.

use claviger_types::limits::{CIPHERTEXT_BYTES_MAX, PLAINTEXT_BYTES_MAX};
use claviger_types::{KeyArn, KeyRef, MessageType, SigningAlgorithm};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{GrantTokensWire, grant_tokens};
use crate::choice::{choice, optional};
use crate::constraint::{Checks, present};
use crate::decode::{Blob, Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, DryRun, GrantTokens, encode, model};

/// What to sign. No `Debug`: AWS's model calls the message sensitive.
pub struct SignRequest {
    /// The key.
    pub key: KeyRef,
    /// 1 to 4096 bytes: the message, its digest, or its representative.
    pub message: Zeroizing<Vec<u8>>,
    /// Which of them.
    pub message_type: MessageType,
    /// The algorithm.
    pub signing_algorithm: SigningAlgorithm,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
    /// Whether only to say what would happen.
    pub dry_run: DryRun,
}

/// What to verify. No `Debug`, like the rest of it.
pub struct VerifyRequest {
    /// The rest of it is as for Sign.
    pub signed: SignRequest,
    /// 1 to 6144 bytes.
    pub signature: Vec<u8>,
}

/// The signature.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SignResponse {
    /// The key.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// As the algorithm's standard encodes it: ECDSA in DER.
    #[serde(serialize_with = "encode::blob")]
    pub signature: Vec<u8>,
    /// The algorithm.
    #[serde(serialize_with = "encode::text")]
    pub signing_algorithm: SigningAlgorithm,
}

/// The signature is good. There is no other answer: a bad one is KMSInvalidSignatureException.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VerifyResponse {
    /// The key.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// True.
    pub signature_valid: bool,
    /// The algorithm.
    #[serde(serialize_with = "encode::text")]
    pub signing_algorithm: SigningAlgorithm,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    message: Option<Blob>,
    #[serde(borrow)]
    message_type: Option<Text<'a>>,
    signature: Option<Blob>,
    #[serde(borrow)]
    signing_algorithm: Option<Text<'a>>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
    dry_run: Option<bool>,
}

impl SignRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        Self::checked(&wire).finish()?;
        Self::of(wire)
    }

    fn checked(wire: &Wire<'_>) -> Checks {
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("message", wire.message.as_ref());
        checks.blob("message", wire.message.as_ref(), PLAINTEXT_BYTES_MAX);
        checks.text("messageType", wire.message_type.as_ref(), &model::MESSAGE_TYPE);
        checks.required("signingAlgorithm", wire.signing_algorithm.as_ref());
        checks.text("signingAlgorithm", wire.signing_algorithm.as_ref(), &model::SIGNING_ALGORITHM);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        checks
    }

    fn of(wire: Wire<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            key: key_ref::parse(&present(wire.key_id)?, Forms::Cryptographic)?,
            message: present(wire.message)?.0,
            message_type: optional("MessageType", wire.message_type.as_ref())?.unwrap_or(MessageType::Raw),
            signing_algorithm: choice("SigningAlgorithm", &present(wire.signing_algorithm)?)?,
            grant_tokens: grant_tokens(wire.grant_tokens)?,
            dry_run: DryRun::new(wire.dry_run),
        })
    }
}

impl VerifyRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut wire: Wire<'_> = from_json(body)?;
        let mut checks = SignRequest::checked(&wire);
        checks.required("signature", wire.signature.as_ref());
        checks.blob("signature", wire.signature.as_ref(), CIPHERTEXT_BYTES_MAX);
        checks.finish()?;
        let signature = present(wire.signature.take())?.into_public();
        Ok(Self { signed: SignRequest::of(wire)?, signature })
    }
}
