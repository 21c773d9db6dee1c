//! PutKeyPolicy: no response.

use claviger_types::KeyRef;
use serde::Deserialize;

use super::POLICY_NAME;
use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, ErrorCode, model};

/// Which key to give which policy. A key has one policy, so its name is not repeated here.
#[derive(Debug)]
pub struct PutKeyPolicyRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// The text of the policy, still to be parsed.
    pub policy: String,
    /// Whether the policy may lock the caller out of changing it.
    pub bypass_policy_lockout_safety_check: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    policy_name: Option<Text<'a>>,
    #[serde(borrow)]
    policy: Option<Text<'a>>,
    bypass_policy_lockout_safety_check: Option<bool>,
}

impl PutKeyPolicyRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.text("policyName", wire.policy_name.as_ref(), &model::POLICY_NAME);
        checks.required("policy", wire.policy.as_ref());
        checks.text("policy", wire.policy.as_ref(), &model::POLICY);
        checks.finish()?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Management)?;
        if let Some(Text(name)) = wire.policy_name.filter(|Text(name)| name != POLICY_NAME) {
            return Err(ApiError::new(ErrorCode::UnsupportedOperation, format!("PolicyName {name} is not supported.")));
        }
        Ok(Self {
            key,
            policy: present(wire.policy)?.0.into_owned(),
            bypass_policy_lockout_safety_check: wire.bypass_policy_lockout_safety_check.unwrap_or(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "mrk-000102030405060708090a0b0c0d0e0f";

    fn parse(body: &serde_json::Value) -> Result<PutKeyPolicyRequest, String> {
        PutKeyPolicyRequest::parse(body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_policy_and_its_default_name() {
        let request = parse(&json!({"KeyId": KEY, "Policy": "{}\r\n", "PolicyName": null, "Unknown": 1})).unwrap();
        assert_eq!((request.policy.as_str(), request.bypass_policy_lockout_safety_check), ("{}\r\n", false));
        let named = json!({"KeyId": KEY, "Policy": "{}", "PolicyName": "default", "BypassPolicyLockoutSafetyCheck": true});
        assert!(parse(&named).unwrap().bypass_policy_lockout_safety_check);
    }

    #[test]
    fn other_names_and_aliases_are_refused() {
        let error = parse(&json!({"KeyId": KEY, "Policy": "{}", "PolicyName": "other"})).err().unwrap();
        assert_eq!(error, "UnsupportedOperationException: PolicyName other is not supported.");
        let error = parse(&json!({"KeyId": "alias/a", "Policy": "{}"})).err().unwrap();
        assert_eq!(error, "NotFoundException: Invalid keyId 'alias/a'");
    }
}
