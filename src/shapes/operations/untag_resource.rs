//! UntagResource: no response.

use std::collections::BTreeSet;

use claviger_types::KeyRef;
use serde::Deserialize;

use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, model, tags};

/// Which tags to take from which key.
#[derive(Debug)]
pub struct UntagResourceRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// The keys of the tags. Those that it has not are no error.
    pub tag_keys: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    tag_keys: Option<tags::TagKeyListWire<'a>>,
}

impl UntagResourceRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("tagKeys", wire.tag_keys.as_ref());
        tags::check_keys(&mut checks, wire.tag_keys.as_ref());
        checks.finish()?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Management)?;
        Ok(Self { key, tag_keys: tags::parse_keys(present(wire.tag_keys)?)? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tag_keys() {
        let parse = |keys: serde_json::Value| {
            let body = json!({"KeyId": "mrk-000102030405060708090a0b0c0d0e0f", "TagKeys": keys}).to_string();
            UntagResourceRequest::parse(body.as_bytes()).map(|request| request.tag_keys).map_err(|error| error.to_string())
        };
        assert_eq!(parse(json!(["b", "a", "b"])).unwrap(), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert!(parse(json!([])).unwrap().is_empty());
        assert_eq!(parse(json!(["AWS:a"])).unwrap_err(), "TagException: Tags beginning with aws: are reserved");
        assert_eq!(parse(json!(vec!["k"; 50])).unwrap().len(), 1);
        assert_eq!(parse(json!(vec!["k"; 51])).unwrap_err(), "TagException: Too many tags");
    }
}
