//! The identities of accounts, and the denial of principals. What a policy says is not looked at here.
//!
//! Every change of anything in an account gives the account a new revision, and with it makes everybody of the account
//! authorise again (DESIGN.md section 4).

use claviger_types::AccountId;
use claviger_types::limits::{
    ACCOUNTS_MAX, ATTACHED_POLICIES_MAX, DENIAL_TEXT_BYTES_MAX, DENIED_PRINCIPALS_MAX, GROUPS_PER_USER_MAX, IDENTITIES_PER_ACCOUNT_MAX,
    IDENTITY_CHANGES_MAX, IDENTITY_POLICIES_BYTES_MAX, INLINE_POLICIES_MAX,
};

use super::names::{NAME_BYTES_MAX, POLICY_NAME_BYTES_MAX, are_tags, is_name, is_well_named};
use super::{Step, granted};
use crate::read::{self, counter, identity_row, reference_row};
use crate::{
    AccountRecord, ApplyIdentities, DenialRecord, IdentityChange, IdentityKind, IdentityRecord, Outcome, Refusal, Response,
    SetPrincipalDenied, StateError, Table, UserRecord,
};

impl Step<'_> {
    pub(super) fn apply_identities(&mut self, apply: &ApplyIdentities) -> Result<Outcome, StateError> {
        let ApplyIdentities { account, expected_revision, changes } = apply;
        if changes.len() > IDENTITY_CHANGES_MAX {
            return bad(format!("one command carries at most {IDENTITY_CHANGES_MAX} changes"));
        }
        let held = read::account(&self.tables, *account)?;
        if held.map(|held| held.revision) != *expected_revision {
            return Ok(Err(Refusal::IdentitiesChanged));
        }
        let mut changed = false;
        for change in changes {
            changed |= granted!(self.change_identity(*account, change)?);
        }
        for change in changes {
            granted!(self.check_references(*account, change)?);
        }
        if read::identity_count(&self.tables, *account)? > IDENTITIES_PER_ACCOUNT_MAX {
            return bad(format!("an account has at most {IDENTITIES_PER_ACCOUNT_MAX} identities"));
        }
        if changes.contains(&IdentityChange::DeleteAccount) {
            return self.delete_account(*account, held.is_some());
        }
        if held.is_none() {
            if read::count(&self.tables, counter::ACCOUNTS)? >= ACCOUNTS_MAX {
                return bad(format!("a region has at most {ACCOUNTS_MAX} accounts"));
            }
            self.add_to_counter(counter::ACCOUNTS, 1)?;
            changed = true;
        }
        let created_at = held.map_or(self.now, |held| held.created_at);
        let record = held.filter(|_| !changed).unwrap_or(AccountRecord { created_at, revision: self.index });
        if changed {
            self.put_account(*account, &record)?;
        }
        Ok(Ok(Response::Identities { revision: Some(record.revision), changed }))
    }

    /// Whether it changes anything. References are checked once all changes have been made.
    fn change_identity(&mut self, account: AccountId, change: &IdentityChange) -> Result<Result<bool, Refusal>, StateError> {
        let (kind, name, new) = match change {
            IdentityChange::Put { name, record } => (record.kind(), name, Some(record.as_ref())),
            IdentityChange::Delete { kind, name } => (*kind, name, None),
            IdentityChange::DeleteAccount => return Ok(Ok(false)),
        };
        if let Err(reason) = acceptable(kind, name).and_then(|()| new.map_or(Ok(()), within_limits)) {
            return Ok(Err(Refusal::BadIdentities(format!("{} {name:?}: {reason}", kind.as_str()))));
        }
        let old = read::identity(&self.tables, account, kind, name)?;
        if old.as_ref() == new {
            return Ok(Ok(false));
        }
        for named in old.iter().flat_map(IdentityRecord::references) {
            self.tables.delete(Table::IdentityReferences, &reference_row(account, named, (kind, name)));
        }
        for named in new.iter().flat_map(|record| record.references()) {
            self.tables.put_bytes(Table::IdentityReferences, &reference_row(account, named, (kind, name)), Vec::new());
        }
        let row = identity_row(account, kind, name);
        match new {
            Some(record) => self.tables.put(&row, record)?,
            None => self.tables.delete(Table::Identities, &row),
        }
        let more = i64::from(new.is_some()) - i64::from(old.is_some());
        self.add_to_counter(&counter::identities_of(account), more)?;
        Ok(Ok(true))
    }

    /// What a changed identity names is there, and nobody names one that is gone.
    fn check_references(&self, account: AccountId, change: &IdentityChange) -> Result<Result<(), Refusal>, StateError> {
        let (kind, name) = match change {
            IdentityChange::Put { name, record } => (record.kind(), name),
            IdentityChange::Delete { kind, name } => (*kind, name),
            IdentityChange::DeleteAccount => return Ok(Ok(())),
        };
        let Some(held) = read::identity(&self.tables, account, kind, name)? else {
            let by = read::first_reference(&self.tables, account, kind, name)?;
            return Ok(by.map_or(Ok(()), |by| Err(dangling((by.0, &by.1), (kind, name)))));
        };
        for named in held.references() {
            if read::identity(&self.tables, account, named.0, named.1)?.is_none() {
                return Ok(Err(dangling((kind, name), named)));
            }
        }
        Ok(Ok(()))
    }

    fn delete_account(&mut self, account: AccountId, was_there: bool) -> Result<Outcome, StateError> {
        if read::identity_count(&self.tables, account)? > 0 {
            return bad("the account has identities left".to_owned());
        }
        if read::key_count(&self.tables, account)? > 0 {
            return bad("the account owns keys in this region".to_owned());
        }
        if read::count(&self.tables, &counter::reservations_for(account))? > 0 {
            return bad("the account is about to own a replica in this region: try again in a minute".to_owned());
        }
        if was_there {
            self.tables.delete(Table::Accounts, &account.to_be_bytes());
            self.add_to_counter(counter::ACCOUNTS, -1)?;
            self.effects.accounts.push(account);
        }
        Ok(Ok(Response::Identities { revision: None, changed: was_there }))
    }

    /// The first denial counts until it is lifted: repeating it changes nothing.
    pub(super) fn set_principal_denied(&mut self, set: &SetPrincipalDenied) -> Result<Outcome, StateError> {
        let SetPrincipalDenied { principal, denied, reason, by } = set;
        if !is_well_named(principal) {
            return bad("the principal has a name that IAM does not allow".to_owned());
        }
        if reason.len() > DENIAL_TEXT_BYTES_MAX || by.len() > DENIAL_TEXT_BYTES_MAX {
            return bad(format!("a denial's texts have at most {DENIAL_TEXT_BYTES_MAX} bytes"));
        }
        let account = principal.account();
        let held = read::account(&self.tables, account)?;
        if read::denial(&self.tables, principal)?.is_some() == *denied {
            return Ok(Ok(Response::Identities { revision: held.map(|held| held.revision), changed: false }));
        }
        let row = principal.to_string();
        if *denied {
            if read::count(&self.tables, counter::DENIED)? >= DENIED_PRINCIPALS_MAX {
                return bad(format!("at most {DENIED_PRINCIPALS_MAX} principals are denied at once"));
            }
            let record = DenialRecord { principal: principal.clone(), at: self.now, reason: reason.clone(), by: by.clone() };
            self.tables.put(row.as_bytes(), &record)?;
        } else {
            self.tables.delete(Table::DeniedPrincipals, row.as_bytes());
        }
        self.add_to_counter(counter::DENIED, if *denied { 1 } else { -1 })?;
        match held {
            Some(held) => self.put_account(account, &AccountRecord { revision: self.index, ..held })?,
            None => self.effects.accounts.push(account),
        }
        Ok(Ok(Response::Identities { revision: held.map(|_| self.index), changed: true }))
    }

    fn put_account(&mut self, account: AccountId, record: &AccountRecord) -> Result<(), StateError> {
        self.effects.accounts.push(account);
        self.tables.put(&account.to_be_bytes(), record)
    }
}

fn bad(reason: String) -> Result<Outcome, StateError> {
    Ok(Err(Refusal::BadIdentities(reason)))
}

fn dangling(by: (IdentityKind, &str), named: (IdentityKind, &str)) -> Refusal {
    Refusal::BadIdentities(format!("{} {:?} names {} {:?}, which does not exist", by.0.as_str(), by.1, named.0.as_str(), named.1))
}

/// Whether an identity may have this name; a row that no name has is not looked for either.
fn acceptable(kind: IdentityKind, name: &str) -> Result<(), &'static str> {
    let most = if kind == IdentityKind::ManagedPolicy { POLICY_NAME_BYTES_MAX } else { NAME_BYTES_MAX };
    if is_name(name, most) { Ok(()) } else { Err("its name has a length or a character that IAM does not allow") }
}

/// Whether every part of an identity is within IAM's limits.
fn within_limits(record: &IdentityRecord) -> Result<(), &'static str> {
    let inline = record.inline().into_iter().flatten();
    let mut policy_names = inline.clone().map(|(name, _)| name).chain(record.attached().into_iter().flatten()).chain(record.boundary());
    if !policy_names.all(|name| is_name(name, POLICY_NAME_BYTES_MAX)) {
        return Err("the name of a policy has a length or a character that IAM does not allow");
    }
    if record.attached().is_some_and(|attached| attached.len() > ATTACHED_POLICIES_MAX) {
        return Err("it has more managed policies than it may have");
    }
    let bytes = match record {
        IdentityRecord::ManagedPolicy(policy) => policy.document.len(),
        _ => inline.clone().map(|(_, text)| text.len()).sum(),
    };
    if inline.count() > INLINE_POLICIES_MAX || bytes > IDENTITY_POLICIES_BYTES_MAX {
        return Err("its policies are more or larger than they may be");
    }
    if !record.tags().is_none_or(are_tags) {
        return Err("its tags are more or longer than they may be");
    }
    match record {
        IdentityRecord::User(UserRecord { groups, .. }) if groups.len() > GROUPS_PER_USER_MAX => Err("it is in more groups than it may be"),
        IdentityRecord::User(UserRecord { groups, .. }) if !groups.iter().all(|group| is_name(group, NAME_BYTES_MAX)) => {
            Err("the name of a group has a length or a character that IAM does not allow")
        }
        _ => Ok(()),
    }
}
