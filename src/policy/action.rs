//! The actions that policies speak of, and the sets of them that a statement names.
//!
//! There are fewer than 64, so `Action` and `NotAction` compile to one word: patterns are matched when a document is parsed and
//! never again.

use std::fmt;

use claviger_types::GrantOperation;

use crate::names::names;
use crate::pattern::{self, Steps, Token};

names! {
    /// An action of KMS.
    pub Action {
        /// kms:CancelKeyDeletion.
        CancelKeyDeletion = "kms:CancelKeyDeletion",
        /// kms:ConnectCustomKeyStore.
        ConnectCustomKeyStore = "kms:ConnectCustomKeyStore",
        /// kms:CreateAlias.
        CreateAlias = "kms:CreateAlias",
        /// kms:CreateCustomKeyStore.
        CreateCustomKeyStore = "kms:CreateCustomKeyStore",
        /// kms:CreateGrant.
        CreateGrant = "kms:CreateGrant",
        /// kms:CreateKey.
        CreateKey = "kms:CreateKey",
        /// kms:Decrypt.
        Decrypt = "kms:Decrypt",
        /// kms:DeleteAlias.
        DeleteAlias = "kms:DeleteAlias",
        /// kms:DeleteCustomKeyStore.
        DeleteCustomKeyStore = "kms:DeleteCustomKeyStore",
        /// kms:DeleteImportedKeyMaterial.
        DeleteImportedKeyMaterial = "kms:DeleteImportedKeyMaterial",
        /// kms:DeriveSharedSecret.
        DeriveSharedSecret = "kms:DeriveSharedSecret",
        /// kms:DescribeCustomKeyStores.
        DescribeCustomKeyStores = "kms:DescribeCustomKeyStores",
        /// kms:DescribeKey.
        DescribeKey = "kms:DescribeKey",
        /// kms:DisableKey.
        DisableKey = "kms:DisableKey",
        /// kms:DisableKeyRotation.
        DisableKeyRotation = "kms:DisableKeyRotation",
        /// kms:DisconnectCustomKeyStore.
        DisconnectCustomKeyStore = "kms:DisconnectCustomKeyStore",
        /// kms:EnableKey.
        EnableKey = "kms:EnableKey",
        /// kms:EnableKeyRotation.
        EnableKeyRotation = "kms:EnableKeyRotation",
        /// kms:Encrypt.
        Encrypt = "kms:Encrypt",
        /// kms:GenerateDataKey.
        GenerateDataKey = "kms:GenerateDataKey",
        /// kms:GenerateDataKeyPair.
        GenerateDataKeyPair = "kms:GenerateDataKeyPair",
        /// kms:GenerateDataKeyPairWithoutPlaintext.
        GenerateDataKeyPairWithoutPlaintext = "kms:GenerateDataKeyPairWithoutPlaintext",
        /// kms:GenerateDataKeyWithoutPlaintext.
        GenerateDataKeyWithoutPlaintext = "kms:GenerateDataKeyWithoutPlaintext",
        /// kms:GenerateMac.
        GenerateMac = "kms:GenerateMac",
        /// kms:GenerateRandom.
        GenerateRandom = "kms:GenerateRandom",
        /// kms:GetKeyLastUsage.
        GetKeyLastUsage = "kms:GetKeyLastUsage",
        /// kms:GetKeyPolicy.
        GetKeyPolicy = "kms:GetKeyPolicy",
        /// kms:GetKeyRotationStatus.
        GetKeyRotationStatus = "kms:GetKeyRotationStatus",
        /// kms:GetParametersForImport.
        GetParametersForImport = "kms:GetParametersForImport",
        /// kms:GetPublicKey.
        GetPublicKey = "kms:GetPublicKey",
        /// kms:ImportKeyMaterial.
        ImportKeyMaterial = "kms:ImportKeyMaterial",
        /// kms:ListAliases.
        ListAliases = "kms:ListAliases",
        /// kms:ListGrants.
        ListGrants = "kms:ListGrants",
        /// kms:ListKeyPolicies.
        ListKeyPolicies = "kms:ListKeyPolicies",
        /// kms:ListKeyRotations.
        ListKeyRotations = "kms:ListKeyRotations",
        /// kms:ListKeys.
        ListKeys = "kms:ListKeys",
        /// kms:ListResourceTags.
        ListResourceTags = "kms:ListResourceTags",
        /// kms:ListRetirableGrants.
        ListRetirableGrants = "kms:ListRetirableGrants",
        /// kms:PutKeyPolicy.
        PutKeyPolicy = "kms:PutKeyPolicy",
        /// kms:ReEncryptFrom.
        ReEncryptFrom = "kms:ReEncryptFrom",
        /// kms:ReEncryptTo.
        ReEncryptTo = "kms:ReEncryptTo",
        /// kms:ReplicateKey.
        ReplicateKey = "kms:ReplicateKey",
        /// kms:RetireGrant.
        RetireGrant = "kms:RetireGrant",
        /// kms:RevokeGrant.
        RevokeGrant = "kms:RevokeGrant",
        /// kms:RotateKeyOnDemand.
        RotateKeyOnDemand = "kms:RotateKeyOnDemand",
        /// kms:ScheduleKeyDeletion.
        ScheduleKeyDeletion = "kms:ScheduleKeyDeletion",
        /// kms:Sign.
        Sign = "kms:Sign",
        /// kms:SynchronizeMultiRegionKey.
        SynchronizeMultiRegionKey = "kms:SynchronizeMultiRegionKey",
        /// kms:TagResource.
        TagResource = "kms:TagResource",
        /// kms:UntagResource.
        UntagResource = "kms:UntagResource",
        /// kms:UpdateAlias.
        UpdateAlias = "kms:UpdateAlias",
        /// kms:UpdateCustomKeyStore.
        UpdateCustomKeyStore = "kms:UpdateCustomKeyStore",
        /// kms:UpdateKeyDescription.
        UpdateKeyDescription = "kms:UpdateKeyDescription",
        /// kms:UpdatePrimaryRegion.
        UpdatePrimaryRegion = "kms:UpdatePrimaryRegion",
        /// kms:Verify.
        Verify = "kms:Verify",
        /// kms:VerifyMac.
        VerifyMac = "kms:VerifyMac",
    }
}

/// What each action that a grant can allow is called there.
const GRANTABLE: &[(Action, GrantOperation)] = &[
    (Action::Decrypt, GrantOperation::Decrypt),
    (Action::Encrypt, GrantOperation::Encrypt),
    (Action::GenerateDataKey, GrantOperation::GenerateDataKey),
    (Action::GenerateDataKeyWithoutPlaintext, GrantOperation::GenerateDataKeyWithoutPlaintext),
    (Action::ReEncryptFrom, GrantOperation::ReEncryptFrom),
    (Action::ReEncryptTo, GrantOperation::ReEncryptTo),
    (Action::Sign, GrantOperation::Sign),
    (Action::Verify, GrantOperation::Verify),
    (Action::GetPublicKey, GrantOperation::GetPublicKey),
    (Action::CreateGrant, GrantOperation::CreateGrant),
    (Action::RetireGrant, GrantOperation::RetireGrant),
    (Action::DescribeKey, GrantOperation::DescribeKey),
    (Action::GenerateDataKeyPair, GrantOperation::GenerateDataKeyPair),
    (Action::GenerateDataKeyPairWithoutPlaintext, GrantOperation::GenerateDataKeyPairWithoutPlaintext),
    (Action::GenerateMac, GrantOperation::GenerateMac),
    (Action::VerifyMac, GrantOperation::VerifyMac),
    (Action::DeriveSharedSecret, GrantOperation::DeriveSharedSecret),
];

impl Action {
    /// The action of this name, `kms:` included, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str().eq_ignore_ascii_case(name))
    }

    /// What a grant must list to allow it.
    pub fn grant_operation(self) -> Option<GrantOperation> {
        GRANTABLE.iter().find(|(action, _)| *action == self).map(|(_, operation)| *operation)
    }

    /// Whether another account's principal may ever do this (rules page, section 10).
    pub const fn crosses_accounts(self) -> bool {
        matches!(
            self,
            Self::Decrypt
                | Self::DeriveSharedSecret
                | Self::Encrypt
                | Self::GenerateDataKey
                | Self::GenerateDataKeyPair
                | Self::GenerateDataKeyPairWithoutPlaintext
                | Self::GenerateDataKeyWithoutPlaintext
                | Self::GenerateMac
                | Self::ReEncryptFrom
                | Self::ReEncryptTo
                | Self::Sign
                | Self::Verify
                | Self::VerifyMac
                | Self::CreateGrant
                | Self::DescribeKey
                | Self::GetKeyRotationStatus
                | Self::GetPublicKey
                | Self::ListGrants
                | Self::RetireGrant
                | Self::RevokeGrant
        )
    }

    const fn bit(self) -> u64 {
        1 << self as u32
    }
}

impl serde::Serialize for Action {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A set of actions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Actions(u64);

const _: () = assert!(Action::ALL.len() <= 64);

impl Actions {
    pub(crate) const NONE: Self = Self(0);

    /// Those that one of the patterns names: `*`, or a service, a colon and a name, with wildcards, in any case.
    pub(crate) fn matching(patterns: &[String]) -> Result<Self, &'static str> {
        let mut set = 0;
        for text in patterns {
            if text != "*" && !is_action(text) {
                return Err("must be *, or a service and an action with a colon between them");
            }
            let tokens: Vec<Token> = text.chars().map(|c| pattern::token(c.to_ascii_lowercase())).collect();
            for action in Action::ALL {
                let name = action.as_str().to_ascii_lowercase();
                if pattern::glob(&tokens, &name, &Steps::unlimited()) {
                    set |= action.bit();
                }
            }
        }
        Ok(Self(set))
    }

    /// All others.
    pub(crate) const fn complement(self) -> Self {
        Self(!self.0)
    }

    pub(crate) const fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Action::ALL.iter().filter(|action| self.contains(**action))).finish()
    }
}

fn is_action(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*?".contains(&b));
    text.split_once(':').is_some_and(|(service, name)| part(service) && part(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(patterns: &[&str]) -> Vec<&'static str> {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let set = Actions::matching(&patterns).unwrap();
        Action::ALL.iter().filter(|action| set.contains(**action)).map(|action| action.as_str()).collect()
    }

    #[test]
    fn patterns_match_in_any_case() {
        assert_eq!(matching(&["*"]).len(), Action::ALL.len());
        assert_eq!(matching(&["KMS:*"]).len(), Action::ALL.len());
        assert_eq!(matching(&["kms:ReEncrypt*"]), ["kms:ReEncryptFrom", "kms:ReEncryptTo"]);
        assert_eq!(matching(&["kms:?ncrypt", "kms:DECRYPT"]), ["kms:Decrypt", "kms:Encrypt"]);
        assert_eq!(matching(&["s3:GetObject", "kms:Decrypts"]), [""; 0]);
        assert_eq!(matching(&["kms:GenerateDataKeyPair"]), ["kms:GenerateDataKeyPair"]);
        for bad in ["", "Decrypt", "kms:", ":Decrypt", "kms:De crypt", "**"] {
            assert!(Actions::matching(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_grants_allow_has_the_action_of_its_name() {
        for (action, operation) in GRANTABLE {
            assert_eq!(action.as_str(), format!("kms:{operation}"));
            assert_eq!(action.grant_operation(), Some(*operation));
        }
        assert_eq!(Action::PutKeyPolicy.grant_operation(), None);
        assert_eq!(Action::named("KMS:decrypt"), Some(Action::Decrypt));
        assert_eq!(Action::named("Decrypt"), None);
    }
}
