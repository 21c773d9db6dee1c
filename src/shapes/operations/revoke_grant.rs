//! RevokeGrant: no response.

use claviger_types::{GrantId, KeyRef};
use serde::Deserialize;

use super::grant_id;
use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, model};

/// Which grant to revoke.
#[derive(Debug)]
pub struct RevokeGrantRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// The grant.
    pub grant_id: GrantId,
    /// Whether only to say what would happen.
    pub dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    grant_id: Option<Text<'a>>,
    dry_run: Option<bool>,
}

impl RevokeGrantRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("grantId", wire.grant_id.as_ref());
        checks.text("grantId", wire.grant_id.as_ref(), &model::GRANT_ID);
        checks.finish()?;
        Ok(Self {
            key: key_ref::parse(&present(wire.key_id)?, Forms::Management)?,
            grant_id: grant_id(&present(wire.grant_id)?)?,
            dry_run: wire.dry_run.unwrap_or(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_an_id() {
        let parse = |id: &str, rest: &str| {
            let body = format!(r#"{{"KeyId":"mrk-000102030405060708090a0b0c0d0e0f","GrantId":"{id}"{rest}}}"#);
            RevokeGrantRequest::parse(body.as_bytes()).map_err(|error| error.to_string())
        };
        let id = "0f".repeat(32);
        let request = parse(&id, r#","DryRun":null,"GrantToken":"unknown here""#).unwrap();
        assert_eq!((request.grant_id, request.dry_run), (GrantId::from_bytes([0x0f; 32]), false));
        assert!(parse(&id, r#","DryRun":true"#).unwrap().dry_run);
        let error = parse(&"0F".repeat(32), "").err().unwrap();
        assert_eq!(error, format!("InvalidGrantIdException: Invalid grant id '{}'", "0F".repeat(32)));
    }
}
