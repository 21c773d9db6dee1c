//! ListKeyPolicies.

use claviger_types::KeyRef;
use claviger_types::limits::LIST_KEY_POLICIES_LIMIT_MAX;
use serde::{Deserialize, Serialize, Serializer};

use super::POLICY_NAME;
use super::paging::{self, Paging};
use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, model};

/// How many names are returned when the request sets no limit (rules page, section 14).
const LIMIT_DEFAULT: usize = 100;

/// Whose policies, and which page.
#[derive(Debug)]
pub struct ListKeyPoliciesRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// Which page.
    pub paging: Paging,
}

/// The one page that there is, with the one name that there is.
#[derive(Debug)]
pub struct ListKeyPoliciesResponse;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    limit: Option<i32>,
    #[serde(borrow)]
    marker: Option<Text<'a>>,
}

impl ListKeyPoliciesRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        Paging::check(&mut checks, wire.limit, wire.marker.as_ref());
        checks.finish()?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Management)?;
        Ok(Self { key, paging: Paging::new(wire.limit, wire.marker, LIMIT_DEFAULT, LIST_KEY_POLICIES_LIMIT_MAX) })
    }
}

impl Serialize for ListKeyPoliciesResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        paging::serialize("PolicyNames", &[POLICY_NAME], None, serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_the_page() {
        let paging = |members: &str| {
            let body = format!(r#"{{"KeyId":"mrk-000102030405060708090a0b0c0d0e0f"{members}}}"#);
            ListKeyPoliciesRequest::parse(body.as_bytes()).unwrap().paging
        };
        assert_eq!((paging("").limit, paging(r#","Limit":1"#).limit, paging(r#","Limit":1000"#).limit), (100, 1, 1000));
        assert_eq!(paging(r#","Marker":"m","Limit":null,"Unknown":1"#).marker.as_deref(), Some("m"));
        let text = r#"{"PolicyNames":["default"],"Truncated":false}"#;
        assert_eq!(serde_json::to_string(&ListKeyPoliciesResponse).unwrap(), text);
    }
}
