//! ListKeys.

use claviger_types::KeyArn;
use claviger_types::limits::LIST_KEYS_LIMIT_MAX;
use serde::{Deserialize, Serialize, Serializer};

use super::paging::{self, Paging};
use crate::constraint::Checks;
use crate::decode::{Text, from_json};
use crate::{ApiError, encode};

/// How many keys ListKeys returns when the request names no limit (rules page, section 14).
const LIMIT_DEFAULT: usize = 100;

/// Which page.
#[derive(Debug, PartialEq, Eq)]
pub struct ListKeysRequest {
    /// Of the account's keys.
    pub paging: Paging,
}

/// One page of keys.
#[derive(Debug)]
pub struct ListKeysResponse {
    /// The keys.
    pub keys: Vec<KeyArn>,
    /// `Some` when more follow.
    pub next_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    limit: Option<i32>,
    #[serde(borrow)]
    marker: Option<Text<'a>>,
}

impl ListKeysRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        Paging::check(&mut checks, wire.limit, wire.marker.as_ref());
        checks.finish()?;
        Ok(Self { paging: Paging::new(wire.limit, wire.marker, LIMIT_DEFAULT, LIST_KEYS_LIMIT_MAX) })
    }
}

impl Serialize for ListKeysResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        paging::serialize("Keys", &Entries(&self.keys), self.next_marker.as_ref(), serializer)
    }
}

struct Entries<'a>(&'a [KeyArn]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|arn| Entry { key_id: &arn.key_id, key_arn: arn }))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    #[serde(serialize_with = "encode::text")]
    key_id: &'a claviger_types::KeyId,
    #[serde(serialize_with = "encode::text")]
    key_arn: &'a KeyArn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults() {
        assert_eq!(ListKeysRequest::parse(b"{}").unwrap().paging, Paging { limit: 100, marker: None });
        let request = ListKeysRequest::parse(br#"{"Limit":1000,"Marker":"m"}"#).unwrap();
        assert_eq!(request.paging, Paging { limit: 1000, marker: Some("m".into()) });
    }

    #[test]
    fn truncated_is_always_there() {
        let mut page = ListKeysResponse { keys: vec![], next_marker: None };
        assert_eq!(serde_json::to_string(&page).unwrap(), r#"{"Keys":[],"Truncated":false}"#);
        page.next_marker = Some("m".into());
        page.keys.push("arn:aws:kms:eu-west-1:111122223333:key/mrk-000102030405060708090a0b0c0d0e0f".parse().map(arn_of).unwrap());
        assert_eq!(
            serde_json::to_string(&page).unwrap(),
            r#"{"Keys":[{"KeyId":"mrk-000102030405060708090a0b0c0d0e0f","KeyArn":"arn:aws:kms:eu-west-1:111122223333:key/mrk-000102030405060708090a0b0c0d0e0f"}],"NextMarker":"m","Truncated":true}"#
        );
    }

    fn arn_of(key: claviger_types::KeyRef) -> KeyArn {
        let claviger_types::KeyRef::Arn(arn) = key else { panic!("not an ARN") };
        arn
    }
}
