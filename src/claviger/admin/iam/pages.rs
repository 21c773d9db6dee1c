//! Pages of accounts, identities and denials, each bounded in number and size.

use claviger_shapes::admin::iam::{Account, AccountsPage, Denial, DenialsPage, IdentitiesPage, IdentityName, NamedIdentity};
use claviger_state::{StateError, Tables, read};
use claviger_types::limits::{ACCOUNTS_PAGE_MAX, DENIALS_PAGE_MAX, IDENTITIES_PAGE_BYTES_MAX, IDENTITIES_PAGE_MAX};
use claviger_types::{AccountId, NamedPrincipal, Partition};

use super::records;

/// How often a page is read anew because its account changed meanwhile.
const READS_MAX: usize = 5;
/// Identities that are read at once: each may be some hundred thousand bytes.
const IDENTITIES_PER_READ: usize = 20;

pub(super) fn accounts(tables: &(impl Tables + ?Sized), after: Option<AccountId>) -> Result<AccountsPage, StateError> {
    let found = read::accounts(tables, after, ACCOUNTS_PAGE_MAX)?;
    let next = if found.len() == ACCOUNTS_PAGE_MAX { found.last().map(|(account, _)| *account) } else { None };
    let account = |(account, record): (AccountId, claviger_state::AccountRecord)| {
        Ok(Account { account, revision: record.revision, identities: read::identity_count(tables, account)? })
    };
    Ok(AccountsPage { accounts: found.into_iter().map(account).collect::<Result<_, StateError>>()?, next })
}

/// As of one revision of the account; `None` when it changes all the time.
pub(super) fn identities(
    tables: &(impl Tables + ?Sized),
    account: AccountId,
    after: Option<&IdentityName>,
) -> Result<Option<IdentitiesPage>, StateError> {
    for _ in 0..READS_MAX {
        let revision = revision_of(tables, account)?;
        let (identities, next) = some_identities(tables, account, after.cloned())?;
        if revision_of(tables, account)? == revision {
            return Ok(Some(IdentitiesPage { revision, identities, next }));
        }
    }
    Ok(None)
}

fn revision_of(tables: &(impl Tables + ?Sized), account: AccountId) -> Result<Option<u64>, StateError> {
    Ok(read::account(tables, account)?.map(|record| record.revision))
}

fn some_identities(
    tables: &(impl Tables + ?Sized),
    account: AccountId,
    mut after: Option<IdentityName>,
) -> Result<(Vec<NamedIdentity>, Option<IdentityName>), StateError> {
    let mut found = Vec::new();
    let mut bytes = 0;
    loop {
        let from = after.as_ref().map(|after| (records::kind_of(after.kind), after.name.as_str()));
        let read = read::identities_of(tables, account, from, IDENTITIES_PER_READ)?;
        let is_last = read.len() < IDENTITIES_PER_READ;
        for (name, record) in read {
            let named = NamedIdentity { name, identity: records::identity(record) };
            bytes += json_bytes(&named);
            if !found.is_empty() && (bytes > IDENTITIES_PAGE_BYTES_MAX || found.len() >= IDENTITIES_PAGE_MAX) {
                return Ok((found, after));
            }
            after = Some(IdentityName::new(named.identity.kind(), named.name.clone()));
            found.push(named);
        }
        if is_last {
            return Ok((found, None));
        }
    }
}

fn json_bytes(named: &NamedIdentity) -> usize {
    // What is no JSON cannot be; the answer would fail as a whole.
    serde_json::to_vec(named).map_or(0, |json| json.len() + 1)
}

pub(super) fn denials(
    tables: &(impl Tables + ?Sized),
    after: Option<&NamedPrincipal>,
    partition: &Partition,
) -> Result<DenialsPage, StateError> {
    let found = read::denials(tables, after, DENIALS_PAGE_MAX)?;
    let next = if found.len() == DENIALS_PAGE_MAX { found.last().map(|denial| denial.principal.arn(partition)) } else { None };
    let denial = |record: claviger_state::DenialRecord| Denial {
        principal: record.principal.arn(partition),
        denied_at_millis: record.at.as_millis(),
        reason: record.reason,
        by: record.by,
    };
    Ok(DenialsPage { denials: found.into_iter().map(denial).collect(), next })
}
