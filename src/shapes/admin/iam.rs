//! Identities as operators see and change them: what `claviger iam` and the admin API say to each other.
//!
//! Plain data of one account. Nothing here knows a region, and no policy is understood here: documents are text.

mod name;

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::AccountId;
use serde::{Deserialize, Serialize};

pub use name::{IdentityKind, IdentityName};

/// All identities of an account, by kind and name.
pub type Identities = BTreeMap<IdentityName, Identity>;

/// One identity. Its name stands outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A managed policy.
    Policy(ManagedPolicy),
    /// A group of users.
    Group(Group),
    /// A role.
    Role(Role),
    /// A user.
    User(User),
}

/// A managed policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedPolicy {
    /// Its text: JSON of AWS's policy language.
    pub document: String,
}

/// A group of users, who have its policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its own policies, by name.
    pub inline: BTreeMap<String, String>,
    /// The managed policies that it has.
    pub attached: BTreeSet<String>,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its own policies, by name.
    pub inline: BTreeMap<String, String>,
    /// The managed policies that it has.
    pub attached: BTreeSet<String>,
    /// The managed policy that bounds what its sessions may do.
    pub boundary: Option<String>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
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

impl Identity {
    /// Its kind.
    pub const fn kind(&self) -> IdentityKind {
        match self {
            Self::Policy(_) => IdentityKind::Policy,
            Self::Group(_) => IdentityKind::Group,
            Self::Role(_) => IdentityKind::Role,
            Self::User(_) => IdentityKind::User,
        }
    }

    /// Its tags, if its kind has any.
    pub const fn tags(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Role(Role { tags, .. }) | Self::User(User { tags, .. }) => Some(tags),
            Self::Policy(_) | Self::Group(_) => None,
        }
    }

    /// Its own policies by name, if its kind has any.
    pub const fn inline(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Group(Group { inline, .. }) | Self::Role(Role { inline, .. }) | Self::User(User { inline, .. }) => Some(inline),
            Self::Policy(_) => None,
        }
    }

    /// The managed policies that it has, if its kind has any.
    pub const fn attached(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Group(Group { attached, .. }) | Self::Role(Role { attached, .. }) | Self::User(User { attached, .. }) => Some(attached),
            Self::Policy(_) => None,
        }
    }

    /// The groups that it is in, if its kind is in any.
    pub const fn groups(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::User(User { groups, .. }) => Some(groups),
            Self::Policy(_) | Self::Group(_) | Self::Role(_) => None,
        }
    }

    /// The managed policy that bounds it.
    pub const fn boundary(&self) -> Option<&String> {
        match self {
            Self::Role(Role { boundary, .. }) | Self::User(User { boundary, .. }) => boundary.as_ref(),
            Self::Policy(_) | Self::Group(_) => None,
        }
    }

    /// Its documents, each with the name of the inline policy that it is; a managed policy's has none.
    pub fn documents(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let own = match self {
            Self::Policy(policy) => Some((None, policy.document.as_str())),
            _ => None,
        };
        own.into_iter().chain(self.inline().into_iter().flatten().map(|(name, document)| (Some(name.as_str()), document.as_str())))
    }

    /// The identities of its account that it names.
    pub fn names(&self) -> impl Iterator<Item = IdentityName> {
        let policies = self.attached().into_iter().flatten().chain(self.boundary());
        let policies = policies.map(|name| IdentityName::new(IdentityKind::Policy, name));
        policies.chain(self.groups().into_iter().flatten().map(|name| IdentityName::new(IdentityKind::Group, name)))
    }
}

/// An identity with its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedIdentity {
    /// Its name.
    pub name: String,
    /// What it is.
    pub identity: Identity,
}

/// An account whose principals a region knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Which.
    #[serde(with = "twelve_digits")]
    pub account: AccountId,
    /// Changes with anything in it. Another region's says nothing here.
    pub revision: u64,
    /// How many identities it has.
    pub identities: u64,
}

/// Some accounts, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsPage {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// The account after which the next page begins; `None` on the last.
    #[serde(with = "twelve_digits_if_any")]
    pub next: Option<AccountId>,
}

/// Some identities of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentitiesPage {
    /// The account's revision as the page was read; `None` when the region does not know the account.
    pub revision: Option<u64>,
    /// The identities.
    pub identities: Vec<NamedIdentity>,
    /// The identity after which the next page begins; `None` on the last.
    pub next: Option<IdentityName>,
}

/// Changes one account's identities: all of this or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyIdentities {
    /// The account's revision as it was read; `None` creates the account, which must not be there.
    pub expected_revision: Option<u64>,
    /// At most [`claviger_types::limits::IDENTITY_CHANGES_MAX`], done in this order. What they name must exist after the last.
    pub changes: Vec<IdentityChange>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityChange {
    /// An identity becomes this one, whether it was there or not.
    Put(NamedIdentity),
    /// An identity goes, if it is there.
    Delete(IdentityName),
    /// The account goes. Nothing may be left in it, and it may own no key in the region.
    DeleteAccount,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyIdentitiesResult {
    /// The account's revision now; `None` when the account is gone.
    pub revision: Option<u64>,
    /// False when everything was so already.
    pub changed: bool,
}

/// A principal that operators have denied everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Its ARN. That of an account's root denies the whole account, that of a role all its sessions.
    pub principal: String,
    /// Since when, milliseconds since the Unix epoch.
    pub denied_at_millis: u64,
    /// Why, in an operator's words.
    pub reason: String,
    /// Which operator.
    pub by: String,
}

/// Some denials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialsPage {
    /// The denials.
    pub denials: Vec<Denial>,
    /// The principal after which the next page begins; `None` on the last.
    pub next: Option<String>,
}

/// Denies a principal everything, or lifts that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetDenial {
    /// The ARN of a user, a role, a session of a role or an account's root; or the account's twelve digits.
    pub principal: String,
    /// Deny, or deny no longer.
    pub denied: bool,
    /// Why.
    pub reason: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetDenialResult {
    /// The principal's ARN.
    pub principal: String,
    /// Whether it is denied now.
    pub denied: bool,
    /// False when it was so already; the reason given then is the one that counts.
    pub changed: bool,
    /// Whether the region knows the principal. One that it does not know is denied all the same.
    pub known: bool,
}

/// An account as it is written everywhere: twelve digits, and never a number, which would lose its zeros.
mod twelve_digits {
    use claviger_types::AccountId;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(account: &AccountId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(account)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccountId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The same where there may be none.
mod twelve_digits_if_any {
    use claviger_types::AccountId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(account: &Option<AccountId>, serializer: S) -> Result<S::Ok, S::Error> {
        account.map(|account| account.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AccountId>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests;
