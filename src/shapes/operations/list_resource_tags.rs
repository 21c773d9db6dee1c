//! ListResourceTags.

use claviger_types::KeyRef;
use claviger_types::limits::LIST_RESOURCE_TAGS_LIMIT_MAX;
use serde::{Deserialize, Serialize, Serializer};

use super::paging::{self, Paging};
use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, Tags, model, tags};

/// How many tags are returned when the request names no limit (rules page, section 14).
const LIMIT_DEFAULT: usize = 50;

/// Whose tags, and which page.
#[derive(Debug)]
pub struct ListResourceTagsRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// Which page.
    pub paging: Paging,
}

/// One page of tags.
#[derive(Debug)]
pub struct ListResourceTagsResponse {
    /// The tags.
    pub tags: Tags,
    /// `Some` when more follow.
    pub next_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    limit: Option<i32>,
    #[serde(borrow)]
    marker: Option<Text<'a>>,
}

impl ListResourceTagsRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        Paging::check(&mut checks, wire.limit, wire.marker.as_ref());
        checks.finish()?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Management)?;
        Ok(Self { key, paging: Paging::new(wire.limit, wire.marker, LIMIT_DEFAULT, LIST_RESOURCE_TAGS_LIMIT_MAX) })
    }
}

impl Serialize for ListResourceTagsResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        paging::serialize("Tags", &tags::Entries(&self.tags), self.next_marker.as_ref(), serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_a_page() {
        let limit = |limit: &str| {
            let body = format!(r#"{{"KeyId":"mrk-000102030405060708090a0b0c0d0e0f"{limit}}}"#);
            ListResourceTagsRequest::parse(body.as_bytes()).unwrap().paging.limit
        };
        assert_eq!((limit(""), limit(r#","Limit":3"#), limit(r#","Limit":51"#)), (50, 3, 50));
        let page = ListResourceTagsResponse { tags: [("k".to_owned(), String::new())].into(), next_marker: Some("m".to_owned()) };
        let text = r#"{"Tags":[{"TagKey":"k","TagValue":""}],"NextMarker":"m","Truncated":true}"#;
        assert_eq!(serde_json::to_string(&page).unwrap(), text);
    }
}
