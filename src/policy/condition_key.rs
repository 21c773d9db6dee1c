//! The condition keys, resolved when a document is parsed: the hot path compares no names of keys.

use std::fmt;

/// A condition key. Each says which [`Value`](crate::Value) it has and in which requests; a request without it answers
/// [`Value::Absent`](crate::Value::Absent). `Many` is multi-valued, all else single-valued. Names compare without case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConditionKey {
    /// Bool. CreateKey, PutKeyPolicy.
    BypassPolicyLockoutSafetyCheck,
    /// [`Value::Account`](crate::Value::Account). Every action on a key.
    CallerAccount,
    /// Text. Old name of KeySpec.
    CustomerMasterKeySpec,
    /// Text. Old name of KeyUsage.
    CustomerMasterKeyUsage,
    /// Text. GenerateDataKeyPair and its twin.
    DataKeyPairSpec,
    /// Text; the default counts. Actions that encrypt or decrypt.
    EncryptionAlgorithm,
    /// Many. Actions with an encryption context, CreateGrant.
    EncryptionContextKeys,
    /// Text. ImportKeyMaterial.
    ExpirationModel,
    /// Time. ImportKeyMaterial.
    ValidTo,
    /// Text. CreateGrant with a constraint.
    GrantConstraintType,
    /// Text, an ARN. CreateGrant.
    GranteePrincipal,
    /// Text, an ARN. CreateGrant.
    RetiringPrincipal,
    /// Many. CreateGrant.
    GrantOperations,
    /// Bool. CreateGrant, ListGrants, RevokeGrant; no service asks here, so always false.
    GrantIsForAwsResource,
    /// Text. CreateKey, every action on a key.
    KeyOrigin,
    /// Text. CreateKey, every action on a key.
    KeySpec,
    /// Text. CreateKey, every action on a key.
    KeyUsage,
    /// Text. DeriveSharedSecret.
    KeyAgreementAlgorithm,
    /// Text. GenerateMac, VerifyMac.
    MacAlgorithm,
    /// Text; the default counts. Sign, Verify.
    MessageType,
    /// Text. Sign, Verify.
    SigningAlgorithm,
    /// Bool. CreateKey, every action on a key.
    MultiRegion,
    /// Text, PRIMARY or REPLICA. CreateKey, every action on a multi-region key.
    MultiRegionKeyType,
    /// Text. UpdatePrimaryRegion.
    PrimaryRegion,
    /// Text. ReplicateKey.
    ReplicaRegion,
    /// Bool. ReEncrypt.
    ReEncryptOnSameKey,
    /// Text, with `alias/`. Only when the request named the key by an alias.
    RequestAlias,
    /// Many, with `alias/`. Every action on a key.
    ResourceAliases,
    /// Number. EnableKeyRotation.
    RotationPeriodInDays,
    /// Number; the default counts. ScheduleKeyDeletion.
    ScheduleKeyDeletionPendingWindowInDays,
    /// Text. No service asks here, so always absent.
    ViaService,
    /// Text. GetParametersForImport.
    WrappingAlgorithm,
    /// Text. GetParametersForImport.
    WrappingKeySpec,
    /// Text, an ARN. Always; of a session it is its role's, `arn:aws:iam::<account>:role/<role>`.
    PrincipalArn,
    /// [`Value::Account`](crate::Value::Account). Always.
    PrincipalAccount,
    /// Text, `Account`, `User` or `AssumedRole`. Always.
    PrincipalType,
    /// Text. When the deployment names an organisation.
    PrincipalOrgId,
    /// Text. Always.
    UserId,
    /// Text. Of users alone.
    UserName,
    /// [`Value::Ip`](crate::Value::Ip). Always.
    SourceIp,
    /// Bool. Always.
    SecureTransport,
    /// Time. Always.
    CurrentTime,
    /// Time. Always.
    EpochTime,
    /// Text. Always.
    RequestedRegion,
    /// Many. Requests with tags or tag keys.
    TagKeys,
    /// Bool. Always; no service asks here, so always false.
    ViaAwsService,
    /// Text. `kms:EncryptionContext:<key>`; the key's case means nothing ([`crate::find_ignoring_case`]).
    EncryptionContext(Box<str>),
    /// Text. `kms:RecipientAttestation:ImageSha384`, `:PCR<n>`.
    RecipientAttestation(Box<str>),
    /// Text. `aws:PrincipalTag/<key>`; the key's case means nothing.
    PrincipalTag(Box<str>),
    /// Text. `aws:ResourceTag/<key>`; the key's case means nothing.
    ResourceTag(Box<str>),
    /// Text. `aws:RequestTag/<key>`; the key's case means nothing.
    RequestTag(Box<str>),
    /// A key that no request here has.
    Other(Box<str>),
}

/// The keys that are whole names.
const NAMED: &[(&str, ConditionKey)] = &[
    ("kms:BypassPolicyLockoutSafetyCheck", ConditionKey::BypassPolicyLockoutSafetyCheck),
    ("kms:CallerAccount", ConditionKey::CallerAccount),
    ("kms:CustomerMasterKeySpec", ConditionKey::CustomerMasterKeySpec),
    ("kms:CustomerMasterKeyUsage", ConditionKey::CustomerMasterKeyUsage),
    ("kms:DataKeyPairSpec", ConditionKey::DataKeyPairSpec),
    ("kms:EncryptionAlgorithm", ConditionKey::EncryptionAlgorithm),
    ("kms:EncryptionContextKeys", ConditionKey::EncryptionContextKeys),
    ("kms:ExpirationModel", ConditionKey::ExpirationModel),
    ("kms:ValidTo", ConditionKey::ValidTo),
    ("kms:GrantConstraintType", ConditionKey::GrantConstraintType),
    ("kms:GranteePrincipal", ConditionKey::GranteePrincipal),
    ("kms:RetiringPrincipal", ConditionKey::RetiringPrincipal),
    ("kms:GrantOperations", ConditionKey::GrantOperations),
    ("kms:GrantIsForAWSResource", ConditionKey::GrantIsForAwsResource),
    ("kms:KeyOrigin", ConditionKey::KeyOrigin),
    ("kms:KeySpec", ConditionKey::KeySpec),
    ("kms:KeyUsage", ConditionKey::KeyUsage),
    ("kms:KeyAgreementAlgorithm", ConditionKey::KeyAgreementAlgorithm),
    ("kms:MacAlgorithm", ConditionKey::MacAlgorithm),
    ("kms:MessageType", ConditionKey::MessageType),
    ("kms:SigningAlgorithm", ConditionKey::SigningAlgorithm),
    ("kms:MultiRegion", ConditionKey::MultiRegion),
    ("kms:MultiRegionKeyType", ConditionKey::MultiRegionKeyType),
    ("kms:PrimaryRegion", ConditionKey::PrimaryRegion),
    ("kms:ReplicaRegion", ConditionKey::ReplicaRegion),
    ("kms:ReEncryptOnSameKey", ConditionKey::ReEncryptOnSameKey),
    ("kms:RequestAlias", ConditionKey::RequestAlias),
    ("kms:ResourceAliases", ConditionKey::ResourceAliases),
    ("kms:RotationPeriodInDays", ConditionKey::RotationPeriodInDays),
    ("kms:ScheduleKeyDeletionPendingWindowInDays", ConditionKey::ScheduleKeyDeletionPendingWindowInDays),
    ("kms:ViaService", ConditionKey::ViaService),
    ("kms:WrappingAlgorithm", ConditionKey::WrappingAlgorithm),
    ("kms:WrappingKeySpec", ConditionKey::WrappingKeySpec),
    ("aws:PrincipalArn", ConditionKey::PrincipalArn),
    ("aws:PrincipalAccount", ConditionKey::PrincipalAccount),
    ("aws:PrincipalType", ConditionKey::PrincipalType),
    ("aws:PrincipalOrgID", ConditionKey::PrincipalOrgId),
    ("aws:userid", ConditionKey::UserId),
    ("aws:username", ConditionKey::UserName),
    ("aws:SourceIp", ConditionKey::SourceIp),
    ("aws:SecureTransport", ConditionKey::SecureTransport),
    ("aws:CurrentTime", ConditionKey::CurrentTime),
    ("aws:EpochTime", ConditionKey::EpochTime),
    ("aws:RequestedRegion", ConditionKey::RequestedRegion),
    ("aws:TagKeys", ConditionKey::TagKeys),
    ("aws:ViaAWSService", ConditionKey::ViaAwsService),
];

type Make = fn(Box<str>) -> ConditionKey;

/// The keys of which a name follows.
const PREFIXES: &[(&str, Make)] = &[
    ("kms:EncryptionContext:", ConditionKey::EncryptionContext),
    ("kms:RecipientAttestation:", ConditionKey::RecipientAttestation),
    ("aws:PrincipalTag/", ConditionKey::PrincipalTag),
    ("aws:ResourceTag/", ConditionKey::ResourceTag),
    ("aws:RequestTag/", ConditionKey::RequestTag),
];

impl ConditionKey {
    /// Parses a key, in any case; none if the text has no service and name.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((_, key)) = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Some(key.clone());
        }
        for (prefix, make) in PREFIXES {
            if let Some((start, name)) = text.split_at_checked(prefix.len())
                && start.eq_ignore_ascii_case(prefix)
                && !name.is_empty()
            {
                return Some(make(name.into()));
            }
        }
        let (service, name) = text.split_once(':')?;
        (!service.is_empty() && !name.is_empty()).then(|| Self::Other(text.into()))
    }

    /// Whether AWS refuses it with ForAllValues in an Allow.
    pub(crate) const fn forbids_for_all_values(&self) -> bool {
        matches!(self, Self::EncryptionContext(_) | Self::RequestTag(_))
    }

    /// What looking its value up takes, in steps: of one that is named within a map as many as the map may have entries, for the
    /// name's case means nothing.
    pub(crate) const fn steps(&self) -> u64 {
        match self {
            // 8 KiB of pairs, of which one takes four bytes at least.
            Self::EncryptionContext(_) => 2048,
            Self::PrincipalTag(_) | Self::ResourceTag(_) | Self::RequestTag(_) => 64,
            _ => 16,
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::EncryptionContext(name)
            | Self::RecipientAttestation(name)
            | Self::PrincipalTag(name)
            | Self::ResourceTag(name)
            | Self::RequestTag(name)
            | Self::Other(name) => name.len(),
            _ => 0,
        }
    }
}

impl fmt::Display for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EncryptionContext(name) => write!(f, "kms:EncryptionContext:{name}"),
            Self::RecipientAttestation(name) => write!(f, "kms:RecipientAttestation:{name}"),
            Self::PrincipalTag(name) => write!(f, "aws:PrincipalTag/{name}"),
            Self::ResourceTag(name) => write!(f, "aws:ResourceTag/{name}"),
            Self::RequestTag(name) => write!(f, "aws:RequestTag/{name}"),
            Self::Other(name) => f.write_str(name),
            named => NAMED.iter().find(|(_, key)| key == named).map_or(Ok(()), |(name, _)| f.write_str(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_come_back() {
        for (name, key) in NAMED {
            assert_eq!(ConditionKey::parse(&name.to_ascii_uppercase()).as_ref(), Some(key));
            assert_eq!(key.to_string(), *name);
        }
        for text in ["kms:EncryptionContext:Dept:x", "aws:ResourceTag/Team", "s3:prefix", "aws:TokenIssueTime"] {
            assert_eq!(ConditionKey::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(ConditionKey::parse("KMS:encryptioncontext:Dept"), Some(ConditionKey::EncryptionContext("Dept".into())));
        for bad in ["", "x", ":", "kms:", ":x"] {
            assert_eq!(ConditionKey::parse(bad), None, "{bad}");
        }
    }
}
