//! ReplicateKey.

use claviger_types::{KeyRef, Region};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::constraint::{Checks, present};
use crate::decode::{Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, KeyMetadata, Tags, model, tags};

/// What to replicate, and where to.
#[derive(Debug)]
pub struct ReplicateKeyRequest {
    /// The primary: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// Where the replica is to be.
    pub replica_region: Region,
    /// The replica's description; empty when none was given.
    pub description: String,
    /// The replica's tags.
    pub tags: Tags,
    /// The text of the replica's key policy, still to be parsed; `None` for the default policy.
    pub policy: Option<String>,
    /// Whether the policy may lock the caller out of changing it.
    pub bypass_policy_lockout_safety_check: bool,
}

/// The replica, not usable yet.
#[derive(Debug)]
pub struct ReplicateKeyResponse {
    /// The replica, Creating.
    pub replica_key_metadata: KeyMetadata,
    /// The replica's policy document.
    pub replica_policy: String,
    /// The replica's tags.
    pub replica_tags: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    replica_region: Option<Text<'a>>,
    #[serde(borrow)]
    policy: Option<Text<'a>>,
    bypass_policy_lockout_safety_check: Option<bool>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    tags: Option<tags::TagListWire<'a>>,
}

impl ReplicateKeyRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("replicaRegion", wire.replica_region.as_ref());
        checks.text("replicaRegion", wire.replica_region.as_ref(), &model::REGION);
        checks.text("policy", wire.policy.as_ref(), &model::POLICY);
        checks.text("description", wire.description.as_ref(), &model::DESCRIPTION);
        tags::check(&mut checks, wire.tags.as_ref());
        checks.finish()?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Management)?;
        Ok(Self {
            key,
            // The constraints above are those of the type.
            replica_region: present(wire.replica_region)?.0.parse().map_err(|_| ApiError::internal())?,
            description: wire.description.map(|text| text.0.into_owned()).unwrap_or_default(),
            tags: tags::parse(wire.tags)?,
            policy: wire.policy.map(|text| text.0.into_owned()),
            bypass_policy_lockout_safety_check: wire.bypass_policy_lockout_safety_check.unwrap_or(false),
        })
    }
}

impl Serialize for ReplicateKeyResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("ReplicateKeyResponse", 3)?;
        members.serialize_field("ReplicaKeyMetadata", &self.replica_key_metadata)?;
        members.serialize_field("ReplicaPolicy", &self.replica_policy)?;
        members.serialize_field("ReplicaTags", &tags::Entries(&self.replica_tags))?;
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_an_id_or_an_arn() {
        let parse = |key: &str| ReplicateKeyRequest::parse(format!(r#"{{"KeyId":"{key}","ReplicaRegion":"dc-north-2"}}"#).as_bytes());
        assert_eq!(parse("mrk-000102030405060708090a0b0c0d0e0f").unwrap().replica_region.as_str(), "dc-north-2");
        assert_eq!(parse("alias/a").err().unwrap().to_string(), "NotFoundException: Invalid keyId 'alias/a'");
    }
}
