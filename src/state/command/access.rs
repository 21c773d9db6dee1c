//! The commands of access control: key policies, grants, identities, and the denial of principals.

use claviger_types::{AccountId, GrantConstraint, GrantId, GrantOperations, KeyId, NamedPrincipal};
use serde::{Deserialize, Serialize};

use super::{Expected, Once};
use crate::{IdentityKind, IdentityRecord};

/// What an authorisation read besides the keys that its command names; a later change refuses the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorised {
    /// The caller's account and `AccountRecord::revision` as it was read.
    pub account_revision: Option<(AccountId, u64)>,
    /// The grant that it relied upon. A grant never changes, so it is enough that it is still there.
    pub grant: Option<(KeyId, GrantId)>,
}

/// PutKeyPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutKeyPolicy {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// The new policy, at most [`claviger_types::limits::KEY_POLICY_BYTES_MAX`]; `None` is the default policy.
    pub policy: Option<String>,
}

/// CreateGrant. Its contents are the grant's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateGrant {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// The new grant's id, random.
    pub grant_id: GrantId,
    /// Who may do what it allows.
    pub grantee: NamedPrincipal,
    /// Who may retire it.
    pub retiring: Option<NamedPrincipal>,
    /// What it allows.
    pub operations: GrantOperations,
    /// Under which encryption contexts.
    pub constraint: Option<GrantConstraint>,
    /// A grant of this name and these contents is answered if there is one.
    pub name: Option<String>,
    /// The caller's account.
    pub issuing_account: AccountId,
}

/// RetireGrant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetireGrant {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// Which of its grants.
    pub grant_id: GrantId,
}

/// RevokeGrant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeGrant {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// Which of its grants.
    pub grant_id: GrantId,
}

/// Changes of one account's identities, all of them or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyIdentities {
    /// The account.
    pub account: AccountId,
    /// `AccountRecord::revision` as it was read; `None` creates the account, which must not exist yet.
    pub expected_revision: Option<u64>,
    /// At most [`claviger_types::limits::IDENTITY_CHANGES_MAX`], in their order. What they name must exist after the last.
    pub changes: Vec<IdentityChange>,
}

/// One change. Variants are appended, never reordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityChange {
    /// An identity becomes this one, whether it was there or not.
    Put {
        /// Its name.
        name: String,
        /// What it is to be.
        record: Box<IdentityRecord>,
    },
    /// An identity goes; one that is not there is no error.
    Delete {
        /// Its kind.
        kind: IdentityKind,
        /// Its name.
        name: String,
    },
    /// The account goes. Nothing may be left of its identities, and it may own no key in this region.
    DeleteAccount,
}

/// An operator denies a principal everything, or lifts that. The principal need not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetPrincipalDenied {
    /// Who.
    pub principal: NamedPrincipal,
    /// Deny, or deny no longer.
    pub denied: bool,
    /// Why, at most [`claviger_types::limits::DENIAL_TEXT_BYTES_MAX`].
    pub reason: String,
    /// Which operator, of the same length.
    pub by: String,
}

/// An operator puts the default policy back on a key whose policy has locked everybody out, in whatever state the key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetKeyPolicy {
    /// The key.
    pub key_id: KeyId,
    /// Why, at most [`claviger_types::limits::OPERATOR_TEXT_BYTES_MAX`].
    pub reason: String,
    /// Which operator, of the same length.
    pub by: String,
}
