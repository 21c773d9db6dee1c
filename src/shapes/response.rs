//! All responses as one type, and how it becomes a body.

use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    ApiError, CreateGrantResponse, CreateKeyResponse, DecryptResponse, DeriveSharedSecretResponse, DescribeKeyResponse, EncryptResponse,
    GenerateDataKeyPairResponse, GenerateDataKeyPairWithoutPlaintextResponse, GenerateDataKeyResponse,
    GenerateDataKeyWithoutPlaintextResponse, GenerateMacResponse, GenerateRandomResponse, GetKeyLastUsageResponse, GetKeyPolicyResponse,
    GetKeyRotationStatusResponse, GetParametersForImportResponse, GetPublicKeyResponse, ImportedResponse, ListAliasesResponse,
    ListGrantsResponse, ListKeyPoliciesResponse, ListKeyRotationsResponse, ListKeysResponse, ListResourceTagsResponse, OneKeyResponse,
    Operation, ReEncryptResponse, ReplicateKeyResponse, ScheduleKeyDeletionResponse, SignResponse, VerifyMacResponse, VerifyResponse,
};

/// A successful answer. `Debug` shows the operation only.
#[expect(missing_docs, reason = "each variant is the operation of its name")]
pub enum Response {
    CancelKeyDeletion(OneKeyResponse),
    CreateAlias,
    CreateGrant(CreateGrantResponse),
    CreateKey(CreateKeyResponse),
    Decrypt(DecryptResponse),
    DeleteAlias,
    DeleteImportedKeyMaterial(ImportedResponse),
    DeriveSharedSecret(DeriveSharedSecretResponse),
    DescribeKey(DescribeKeyResponse),
    DisableKey,
    DisableKeyRotation,
    EnableKey,
    EnableKeyRotation,
    Encrypt(EncryptResponse),
    GenerateDataKey(GenerateDataKeyResponse),
    GenerateDataKeyPair(GenerateDataKeyPairResponse),
    GenerateDataKeyPairWithoutPlaintext(GenerateDataKeyPairWithoutPlaintextResponse),
    GenerateDataKeyWithoutPlaintext(GenerateDataKeyWithoutPlaintextResponse),
    GenerateMac(GenerateMacResponse),
    GenerateRandom(GenerateRandomResponse),
    GetKeyLastUsage(GetKeyLastUsageResponse),
    GetKeyPolicy(GetKeyPolicyResponse),
    GetKeyRotationStatus(GetKeyRotationStatusResponse),
    GetParametersForImport(GetParametersForImportResponse),
    GetPublicKey(GetPublicKeyResponse),
    ImportKeyMaterial(ImportedResponse),
    ListAliases(ListAliasesResponse),
    ListGrants(ListGrantsResponse),
    ListKeyPolicies(ListKeyPoliciesResponse),
    ListKeyRotations(ListKeyRotationsResponse),
    ListKeys(ListKeysResponse),
    ListResourceTags(ListResourceTagsResponse),
    ListRetirableGrants(ListGrantsResponse),
    PutKeyPolicy,
    ReEncrypt(ReEncryptResponse),
    ReplicateKey(ReplicateKeyResponse),
    RetireGrant,
    RevokeGrant,
    RotateKeyOnDemand(OneKeyResponse),
    ScheduleKeyDeletion(ScheduleKeyDeletionResponse),
    Sign(SignResponse),
    TagResource,
    UntagResource,
    UpdateAlias,
    UpdateKeyDescription,
    Verify(VerifyResponse),
    VerifyMac(VerifyMacResponse),
}

/// Room for everything in a response but its blobs, texts and lists: two ARNs, ids, names.
const FIXED_BYTES: usize = 1024;
/// An entry of an operation that lists.
const LIST_ENTRY_BYTES: usize = 256;
/// A grant: as much again for its principals, operations and constraint.
const GRANT_ENTRY_BYTES: usize = 1024;

impl Response {
    /// The body: JSON, or nothing for operations without an output shape. Memory is reserved once, so that no half-written
    /// copy of a secret stays behind when it grows.
    ///
    /// # Errors
    /// KMSInternalException, should a value not serialise.
    pub fn to_body(&self) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let mut body = Zeroizing::new(Vec::with_capacity(self.bytes_hint()));
        match self {
            Self::CreateAlias
            | Self::DeleteAlias
            | Self::DisableKey
            | Self::DisableKeyRotation
            | Self::EnableKey
            | Self::EnableKeyRotation
            | Self::PutKeyPolicy
            | Self::RetireGrant
            | Self::RevokeGrant
            | Self::TagResource
            | Self::UntagResource
            | Self::UpdateAlias
            | Self::UpdateKeyDescription => Ok(()),
            Self::CancelKeyDeletion(response) => write(&mut body, response),
            Self::CreateGrant(response) => write(&mut body, response),
            Self::CreateKey(response) => write(&mut body, response),
            Self::Decrypt(response) => write(&mut body, response),
            Self::DeleteImportedKeyMaterial(response) => write(&mut body, response),
            Self::DeriveSharedSecret(response) => write(&mut body, response),
            Self::DescribeKey(response) => write(&mut body, response),
            Self::Encrypt(response) => write(&mut body, response),
            Self::GenerateDataKey(response) => write(&mut body, response),
            Self::GenerateDataKeyPair(response) => write(&mut body, response),
            Self::GenerateDataKeyPairWithoutPlaintext(response) => write(&mut body, response),
            Self::GenerateDataKeyWithoutPlaintext(response) => write(&mut body, response),
            Self::GenerateMac(response) => write(&mut body, response),
            Self::GenerateRandom(response) => write(&mut body, response),
            Self::GetKeyLastUsage(response) => write(&mut body, response),
            Self::GetKeyPolicy(response) => write(&mut body, response),
            Self::GetKeyRotationStatus(response) => write(&mut body, response),
            Self::GetParametersForImport(response) => write(&mut body, response),
            Self::GetPublicKey(response) => write(&mut body, response),
            Self::ImportKeyMaterial(response) => write(&mut body, response),
            Self::ListAliases(response) => write(&mut body, response),
            Self::ListGrants(response) => write(&mut body, response),
            Self::ListKeyPolicies(response) => write(&mut body, response),
            Self::ListKeyRotations(response) => write(&mut body, response),
            Self::ListKeys(response) => write(&mut body, response),
            Self::ListResourceTags(response) => write(&mut body, response),
            Self::ListRetirableGrants(response) => write(&mut body, response),
            Self::ReEncrypt(response) => write(&mut body, response),
            Self::ReplicateKey(response) => write(&mut body, response),
            Self::RotateKeyOnDemand(response) => write(&mut body, response),
            Self::ScheduleKeyDeletion(response) => write(&mut body, response),
            Self::Sign(response) => write(&mut body, response),
            Self::Verify(response) => write(&mut body, response),
            Self::VerifyMac(response) => write(&mut body, response),
        }?;
        Ok(body)
    }

    /// Whether the body holds bytes that must not stay in memory.
    pub const fn is_secret(&self) -> bool {
        matches!(
            self,
            Self::Decrypt(_)
                | Self::DeriveSharedSecret(_)
                | Self::GenerateDataKey(_)
                | Self::GenerateDataKeyPair(_)
                | Self::GenerateRandom(_)
        )
    }

    /// Which operation this answers.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::CancelKeyDeletion(_) => Operation::CancelKeyDeletion,
            Self::CreateAlias => Operation::CreateAlias,
            Self::CreateGrant(_) => Operation::CreateGrant,
            Self::CreateKey(_) => Operation::CreateKey,
            Self::Decrypt(_) => Operation::Decrypt,
            Self::DeleteAlias => Operation::DeleteAlias,
            Self::DeleteImportedKeyMaterial(_) => Operation::DeleteImportedKeyMaterial,
            Self::DeriveSharedSecret(_) => Operation::DeriveSharedSecret,
            Self::DescribeKey(_) => Operation::DescribeKey,
            Self::DisableKey => Operation::DisableKey,
            Self::DisableKeyRotation => Operation::DisableKeyRotation,
            Self::EnableKey => Operation::EnableKey,
            Self::EnableKeyRotation => Operation::EnableKeyRotation,
            Self::Encrypt(_) => Operation::Encrypt,
            Self::GenerateDataKey(_) => Operation::GenerateDataKey,
            Self::GenerateDataKeyPair(_) => Operation::GenerateDataKeyPair,
            Self::GenerateDataKeyPairWithoutPlaintext(_) => Operation::GenerateDataKeyPairWithoutPlaintext,
            Self::GenerateDataKeyWithoutPlaintext(_) => Operation::GenerateDataKeyWithoutPlaintext,
            Self::GenerateMac(_) => Operation::GenerateMac,
            Self::GenerateRandom(_) => Operation::GenerateRandom,
            Self::GetKeyLastUsage(_) => Operation::GetKeyLastUsage,
            Self::GetKeyPolicy(_) => Operation::GetKeyPolicy,
            Self::GetKeyRotationStatus(_) => Operation::GetKeyRotationStatus,
            Self::GetParametersForImport(_) => Operation::GetParametersForImport,
            Self::GetPublicKey(_) => Operation::GetPublicKey,
            Self::ImportKeyMaterial(_) => Operation::ImportKeyMaterial,
            Self::ListAliases(_) => Operation::ListAliases,
            Self::ListGrants(_) => Operation::ListGrants,
            Self::ListKeyPolicies(_) => Operation::ListKeyPolicies,
            Self::ListKeyRotations(_) => Operation::ListKeyRotations,
            Self::ListKeys(_) => Operation::ListKeys,
            Self::ListResourceTags(_) => Operation::ListResourceTags,
            Self::ListRetirableGrants(_) => Operation::ListRetirableGrants,
            Self::PutKeyPolicy => Operation::PutKeyPolicy,
            Self::ReEncrypt(_) => Operation::ReEncrypt,
            Self::ReplicateKey(_) => Operation::ReplicateKey,
            Self::RetireGrant => Operation::RetireGrant,
            Self::RevokeGrant => Operation::RevokeGrant,
            Self::RotateKeyOnDemand(_) => Operation::RotateKeyOnDemand,
            Self::ScheduleKeyDeletion(_) => Operation::ScheduleKeyDeletion,
            Self::Sign(_) => Operation::Sign,
            Self::TagResource => Operation::TagResource,
            Self::UntagResource => Operation::UntagResource,
            Self::UpdateAlias => Operation::UpdateAlias,
            Self::UpdateKeyDescription => Operation::UpdateKeyDescription,
            Self::Verify(_) => Operation::Verify,
            Self::VerifyMac(_) => Operation::VerifyMac,
        }
    }

    /// How long the body will be: an upper bound where it is secret, an estimate elsewhere.
    fn bytes_hint(&self) -> usize {
        fn base64(bytes: usize) -> usize {
            bytes.div_ceil(3) * 4
        }
        fn secret(plaintext: Option<&Zeroizing<Vec<u8>>>, for_recipient: Option<&Vec<u8>>) -> usize {
            base64(plaintext.map_or(0, |bytes| bytes.len())) + base64(for_recipient.map_or(0, Vec::len))
        }
        match self {
            Self::CreateAlias
            | Self::DeleteAlias
            | Self::DisableKey
            | Self::DisableKeyRotation
            | Self::EnableKey
            | Self::EnableKeyRotation
            | Self::PutKeyPolicy
            | Self::RetireGrant
            | Self::RevokeGrant
            | Self::TagResource
            | Self::UntagResource
            | Self::UpdateAlias
            | Self::UpdateKeyDescription => 0,
            Self::CancelKeyDeletion(_)
            | Self::DeleteImportedKeyMaterial(_)
            | Self::GetKeyLastUsage(_)
            | Self::GetKeyRotationStatus(_)
            | Self::ImportKeyMaterial(_)
            | Self::ListKeyPolicies(_)
            | Self::RotateKeyOnDemand(_)
            | Self::ScheduleKeyDeletion(_)
            | Self::Verify(_)
            | Self::VerifyMac(_) => FIXED_BYTES,
            Self::CreateGrant(response) => FIXED_BYTES + response.grant_token.len(),
            Self::CreateKey(_) | Self::DescribeKey(_) => 2 * FIXED_BYTES,
            Self::Decrypt(response) => FIXED_BYTES + secret(response.plaintext.as_ref(), response.ciphertext_for_recipient.as_ref()),
            Self::DeriveSharedSecret(response) => {
                FIXED_BYTES + secret(response.shared_secret.as_ref(), response.ciphertext_for_recipient.as_ref())
            }
            Self::Encrypt(response) => FIXED_BYTES + base64(response.ciphertext_blob.len()),
            Self::GenerateDataKey(response) => {
                let secret = secret(response.plaintext.as_ref(), response.ciphertext_for_recipient.as_ref());
                FIXED_BYTES + secret + base64(response.ciphertext_blob.len())
            }
            Self::GenerateDataKeyPair(response) => {
                let secret = secret(response.private_key_plaintext.as_ref(), response.ciphertext_for_recipient.as_ref());
                FIXED_BYTES + secret + base64(response.private_key_ciphertext_blob.len()) + base64(response.public_key.len())
            }
            Self::GenerateDataKeyPairWithoutPlaintext(response) => {
                FIXED_BYTES + base64(response.private_key_ciphertext_blob.len()) + base64(response.public_key.len())
            }
            Self::GenerateDataKeyWithoutPlaintext(response) => FIXED_BYTES + base64(response.ciphertext_blob.len()),
            Self::GenerateMac(response) => FIXED_BYTES + base64(response.mac.len()),
            Self::GenerateRandom(response) => FIXED_BYTES + secret(response.plaintext.as_ref(), response.ciphertext_for_recipient.as_ref()),
            Self::GetKeyPolicy(response) => FIXED_BYTES + response.policy.len(),
            Self::GetParametersForImport(response) => FIXED_BYTES + base64(response.import_token.len()) + base64(response.public_key.len()),
            Self::GetPublicKey(response) => FIXED_BYTES + base64(response.public_key.len()),
            Self::ListAliases(response) => FIXED_BYTES + LIST_ENTRY_BYTES * response.aliases.len(),
            Self::ListGrants(response) | Self::ListRetirableGrants(response) => FIXED_BYTES + GRANT_ENTRY_BYTES * response.grants.len(),
            Self::ListKeyRotations(response) => FIXED_BYTES + 2 * LIST_ENTRY_BYTES * response.rotations.len(),
            Self::ListKeys(response) => FIXED_BYTES + LIST_ENTRY_BYTES * response.keys.len(),
            Self::ListResourceTags(response) => FIXED_BYTES + LIST_ENTRY_BYTES * response.tags.len(),
            Self::ReEncrypt(response) => FIXED_BYTES + base64(response.ciphertext_blob.len()),
            Self::ReplicateKey(response) => 2 * FIXED_BYTES + response.replica_policy.len(),
            Self::Sign(response) => FIXED_BYTES + base64(response.signature.len()),
        }
    }
}

fn write(body: &mut Vec<u8>, response: &impl Serialize) -> Result<(), ApiError> {
    serde_json::to_writer(body, response).map_err(|_| ApiError::internal())
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Response", self.operation())
    }
}

#[cfg(test)]
mod tests {
    use claviger_types::{EncryptionAlgorithm, GrantId, KeyArn, KeyId, MaterialId};
    use serde_json::{Value, json};

    use super::*;
    use crate::metadata::tests::metadata;

    fn arn() -> KeyArn {
        metadata(KeyId::multi_region([7; 16]), None).arn
    }

    fn json_of(response: &Response) -> Value {
        serde_json::from_slice(&response.to_body().unwrap()).unwrap()
    }

    #[test]
    fn operations_without_output_have_an_empty_body() {
        for response in [
            Response::CreateAlias,
            Response::DeleteAlias,
            Response::DisableKey,
            Response::DisableKeyRotation,
            Response::EnableKey,
            Response::EnableKeyRotation,
            Response::PutKeyPolicy,
            Response::RetireGrant,
            Response::RevokeGrant,
            Response::TagResource,
            Response::UntagResource,
            Response::UpdateAlias,
            Response::UpdateKeyDescription,
        ] {
            assert!(response.to_body().unwrap().is_empty(), "{response:?}");
        }
    }

    #[test]
    fn policies_and_grants_are_written() {
        let policy = Response::GetKeyPolicy(GetKeyPolicyResponse { policy: "{}".into() });
        assert_eq!(json_of(&policy), json!({"Policy": "{}", "PolicyName": "default"}));
        let names = Response::ListKeyPolicies(ListKeyPoliciesResponse);
        assert_eq!(json_of(&names), json!({"PolicyNames": ["default"], "Truncated": false}));
        let grant =
            Response::CreateGrant(CreateGrantResponse { grant_token: "dG9rZW4=".into(), grant_id: GrantId::from_bytes([0xfe; 32]) });
        assert_eq!(json_of(&grant), json!({"GrantToken": "dG9rZW4=", "GrantId": "fe".repeat(32)}));
        for list in [Response::ListGrants, Response::ListRetirableGrants] {
            let page = list(ListGrantsResponse { grants: vec![], next_marker: Some("m".into()) });
            assert_eq!(json_of(&page), json!({"Grants": [], "NextMarker": "m", "Truncated": true}));
        }
    }

    #[test]
    fn members_are_those_of_the_model() {
        let arn_text = arn().to_string();
        let algorithm = EncryptionAlgorithm::SymmetricDefault;
        let material = MaterialId::from_bytes([0xfe; 32]);
        let encrypt = Response::Encrypt(EncryptResponse { ciphertext_blob: vec![0xff, 0xfe], key: arn(), encryption_algorithm: algorithm });
        assert_eq!(json_of(&encrypt), json!({"CiphertextBlob": "//4=", "KeyId": arn_text, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}));
        let decrypt = Response::Decrypt(DecryptResponse {
            key: arn(),
            plaintext: Some(vec![1].into()),
            ciphertext_for_recipient: None,
            encryption_algorithm: algorithm,
            key_material_id: Some(material),
        });
        assert_eq!(
            json_of(&decrypt),
            json!({"KeyId": arn_text, "Plaintext": "AQ==", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "KeyMaterialId": "fe".repeat(32)})
        );
        let data_key = Response::GenerateDataKey(GenerateDataKeyResponse {
            ciphertext_blob: vec![2],
            plaintext: Some(vec![1].into()),
            ciphertext_for_recipient: None,
            key: arn(),
            key_material_id: Some(material),
        });
        assert_eq!(
            json_of(&data_key),
            json!({"CiphertextBlob": "Ag==", "Plaintext": "AQ==", "KeyId": arn_text, "KeyMaterialId": "fe".repeat(32)})
        );
        let without = Response::GenerateDataKeyWithoutPlaintext(GenerateDataKeyWithoutPlaintextResponse {
            ciphertext_blob: vec![2],
            key: arn(),
            key_material_id: material,
        });
        assert_eq!(json_of(&without), json!({"CiphertextBlob": "Ag==", "KeyId": arn_text, "KeyMaterialId": "fe".repeat(32)}));
        let re_encrypt = Response::ReEncrypt(ReEncryptResponse {
            ciphertext_blob: vec![2],
            source_key: arn(),
            key: arn(),
            source_encryption_algorithm: algorithm,
            destination_encryption_algorithm: algorithm,
            source_key_material_id: Some(material),
            destination_key_material_id: Some(material),
        });
        assert_eq!(
            json_of(&re_encrypt),
            json!({
                "CiphertextBlob": "Ag==", "SourceKeyId": arn_text, "KeyId": arn_text, "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT", "SourceKeyMaterialId": "fe".repeat(32),
                "DestinationKeyMaterialId": "fe".repeat(32),
            })
        );
        let replicate = Response::ReplicateKey(ReplicateKeyResponse {
            replica_key_metadata: metadata(KeyId::multi_region([7; 16]), None),
            replica_policy: "{}".into(),
            replica_tags: [("k".to_owned(), "v".to_owned())].into(),
        });
        let replicate = json_of(&replicate);
        assert_eq!(replicate["ReplicaKeyMetadata"]["Arn"], arn_text);
        assert_eq!(replicate["ReplicaPolicy"], "{}");
        assert_eq!(replicate["ReplicaTags"], json!([{"TagKey": "k", "TagValue": "v"}]));
    }

    #[test]
    fn secret_bodies_never_grow() {
        let key =
            KeyArn { partition: "p".repeat(32).parse().unwrap(), region: format!("{}-b-1", "a".repeat(28)).parse().unwrap(), ..arn() };
        let material = MaterialId::from_bytes([0xfe; 32]);
        let plaintext = || Some(vec![0xff; 4096].into());
        for response in [
            Response::Decrypt(DecryptResponse {
                key: key.clone(),
                plaintext: plaintext(),
                ciphertext_for_recipient: Some(vec![0xff; 6144]),
                encryption_algorithm: EncryptionAlgorithm::SymmetricDefault,
                key_material_id: Some(material),
            }),
            Response::GenerateDataKey(GenerateDataKeyResponse {
                ciphertext_blob: vec![0xff; 6144],
                plaintext: plaintext(),
                ciphertext_for_recipient: None,
                key,
                key_material_id: Some(material),
            }),
            Response::GenerateRandom(GenerateRandomResponse { plaintext: plaintext(), ciphertext_for_recipient: None }),
        ] {
            assert!(response.is_secret());
            let body = response.to_body().unwrap();
            assert!(body.len() <= response.bytes_hint(), "{response:?}: {} of {}", body.len(), response.bytes_hint());
            assert!(body.capacity() < 2 * response.bytes_hint(), "{response:?} grew");
        }
    }
}
