//! The shapes of the AWS KMS API: requests, responses and errors, with AWS's constraint checks and messages.
//!
//! A request goes through `decode` (JSON to optional members: wrong types end here), `constraint` (the model's lengths,
//! ranges, patterns and enums, all failures in one answer), then into a shape whose values are valid by type. A member
//! that the model has and Claviger does not implement is refused by name (`unsupported`), never ignored. Responses are
//! written once, straight into the bytes of the body.
//!
//! Deliberately absent: HTTP, authentication, lookup of keys, and any knowledge of which region this is. Shapes that hold
//! plaintext have no `Debug` and zeroize it. `access` is one row per operation of what access control asks about it. `admin`
//! is the other API: the operators' one, plain serde; `sts` is what there is of AWS STS, forms and XML.

mod access;
pub mod admin;
mod alias_name;
mod choice;
mod constraint;
mod decode;
mod dry_run;
mod encode;
mod error;
mod key_ref;
mod metadata;
mod model;
#[cfg(test)]
mod model_tests;
mod operation;
mod operations;
mod principal_ref;
mod recipient;
mod request;
mod response;
pub mod sts;
mod tags;
mod unsupported;

pub use access::{Access, KeyNaming};
pub use dry_run::DryRun;
pub use error::{ApiError, ErrorCode};
pub use metadata::{KeyMetadata, MultiRegionConfiguration};
pub use operation::Operation;
pub use operations::alias_target::AliasTargetRequest;
pub use operations::create_grant::{CreateGrantRequest, CreateGrantResponse};
pub use operations::create_key::{CreateKeyRequest, CreateKeyResponse};
pub use operations::data_key::{DataKeyRequest, GenerateDataKeyResponse, GenerateDataKeyWithoutPlaintextResponse};
pub use operations::data_key_pair::{DataKeyPairRequest, GenerateDataKeyPairResponse, GenerateDataKeyPairWithoutPlaintextResponse};
pub use operations::decrypt::{DecryptRequest, DecryptResponse};
pub use operations::delete_alias::DeleteAliasRequest;
pub use operations::derive_shared_secret::{DeriveSharedSecretRequest, DeriveSharedSecretResponse};
pub use operations::describe_key::{DescribeKeyRequest, DescribeKeyResponse};
pub use operations::encrypt::{EncryptRequest, EncryptResponse};
pub use operations::generate_random::{GenerateRandomRequest, GenerateRandomResponse};
pub use operations::get_key_last_usage::{GetKeyLastUsageResponse, KeyLastUsage};
pub use operations::get_key_policy::{GetKeyPolicyRequest, GetKeyPolicyResponse};
pub use operations::get_public_key::{GetPublicKeyRequest, GetPublicKeyResponse};
pub use operations::grant_page::{GrantListEntry, ListGrantsResponse};
pub use operations::import::{
    DeleteImportedKeyMaterialRequest, GetParametersForImportRequest, GetParametersForImportResponse, ImportKeyMaterialRequest,
    ImportedResponse,
};
pub use operations::key_rotation::{
    EnableKeyRotationRequest, GetKeyRotationStatusResponse, ListKeyRotationsRequest, ListKeyRotationsResponse, RotationListEntry,
};
pub use operations::list_aliases::{AliasListEntry, ListAliasesRequest, ListAliasesResponse};
pub use operations::list_grants::ListGrantsRequest;
pub use operations::list_key_policies::{ListKeyPoliciesRequest, ListKeyPoliciesResponse};
pub use operations::list_keys::{ListKeysRequest, ListKeysResponse};
pub use operations::list_resource_tags::{ListResourceTagsRequest, ListResourceTagsResponse};
pub use operations::list_retirable_grants::ListRetirableGrantsRequest;
pub use operations::mac::{GenerateMacRequest, GenerateMacResponse, VerifyMacRequest, VerifyMacResponse};
pub use operations::one_key::{OneKeyRequest, OneKeyResponse};
pub use operations::paging::Paging;
pub use operations::put_key_policy::PutKeyPolicyRequest;
pub use operations::re_encrypt::{ReEncryptRequest, ReEncryptResponse};
pub use operations::replicate_key::{ReplicateKeyRequest, ReplicateKeyResponse};
pub use operations::retire_grant::{RetireGrantRequest, RetiredGrant};
pub use operations::revoke_grant::RevokeGrantRequest;
pub use operations::schedule_key_deletion::{ScheduleKeyDeletionRequest, ScheduleKeyDeletionResponse};
pub use operations::sign::{SignRequest, SignResponse, VerifyRequest, VerifyResponse};
pub use operations::tag_resource::TagResourceRequest;
pub use operations::untag_resource::UntagResourceRequest;
pub use operations::update_key_description::UpdateKeyDescriptionRequest;
pub use principal_ref::PrincipalRef;
pub use recipient::Recipient;
pub use request::Request;
pub use response::Response;
pub use unsupported::unsupported_operation;

/// An encryption context: authenticated with the ciphertext, never secret (rules page, section 11).
pub type EncryptionContext = std::collections::BTreeMap<String, String>;

/// Grant tokens of a request: at most ten. AWS documents them as no secret (rules page, section 9).
pub type GrantTokens = Vec<String>;

/// The tags of a key: at most fifty, keys unique (rules page, section 13).
pub type Tags = std::collections::BTreeMap<String, String>;
