//! The page of grants that ListGrants and ListRetirableGrants answer.

use claviger_types::{AccountId, GrantConstraint, GrantId, GrantOperations, KeyArn, NamedPrincipal, Timestamp};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};

use super::paging;
use crate::encode::AsText;

/// How many grants are returned when the request names no limit (rules page, section 14).
pub(crate) const LIMIT_DEFAULT: usize = 50;

/// One page of grants.
#[derive(Debug)]
pub struct ListGrantsResponse {
    /// The grants.
    pub grants: Vec<GrantListEntry>,
    /// `Some` when more follow.
    pub next_marker: Option<String>,
}

/// A grant. Its principals are written as ARNs of the key's partition.
#[derive(Debug)]
pub struct GrantListEntry {
    /// The key. The member KeyId is this ARN.
    pub key: KeyArn,
    /// Names the grant.
    pub grant_id: GrantId,
    /// As CreateGrant got it.
    pub name: Option<String>,
    /// When it was created.
    pub creation_date: Timestamp,
    /// Who may use the key.
    pub grantee_principal: NamedPrincipal,
    /// Who may retire the grant.
    pub retiring_principal: Option<NamedPrincipal>,
    /// The account of who created it.
    pub issuing_account: AccountId,
    /// What the grantee may do.
    pub operations: GrantOperations,
    /// With which encryption contexts.
    pub constraint: Option<GrantConstraint>,
}

impl Serialize for ListGrantsResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        paging::serialize("Grants", &self.grants, self.next_marker.as_ref(), serializer)
    }
}

impl Serialize for GrantListEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let partition = &self.key.partition;
        let operations: Vec<_> = self.operations.iter().map(|operation| operation.as_str()).collect();
        let mut members = serializer.serialize_struct("GrantListEntry", 9)?;
        members.serialize_field("KeyId", &AsText(&self.key))?;
        members.serialize_field("GrantId", &AsText(&self.grant_id))?;
        if let Some(name) = &self.name {
            members.serialize_field("Name", name)?;
        }
        members.serialize_field("CreationDate", &self.creation_date.as_secs_f64())?;
        members.serialize_field("GranteePrincipal", &self.grantee_principal.arn(partition))?;
        if let Some(principal) = &self.retiring_principal {
            members.serialize_field("RetiringPrincipal", &principal.arn(partition))?;
        }
        members.serialize_field("IssuingAccount", &NamedPrincipal::Account(self.issuing_account).arn(partition))?;
        members.serialize_field("Operations", &operations)?;
        if let Some(constraint) = &self.constraint {
            members.serialize_field("Constraints", &Constraints(constraint))?;
        }
        members.end()
    }
}

struct Constraints<'a>(&'a GrantConstraint);

impl Serialize for Constraints<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(1))?;
        members.serialize_entry(self.0.kind(), self.0.pairs())?;
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use claviger_types::{GrantOperation, KeyId};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page() {
        let account = "111122223333".parse().unwrap();
        let key = KeyArn {
            partition: "aws-cn".parse().unwrap(),
            region: "dc-north-2".parse().unwrap(),
            account,
            key_id: KeyId::multi_region([0xab; 16]),
        };
        let mut page = ListGrantsResponse {
            grants: vec![GrantListEntry {
                key,
                grant_id: GrantId::from_bytes([0x0f; 32]),
                name: Some("n".to_owned()),
                creation_date: Timestamp::from_millis(1500),
                grantee_principal: NamedPrincipal::Role { account, name: "app".to_owned() },
                retiring_principal: Some(NamedPrincipal::User { account, name: "alice".to_owned() }),
                issuing_account: account,
                operations: [GrantOperation::Encrypt, GrantOperation::Decrypt].into(),
                constraint: Some(GrantConstraint::EncryptionContextEquals([("k".to_owned(), "v".to_owned())].into())),
            }],
            next_marker: Some("m".to_owned()),
        };
        let mut expected = json!({
            "KeyId": "arn:aws-cn:kms:dc-north-2:111122223333:key/mrk-abababababababababababababababab",
            "GrantId": "0f".repeat(32),
            "Name": "n",
            "CreationDate": 1.5,
            "GranteePrincipal": "arn:aws-cn:iam::111122223333:role/app",
            "RetiringPrincipal": "arn:aws-cn:iam::111122223333:user/alice",
            "IssuingAccount": "arn:aws-cn:iam::111122223333:root",
            "Operations": ["Decrypt", "Encrypt"],
            "Constraints": {"EncryptionContextEquals": {"k": "v"}},
        });
        assert_eq!(serde_json::to_value(&page).unwrap(), json!({"Grants": [expected], "NextMarker": "m", "Truncated": true}));

        let grant = &mut page.grants[0];
        (grant.name, grant.retiring_principal, grant.constraint, page.next_marker) = (None, None, None, None);
        for absent in ["Name", "RetiringPrincipal", "Constraints"] {
            expected.as_object_mut().unwrap().remove(absent);
        }
        assert_eq!(serde_json::to_value(&page).unwrap(), json!({"Grants": [expected], "Truncated": false}));
    }
}
