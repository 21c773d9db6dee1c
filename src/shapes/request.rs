//! All requests as one type, and the way from an operation's name and a body to it.

use std::fmt;

use crate::decode::without_base64_escapes;
use crate::{
    AliasTargetRequest, ApiError, CreateGrantRequest, CreateKeyRequest, DataKeyPairRequest, DataKeyRequest, DecryptRequest,
    DeleteAliasRequest, DeleteImportedKeyMaterialRequest, DeriveSharedSecretRequest, DescribeKeyRequest, EnableKeyRotationRequest,
    EncryptRequest, GenerateMacRequest, GenerateRandomRequest, GetKeyPolicyRequest, GetParametersForImportRequest, GetPublicKeyRequest,
    ImportKeyMaterialRequest, ListAliasesRequest, ListGrantsRequest, ListKeyPoliciesRequest, ListKeyRotationsRequest, ListKeysRequest,
    ListResourceTagsRequest, ListRetirableGrantsRequest, OneKeyRequest, Operation, PutKeyPolicyRequest, ReEncryptRequest,
    ReplicateKeyRequest, RetireGrantRequest, RevokeGrantRequest, ScheduleKeyDeletionRequest, SignRequest, TagResourceRequest,
    UntagResourceRequest, UpdateKeyDescriptionRequest, VerifyMacRequest, VerifyRequest,
};

/// A request that satisfies the model and asks for nothing that is not implemented. `Debug` shows the operation only.
#[expect(missing_docs, reason = "each variant is the operation of its name")]
pub enum Request {
    CancelKeyDeletion(OneKeyRequest),
    CreateAlias(AliasTargetRequest),
    CreateGrant(CreateGrantRequest),
    CreateKey(CreateKeyRequest),
    Decrypt(DecryptRequest),
    DeleteAlias(DeleteAliasRequest),
    DeleteImportedKeyMaterial(DeleteImportedKeyMaterialRequest),
    DeriveSharedSecret(DeriveSharedSecretRequest),
    DescribeKey(DescribeKeyRequest),
    DisableKey(OneKeyRequest),
    DisableKeyRotation(OneKeyRequest),
    EnableKey(OneKeyRequest),
    EnableKeyRotation(EnableKeyRotationRequest),
    Encrypt(EncryptRequest),
    GenerateDataKey(DataKeyRequest),
    GenerateDataKeyPair(DataKeyPairRequest),
    GenerateDataKeyPairWithoutPlaintext(DataKeyPairRequest),
    GenerateDataKeyWithoutPlaintext(DataKeyRequest),
    GenerateMac(GenerateMacRequest),
    GenerateRandom(GenerateRandomRequest),
    GetKeyLastUsage(OneKeyRequest),
    GetKeyPolicy(GetKeyPolicyRequest),
    GetKeyRotationStatus(OneKeyRequest),
    GetParametersForImport(GetParametersForImportRequest),
    GetPublicKey(GetPublicKeyRequest),
    ImportKeyMaterial(ImportKeyMaterialRequest),
    ListAliases(ListAliasesRequest),
    ListGrants(ListGrantsRequest),
    ListKeyPolicies(ListKeyPoliciesRequest),
    ListKeyRotations(ListKeyRotationsRequest),
    ListKeys(ListKeysRequest),
    ListResourceTags(ListResourceTagsRequest),
    ListRetirableGrants(ListRetirableGrantsRequest),
    PutKeyPolicy(PutKeyPolicyRequest),
    ReEncrypt(ReEncryptRequest),
    ReplicateKey(ReplicateKeyRequest),
    RetireGrant(RetireGrantRequest),
    RevokeGrant(RevokeGrantRequest),
    RotateKeyOnDemand(OneKeyRequest),
    ScheduleKeyDeletion(ScheduleKeyDeletionRequest),
    Sign(SignRequest),
    TagResource(TagResourceRequest),
    UntagResource(UntagResourceRequest),
    UpdateAlias(AliasTargetRequest),
    UpdateKeyDescription(UpdateKeyDescriptionRequest),
    Verify(VerifyRequest),
    VerifyMac(VerifyMacRequest),
}

impl Request {
    /// Decodes and checks the body of `operation`. The body stays the caller's, to zeroize.
    ///
    /// # Errors
    /// SerializationException, ValidationException, TagException, UnsupportedOperationException, and for a KeyId, a grant id
    /// or a principal that is none NotFoundException, InvalidGrantIdException or InvalidArnException.
    pub fn parse(operation: Operation, body: &[u8]) -> Result<Self, ApiError> {
        let unescaped = if operation.request_is_secret() { without_base64_escapes(body) } else { None };
        let body = unescaped.as_ref().map_or(body, |bytes| bytes.as_slice());
        Ok(match operation {
            Operation::CancelKeyDeletion => Self::CancelKeyDeletion(OneKeyRequest::parse(body)?),
            Operation::CreateAlias => Self::CreateAlias(AliasTargetRequest::parse_new(body)?),
            Operation::CreateGrant => Self::CreateGrant(CreateGrantRequest::parse(body)?),
            Operation::CreateKey => Self::CreateKey(CreateKeyRequest::parse(body)?),
            Operation::Decrypt => Self::Decrypt(DecryptRequest::parse(body)?),
            Operation::DeleteAlias => Self::DeleteAlias(DeleteAliasRequest::parse(body)?),
            Operation::DeleteImportedKeyMaterial => Self::DeleteImportedKeyMaterial(DeleteImportedKeyMaterialRequest::parse(body)?),
            Operation::DeriveSharedSecret => Self::DeriveSharedSecret(DeriveSharedSecretRequest::parse(body)?),
            Operation::DescribeKey => Self::DescribeKey(DescribeKeyRequest::parse(body)?),
            Operation::DisableKey => Self::DisableKey(OneKeyRequest::parse(body)?),
            Operation::DisableKeyRotation => Self::DisableKeyRotation(OneKeyRequest::parse(body)?),
            Operation::EnableKey => Self::EnableKey(OneKeyRequest::parse(body)?),
            Operation::EnableKeyRotation => Self::EnableKeyRotation(EnableKeyRotationRequest::parse(body)?),
            Operation::Encrypt => Self::Encrypt(EncryptRequest::parse(body)?),
            Operation::GenerateDataKey => Self::GenerateDataKey(DataKeyRequest::parse(body)?),
            Operation::GenerateDataKeyPair => Self::GenerateDataKeyPair(DataKeyPairRequest::parse(body)?),
            Operation::GenerateDataKeyPairWithoutPlaintext => {
                Self::GenerateDataKeyPairWithoutPlaintext(DataKeyPairRequest::parse_without_recipient(body)?)
            }
            Operation::GenerateDataKeyWithoutPlaintext => {
                Self::GenerateDataKeyWithoutPlaintext(DataKeyRequest::parse_without_recipient(body)?)
            }
            Operation::GenerateMac => Self::GenerateMac(GenerateMacRequest::parse(body)?),
            Operation::GenerateRandom => Self::GenerateRandom(GenerateRandomRequest::parse(body)?),
            Operation::GetKeyLastUsage => Self::GetKeyLastUsage(OneKeyRequest::parse(body)?),
            Operation::GetKeyPolicy => Self::GetKeyPolicy(GetKeyPolicyRequest::parse(body)?),
            Operation::GetKeyRotationStatus => Self::GetKeyRotationStatus(OneKeyRequest::parse(body)?),
            Operation::GetParametersForImport => Self::GetParametersForImport(GetParametersForImportRequest::parse(body)?),
            Operation::GetPublicKey => Self::GetPublicKey(GetPublicKeyRequest::parse(body)?),
            Operation::ImportKeyMaterial => Self::ImportKeyMaterial(ImportKeyMaterialRequest::parse(body)?),
            Operation::ListAliases => Self::ListAliases(ListAliasesRequest::parse(body)?),
            Operation::ListGrants => Self::ListGrants(ListGrantsRequest::parse(body)?),
            Operation::ListKeyPolicies => Self::ListKeyPolicies(ListKeyPoliciesRequest::parse(body)?),
            Operation::ListKeyRotations => Self::ListKeyRotations(ListKeyRotationsRequest::parse(body)?),
            Operation::ListKeys => Self::ListKeys(ListKeysRequest::parse(body)?),
            Operation::ListResourceTags => Self::ListResourceTags(ListResourceTagsRequest::parse(body)?),
            Operation::ListRetirableGrants => Self::ListRetirableGrants(ListRetirableGrantsRequest::parse(body)?),
            Operation::PutKeyPolicy => Self::PutKeyPolicy(PutKeyPolicyRequest::parse(body)?),
            Operation::ReEncrypt => Self::ReEncrypt(ReEncryptRequest::parse(body)?),
            Operation::ReplicateKey => Self::ReplicateKey(ReplicateKeyRequest::parse(body)?),
            Operation::RetireGrant => Self::RetireGrant(RetireGrantRequest::parse(body)?),
            Operation::RevokeGrant => Self::RevokeGrant(RevokeGrantRequest::parse(body)?),
            Operation::RotateKeyOnDemand => Self::RotateKeyOnDemand(OneKeyRequest::parse(body)?),
            Operation::ScheduleKeyDeletion => Self::ScheduleKeyDeletion(ScheduleKeyDeletionRequest::parse(body)?),
            Operation::Sign => Self::Sign(SignRequest::parse(body)?),
            Operation::TagResource => Self::TagResource(TagResourceRequest::parse(body)?),
            Operation::UntagResource => Self::UntagResource(UntagResourceRequest::parse(body)?),
            Operation::UpdateAlias => Self::UpdateAlias(AliasTargetRequest::parse(body)?),
            Operation::UpdateKeyDescription => Self::UpdateKeyDescription(UpdateKeyDescriptionRequest::parse(body)?),
            Operation::Verify => Self::Verify(VerifyRequest::parse(body)?),
            Operation::VerifyMac => Self::VerifyMac(VerifyMacRequest::parse(body)?),
        })
    }

    /// Which operation this asks for.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::CancelKeyDeletion(_) => Operation::CancelKeyDeletion,
            Self::CreateAlias(_) => Operation::CreateAlias,
            Self::CreateGrant(_) => Operation::CreateGrant,
            Self::CreateKey(_) => Operation::CreateKey,
            Self::Decrypt(_) => Operation::Decrypt,
            Self::DeleteAlias(_) => Operation::DeleteAlias,
            Self::DeleteImportedKeyMaterial(_) => Operation::DeleteImportedKeyMaterial,
            Self::DeriveSharedSecret(_) => Operation::DeriveSharedSecret,
            Self::DescribeKey(_) => Operation::DescribeKey,
            Self::DisableKey(_) => Operation::DisableKey,
            Self::DisableKeyRotation(_) => Operation::DisableKeyRotation,
            Self::EnableKey(_) => Operation::EnableKey,
            Self::EnableKeyRotation(_) => Operation::EnableKeyRotation,
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
            Self::PutKeyPolicy(_) => Operation::PutKeyPolicy,
            Self::ReEncrypt(_) => Operation::ReEncrypt,
            Self::ReplicateKey(_) => Operation::ReplicateKey,
            Self::RetireGrant(_) => Operation::RetireGrant,
            Self::RevokeGrant(_) => Operation::RevokeGrant,
            Self::RotateKeyOnDemand(_) => Operation::RotateKeyOnDemand,
            Self::ScheduleKeyDeletion(_) => Operation::ScheduleKeyDeletion,
            Self::Sign(_) => Operation::Sign,
            Self::TagResource(_) => Operation::TagResource,
            Self::UntagResource(_) => Operation::UntagResource,
            Self::UpdateAlias(_) => Operation::UpdateAlias,
            Self::UpdateKeyDescription(_) => Operation::UpdateKeyDescription,
            Self::Verify(_) => Operation::Verify,
            Self::VerifyMac(_) => Operation::VerifyMac,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Request", self.operation())
    }
}
