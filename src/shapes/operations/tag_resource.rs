//! TagResource: no response.

use claviger_types::KeyRef;
use serde::Deserialize;

use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, Tags, model, tags};

/// Which key to give which tags.
#[derive(Debug)]
pub struct TagResourceRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// New tags, and new values of tags that it has.
    pub tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    tags: Option<tags::TagListWire<'a>>,
}

impl TagResourceRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("tags", wire.tags.as_ref());
        tags::check(&mut checks, wire.tags.as_ref());
        checks.finish()?;
        Ok(Self { key: key_ref::parse(&present(wire.key_id)?, Forms::Management)?, tags: tags::parse(wire.tags)? })
    }
}
