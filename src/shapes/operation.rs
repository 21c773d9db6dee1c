//! The operations that are implemented; every other name is unknown.

use std::fmt;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// An operation of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation { $($(#[$doc])* $name),+ }

        impl Operation {
            /// Every operation, in the order of the variants.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// AWS's name for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// The operation of that name; names are case-sensitive.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

operations! {
    /// Takes a deletion back.
    CancelKeyDeletion,
    /// Gives a key a name.
    CreateAlias,
    /// Lets a principal use a key.
    CreateGrant,
    /// Makes a key.
    CreateKey,
    /// Opens a ciphertext.
    Decrypt,
    /// Takes a name away.
    DeleteAlias,
    /// Deletes imported material.
    DeleteImportedKeyMaterial,
    /// Derives a secret from a peer's public key.
    DeriveSharedSecret,
    /// Shows a key's metadata.
    DescribeKey,
    /// Switches a key off.
    DisableKey,
    /// Switches automatic rotation off.
    DisableKeyRotation,
    /// Switches a key on.
    EnableKey,
    /// Switches automatic rotation on.
    EnableKeyRotation,
    /// Encrypts up to 4096 bytes.
    Encrypt,
    /// Makes a data key, in plaintext and encrypted.
    GenerateDataKey,
    /// Makes a key pair, its private key in plaintext and encrypted.
    GenerateDataKeyPair,
    /// Makes a key pair, its private key encrypted only.
    GenerateDataKeyPairWithoutPlaintext,
    /// Makes a data key, encrypted only.
    GenerateDataKeyWithoutPlaintext,
    /// Makes a MAC.
    GenerateMac,
    /// Returns random bytes.
    GenerateRandom,
    /// Shows when a key was used last.
    GetKeyLastUsage,
    /// Shows a key's policy.
    GetKeyPolicy,
    /// Shows whether and when a key is rotated.
    GetKeyRotationStatus,
    /// Begins an import.
    GetParametersForImport,
    /// Shows the public half of a key.
    GetPublicKey,
    /// Brings material from outside.
    ImportKeyMaterial,
    /// Lists the aliases of an account or of a key.
    ListAliases,
    /// Lists the grants of a key.
    ListGrants,
    /// Lists the names of a key's policies: there is one.
    ListKeyPolicies,
    /// Lists the materials that a key had.
    ListKeyRotations,
    /// Lists the keys of an account.
    ListKeys,
    /// Lists the tags of a key.
    ListResourceTags,
    /// Lists the grants that a principal may retire.
    ListRetirableGrants,
    /// Gives a key another policy.
    PutKeyPolicy,
    /// Decrypts and encrypts again, inside.
    ReEncrypt,
    /// Makes a replica of a multi-region key in another region.
    ReplicateKey,
    /// Ends a grant, by who it serves.
    RetireGrant,
    /// Ends a grant, by who looks after the key.
    RevokeGrant,
    /// Gives a key new material now.
    RotateKeyOnDemand,
    /// Deletes a key after a time.
    ScheduleKeyDeletion,
    /// Signs.
    Sign,
    /// Gives a key tags, or tags new values.
    TagResource,
    /// Takes tags from a key.
    UntagResource,
    /// Gives another key a name.
    UpdateAlias,
    /// Gives a key another description.
    UpdateKeyDescription,
    /// Verifies a signature.
    Verify,
    /// Verifies a MAC.
    VerifyMac,
}

impl Operation {
    /// Whether it changes stored state, so that its invocation id is remembered (DESIGN.md section 4, "Exactly once").
    pub const fn is_write(self) -> bool {
        matches!(
            self,
            Self::CancelKeyDeletion
                | Self::CreateAlias
                | Self::CreateGrant
                | Self::CreateKey
                | Self::DeleteAlias
                | Self::DeleteImportedKeyMaterial
                | Self::DisableKey
                | Self::DisableKeyRotation
                | Self::EnableKey
                | Self::EnableKeyRotation
                | Self::ImportKeyMaterial
                | Self::PutKeyPolicy
                | Self::ReplicateKey
                | Self::RetireGrant
                | Self::RevokeGrant
                | Self::RotateKeyOnDemand
                | Self::ScheduleKeyDeletion
                | Self::TagResource
                | Self::UntagResource
                | Self::UpdateAlias
                | Self::UpdateKeyDescription
        )
    }

    /// Whether a request carries bytes that must not stay in memory.
    pub(crate) const fn request_is_secret(self) -> bool {
        matches!(self, Self::Encrypt | Self::GenerateMac | Self::Sign | Self::Verify | Self::VerifyMac)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_variants_agree_and_nothing_else_is_known() {
        for (index, operation) in Operation::ALL.iter().enumerate() {
            assert_eq!(Operation::from_name(operation.as_str()), Some(*operation));
            assert_eq!(*operation as usize, index, "the metrics table of the api crate indexes by variant");
        }
        for unknown in ["", "encrypt", "Encrypt ", "UpdatePrimaryRegion", "TrentService.Encrypt"] {
            assert_eq!(Operation::from_name(unknown), None, "{unknown}");
        }
    }

    /// tests/clients/test_access_matrix.py writes that file and compares with it.
    #[test]
    fn every_operation_has_its_decisions_in_the_golden_file() {
        const PRINCIPALS_MIN: usize = 12;
        let golden = include_str!("../../tests/golden/authorisation.txt");
        let blocks: Vec<_> = golden.split("\n\n").skip(1).map(|block| block.lines().collect::<Vec<_>>()).collect();
        let named: Vec<_> = blocks.iter().map(|block| block[0].trim_matches(['[', ']'])).collect();
        assert_eq!(named, Operation::ALL.iter().map(|operation| operation.as_str()).collect::<Vec<_>>());
        for block in blocks {
            let width = block[1].split_whitespace().count();
            assert!(width > 1 && block.len() >= 2 + PRINCIPALS_MIN, "{}", block[0]);
            assert!(block.iter().skip(1).all(|row| row.split_whitespace().count() == width), "{} has holes", block[0]);
        }
    }
}
