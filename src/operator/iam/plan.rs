//! The difference between the identities that an account has and those that it is to have, and the commands that close it.
//!
//! No command leaves an identity that names what is not there: what is named comes before what names it, and goes after it. All
//! fits one command, and then happens at once, unless it is very much.

use claviger_shapes::admin::iam::{Identities, Identity, IdentityChange, IdentityName, NamedIdentity};
use claviger_types::AccountId;
use claviger_types::limits::{IDENTITY_CHANGES_BYTES_MAX, IDENTITY_CHANGES_MAX};

/// What is to happen to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountPlan {
    /// The account.
    pub account: AccountId,
    /// Its revision when it was read; `None` when the region does not know it.
    pub revision: Option<u64>,
    /// Whether the account itself is made.
    pub creates_account: bool,
    /// Whether it goes, once nothing is left in it.
    pub deletes_account: bool,
    /// The changes, in the order in which they are made.
    pub changes: Vec<Change>,
}

/// What is to happen to one identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub name: IdentityName,
    /// What it is; `None` when it is made.
    pub before: Option<Identity>,
    /// What it becomes; `None` when it goes.
    pub after: Option<Identity>,
}

impl AccountPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.creates_account && !self.deletes_account
    }

    /// How many changes it is, those of the account itself among them.
    pub fn len(&self) -> usize {
        self.changes.len() + usize::from(self.creates_account) + usize::from(self.deletes_account)
    }
}

/// What makes `wanted` of `present`. Without `wanted` the account goes.
pub fn plan(account: AccountId, revision: Option<u64>, present: &Identities, wanted: Option<&Identities>) -> AccountPlan {
    let none = Identities::new();
    let (creates_account, deletes_account) = (wanted.is_some() && revision.is_none(), wanted.is_none() && revision.is_some());
    let wanted = wanted.unwrap_or(&none);
    let change = |name: &IdentityName| Change { name: name.clone(), before: present.get(name).cloned(), after: wanted.get(name).cloned() };
    // The order of names is that of kinds, each of which names those before it alone.
    let puts = wanted.iter().filter(|(name, identity)| present.get(*name) != Some(*identity)).map(|(name, _)| change(name));
    let deletions = present.keys().rev().filter(|name| !wanted.contains_key(*name)).map(change);
    AccountPlan { account, revision, creates_account, deletes_account, changes: puts.chain(deletions).collect() }
}

/// The changes of each command, in their order; one command or more unless there is nothing to do.
pub fn commands(plan: &AccountPlan) -> Vec<Vec<IdentityChange>> {
    let changes = plan.changes.iter().map(|change| match &change.after {
        Some(identity) => IdentityChange::Put(NamedIdentity { name: change.name.name.clone(), identity: identity.clone() }),
        None => IdentityChange::Delete(change.name.clone()),
    });
    let changes = changes.chain(plan.deletes_account.then_some(IdentityChange::DeleteAccount));
    let mut commands: Vec<Vec<IdentityChange>> = Vec::new();
    let mut bytes_left = 0;
    for change in changes {
        let bytes = json_bytes(&change);
        match commands.last_mut() {
            Some(last) if last.len() < IDENTITY_CHANGES_MAX && bytes <= bytes_left => {
                last.push(change);
                bytes_left -= bytes;
            }
            _ => {
                commands.push(vec![change]);
                bytes_left = IDENTITY_CHANGES_BYTES_MAX.saturating_sub(bytes);
            }
        }
    }
    if commands.is_empty() && plan.creates_account {
        commands.push(Vec::new());
    }
    commands
}

/// What it takes in a request, comma included.
fn json_bytes(change: &IdentityChange) -> usize {
    // A change that is no JSON cannot be; it would be refused when it is sent.
    serde_json::to_vec(change).map_or(0, |json| json.len() + 1)
}

#[cfg(test)]
mod tests;
