//! Reads of aliases, by account and by key.

use std::ops::ControlFlow;

use claviger_types::{AccountId, AliasName, AliasRow, KeyId};

use super::{decode, record, scan_prefix};
use crate::{AliasRecord, StateError, Table, Tables};

pub(crate) fn alias_by_key_row(key_id: &KeyId, name: &AliasName) -> Vec<u8> {
    [key_id.to_row().as_slice(), name.as_str().as_bytes()].concat()
}

/// An alias.
///
/// # Errors
/// When the record cannot be read.
pub fn alias(tables: &(impl Tables + ?Sized), alias: &AliasRow) -> Result<Option<AliasRecord>, StateError> {
    record(tables, alias.as_bytes())
}

/// At most `most` aliases of an account, by name, after `after`.
///
/// # Errors
/// When the table cannot be read.
pub fn aliases_of(
    tables: &(impl Tables + ?Sized),
    account: AccountId,
    after: Option<&AliasName>,
    most: usize,
) -> Result<Vec<(AliasName, AliasRecord)>, StateError> {
    let mut aliases = Vec::new();
    scan_aliases(tables, Table::Aliases, &account.to_be_bytes(), after, most, |name, bytes| {
        let record = decode(AliasRow::new(account, &name).as_bytes(), bytes)?;
        aliases.push((name, record));
        Ok(())
    })?;
    Ok(aliases)
}

/// The names of at most `most` aliases of a key, in order, after `after`.
///
/// # Errors
/// When the table cannot be read.
pub fn alias_names_of(
    tables: &(impl Tables + ?Sized),
    key_id: &KeyId,
    after: Option<&AliasName>,
    most: usize,
) -> Result<Vec<AliasName>, StateError> {
    let mut names = Vec::new();
    scan_aliases(tables, Table::AliasesByKey, &key_id.to_row(), after, most, |name, _| {
        names.push(name);
        Ok(())
    })?;
    Ok(names)
}

/// Visits at most `most` rows of `prefix` and an alias name, after `after`.
fn scan_aliases(
    tables: &(impl Tables + ?Sized),
    table: Table,
    prefix: &[u8],
    after: Option<&AliasName>,
    most: usize,
    mut visit: impl FnMut(AliasName, &[u8]) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let mut left = most;
    let from = after.map_or(&[][..], |name| name.as_str().as_bytes());
    scan_prefix(tables, table, prefix, from, |row, bytes| {
        if left == 0 {
            return Ok(ControlFlow::Break(()));
        }
        if after.is_none() || row != from {
            let name = std::str::from_utf8(row).ok().and_then(|name| name.parse().ok());
            visit(name.ok_or_else(|| StateError::corrupt_row(table, &[prefix, row].concat()))?, bytes)?;
            left -= 1;
        }
        Ok(ControlFlow::Continue(()))
    })
}
