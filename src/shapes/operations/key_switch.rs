//! EnableKey and DisableKey: the same request, no response.

use claviger_types::KeyRef;
use serde::Deserialize;

use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, model};

/// Which key to switch.
#[derive(Debug)]
pub struct KeySwitchRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
}

impl KeySwitchRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.finish()?;
        Ok(Self { key: key_ref::parse(&present(wire.key_id)?, Forms::Management)? })
    }
}
