//! GenerateMac and VerifyMac.

use claviger_types::limits::{CIPHERTEXT_BYTES_MAX, PLAINTEXT_BYTES_MAX};
use claviger_types::{KeyArn, KeyRef, MacAlgorithm};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{GrantTokensWire, grant_tokens};
use crate::choice::choice;
use crate::constraint::{Checks, present};
use crate::decode::{Blob, Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, DryRun, GrantTokens, encode, model};

/// What to make a MAC of. No `Debug`: AWS's model calls the message sensitive.
pub struct GenerateMacRequest {
    /// The key.
    pub key: KeyRef,
    /// 1 to 4096 bytes.
    pub message: Zeroizing<Vec<u8>>,
    /// The algorithm.
    pub mac_algorithm: MacAlgorithm,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
    /// Whether only to say what would happen.
    pub dry_run: DryRun,
}

/// What to verify. No `Debug`, like the rest of it.
pub struct VerifyMacRequest {
    /// The rest of it is as for GenerateMac.
    pub authenticated: GenerateMacRequest,
    /// 1 to 6144 bytes.
    pub mac: Vec<u8>,
}

/// The MAC.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateMacResponse {
    /// As long as the algorithm's hash.
    #[serde(serialize_with = "encode::blob")]
    pub mac: Vec<u8>,
    /// The algorithm.
    #[serde(serialize_with = "encode::text")]
    pub mac_algorithm: MacAlgorithm,
    /// The key.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
}

/// The MAC is good. There is no other answer: a bad one is KMSInvalidMacException.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VerifyMacResponse {
    /// The key.
    #[serde(rename = "KeyId", serialize_with = "encode::text")]
    pub key: KeyArn,
    /// True.
    pub mac_valid: bool,
    /// The algorithm.
    #[serde(serialize_with = "encode::text")]
    pub mac_algorithm: MacAlgorithm,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    message: Option<Blob>,
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    mac_algorithm: Option<Text<'a>>,
    mac: Option<Blob>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
    dry_run: Option<bool>,
}

impl GenerateMacRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        Self::checked(&wire).finish()?;
        Self::of(wire)
    }

    fn checked(wire: &Wire<'_>) -> Checks {
        let mut checks = Checks::default();
        checks.required("message", wire.message.as_ref());
        checks.blob("message", wire.message.as_ref(), PLAINTEXT_BYTES_MAX);
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("macAlgorithm", wire.mac_algorithm.as_ref());
        checks.text("macAlgorithm", wire.mac_algorithm.as_ref(), &model::MAC_ALGORITHM);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        checks
    }

    fn of(wire: Wire<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            key: key_ref::parse(&present(wire.key_id)?, Forms::Cryptographic)?,
            message: present(wire.message)?.0,
            mac_algorithm: choice("MacAlgorithm", &present(wire.mac_algorithm)?)?,
            grant_tokens: grant_tokens(wire.grant_tokens)?,
            dry_run: DryRun::new(wire.dry_run),
        })
    }
}

impl VerifyMacRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut wire: Wire<'_> = from_json(body)?;
        let mut checks = GenerateMacRequest::checked(&wire);
        checks.required("mac", wire.mac.as_ref());
        checks.blob("mac", wire.mac.as_ref(), CIPHERTEXT_BYTES_MAX);
        checks.finish()?;
        let mac = present(wire.mac.take())?.into_public();
        Ok(Self { authenticated: GenerateMacRequest::of(wire)?, mac })
    }
}
