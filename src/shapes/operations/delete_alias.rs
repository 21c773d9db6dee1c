//! DeleteAlias: no response.

use claviger_types::AliasName;
use serde::Deserialize;

use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::{ApiError, alias_name, model};

/// Which alias to delete.
#[derive(Debug)]
pub struct DeleteAliasRequest {
    /// The alias, of the caller's account.
    pub alias_name: AliasName,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    alias_name: Option<Text<'a>>,
}

impl DeleteAliasRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("aliasName", wire.alias_name.as_ref());
        checks.text("aliasName", wire.alias_name.as_ref(), &model::ALIAS_NAME);
        checks.finish()?;
        Ok(Self { alias_name: alias_name::parse(&present(wire.alias_name)?)? })
    }
}
