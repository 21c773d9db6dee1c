//! GetPublicKey.

use claviger_types::{KeyArn, KeyRef, KeySpec, KeyUsage};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::{GrantTokensWire, grant_tokens};
use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::encode::AsText;
use crate::key_ref::{self, Forms};
use crate::metadata::serialize_algorithms;
use crate::{ApiError, GrantTokens, encode, model};

/// Whose public key.
#[derive(Debug)]
pub struct GetPublicKeyRequest {
    /// The key.
    pub key: KeyRef,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
}

/// The public key.
#[derive(Debug)]
pub struct GetPublicKeyResponse {
    /// The key.
    pub key: KeyArn,
    /// SubjectPublicKeyInfo (RFC 5280), DER.
    pub public_key: Vec<u8>,
    /// The spec.
    pub key_spec: KeySpec,
    /// The usage, from which the algorithms follow.
    pub key_usage: KeyUsage,
}

impl Serialize for GetPublicKeyResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("GetPublicKeyResponse", 8)?;
        members.serialize_field("KeyId", &AsText(&self.key))?;
        members.serialize_field("PublicKey", &encode::AsBlob(&self.public_key))?;
        if self.key_spec.is_customer_master_key_spec() {
            members.serialize_field("CustomerMasterKeySpec", self.key_spec.as_str())?;
        }
        members.serialize_field("KeySpec", self.key_spec.as_str())?;
        members.serialize_field("KeyUsage", self.key_usage.as_str())?;
        serialize_algorithms(&mut members, self.key_spec, self.key_usage)?;
        members.end()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
}

impl GetPublicKeyRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        checks.finish()?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Describe)?;
        Ok(Self { key, grant_tokens: grant_tokens(wire.grant_tokens)? })
    }
}
