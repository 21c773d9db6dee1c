//! DescribeKey.

use claviger_types::KeyRef;
use serde::{Deserialize, Serialize};

use super::{GrantTokensWire, grant_tokens};
use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, GrantTokens, KeyMetadata, model};

/// Which key to show.
#[derive(Debug)]
pub struct DescribeKeyRequest {
    /// The key.
    pub key: KeyRef,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
}

/// The key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeKeyResponse {
    /// What it is.
    pub key_metadata: KeyMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
}

impl DescribeKeyRequest {
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
