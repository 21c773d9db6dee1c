//! ListGrants.

use claviger_types::limits::LIST_GRANTS_LIMIT_MAX;
use claviger_types::{GrantId, KeyRef};
use serde::Deserialize;

use super::grant_id;
use super::grant_page::LIMIT_DEFAULT;
use super::paging::Paging;
use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, PrincipalRef, model};

/// Which grants, and which page.
#[derive(Debug)]
pub struct ListGrantsRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// This one alone.
    pub grant_id: Option<GrantId>,
    /// Those of this grantee alone.
    pub grantee_principal: Option<PrincipalRef>,
    /// Which page.
    pub paging: Paging,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    limit: Option<i32>,
    #[serde(borrow)]
    marker: Option<Text<'a>>,
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    grant_id: Option<Text<'a>>,
    #[serde(borrow)]
    grantee_principal: Option<Text<'a>>,
}

impl ListGrantsRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        Paging::check(&mut checks, wire.limit, wire.marker.as_ref());
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.text("grantId", wire.grant_id.as_ref(), &model::GRANT_ID);
        checks.text("granteePrincipal", wire.grantee_principal.as_ref(), &model::PRINCIPAL_ID);
        checks.finish()?;
        Ok(Self {
            key: key_ref::parse(&present(wire.key_id)?, Forms::Management)?,
            grant_id: wire.grant_id.as_ref().map(grant_id).transpose()?,
            grantee_principal: wire.grantee_principal.map(PrincipalRef::parse).transpose()?,
            paging: Paging::new(wire.limit, wire.marker, LIMIT_DEFAULT, LIST_GRANTS_LIMIT_MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(members: &str) -> Result<ListGrantsRequest, String> {
        let body = format!(r#"{{"KeyId":"mrk-000102030405060708090a0b0c0d0e0f"{members}}}"#);
        ListGrantsRequest::parse(body.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn filters_and_limits() {
        let request = parse(r#","GrantId":null,"GranteePrincipal":null,"Limit":null,"Unknown":1"#).unwrap();
        assert!(request.grant_id.is_none() && request.grantee_principal.is_none());
        assert_eq!(request.paging, Paging { limit: 50, marker: None });
        let id = "0f".repeat(32);
        let request = parse(&format!(r#","GrantId":"{id}","GranteePrincipal":"111122223333","Limit":1000,"Marker":"m""#)).unwrap();
        assert_eq!(request.grant_id, GrantId::parse(&id));
        assert!(request.grantee_principal.is_some());
        assert_eq!(request.paging, Paging { limit: 100, marker: Some("m".to_owned()) }, "a page may have fewer than asked");
    }

    #[test]
    fn filters_that_name_nothing() {
        assert_eq!(parse(r#","GrantId":"0f""#).err().unwrap(), "InvalidGrantIdException: Invalid grant id '0f'");
        let error = parse(r#","GranteePrincipal":"alice""#).err().unwrap();
        assert_eq!(error, "InvalidArnException: ARN does not refer to a valid principal: alice");
    }
}
