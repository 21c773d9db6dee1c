//! RetireGrant: no response.

use claviger_types::{GrantId, KeyRef};
use serde::Deserialize;

use super::grant_id;
use crate::constraint::Checks;
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, model};

/// Which grant to retire.
#[derive(Debug)]
pub struct RetireGrantRequest {
    /// The grant.
    pub grant: RetiredGrant,
    /// Whether only to say what would happen.
    pub dry_run: bool,
}

/// How the request names the grant.
#[derive(Debug, PartialEq, Eq)]
pub enum RetiredGrant {
    /// By a token that CreateGrant answered.
    Token(String),
    /// By its id.
    Id {
        /// The key: an id or an ARN, never an alias.
        key: KeyRef,
        /// The grant.
        grant_id: GrantId,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    grant_token: Option<Text<'a>>,
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    grant_id: Option<Text<'a>>,
    dry_run: Option<bool>,
}

impl RetireGrantRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.text("grantToken", wire.grant_token.as_ref(), &model::GRANT_TOKEN);
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.text("grantId", wire.grant_id.as_ref(), &model::GRANT_ID);
        checks.finish()?;
        let grant = match (wire.grant_token, wire.key_id, wire.grant_id) {
            (Some(Text(token)), None, None) => RetiredGrant::Token(token.into_owned()),
            (None, Some(key), Some(id)) => RetiredGrant::Id { key: key_ref::parse(&key, Forms::Management)?, grant_id: grant_id(&id)? },
            _ => return Err(ApiError::validation("Please specify either GrantToken, or both KeyId and GrantId.")),
        };
        Ok(Self { grant, dry_run: wire.dry_run.unwrap_or(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_to_name_the_grant() {
        let parse = |body: &str| RetireGrantRequest::parse(body.as_bytes()).map_err(|error| error.to_string());
        let by_token = parse(r#"{"GrantToken":"t","KeyId":null,"GrantId":null,"DryRun":null,"Unknown":1}"#).unwrap();
        assert_eq!((by_token.grant, by_token.dry_run), (RetiredGrant::Token("t".to_owned()), false));
        let (key, id) = ("mrk-000102030405060708090a0b0c0d0e0f", "0f".repeat(32));
        let by_id = parse(&format!(r#"{{"KeyId":"{key}","GrantId":"{id}","DryRun":true}}"#)).unwrap();
        assert_eq!(by_id.grant, RetiredGrant::Id { key: key.parse().unwrap(), grant_id: GrantId::parse(&id).unwrap() });
        assert!(by_id.dry_run);
        for body in [
            "{}".to_owned(),
            format!(r#"{{"KeyId":"{key}"}}"#),
            format!(r#"{{"GrantId":"{id}"}}"#),
            format!(r#"{{"GrantToken":"t","GrantId":"{id}"}}"#),
            format!(r#"{{"GrantToken":"t","KeyId":"{key}","GrantId":"{id}"}}"#),
        ] {
            let message = "ValidationException: Please specify either GrantToken, or both KeyId and GrantId.";
            assert_eq!(parse(&body).err().unwrap(), message, "{body}");
        }
        let error = parse(&format!(r#"{{"KeyId":"{key}","GrantId":"x"}}"#)).err().unwrap();
        assert_eq!(error, "InvalidGrantIdException: Invalid grant id 'x'");
    }
}
