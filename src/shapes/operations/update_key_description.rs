//! UpdateKeyDescription: no response.

use claviger_types::KeyRef;
use serde::Deserialize;

use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, model};

/// Which key to describe how.
#[derive(Debug)]
pub struct UpdateKeyDescriptionRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// The new description; may be empty.
    pub description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
}

impl UpdateKeyDescriptionRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("description", wire.description.as_ref());
        checks.text("description", wire.description.as_ref(), &model::DESCRIPTION);
        checks.finish()?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Management)?;
        Ok(Self { key, description: present(wire.description)?.0.into_owned() })
    }
}
