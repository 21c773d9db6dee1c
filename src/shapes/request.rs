//! All requests as one type, and the way from an operation's name and a body to it.

use std::fmt;

use crate::decode::without_base64_escapes;
use crate::{
    AliasTargetRequest, ApiError, CreateGrantRequest, CreateKeyRequest, DataKeyRequest, DecryptRequest, DeleteAliasRequest,
    DescribeKeyRequest, EncryptRequest, GenerateRandomRequest, GetKeyPolicyRequest, KeySwitchRequest, ListAliasesRequest,
    ListGrantsRequest, ListKeyPoliciesRequest, ListKeysRequest, ListResourceTagsRequest, ListRetirableGrantsRequest, Operation,
    PutKeyPolicyRequest, ReEncryptRequest, ReplicateKeyRequest, RetireGrantRequest, RevokeGrantRequest, TagResourceRequest,
    UntagResourceRequest, UpdateKeyDescriptionRequest,
};

/// A request that satisfies the model and asks for nothing that is not implemented. `Debug` shows the operation only.
#[expect(missing_docs, reason = "each variant is the operation of its name")]
pub enum Request {
    CreateAlias(AliasTargetRequest),
    CreateGrant(CreateGrantRequest),
    CreateKey(CreateKeyRequest),
    Decrypt(DecryptRequest),
    DeleteAlias(DeleteAliasRequest),
    DescribeKey(DescribeKeyRequest),
    DisableKey(KeySwitchRequest),
    EnableKey(KeySwitchRequest),
    Encrypt(EncryptRequest),
    GenerateDataKey(DataKeyRequest),
    GenerateDataKeyWithoutPlaintext(DataKeyRequest),
    GenerateRandom(GenerateRandomRequest),
    GetKeyPolicy(GetKeyPolicyRequest),
    ListAliases(ListAliasesRequest),
    ListGrants(ListGrantsRequest),
    ListKeyPolicies(ListKeyPoliciesRequest),
    ListKeys(ListKeysRequest),
    ListResourceTags(ListResourceTagsRequest),
    ListRetirableGrants(ListRetirableGrantsRequest),
    PutKeyPolicy(PutKeyPolicyRequest),
    ReEncrypt(ReEncryptRequest),
    ReplicateKey(ReplicateKeyRequest),
    RetireGrant(RetireGrantRequest),
    RevokeGrant(RevokeGrantRequest),
    TagResource(TagResourceRequest),
    UntagResource(UntagResourceRequest),
    UpdateAlias(AliasTargetRequest),
    UpdateKeyDescription(UpdateKeyDescriptionRequest),
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
            Operation::CreateAlias => Self::CreateAlias(AliasTargetRequest::parse_new(body)?),
            Operation::CreateGrant => Self::CreateGrant(CreateGrantRequest::parse(body)?),
            Operation::CreateKey => Self::CreateKey(CreateKeyRequest::parse(body)?),
            Operation::Decrypt => Self::Decrypt(DecryptRequest::parse(body)?),
            Operation::DeleteAlias => Self::DeleteAlias(DeleteAliasRequest::parse(body)?),
            Operation::DescribeKey => Self::DescribeKey(DescribeKeyRequest::parse(body)?),
            Operation::DisableKey => Self::DisableKey(KeySwitchRequest::parse(body)?),
            Operation::EnableKey => Self::EnableKey(KeySwitchRequest::parse(body)?),
            Operation::Encrypt => Self::Encrypt(EncryptRequest::parse(body)?),
            Operation::GenerateDataKey => Self::GenerateDataKey(DataKeyRequest::parse(body)?),
            Operation::GenerateDataKeyWithoutPlaintext => Self::GenerateDataKeyWithoutPlaintext(DataKeyRequest::parse(body)?),
            Operation::GenerateRandom => Self::GenerateRandom(GenerateRandomRequest::parse(body)?),
            Operation::GetKeyPolicy => Self::GetKeyPolicy(GetKeyPolicyRequest::parse(body)?),
            Operation::ListAliases => Self::ListAliases(ListAliasesRequest::parse(body)?),
            Operation::ListGrants => Self::ListGrants(ListGrantsRequest::parse(body)?),
            Operation::ListKeyPolicies => Self::ListKeyPolicies(ListKeyPoliciesRequest::parse(body)?),
            Operation::ListKeys => Self::ListKeys(ListKeysRequest::parse(body)?),
            Operation::ListResourceTags => Self::ListResourceTags(ListResourceTagsRequest::parse(body)?),
            Operation::ListRetirableGrants => Self::ListRetirableGrants(ListRetirableGrantsRequest::parse(body)?),
            Operation::PutKeyPolicy => Self::PutKeyPolicy(PutKeyPolicyRequest::parse(body)?),
            Operation::ReEncrypt => Self::ReEncrypt(ReEncryptRequest::parse(body)?),
            Operation::ReplicateKey => Self::ReplicateKey(ReplicateKeyRequest::parse(body)?),
            Operation::RetireGrant => Self::RetireGrant(RetireGrantRequest::parse(body)?),
            Operation::RevokeGrant => Self::RevokeGrant(RevokeGrantRequest::parse(body)?),
            Operation::TagResource => Self::TagResource(TagResourceRequest::parse(body)?),
            Operation::UntagResource => Self::UntagResource(UntagResourceRequest::parse(body)?),
            Operation::UpdateAlias => Self::UpdateAlias(AliasTargetRequest::parse(body)?),
            Operation::UpdateKeyDescription => Self::UpdateKeyDescription(UpdateKeyDescriptionRequest::parse(body)?),
        })
    }

    /// Which operation this asks for.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::CreateAlias(_) => Operation::CreateAlias,
            Self::CreateGrant(_) => Operation::CreateGrant,
            Self::CreateKey(_) => Operation::CreateKey,
            Self::Decrypt(_) => Operation::Decrypt,
            Self::DeleteAlias(_) => Operation::DeleteAlias,
            Self::DescribeKey(_) => Operation::DescribeKey,
            Self::DisableKey(_) => Operation::DisableKey,
            Self::EnableKey(_) => Operation::EnableKey,
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
            Self::PutKeyPolicy(_) => Operation::PutKeyPolicy,
            Self::ReEncrypt(_) => Operation::ReEncrypt,
            Self::ReplicateKey(_) => Operation::ReplicateKey,
            Self::RetireGrant(_) => Operation::RetireGrant,
            Self::RevokeGrant(_) => Operation::RevokeGrant,
            Self::TagResource(_) => Operation::TagResource,
            Self::UntagResource(_) => Operation::UntagResource,
            Self::UpdateAlias(_) => Operation::UpdateAlias,
            Self::UpdateKeyDescription(_) => Operation::UpdateKeyDescription,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Request", self.operation())
    }
}
