//! ListAliases.

use claviger_types::limits::LIST_ALIASES_LIMIT_MAX;
use claviger_types::{AliasArn, KeyId, KeyRef, Timestamp};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::paging::{self, Paging};
use crate::constraint::Checks;
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, encode, model};

/// How many aliases are returned when the request names no limit (rules page, section 14).
const LIMIT_DEFAULT: usize = 50;

/// Whose aliases, and which page.
#[derive(Debug)]
pub struct ListAliasesRequest {
    /// This key's alone: an id or an ARN, never an alias. All of the account's when `None`.
    pub key: Option<KeyRef>,
    /// Which page.
    pub paging: Paging,
}

/// One page of aliases.
#[derive(Debug)]
pub struct ListAliasesResponse {
    /// The aliases.
    pub aliases: Vec<AliasListEntry>,
    /// `Some` when more follow.
    pub next_marker: Option<String>,
}

/// An alias.
#[derive(Debug)]
pub struct AliasListEntry {
    /// The alias. Its name is not repeated here.
    pub arn: AliasArn,
    /// The key with which it is associated.
    pub target_key_id: KeyId,
    /// When it was created in this region.
    pub creation_date: Timestamp,
    /// When it was last associated with a key.
    pub last_updated_date: Timestamp,
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

impl ListAliasesRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        Paging::check(&mut checks, wire.limit, wire.marker.as_ref());
        checks.finish()?;
        let key = wire.key_id.map(|text| key_ref::parse(&text, Forms::Management)).transpose()?;
        Ok(Self { key, paging: Paging::new(wire.limit, wire.marker, LIMIT_DEFAULT, LIST_ALIASES_LIMIT_MAX) })
    }
}

impl Serialize for ListAliasesResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        paging::serialize("Aliases", &self.aliases, self.next_marker.as_ref(), serializer)
    }
}

impl Serialize for AliasListEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("AliasListEntry", 5)?;
        members.serialize_field("AliasName", self.arn.name.as_str())?;
        members.serialize_field("AliasArn", &encode::AsText(&self.arn))?;
        members.serialize_field("TargetKeyId", &encode::AsText(&self.target_key_id))?;
        members.serialize_field("CreationDate", &self.creation_date.as_secs_f64())?;
        members.serialize_field("LastUpdatedDate", &self.last_updated_date.as_secs_f64())?;
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let limit = |body: &str| ListAliasesRequest::parse(body.as_bytes()).unwrap().paging.limit;
        assert_eq!(limit("{}"), 50);
        assert_eq!(limit(r#"{"Limit":99}"#), 99);
        assert_eq!(limit(r#"{"Limit":1000}"#), 100, "a page may have fewer than asked");
    }

    #[test]
    fn the_key_is_an_id_or_an_arn() {
        let error = |key: &str| ListAliasesRequest::parse(format!(r#"{{"KeyId":"{key}"}}"#).as_bytes()).err().unwrap().to_string();
        assert_eq!(error("alias/a"), "NotFoundException: Invalid keyId 'alias/a'");
        assert!(error("arn:aws:kms:eu-west-1:111122223333:alias/a").starts_with("InvalidArnException"));
    }

    #[test]
    fn a_page() {
        let arn: KeyRef = "arn:aws:kms:eu-west-1:111122223333:alias/a".parse().unwrap();
        let KeyRef::AliasArn(arn) = arn else { panic!("not an alias ARN") };
        let entry = AliasListEntry {
            arn,
            target_key_id: KeyId::multi_region([0xab; 16]),
            creation_date: Timestamp::from_millis(1500),
            last_updated_date: Timestamp::from_millis(2000),
        };
        let page = ListAliasesResponse { aliases: vec![entry], next_marker: None };
        assert_eq!(
            serde_json::to_value(&page).unwrap(),
            serde_json::json!({
                "Aliases": [{
                    "AliasName": "alias/a",
                    "AliasArn": "arn:aws:kms:eu-west-1:111122223333:alias/a",
                    "TargetKeyId": "mrk-abababababababababababababababab",
                    "CreationDate": 1.5,
                    "LastUpdatedDate": 2.0,
                }],
                "Truncated": false,
            })
        );
    }
}
