//! The Tags member of CreateKey and ReplicateKey (rules page, section 13).

use claviger_types::limits::TAGS_PER_KEY_MAX;
use serde::Deserialize;

use crate::constraint::{Checks, present};
use crate::decode::{Object, Text};
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

pub(crate) type TagListWire<'a> = Vec<Option<Object<TagWire<'a>>>>;

/// The model's constraints; the list itself has none. [`parse`] refuses a list with too many tags, whatever they are.
pub(crate) fn check(checks: &mut Checks, tags: Option<&TagListWire<'_>>) {
    for (index, tag) in tags.filter(|list| list.len() <= TAGS_PER_KEY_MAX).into_iter().flatten().enumerate() {
        let path = format!("tags.{}.member", index + 1);
        checks.required(&path, tag.as_ref());
        let Some(Object(tag)) = tag else { continue };
        checks.required(format_args!("{path}.tagKey"), tag.tag_key.as_ref());
        checks.text(format_args!("{path}.tagKey"), tag.tag_key.as_ref(), &model::TAG_KEY);
        checks.required(format_args!("{path}.tagValue"), tag.tag_value.as_ref());
        checks.text(format_args!("{path}.tagValue"), tag.tag_value.as_ref(), &model::TAG_VALUE);
    }
}

/// The rules that the model does not state.
pub(crate) fn parse(list: Option<TagListWire<'_>>) -> Result<Tags, ApiError> {
    let list = list.unwrap_or_default();
    if list.len() > TAGS_PER_KEY_MAX {
        return Err(ApiError::new(ErrorCode::Tag, "Too many tags"));
    }
    let mut tags = Tags::new();
    for tag in list {
        let Object(tag) = present(tag)?;
        let (key, value) = (present(tag.tag_key)?.0.into_owned(), present(tag.tag_value)?.0.into_owned());
        if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
            return Err(ApiError::new(ErrorCode::Tag, "Tags beginning with aws: are reserved"));
        }
        if tags.insert(key, value).is_some() {
            return Err(ApiError::new(ErrorCode::Tag, "Duplicate tag keys"));
        }
    }
    Ok(tags)
}
