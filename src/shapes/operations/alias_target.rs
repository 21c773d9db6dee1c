//! CreateAlias and UpdateAlias: the same request, no response.

use claviger_types::{AliasName, KeyRef};
use serde::Deserialize;

use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, alias_name, model};

/// Which alias to associate with which key.
#[derive(Debug, PartialEq, Eq)]
pub struct AliasTargetRequest {
    /// The alias, of the caller's account.
    pub alias_name: AliasName,
    /// The key: an id or an ARN, never an alias.
    pub target_key: KeyRef,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    alias_name: Option<Text<'a>>,
    #[serde(borrow)]
    target_key_id: Option<Text<'a>>,
}

impl AliasTargetRequest {
    /// CreateAlias: a name that AWS keeps for itself is refused. UpdateAlias finds none.
    pub(crate) fn parse_new(body: &[u8]) -> Result<Self, ApiError> {
        let request = Self::parse(body)?;
        if request.alias_name.is_reserved() {
            return Err(ApiError::reserved_alias_name(&request.alias_name));
        }
        Ok(request)
    }

    /// UpdateAlias.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("aliasName", wire.alias_name.as_ref());
        checks.text("aliasName", wire.alias_name.as_ref(), &model::ALIAS_NAME);
        checks.required("targetKeyId", wire.target_key_id.as_ref());
        checks.text("targetKeyId", wire.target_key_id.as_ref(), &model::KEY_ID);
        checks.finish()?;
        Ok(Self {
            alias_name: alias_name::parse(&present(wire.alias_name)?)?,
            target_key: key_ref::parse(&present(wire.target_key_id)?, Forms::AliasTarget)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reserved_names_are_refused_for_a_new_alias_alone() {
        let body = json!({"AliasName": "alias/aws/s3", "TargetKeyId": "mrk-000102030405060708090a0b0c0d0e0f"}).to_string();
        let error = AliasTargetRequest::parse_new(body.as_bytes()).err().unwrap().to_string();
        assert!(error.starts_with("InvalidAliasNameException: ") && error.contains("alias/aws/s3"), "{error}");
        assert_eq!(AliasTargetRequest::parse(body.as_bytes()).unwrap().alias_name.as_str(), "alias/aws/s3");
    }

    #[test]
    fn the_target_is_a_key_and_no_alias() {
        for target in ["alias/b", "arn:aws:kms:eu-west-1:111122223333:alias/b"] {
            let body = json!({"AliasName": "alias/a", "TargetKeyId": target}).to_string();
            let error = AliasTargetRequest::parse(body.as_bytes()).err().unwrap().to_string();
            assert_eq!(error, "ValidationException: Aliases must refer to keys. Not aliases");
        }
    }
}
