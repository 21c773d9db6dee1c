//! What an identity is called within its account: its kind and its name, `user/alice`.

use std::fmt;
use std::str::FromStr;

use claviger_types::ParseError;
use serde::{Deserialize, Serialize};

/// IAM's limit for the names of users, groups and roles.
const NAME_BYTES_MAX: usize = 64;
/// IAM's limit for the names of policies.
const POLICY_NAME_BYTES_MAX: usize = 128;

/// The kinds of identities. Each may name only those of the kinds before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityKind {
    /// Managed policies.
    Policy,
    /// Groups of users.
    Group,
    /// Roles.
    Role,
    /// Users.
    User,
}

impl IdentityKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Policy, Self::Group, Self::Role, Self::User];

    /// What it is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Group => "group",
            Self::Role => "role",
            Self::User => "user",
        }
    }

    /// Whether a name is one that IAM allows for this kind: letters, digits and `+=,.@_-`.
    pub fn allows(self, name: &str) -> bool {
        let most = if self == Self::Policy { POLICY_NAME_BYTES_MAX } else { NAME_BYTES_MAX };
        let shaped = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
        shaped && (1..=most).contains(&name.len())
    }
}

/// An identity within its account. In the order of kinds, then of names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityName {
    /// Its kind.
    pub kind: IdentityKind,
    /// Its name.
    pub name: String,
}

impl IdentityName {
    /// That kind and name, whether IAM allows the name or not.
    pub fn new(kind: IdentityKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for IdentityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.name)
    }
}

impl FromStr for IdentityName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const SHAPE: ParseError =
            ParseError { what: "identity", reason: "must be policy, group, role or user, a slash, and a name that IAM allows" };
        let (kind, name) = text.split_once('/').ok_or(SHAPE)?;
        let kind = IdentityKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(SHAPE)?;
        if kind.allows(name) { Ok(Self::new(kind, name)) } else { Err(SHAPE) }
    }
}

impl TryFrom<String> for IdentityName {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<IdentityName> for String {
    fn from(name: IdentityName) -> Self {
        name.to_string()
    }
}
