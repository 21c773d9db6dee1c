//! The records of access control: grants, the identities of accounts, and who is denied.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::{AccountId, GrantConstraint, GrantOperations, NamedPrincipal, Timestamp};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::Table;

/// A grant on a key of this region. It never changes: it is made and it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRecord {
    /// Who may do what it allows.
    pub grantee: NamedPrincipal,
    /// Who may retire it.
    pub retiring: Option<NamedPrincipal>,
    /// What it allows.
    pub operations: GrantOperations,
    /// Under which encryption contexts.
    pub constraint: Option<GrantConstraint>,
    /// The name that makes a repeated CreateGrant answer this grant.
    pub name: Option<String>,
    /// The account under which it was made.
    pub issuing_account: AccountId,
    /// When, in log time.
    pub created_at: Timestamp,
    /// The log index that made it.
    pub revision: u64,
}
record!(GrantRecord, Grants, 1);

/// An account whose principals this region knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// When it was created, in log time.
    pub created_at: Timestamp,
    /// The log index of the latest change of anything in it: what an authorisation of one of its principals depends on.
    pub revision: u64,
}
record!(AccountRecord, Accounts, 1);

/// The kinds of identities that an account has. Variants are appended, never reordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdentityKind {
    /// Users.
    User,
    /// Roles.
    Role,
    /// Groups of users.
    Group,
    /// Policies with a name of their own.
    ManagedPolicy,
}

impl IdentityKind {
    /// Every kind, in the order of their tags.
    pub const ALL: [Self; 4] = [Self::User, Self::Role, Self::Group, Self::ManagedPolicy];

    /// Its byte in a row.
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Self::User => 1,
            Self::Role => 2,
            Self::Group => 3,
            Self::ManagedPolicy => 4,
        }
    }

    pub(crate) fn of_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }

    /// What it is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
            Self::Group => "group",
            Self::ManagedPolicy => "policy",
        }
    }
}

/// A user. Policies are text that their proposer has parsed: this crate does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The groups that it is in.
    pub groups: BTreeSet<String>,
    /// Its own policies, by name.
    pub inline: BTreeMap<String, String>,
    /// The managed policies that it has.
    pub attached: BTreeSet<String>,
    /// The managed policy that bounds what it may do.
    pub boundary: Option<String>,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRecord {
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its own policies, by name.
    pub inline: BTreeMap<String, String>,
    /// The managed policies that it has.
    pub attached: BTreeSet<String>,
    /// The managed policy that bounds what its sessions may do.
    pub boundary: Option<String>,
}

/// A group of users, who have its policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its own policies, by name.
    pub inline: BTreeMap<String, String>,
    /// The managed policies that it has.
    pub attached: BTreeSet<String>,
}

/// A managed policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedPolicyRecord {
    /// Its text.
    pub document: String,
}

/// One identity of an account. Variants are appended, never reordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityRecord {
    /// A user.
    User(UserRecord),
    /// A role.
    Role(RoleRecord),
    /// A group.
    Group(GroupRecord),
    /// A managed policy.
    ManagedPolicy(ManagedPolicyRecord),
}
record!(IdentityRecord, Identities, 1);

impl IdentityRecord {
    /// Its kind, which is part of its row.
    pub const fn kind(&self) -> IdentityKind {
        match self {
            Self::User(_) => IdentityKind::User,
            Self::Role(_) => IdentityKind::Role,
            Self::Group(_) => IdentityKind::Group,
            Self::ManagedPolicy(_) => IdentityKind::ManagedPolicy,
        }
    }

    /// Its own policies, by name.
    pub const fn inline(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::User(UserRecord { inline, .. }) | Self::Role(RoleRecord { inline, .. }) | Self::Group(GroupRecord { inline, .. }) => {
                Some(inline)
            }
            Self::ManagedPolicy(_) => None,
        }
    }

    /// The names of the managed policies that it has.
    pub const fn attached(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::User(UserRecord { attached, .. })
            | Self::Role(RoleRecord { attached, .. })
            | Self::Group(GroupRecord { attached, .. }) => Some(attached),
            Self::ManagedPolicy(_) => None,
        }
    }

    /// The name of the managed policy that bounds it.
    pub const fn boundary(&self) -> Option<&String> {
        match self {
            Self::User(UserRecord { boundary, .. }) | Self::Role(RoleRecord { boundary, .. }) => boundary.as_ref(),
            Self::Group(_) | Self::ManagedPolicy(_) => None,
        }
    }

    /// Its tags.
    pub const fn tags(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::User(UserRecord { tags, .. }) | Self::Role(RoleRecord { tags, .. }) => Some(tags),
            Self::Group(_) | Self::ManagedPolicy(_) => None,
        }
    }

    /// Every identity that it names and that must therefore exist.
    pub(crate) fn references(&self) -> BTreeSet<(IdentityKind, &str)> {
        let policies = self.attached().into_iter().flatten().chain(self.boundary());
        let groups = match self {
            Self::User(user) => Some(&user.groups),
            _ => None,
        };
        let policies = policies.map(|name| (IdentityKind::ManagedPolicy, name.as_str()));
        policies.chain(groups.into_iter().flatten().map(|name| (IdentityKind::Group, name.as_str()))).collect()
    }
}

/// A principal that operators have denied everything, whatever any policy or grant says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialRecord {
    /// Who. A denied account denies all its principals, a denied role all its sessions.
    pub principal: NamedPrincipal,
    /// Since when, in log time.
    pub at: Timestamp,
    /// Why, in an operator's words.
    pub reason: String,
    /// Which operator.
    pub by: String,
}
record!(DenialRecord, DeniedPrincipals, 1);
