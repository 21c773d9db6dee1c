//! All responses as one type, and how it becomes a body.

use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    ApiError, CreateGrantResponse, CreateKeyResponse, DecryptResponse, DescribeKeyResponse, EncryptResponse, GenerateDataKeyResponse,
    GenerateDataKeyWithoutPlaintextResponse, GenerateRandomResponse, GetKeyPolicyResponse, ListAliasesResponse, ListGrantsResponse,
    ListKeyPoliciesResponse, ListKeysResponse, ListResourceTagsResponse, Operation, ReEncryptResponse, ReplicateKeyResponse,
};

/// A successful answer. `Debug` shows the operation only.
#[expect(missing_docs, reason = "each variant is the operation of its name")]
pub enum Response {
    CreateAlias,
    CreateGrant(CreateGrantResponse),
    CreateKey(CreateKeyResponse),
    Decrypt(DecryptResponse),
    DeleteAlias,
    DescribeKey(DescribeKeyResponse),
    DisableKey,
    EnableKey,
    Encrypt(EncryptResponse),
    GenerateDataKey(GenerateDataKeyResponse),
    GenerateDataKeyWithoutPlaintext(GenerateDataKeyWithoutPlaintextResponse),
    GenerateRandom(GenerateRandomResponse),
    GetKeyPolicy(GetKeyPolicyResponse),
    ListAliases(ListAliasesResponse),
    ListGrants(ListGrantsResponse),
    ListKeyPolicies(ListKeyPoliciesResponse),
    ListKeys(ListKeysResponse),
    ListResourceTags(ListResourceTagsResponse),
    ListRetirableGrants(ListGrantsResponse),
    PutKeyPolicy,
    ReEncrypt(ReEncryptResponse),
    ReplicateKey(ReplicateKeyResponse),
    RetireGrant,
    RevokeGrant,
    TagResource,
    UntagResource,
    UpdateAlias,
    UpdateKeyDescription,
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
            Self::CreateGrant(response) => write(&mut body, response),
            Self::CreateKey(response) => write(&mut body, response),
            Self::Decrypt(response) => write(&mut body, response),
            Self::DescribeKey(response) => write(&mut body, response),
            Self::CreateAlias
            | Self::DeleteAlias
            | Self::DisableKey
            | Self::EnableKey
            | Self::PutKeyPolicy
            | Self::RetireGrant
            | Self::RevokeGrant
            | Self::TagResource
            | Self::UntagResource
            | Self::UpdateAlias
            | Self::UpdateKeyDescription => Ok(()),
            Self::Encrypt(response) => write(&mut body, response),
            Self::GenerateDataKey(response) => write(&mut body, response),
            Self::GenerateDataKeyWithoutPlaintext(response) => write(&mut body, response),
            Self::GenerateRandom(response) => write(&mut body, response),
            Self::GetKeyPolicy(response) => write(&mut body, response),
            Self::ListAliases(response) => write(&mut body, response),
            Self::ListGrants(response) | Self::ListRetirableGrants(response) => write(&mut body, response),
            Self::ListKeyPolicies(response) => write(&mut body, response),
            Self::ListKeys(response) => write(&mut body, response),
            Self::ListResourceTags(response) => write(&mut body, response),
            Self::ReEncrypt(response) => write(&mut body, response),
            Self::ReplicateKey(response) => write(&mut body, response),
        }?;
        Ok(body)
    }

    /// Whether the body holds bytes that must not stay in memory.
    pub const fn is_secret(&self) -> bool {
        matches!(self, Self::Decrypt(_) | Self::GenerateDataKey(_) | Self::GenerateRandom(_))
    }

    /// Which operation this answers.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::CreateAlias => Operation::CreateAlias,
            Self::CreateGrant(_) => Operation::CreateGrant,
            Self::CreateKey(_) => Operation::CreateKey,
            Self::Decrypt(_) => Operation::Decrypt,
            Self::DeleteAlias => Operation::DeleteAlias,
            Self::DescribeKey(_) => Operation::DescribeKey,
            Self::DisableKey => Operation::DisableKey,
            Self::EnableKey => Operation::EnableKey,
            Self::Encrypt(_) => Operation::Encrypt,
            Self::GenerateDataKey(_) => Operation::GenerateDataKey,
            Self::GenerateDataKeyWithoutPlaintext(_) => Operation::GenerateDataKeyWithoutPlaintext,
            Self::GenerateRandom(_) => Operation::GenerateRandom,
            Self::GetKeyPolicy(_) => Operation::GetKeyPolicy,
            Self::ListAliases(_) => Operation::ListAliases,
            Self::ListGrants(_) => Operation::ListGrants,
            Self::ListKeyPolicies(_) => Operation::ListKeyPolicies,
            Self::ListKeys(_) => Operation::ListKeys,
            Self::ListResourceTags(_) => Operation::ListResourceTags,
            Self::ListRetirableGrants(_) => Operation::ListRetirableGrants,
            Self::PutKeyPolicy => Operation::PutKeyPolicy,
            Self::ReEncrypt(_) => Operation::ReEncrypt,
            Self::ReplicateKey(_) => Operation::ReplicateKey,
            Self::RetireGrant => Operation::RetireGrant,
            Self::RevokeGrant => Operation::RevokeGrant,
            Self::TagResource => Operation::TagResource,
            Self::UntagResource => Operation::UntagResource,
            Self::UpdateAlias => Operation::UpdateAlias,
            Self::UpdateKeyDescription => Operation::UpdateKeyDescription,
        }
    }

    /// How long the body will be: an upper bound where it is secret, an estimate elsewhere.
    fn bytes_hint(&self) -> usize {
        let base64 = |bytes: &[u8]| bytes.len().div_ceil(3) * 4;
        match self {
            Self::CreateAlias
            | Self::DeleteAlias
            | Self::DisableKey
            | Self::EnableKey
            | Self::PutKeyPolicy
            | Self::RetireGrant
            | Self::RevokeGrant
            | Self::TagResource
            | Self::UntagResource
            | Self::UpdateAlias
            | Self::UpdateKeyDescription => 0,
            Self::CreateGrant(response) => FIXED_BYTES + response.grant_token.len(),
            Self::CreateKey(_) | Self::DescribeKey(_) => 2 * FIXED_BYTES,
            Self::Decrypt(response) => FIXED_BYTES + base64(&response.plaintext),
            Self::Encrypt(response) => FIXED_BYTES + base64(&response.ciphertext_blob),
            Self::GenerateDataKey(response) => FIXED_BYTES + base64(&response.plaintext) + base64(&response.ciphertext_blob),
            Self::GenerateDataKeyWithoutPlaintext(response) => FIXED_BYTES + base64(&response.ciphertext_blob),
            Self::GenerateRandom(response) => FIXED_BYTES + base64(&response.plaintext),
            Self::GetKeyPolicy(response) => FIXED_BYTES + response.policy.len(),
            Self::ListAliases(response) => FIXED_BYTES + LIST_ENTRY_BYTES * response.aliases.len(),
            Self::ListGrants(response) | Self::ListRetirableGrants(response) => FIXED_BYTES + GRANT_ENTRY_BYTES * response.grants.len(),
            Self::ListKeyPolicies(_) => FIXED_BYTES,
            Self::ListKeys(response) => FIXED_BYTES + LIST_ENTRY_BYTES * response.keys.len(),
            Self::ListResourceTags(response) => FIXED_BYTES + LIST_ENTRY_BYTES * response.tags.len(),
            Self::ReEncrypt(response) => FIXED_BYTES + base64(&response.ciphertext_blob),
            Self::ReplicateKey(response) => 2 * FIXED_BYTES + response.replica_policy.len(),
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
            Response::EnableKey,
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
            plaintext: vec![1].into(),
            encryption_algorithm: algorithm,
            key_material_id: material,
        });
        assert_eq!(
            json_of(&decrypt),
            json!({"KeyId": arn_text, "Plaintext": "AQ==", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "KeyMaterialId": "fe".repeat(32)})
        );
        let data_key = Response::GenerateDataKey(GenerateDataKeyResponse {
            ciphertext_blob: vec![2],
            plaintext: vec![1].into(),
            key: arn(),
            key_material_id: material,
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
            source_key_material_id: material,
            destination_key_material_id: material,
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
        let plaintext = || vec![0xff; 4096].into();
        for response in [
            Response::Decrypt(DecryptResponse {
                key: key.clone(),
                plaintext: plaintext(),
                encryption_algorithm: EncryptionAlgorithm::SymmetricDefault,
                key_material_id: material,
            }),
            Response::GenerateDataKey(GenerateDataKeyResponse {
                ciphertext_blob: vec![0xff; 6144],
                plaintext: plaintext(),
                key,
                key_material_id: material,
            }),
            Response::GenerateRandom(GenerateRandomResponse { plaintext: plaintext() }),
        ] {
            assert!(response.is_secret());
            let body = response.to_body().unwrap();
            assert!(body.len() <= response.bytes_hint(), "{response:?}: {} of {}", body.len(), response.bytes_hint());
            assert!(body.capacity() < 2 * response.bytes_hint(), "{response:?} grew");
        }
    }
}
