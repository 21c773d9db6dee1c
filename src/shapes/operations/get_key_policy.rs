//! GetKeyPolicy.

use claviger_types::KeyRef;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::POLICY_NAME;
use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, ErrorCode, model};

/// Whose policy to show.
#[derive(Debug)]
pub struct GetKeyPolicyRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
}

/// The policy. Its name is the one that every key's policy has.
#[derive(Debug)]
pub struct GetKeyPolicyResponse {
    /// The document, as it was put.
    pub policy: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    policy_name: Option<Text<'a>>,
}

impl GetKeyPolicyRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.text("policyName", wire.policy_name.as_ref(), &model::POLICY_NAME);
        checks.finish()?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Management)?;
        if wire.policy_name.is_some_and(|Text(name)| name != POLICY_NAME) {
            return Err(ApiError::new(ErrorCode::NotFound, "No such policy exists"));
        }
        Ok(Self { key })
    }
}

impl Serialize for GetKeyPolicyResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("GetKeyPolicyResponse", 2)?;
        members.serialize_field("Policy", &self.policy)?;
        members.serialize_field("PolicyName", POLICY_NAME)?;
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(members: &str) -> Result<GetKeyPolicyRequest, String> {
        let body = format!(r#"{{"KeyId":"mrk-000102030405060708090a0b0c0d0e0f"{members}}}"#);
        GetKeyPolicyRequest::parse(body.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_name_is_known() {
        for members in ["", r#","PolicyName":"default""#, r#","PolicyName":null,"Unknown":[]"#] {
            assert!(parse(members).is_ok(), "{members}");
        }
        assert_eq!(parse(r#","PolicyName":"Default""#).err().unwrap(), "NotFoundException: No such policy exists");
    }

    #[test]
    fn the_answer() {
        let response = GetKeyPolicyResponse { policy: "{\n}".to_owned() };
        assert_eq!(serde_json::to_string(&response).unwrap(), r#"{"Policy":"{\n}","PolicyName":"default"}"#);
    }
}
