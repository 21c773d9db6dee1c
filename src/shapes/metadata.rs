//! KeyMetadata and the rules of what it shows when (rules page, section 3).

use claviger_types::{
    EncryptionAlgorithm, ExpirationModel, KeyAgreementAlgorithm, KeyArn, KeySpec, KeyState, KeyUsage, MacAlgorithm, MaterialId, Origin,
    Region, SigningAlgorithm, Timestamp,
};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::encode::AsText;

/// What DescribeKey shows of a key. Members that follow from others (AWSAccountId, KeyId, Enabled, MultiRegion) are not
/// repeated here: they are written from what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMetadata {
    /// The key, in the region that answers or, in ReplicateKey's answer, in the replica's.
    pub arn: KeyArn,
    /// When the key (for a multi-region key: this replica of it) was made.
    pub creation_date: Timestamp,
    /// Empty when none was given.
    pub description: String,
    /// Its spec.
    pub key_spec: KeySpec,
    /// Its usage.
    pub key_usage: KeyUsage,
    /// Where its material comes from.
    pub origin: Origin,
    /// Its state in this region.
    pub key_state: KeyState,
    /// `Some` for a multi-region key, and only for one.
    pub multi_region: Option<MultiRegionConfiguration>,
    /// The material that encrypts, of a symmetric key. Not shown while the key is Creating.
    pub current_key_material_id: Option<MaterialId>,
    /// When it will be deleted; shown while it is pending deletion.
    pub deletion_date: Option<Timestamp>,
    /// Of imported material, the earliest expiry; the outer one is `None` for a key that was not imported, or lacks its material.
    pub expiry: Option<Option<Timestamp>>,
}

/// Where the related keys are. Their ARNs differ from the key's in the region only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiRegionConfiguration {
    /// The primary's region.
    pub primary: Region,
    /// The replicas' regions, without the primary.
    pub replicas: Vec<Region>,
}

impl Serialize for KeyMetadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("KeyMetadata", 19)?;
        members.serialize_field("AWSAccountId", &AsText(&self.arn.account))?;
        members.serialize_field("KeyId", &AsText(&self.arn.key_id))?;
        members.serialize_field("Arn", &AsText(&self.arn))?;
        members.serialize_field("CreationDate", &self.creation_date.as_secs_f64())?;
        members.serialize_field("Enabled", &(self.key_state == KeyState::Enabled))?;
        members.serialize_field("Description", &self.description)?;
        members.serialize_field("KeyUsage", self.key_usage.as_str())?;
        members.serialize_field("KeyState", self.key_state.as_str())?;
        members.serialize_field("Origin", self.origin.as_str())?;
        members.serialize_field("KeyManager", "CUSTOMER")?;
        if self.key_spec.is_customer_master_key_spec() {
            members.serialize_field("CustomerMasterKeySpec", self.key_spec.as_str())?;
        }
        members.serialize_field("KeySpec", self.key_spec.as_str())?;
        serialize_algorithms(&mut members, self.key_spec, self.key_usage)?;
        if let (Some(date), KeyState::PendingDeletion) = (self.deletion_date, self.key_state) {
            members.serialize_field("DeletionDate", &date.as_secs_f64())?;
        }
        if let Some(valid_to) = self.expiry {
            let model = if valid_to.is_some() { ExpirationModel::Expires } else { ExpirationModel::DoesNotExpire };
            members.serialize_field("ExpirationModel", model.as_str())?;
            if let Some(valid_to) = valid_to {
                members.serialize_field("ValidTo", &valid_to.as_secs_f64())?;
            }
        }
        members.serialize_field("MultiRegion", &self.multi_region.is_some())?;
        if let Some(configuration) = &self.multi_region {
            members.serialize_field("MultiRegionConfiguration", &ConfigurationOf { arn: &self.arn, configuration })?;
        }
        if let Some(material_id) = self.current_key_material_id.filter(|_| self.key_state != KeyState::Creating) {
            members.serialize_field("CurrentKeyMaterialId", &AsText(&material_id))?;
        }
        members.end()
    }
}

/// The algorithms of a key, under the name that its usage has for them.
pub(crate) fn serialize_algorithms<S: SerializeStruct>(members: &mut S, spec: KeySpec, usage: KeyUsage) -> Result<(), S::Error> {
    fn names<T: Copy>(algorithms: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
        algorithms.iter().map(|algorithm| name(*algorithm)).collect()
    }
    match usage {
        KeyUsage::EncryptDecrypt => {
            members.serialize_field("EncryptionAlgorithms", &names(spec.encryption_algorithms(), EncryptionAlgorithm::as_str))
        }
        KeyUsage::SignVerify => members.serialize_field("SigningAlgorithms", &names(spec.signing_algorithms(), SigningAlgorithm::as_str)),
        KeyUsage::GenerateVerifyMac => {
            members.serialize_field("MacAlgorithms", &names(spec.mac_algorithm().as_slice(), MacAlgorithm::as_str))
        }
        KeyUsage::KeyAgreement => members.serialize_field("KeyAgreementAlgorithms", &[KeyAgreementAlgorithm::Ecdh.as_str()]),
    }
}

struct ConfigurationOf<'a> {
    arn: &'a KeyArn,
    configuration: &'a MultiRegionConfiguration,
}

impl Serialize for ConfigurationOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let MultiRegionConfiguration { primary, replicas } = self.configuration;
        let key = |region| RelatedKey { arn: KeyArn { region: Region::clone(region), ..self.arn.clone() } };
        let mut members = serializer.serialize_struct("MultiRegionConfiguration", 3)?;
        members.serialize_field("MultiRegionKeyType", if *primary == self.arn.region { "PRIMARY" } else { "REPLICA" })?;
        members.serialize_field("PrimaryKey", &key(primary))?;
        members.serialize_field("ReplicaKeys", &replicas.iter().map(key).collect::<Vec<_>>())?;
        members.end()
    }
}

struct RelatedKey {
    arn: KeyArn,
}

impl Serialize for RelatedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("MultiRegionKey", 2)?;
        members.serialize_field("Arn", &AsText(&self.arn))?;
        members.serialize_field("Region", self.arn.region.as_str())?;
        members.end()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use claviger_types::KeyId;
    use serde_json::json;

    use super::*;

    /// A key of account 111122223333 in eu-west-1.
    pub(crate) fn metadata(key_id: KeyId, multi_region: Option<MultiRegionConfiguration>) -> KeyMetadata {
        KeyMetadata {
            arn: KeyArn {
                partition: "aws".parse().unwrap(),
                region: "eu-west-1".parse().unwrap(),
                account: "111122223333".parse().unwrap(),
                key_id,
            },
            creation_date: Timestamp::from_millis(1_700_000_000_123),
            description: String::new(),
            key_spec: KeySpec::SymmetricDefault,
            key_usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            key_state: KeyState::Enabled,
            multi_region,
            current_key_material_id: Some(MaterialId::from_bytes([0x0a; 32])),
            deletion_date: None,
            expiry: None,
        }
    }

    #[test]
    fn a_single_region_key() {
        let metadata = metadata(KeyId::single_region([1; 16]), None);
        assert_eq!(
            serde_json::to_value(&metadata).unwrap(),
            json!({
                "AWSAccountId": "111122223333",
                "KeyId": "01010101-0101-4101-8101-010101010101",
                "Arn": "arn:aws:kms:eu-west-1:111122223333:key/01010101-0101-4101-8101-010101010101",
                "CreationDate": 1_700_000_000.123,
                "Enabled": true,
                "Description": "",
                "KeyUsage": "ENCRYPT_DECRYPT",
                "KeyState": "Enabled",
                "Origin": "AWS_KMS",
                "KeyManager": "CUSTOMER",
                "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
                "KeySpec": "SYMMETRIC_DEFAULT",
                "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
                "MultiRegion": false,
                "CurrentKeyMaterialId": "0a".repeat(32),
            })
        );
        assert!(serde_json::to_string(&metadata).unwrap().contains(r#""CreationDate":1700000000.123,"#));
    }

    #[test]
    fn a_multi_region_key_and_its_replica() {
        let id = KeyId::multi_region([0xcd; 16]);
        let lone = metadata(id, Some(MultiRegionConfiguration { primary: "eu-west-1".parse().unwrap(), replicas: vec![] }));
        let arn = |region: &str| format!("arn:aws:kms:{region}:111122223333:key/mrk-{}", "cd".repeat(16));
        assert_eq!(
            serde_json::to_value(&lone).unwrap()["MultiRegionConfiguration"],
            json!({"MultiRegionKeyType": "PRIMARY", "PrimaryKey": {"Arn": arn("eu-west-1"), "Region": "eu-west-1"}, "ReplicaKeys": []})
        );

        let mut replica = metadata(
            id,
            Some(MultiRegionConfiguration { primary: "dc-north-2".parse().unwrap(), replicas: vec!["eu-west-1".parse().unwrap()] }),
        );
        replica.key_state = KeyState::Creating;
        let value = serde_json::to_value(&replica).unwrap();
        assert_eq!(value["Enabled"], false);
        assert_eq!(value["MultiRegion"], true);
        assert_eq!(value.get("CurrentKeyMaterialId"), None, "not shown while Creating");
        assert_eq!(
            value["MultiRegionConfiguration"],
            json!({
                "MultiRegionKeyType": "REPLICA",
                "PrimaryKey": {"Arn": arn("dc-north-2"), "Region": "dc-north-2"},
                "ReplicaKeys": [{"Arn": arn("eu-west-1"), "Region": "eu-west-1"}],
            })
        );
    }
}
