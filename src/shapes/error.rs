//! What the API answers when it does not do what was asked: AWS's codes, HTTP statuses and recorded messages.
//!
//! A message is for the client: it never carries plaintext, and says nothing that the rules page does not let it say.

use std::fmt;

use claviger_types::limits::ALIASES_PER_KEY_MAX;
use claviger_types::{AliasArn, AliasName, KeyArn, KeyId, Region};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal);+ $(;)?) => {
        /// An error code, as `__type` carries it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name),+ }

        impl ErrorCode {
            /// Every code, in the order of the variants.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// AWS's name for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// The HTTP status: 400 for every client error that AWS models, 5xx for its faults (rules page, section 1).
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $status),+ }
            }

            /// The code of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The caller may not do this.
    AccessDenied = "AccessDeniedException", 400;
    /// The replica exists.
    AlreadyExists = "AlreadyExistsException", 400;
    /// Another operation on the key is under way, or about to be.
    Conflict = "ConflictException", 400;
    /// No leader within the time the read gate waits; SDKs retry.
    DependencyTimeout = "DependencyTimeoutException", 503;
    /// The key is disabled.
    Disabled = "DisabledException", 400;
    /// The dry run would have succeeded.
    DryRunOperation = "DryRunOperationException", 400;
    /// An import token that is too old.
    ExpiredImportToken = "ExpiredImportTokenException", 400;
    /// An Authorization header that is not a whole signature.
    IncompleteSignature = "IncompleteSignatureException", 400;
    /// The named key is not the one that encrypted.
    IncorrectKey = "IncorrectKeyException", 400;
    /// Imported material that is not the one that it must be.
    IncorrectKeyMaterial = "IncorrectKeyMaterialException", 400;
    /// An alias name that may not be given.
    InvalidAliasName = "InvalidAliasNameException", 400;
    /// An ARN that is none.
    InvalidArn = "InvalidArnException", 400;
    /// The ciphertext does not open.
    InvalidCiphertext = "InvalidCiphertextException", 400;
    /// An id that no grant of the key has.
    InvalidGrantId = "InvalidGrantIdException", 400;
    /// A token that no grant has.
    InvalidGrantToken = "InvalidGrantTokenException", 400;
    /// An import token that is none, or another key's.
    InvalidImportToken = "InvalidImportTokenException", 400;
    /// The key's usage does not allow the operation.
    InvalidKeyUsage = "InvalidKeyUsageException", 400;
    /// A marker that no answer gave.
    InvalidMarker = "InvalidMarkerException", 400;
    /// A signature that is not good for this request, now.
    InvalidSignature = "InvalidSignatureException", 400;
    /// Something failed here; SDKs retry.
    KmsInternal = "KMSInternalException", 500;
    /// The MAC is not that of the message.
    KmsInvalidMac = "KMSInvalidMacException", 400;
    /// The signature is not that of the message.
    KmsInvalidSignature = "KMSInvalidSignatureException", 400;
    /// The key's state does not allow the operation.
    KmsInvalidState = "KMSInvalidStateException", 400;
    /// The region does not have the material yet; SDKs retry.
    KeyUnavailable = "KeyUnavailableException", 500;
    /// A quota is used up.
    LimitExceeded = "LimitExceededException", 400;
    /// A policy document that is none, or that would lock its author out.
    MalformedPolicyDocument = "MalformedPolicyDocumentException", 400;
    /// No client certificate came with the request, and no signature.
    MissingAuthenticationToken = "MissingAuthenticationTokenException", 400;
    /// The key does not exist here.
    NotFound = "NotFoundException", 400;
    /// The body is larger than the listener takes.
    RequestEntityTooLarge = "RequestEntityTooLargeException", 413;
    /// The body did not arrive in time.
    RequestTimeout = "RequestTimeoutException", 408;
    /// The body is not JSON, or a member has another type.
    Serialization = "SerializationException", 400;
    /// Tags that break a rule.
    Tag = "TagException", 400;
    /// Too many requests; SDKs retry.
    Throttling = "ThrottlingException", 400;
    /// No operation of that name.
    UnknownOperation = "UnknownOperationException", 400;
    /// A caller of a kind that this API does not serve, or an access key that nobody has.
    UnrecognizedClient = "UnrecognizedClientException", 400;
    /// The content type is not AWS JSON 1.1.
    UnsupportedMediaType = "UnsupportedMediaTypeException", 415;
    /// The model has it, this version does not.
    UnsupportedOperation = "UnsupportedOperationException", 400;
    /// A value outside the model's constraints.
    Validation = "ValidationException", 400;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// The text for the client; AWS leaves it empty for some codes.
    pub message: String,
}

impl ApiError {
    /// An error with a text of its own.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The key does not exist in this region.
    pub fn not_found(arn: &KeyArn) -> Self {
        Self::new(ErrorCode::NotFound, format!("Key '{arn}' does not exist"))
    }

    /// The alias does not exist in this region.
    pub fn alias_not_found(alias: &AliasArn) -> Self {
        Self::new(ErrorCode::NotFound, format!("Alias {alias} is not found."))
    }

    /// The account has an alias of that name in this region.
    pub fn alias_exists(alias: &AliasArn) -> Self {
        Self::new(ErrorCode::AlreadyExists, format!("An alias with the name {alias} already exists"))
    }

    /// AWS keeps names that begin so for itself.
    pub fn reserved_alias_name(name: &AliasName) -> Self {
        Self::new(ErrorCode::InvalidAliasName, format!("{name} is not valid: names that begin with alias/aws/ are reserved."))
    }

    /// The key has as many aliases as it may have.
    pub fn too_many_aliases() -> Self {
        let quota = ALIASES_PER_KEY_MAX;
        let message = format!("Aliases per key quota for this account in this region is {quota}, current usage is {quota}.");
        Self::new(ErrorCode::LimitExceeded, message)
    }

    /// UpdateAlias from a key to one that cannot take its place.
    pub fn alias_of_another_kind(alias: &AliasArn, target: &KeyArn) -> Self {
        Self::validation(format!(
            "Alias {alias} cannot be associated with {target}: its current and its new key must be of the same type (symmetric, asymmetric \
             or HMAC) and have the same KeyUsage."
        ))
    }

    /// A text that is not a key id.
    pub fn invalid_key_id(text: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("Invalid keyId '{text}'"))
    }

    /// A key or alias ARN of another region.
    pub fn other_region(region: &Region) -> Self {
        Self::new(ErrorCode::NotFound, format!("Invalid arn {region}"))
    }

    /// The key is disabled.
    pub fn disabled(arn: &KeyArn) -> Self {
        Self::new(ErrorCode::Disabled, format!("{arn} is disabled."))
    }

    /// The key's state forbids it; `state` completes the sentence: "is creating", "is unavailable".
    pub fn invalid_state(arn: &KeyArn, state: &str) -> Self {
        Self::new(ErrorCode::KmsInvalidState, format!("{arn} {state}."))
    }

    /// The key that the request names is not the one that encrypted.
    pub fn incorrect_key() -> Self {
        Self::new(ErrorCode::IncorrectKey, "The key ID in the request does not identify a CMK that can perform this operation.")
    }

    /// The ciphertext or the context is wrong; says no more, on purpose.
    pub fn invalid_ciphertext() -> Self {
        Self::new(ErrorCode::InvalidCiphertext, "")
    }

    /// The ciphertext names a key that is unknown here or closed to the caller: one answer for both.
    pub fn ciphertext_inaccessible() -> Self {
        Self::new(
            ErrorCode::AccessDenied,
            "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
        )
    }

    /// The caller may not; `why` completes the sentence: "because no resource-based policy allows the kms:Decrypt action".
    pub fn access_denied(caller_arn: &str, action: &str, resource: impl fmt::Display, why: &str) -> Self {
        let message = format!("User: {caller_arn} is not authorized to perform: {action} on resource: {resource} {why}");
        Self::new(ErrorCode::AccessDenied, message)
    }

    /// A policy document that does not parse, or says what it may not; `message` says what.
    pub fn malformed_policy(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::MalformedPolicyDocument, message)
    }

    /// Under the new policy the caller could not change it again.
    pub fn policy_locks_out() -> Self {
        Self::malformed_policy("The new key policy will not allow you to update the key policy in the future.")
    }

    /// All checks passed and nothing was done, as asked.
    pub fn dry_run() -> Self {
        Self::new(ErrorCode::DryRunOperation, "The request would have succeeded, but the DryRun option is set.")
    }

    /// A text that is not the ARN of a principal, or names one of another partition.
    pub fn invalid_principal(text: &str) -> Self {
        Self::new(ErrorCode::InvalidArn, format!("ARN does not refer to a valid principal: {text}"))
    }

    /// An id that no grant has, or none of the key.
    pub fn invalid_grant_id(text: &str) -> Self {
        Self::new(ErrorCode::InvalidGrantId, format!("Invalid grant id '{text}'"))
    }

    /// A key that has no such grant.
    pub fn grant_not_found(grant_id: impl fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("Grant ID {grant_id} not found"))
    }

    /// In place of a refusal that would show another account's key: the answer for a key that does not exist. Other errors stay.
    pub fn concealed(self) -> Self {
        if self.code == ErrorCode::AccessDenied { Self::ciphertext_inaccessible() } else { self }
    }

    /// A grant token that no grant has. It is not repeated.
    pub fn invalid_grant_token() -> Self {
        Self::new(ErrorCode::InvalidGrantToken, "The grant token is not valid.")
    }

    /// ReplicateKey of a key that is not the multi-region primary.
    pub fn not_primary(arn: &KeyArn) -> Self {
        Self::new(ErrorCode::UnsupportedOperation, format!("{arn} is not a multi-region primary key."))
    }

    /// A replica of the key exists in that region, or it is the primary's own.
    pub fn replica_exists(key_id: &KeyId, region: &Region) -> Self {
        Self::new(ErrorCode::AlreadyExists, format!("Key '{key_id}' already exists in region {region}."))
    }

    /// The region does not hold the material that the ciphertext names, yet.
    pub fn key_unavailable(arn: &KeyArn) -> Self {
        Self::new(ErrorCode::KeyUnavailable, format!("{arn} is temporarily unavailable."))
    }

    /// A failed constraint that is not one of the model's.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Validation, message)
    }

    /// A body that does not decode.
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Serialization, message)
    }

    /// Something that is not the client's fault; the log has the reason.
    pub fn internal() -> Self {
        Self::new(ErrorCode::KmsInternal, "The request failed because of an internal error. It can be retried.")
    }

    /// No quorum answered in time.
    pub fn dependency_timeout() -> Self {
        Self::new(ErrorCode::DependencyTimeout, "The region did not reach a quorum in time. The request can be retried.")
    }

    /// A bounded queue is full.
    pub fn throttling() -> Self {
        Self::new(ErrorCode::Throttling, "Rate exceeded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_messages() {
        let arn = KeyArn {
            partition: "aws".parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            account: "111122223333".parse().unwrap(),
            key_id: KeyId::multi_region([0xab; 16]),
        };
        let text = "arn:aws:kms:eu-west-1:111122223333:key/mrk-abababababababababababababababab";
        assert_eq!(ApiError::not_found(&arn).message, format!("Key '{text}' does not exist"));
        assert_eq!(ApiError::disabled(&arn).message, format!("{text} is disabled."));
        assert_eq!(ApiError::invalid_state(&arn, "is creating").message, format!("{text} is creating."));
        assert_eq!(ApiError::invalid_key_id("x").message, "Invalid keyId 'x'");
        assert_eq!(ApiError::other_region(&"us-east-1".parse().unwrap()).message, "Invalid arn us-east-1");
        assert_eq!(ApiError::not_primary(&arn).message, format!("{text} is not a multi-region primary key."));
        assert_eq!(ApiError::invalid_ciphertext().message, "");
        assert_eq!(
            ApiError::access_denied(
                "arn:aws:iam::1:root",
                "kms:Decrypt",
                &arn,
                "because no resource-based policy allows the kms:Decrypt action"
            )
            .message,
            format!(
                "User: arn:aws:iam::1:root is not authorized to perform: kms:Decrypt on resource: {text} because no resource-based policy \
                 allows the kms:Decrypt action"
            )
        );
    }

    #[test]
    fn recorded_messages_of_access_control() {
        assert_eq!(
            ApiError::policy_locks_out().to_string(),
            "MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future."
        );
        let dry_run = "DryRunOperationException: The request would have succeeded, but the DryRun option is set.";
        assert_eq!((ApiError::dry_run().to_string().as_str(), ErrorCode::DryRunOperation.http_status()), (dry_run, 400));
        assert_eq!(ApiError::invalid_grant_id("x").to_string(), "InvalidGrantIdException: Invalid grant id 'x'");
        assert_eq!(ApiError::invalid_grant_token().code.as_str(), "InvalidGrantTokenException");
        assert_eq!(ApiError::invalid_principal("x").to_string(), "InvalidArnException: ARN does not refer to a valid principal: x");
    }

    #[test]
    fn client_errors_are_400_and_faults_are_not() {
        assert_eq!(ErrorCode::NotFound.http_status(), 400);
        assert_eq!(ErrorCode::Throttling.http_status(), 400);
        assert_eq!(ErrorCode::KmsInternal.http_status(), 500);
        assert_eq!(ErrorCode::KeyUnavailable.http_status(), 500);
        assert_eq!(ErrorCode::DependencyTimeout.http_status(), 503);
        for (index, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(ErrorCode::from_name(code.as_str()), Some(*code));
            assert_eq!(*code as usize, index, "the metrics table of the api crate indexes by variant");
        }
    }
}
