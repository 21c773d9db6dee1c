//! Limit and Marker of the operations that list, and the page that they answer (rules page, section 14).

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::constraint::Checks;
use crate::decode::Text;
use crate::model;

/// Which page.
#[derive(Debug, PartialEq, Eq)]
pub struct Paging {
    /// At most this many items.
    pub limit: usize,
    /// What the page before returned; opaque here, for the service to verify.
    pub marker: Option<String>,
}

impl Paging {
    /// The model's constraints, which are the same for every operation.
    pub(crate) fn check(checks: &mut Checks, limit: Option<i32>, marker: Option<&Text<'_>>) {
        checks.range("limit", limit, 1, model::LIMIT_MAX);
        checks.text("marker", marker, &model::MARKER);
    }

    /// `default` items when the request sets no limit, and never more than `most`: a page may always have fewer than asked.
    pub(crate) fn new(limit: Option<i32>, marker: Option<Text<'_>>, default: usize, most: usize) -> Self {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default);
        Self { limit: limit.min(most), marker: marker.map(|text| text.0.into_owned()) }
    }
}

/// Writes a page: its items under their name, NextMarker when more follow, and Truncated, always.
pub(crate) fn serialize<S: Serializer, T: Serialize>(
    name: &'static str,
    items: &T,
    next_marker: Option<&String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut members = serializer.serialize_struct("Page", 3)?;
    members.serialize_field(name, items)?;
    if let Some(marker) = next_marker {
        members.serialize_field("NextMarker", marker)?;
    }
    members.serialize_field("Truncated", &next_marker.is_some())?;
    members.end()
}
