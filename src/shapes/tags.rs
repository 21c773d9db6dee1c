//! Tags and tag keys of requests, and tags of responses (rules page, section 13).

use std::collections::BTreeSet;

use claviger_types::limits::TAGS_PER_KEY_MAX;
use serde::{Deserialize, Serialize, Serializer};

use crate::constraint::{Checks, present};
use crate::decode::{List, Object, Text};
use crate::{ApiError, ErrorCode, Tags, model};

/// One tag as it stands in the request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TagWire<'a> {
    #[serde(borrow)]
    tag_key: Option<Text<'a>>,
    #[serde(borrow)]
    tag_value: Option<Text<'a>>,
}

pub(crate) type TagListWire<'a> = List<Option<Object<TagWire<'a>>>, TAGS_PER_KEY_MAX>;
pub(crate) type TagKeyListWire<'a> = List<Option<Text<'a>>, TAGS_PER_KEY_MAX>;

/// The model's constraints; the list itself has none. [`parse`] refuses a list with too many tags, whatever they are.
pub(crate) fn check(checks: &mut Checks, tags: Option<&TagListWire<'_>>) {
    for (index, tag) in tags.filter(|list| !list.is_too_long()).into_iter().flat_map(List::items).enumerate() {
        let path = format!("tags.{}.member", index + 1);
        checks.required(&path, tag.as_ref());
        let Some(Object(tag)) = tag else { continue };
        checks.required(format_args!("{path}.tagKey"), tag.tag_key.as_ref());
        checks.text(format_args!("{path}.tagKey"), tag.tag_key.as_ref(), &model::TAG_KEY);
        checks.required(format_args!("{path}.tagValue"), tag.tag_value.as_ref());
        checks.text(format_args!("{path}.tagValue"), tag.tag_value.as_ref(), &model::TAG_VALUE);
    }
}

/// The same for tag keys.
pub(crate) fn check_keys(checks: &mut Checks, keys: Option<&TagKeyListWire<'_>>) {
    checks.texts("tagKeys", keys.filter(|list| !list.is_too_long()), &model::TAG_KEY);
}

/// The rules that the model does not state.
pub(crate) fn parse(list: Option<TagListWire<'_>>) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in list.map(items).transpose()?.unwrap_or_default() {
        let Object(tag) = present(tag)?;
        let (key, value) = (parse_key(tag.tag_key)?, present(tag.tag_value)?.0.into_owned());
        if tags.insert(key, value).is_some() {
            return Err(ApiError::new(ErrorCode::Tag, "Duplicate tag keys"));
        }
    }
    Ok(tags)
}

/// The same for tag keys, which may be repeated.
pub(crate) fn parse_keys(list: TagKeyListWire<'_>) -> Result<BTreeSet<String>, ApiError> {
    items(list)?.into_iter().map(parse_key).collect()
}

fn items<T>(list: List<T, TAGS_PER_KEY_MAX>) -> Result<Vec<T>, ApiError> {
    if list.is_too_long() { Err(ApiError::new(ErrorCode::Tag, "Too many tags")) } else { Ok(list.into_items()) }
}

fn parse_key(key: Option<Text<'_>>) -> Result<String, ApiError> {
    let Text(key) = present(key)?;
    if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
        return Err(ApiError::new(ErrorCode::Tag, "Tags beginning with aws: are reserved"));
    }
    Ok(key.into_owned())
}

/// The tags of a response.
pub(crate) struct Entries<'a>(pub(crate) &'a Tags);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(tag_key, tag_value)| Entry { tag_key, tag_value }))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    tag_key: &'a str,
    tag_value: &'a str,
}
