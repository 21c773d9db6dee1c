//! Reads of the identities of accounts, and what an authorisation needs to know of a principal.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use claviger_types::{AccountId, NamedPrincipal, Principal};

use super::{count, counter, decode, record, scan_prefix};
use crate::{
    AccountRecord, DenialRecord, GroupRecord, IdentityKind, IdentityRecord, ManagedPolicyRecord, RoleRecord, StateError, Table, Tables,
    UserRecord,
};

/// Row of an identity: account, kind, name.
pub(crate) fn identity_row(account: AccountId, kind: IdentityKind, name: &str) -> Vec<u8> {
    [account.to_be_bytes().as_slice(), &identity_name(kind, name)].concat()
}

fn identity_name(kind: IdentityKind, name: &str) -> Vec<u8> {
    [&[kind.tag()], name.as_bytes()].concat()
}

/// What the rows of those who name an identity start with in `IdentityReferences`. No name has a 0.
pub(crate) fn reference_prefix(account: AccountId, kind: IdentityKind, name: &str) -> Vec<u8> {
    [identity_row(account, kind, name).as_slice(), &[0]].concat()
}

/// Row of one reference: who is named, 0, who names it.
pub(crate) fn reference_row(account: AccountId, named: (IdentityKind, &str), by: (IdentityKind, &str)) -> Vec<u8> {
    [reference_prefix(account, named.0, named.1), identity_name(by.0, by.1)].concat()
}

pub(crate) fn account_of_row(row: &[u8]) -> Result<AccountId, StateError> {
    let corrupt = || StateError::corrupt_row(Table::Accounts, row);
    let number = <[u8; 8]>::try_from(row).map_err(|_| corrupt())?;
    AccountId::try_from(u64::from_be_bytes(number)).map_err(|_| corrupt())
}

pub(crate) fn identity_of_row(row: &[u8]) -> Result<(AccountId, IdentityKind, &str), StateError> {
    let corrupt = || StateError::corrupt_row(Table::Identities, row);
    let (account, rest) = row.split_at_checked(8).ok_or_else(corrupt)?;
    let (kind, name) = kind_and_name(rest).ok_or_else(corrupt)?;
    Ok((account_of_row(account)?, kind, name))
}

fn kind_and_name(row: &[u8]) -> Option<(IdentityKind, &str)> {
    let (tag, name) = row.split_first()?;
    Some((IdentityKind::of_tag(*tag)?, std::str::from_utf8(name).ok()?))
}

/// An account, if this region knows its principals.
///
/// # Errors
/// When the record cannot be read.
pub fn account(tables: &(impl Tables + ?Sized), account: AccountId) -> Result<Option<AccountRecord>, StateError> {
    record(tables, &account.to_be_bytes())
}

/// At most `most` accounts, in ascending order, after `after`.
///
/// # Errors
/// When the table cannot be read.
pub fn accounts(
    tables: &(impl Tables + ?Sized),
    after: Option<AccountId>,
    most: usize,
) -> Result<Vec<(AccountId, AccountRecord)>, StateError> {
    let mut found = Vec::new();
    let from = after.map(AccountId::to_be_bytes);
    let from = from.as_ref().map_or(&[][..], |row| row.as_slice());
    scan_prefix(tables, Table::Accounts, &[], from, |row, bytes| {
        if found.len() >= most {
            return Ok(ControlFlow::Break(()));
        }
        if after.is_none() || row != from {
            found.push((account_of_row(row)?, decode(row, bytes)?));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// An identity of any kind.
///
/// # Errors
/// When the record cannot be read, or is of another kind than its row.
pub fn identity(
    tables: &(impl Tables + ?Sized),
    account: AccountId,
    kind: IdentityKind,
    name: &str,
) -> Result<Option<IdentityRecord>, StateError> {
    let row = identity_row(account, kind, name);
    match record::<IdentityRecord>(tables, &row)? {
        Some(record) if record.kind() != kind => Err(StateError::corrupt_row(Table::Identities, &row)),
        found => Ok(found),
    }
}

macro_rules! identity_read {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $record:ty) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// When the record cannot be read.
        pub fn $name(tables: &(impl Tables + ?Sized), account: AccountId, name: &str) -> Result<Option<$record>, StateError> {
            match identity(tables, account, IdentityKind::$variant, name)? {
                Some(IdentityRecord::$variant(record)) => Ok(Some(record)),
                _ => Ok(None),
            }
        }
    };
}

identity_read! {
    /// A user.
    user, User, UserRecord
}
identity_read! {
    /// A role.
    role, Role, RoleRecord
}
identity_read! {
    /// A group.
    group, Group, GroupRecord
}
identity_read! {
    /// A managed policy.
    managed_policy, ManagedPolicy, ManagedPolicyRecord
}

/// At most `most` identities of an account with their names, by kind and name, after `after`.
///
/// # Errors
/// When the table cannot be read.
pub fn identities_of(
    tables: &(impl Tables + ?Sized),
    account: AccountId,
    after: Option<(IdentityKind, &str)>,
    most: usize,
) -> Result<Vec<(String, IdentityRecord)>, StateError> {
    let mut found = Vec::new();
    let from = after.map(|(kind, name)| identity_name(kind, name)).unwrap_or_default();
    scan_prefix(tables, Table::Identities, &account.to_be_bytes(), &from, |rest, bytes| {
        if found.len() >= most {
            return Ok(ControlFlow::Break(()));
        }
        if after.is_none() || rest != from {
            let row = [account.to_be_bytes().as_slice(), rest].concat();
            let (_, _, name) = identity_of_row(&row)?;
            found.push((name.to_owned(), decode(&row, bytes)?));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// How many identities an account has.
///
/// # Errors
/// When the counter cannot be read.
pub fn identity_count(tables: &(impl Tables + ?Sized), account: AccountId) -> Result<u64, StateError> {
    count(tables, &counter::identities_of(account))
}

/// One of those who name an identity.
pub(crate) fn first_reference(
    tables: &(impl Tables + ?Sized),
    account: AccountId,
    kind: IdentityKind,
    name: &str,
) -> Result<Option<(IdentityKind, String)>, StateError> {
    let mut found = None;
    scan_prefix(tables, Table::IdentityReferences, &reference_prefix(account, kind, name), &[], |row, _| {
        let by = kind_and_name(row).ok_or_else(|| StateError::corrupt_row(Table::IdentityReferences, row))?;
        found = Some((by.0, by.1.to_owned()));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// Whether and why operators have denied exactly this principal.
///
/// # Errors
/// When the record cannot be read.
pub fn denial(tables: &(impl Tables + ?Sized), principal: &NamedPrincipal) -> Result<Option<DenialRecord>, StateError> {
    record(tables, principal.to_string().as_bytes())
}

/// At most `most` denials, in the order of their rows, after that of `after`.
///
/// # Errors
/// When the table cannot be read.
pub fn denials(tables: &(impl Tables + ?Sized), after: Option<&NamedPrincipal>, most: usize) -> Result<Vec<DenialRecord>, StateError> {
    let mut found = Vec::new();
    let from = after.map(|principal| principal.to_string().into_bytes()).unwrap_or_default();
    scan_prefix(tables, Table::DeniedPrincipals, &[], &from, |row, bytes| {
        if found.len() >= most {
            return Ok(ControlFlow::Break(()));
        }
        if after.is_none() || row != from {
            found.push(decode(row, bytes)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Whether operators have denied this principal everything: it, its role or its account.
///
/// # Errors
/// When a record cannot be read.
pub fn is_denied(tables: &(impl Tables + ?Sized), principal: &Principal) -> Result<bool, StateError> {
    for name in NamedPrincipal::of(principal) {
        if denial(tables, &name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What an authorisation needs to know of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalIdentity {
    /// `AccountRecord::revision`: changes with anything here.
    pub account_revision: u64,
    /// Its tags, or those of its role.
    pub tags: BTreeMap<String, String>,
    /// Where each policy comes from, and its text: inline, attached, then those of its groups, each in the order of names;
    /// a managed policy that comes by two ways once.
    pub policies: Vec<(String, String)>,
    /// The policy that bounds what it may do.
    pub boundary: Option<(String, String)>,
    /// Whether operators have denied it everything.
    pub denied: bool,
}

/// Resolves a principal; `None` when the region does not know it. A root is known with its account, a session with its role.
///
/// # Errors
/// When a record cannot be read, or names another that is not there.
pub fn principal(tables: &(impl Tables + ?Sized), principal: &Principal) -> Result<Option<PrincipalIdentity>, StateError> {
    let of = principal.account();
    let Some(AccountRecord { revision, .. }) = account(tables, of)? else { return Ok(None) };
    let (kind, name) = match principal {
        Principal::Root { .. } => (None, ""),
        Principal::User { name, .. } => (Some(IdentityKind::User), name.as_str()),
        Principal::AssumedRole { role, .. } => (Some(IdentityKind::Role), role.as_str()),
    };
    let mut policies = Policies { tables, account: of, seen: BTreeSet::new(), found: Vec::new() };
    let (mut tags, mut boundary) = (BTreeMap::new(), None);
    if let Some(kind) = kind {
        let Some(held) = identity(tables, of, kind, name)? else { return Ok(None) };
        policies.add(name, &held)?;
        if let IdentityRecord::User(UserRecord { groups, .. }) = &held {
            for group in groups {
                policies.add(group, &policies.named(IdentityKind::Group, group)?)?;
            }
        }
        tags = held.tags().cloned().unwrap_or_default();
        boundary = held.boundary().map(|name| policies.managed(name)).transpose()?;
    }
    let denied = is_denied(tables, principal)?;
    Ok(Some(PrincipalIdentity { account_revision: revision, tags, policies: policies.found, boundary, denied }))
}

/// The policies of one principal as they are gathered.
struct Policies<'a, T: ?Sized> {
    tables: &'a T,
    account: AccountId,
    seen: BTreeSet<String>,
    found: Vec<(String, String)>,
}

impl<T: Tables + ?Sized> Policies<'_, T> {
    /// Those that one identity has.
    fn add(&mut self, owner: &str, held: &IdentityRecord) -> Result<(), StateError> {
        for (name, text) in held.inline().into_iter().flatten() {
            self.found.push((format!("{}/{owner}/{name}", held.kind().as_str()), text.clone()));
        }
        for name in held.attached().into_iter().flatten() {
            if self.seen.insert(name.clone()) {
                self.found.push(self.managed(name)?);
            }
        }
        Ok(())
    }

    fn managed(&self, name: &str) -> Result<(String, String), StateError> {
        match self.named(IdentityKind::ManagedPolicy, name)? {
            IdentityRecord::ManagedPolicy(ManagedPolicyRecord { document }) => Ok((format!("policy/{name}"), document)),
            _ => Err(self.missing(IdentityKind::ManagedPolicy, name)),
        }
    }

    /// An identity that another names.
    fn named(&self, kind: IdentityKind, name: &str) -> Result<IdentityRecord, StateError> {
        identity(self.tables, self.account, kind, name)?.ok_or_else(|| self.missing(kind, name))
    }

    fn missing(&self, kind: IdentityKind, name: &str) -> StateError {
        StateError::corrupt_row(Table::Identities, &identity_row(self.account, kind, name))
    }
}
