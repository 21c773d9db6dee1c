//! What a grant allows: operations, and constraints on the encryption context (rules page, section 9).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::spec::aws_enum;

aws_enum! {
    /// An operation that a grant can allow (AWS GrantOperation). Variants are appended, never reordered: they are stored.
    GrantOperation {
        /// Decrypt.
        Decrypt = "Decrypt",
        /// Encrypt.
        Encrypt = "Encrypt",
        /// GenerateDataKey.
        GenerateDataKey = "GenerateDataKey",
        /// GenerateDataKeyWithoutPlaintext.
        GenerateDataKeyWithoutPlaintext = "GenerateDataKeyWithoutPlaintext",
        /// ReEncrypt, of what this key encrypted.
        ReEncryptFrom = "ReEncryptFrom",
        /// ReEncrypt, under this key.
        ReEncryptTo = "ReEncryptTo",
        /// Sign.
        Sign = "Sign",
        /// Verify.
        Verify = "Verify",
        /// GetPublicKey.
        GetPublicKey = "GetPublicKey",
        /// CreateGrant, of a grant that allows no more.
        CreateGrant = "CreateGrant",
        /// RetireGrant.
        RetireGrant = "RetireGrant",
        /// DescribeKey.
        DescribeKey = "DescribeKey",
        /// GenerateDataKeyPair.
        GenerateDataKeyPair = "GenerateDataKeyPair",
        /// GenerateDataKeyPairWithoutPlaintext.
        GenerateDataKeyPairWithoutPlaintext = "GenerateDataKeyPairWithoutPlaintext",
        /// GenerateMac.
        GenerateMac = "GenerateMac",
        /// VerifyMac.
        VerifyMac = "VerifyMac",
        /// DeriveSharedSecret.
        DeriveSharedSecret = "DeriveSharedSecret",
    }
}

/// Operations that a grant allows.
pub type GrantOperations = BTreeSet<GrantOperation>;

/// What the encryption context of a request must be for a grant to cover it. Keys and values compare exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GrantConstraint {
    /// The context is this one.
    EncryptionContextEquals(BTreeMap<String, String>),
    /// The context has all of these pairs.
    EncryptionContextSubset(BTreeMap<String, String>),
}

impl GrantConstraint {
    /// Whether a request with this context satisfies it.
    pub fn admits(&self, context: &BTreeMap<String, String>) -> bool {
        match self {
            Self::EncryptionContextEquals(pairs) => pairs == context,
            Self::EncryptionContextSubset(pairs) => is_within(pairs, context),
        }
    }

    /// Whether all that `self` admits is admitted by `other` too.
    pub fn is_as_strict_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::EncryptionContextEquals(own), _) => other.admits(own),
            (Self::EncryptionContextSubset(own), Self::EncryptionContextSubset(pairs)) => is_within(pairs, own),
            (Self::EncryptionContextSubset(_), Self::EncryptionContextEquals(_)) => false,
        }
    }

    /// AWS's name of the kind, as the condition key `kms:GrantConstraintType` has it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::EncryptionContextEquals(_) => "EncryptionContextEquals",
            Self::EncryptionContextSubset(_) => "EncryptionContextSubset",
        }
    }

    /// The pairs.
    pub const fn pairs(&self) -> &BTreeMap<String, String> {
        match self {
            Self::EncryptionContextEquals(pairs) | Self::EncryptionContextSubset(pairs) => pairs,
        }
    }
}

fn is_within(pairs: &BTreeMap<String, String>, context: &BTreeMap<String, String>) -> bool {
    pairs.iter().all(|(key, value)| context.get(key) == Some(value))
}

/// A grant's id: 32 random bytes, 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GrantId([u8; 32]);

impl GrantId {
    /// From random bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 lower-case hexadecimal digits; anything else names no grant.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let is_lower = !text.bytes().any(|b| b.is_ascii_uppercase());
        (is_lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> BTreeMap<String, String> {
        text.split_whitespace().filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    #[test]
    fn a_stricter_constraint_admits_nothing_more() {
        let equals = |text| GrantConstraint::EncryptionContextEquals(pairs(text));
        let subset = |text| GrantConstraint::EncryptionContextSubset(pairs(text));
        let all = [equals("a=1"), equals("a=1 b=2"), subset("a=1"), subset("a=1 b=2"), subset("b=2"), subset("")];
        let contexts = [pairs(""), pairs("a=1"), pairs("a=1 b=2"), pairs("b=2"), pairs("a=1 b=2 c=3")];
        for own in &all {
            for other in &all {
                let holds = contexts.iter().all(|context| !own.admits(context) || other.admits(context));
                assert_eq!(own.is_as_strict_as(other), holds, "{own:?} {other:?}");
            }
        }
    }

    #[test]
    fn an_id_is_64_lower_case_digits() {
        let text = "0f".repeat(32);
        assert_eq!(GrantId::parse(&text).unwrap().to_string(), text);
        for bad in ["", "0f", &"0F".repeat(32), &"0f".repeat(33), &"xx".repeat(32)] {
            assert_eq!(GrantId::parse(bad), None);
        }
    }
}
