//! ListRetirableGrants: the response of ListGrants.

use claviger_types::limits::LIST_GRANTS_LIMIT_MAX;
use serde::Deserialize;

use super::grant_page::LIMIT_DEFAULT;
use super::paging::Paging;
use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::{ApiError, PrincipalRef, model};

/// Whose grants to retire, and which page.
#[derive(Debug)]
pub struct ListRetirableGrantsRequest {
    /// Who may retire them; must be of the caller's account.
    pub retiring_principal: PrincipalRef,
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
    retiring_principal: Option<Text<'a>>,
}

impl ListRetirableGrantsRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        Paging::check(&mut checks, wire.limit, wire.marker.as_ref());
        checks.required("retiringPrincipal", wire.retiring_principal.as_ref());
        checks.text("retiringPrincipal", wire.retiring_principal.as_ref(), &model::PRINCIPAL_ID);
        checks.finish()?;
        Ok(Self {
            retiring_principal: PrincipalRef::parse(present(wire.retiring_principal)?)?,
            paging: Paging::new(wire.limit, wire.marker, LIMIT_DEFAULT, LIST_GRANTS_LIMIT_MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_and_limits() {
        let parse = |body: &str| ListRetirableGrantsRequest::parse(body.as_bytes()).map_err(|error| error.to_string());
        let request = parse(r#"{"RetiringPrincipal":"arn:aws:iam::111122223333:root","Marker":null,"Unknown":1}"#).unwrap();
        assert_eq!(request.paging, Paging { limit: 50, marker: None });
        assert_eq!(parse(r#"{"RetiringPrincipal":"111122223333","Limit":101}"#).unwrap().paging.limit, 100);
        let error = parse(r#"{"RetiringPrincipal":"arn:aws:iam::1:root"}"#).err().unwrap();
        assert_eq!(error, "InvalidArnException: ARN does not refer to a valid principal: arn:aws:iam::1:root");
    }
}
