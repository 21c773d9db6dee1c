//! Reads of grants, by key, by grantee and by retiring principal.

use std::ops::ControlFlow;

use claviger_types::{GrantId, KeyId, NamedPrincipal};

use super::{count, counter, decode, decode_in, key_id_of_row, record, scan_prefix};
use crate::{GrantRecord, StateError, Table, Tables};

const GRANT_ID_BYTES: usize = 32;

/// Row of a grant: key id row, grant id.
pub(crate) fn grant_row(key_id: &KeyId, grant_id: &GrantId) -> Vec<u8> {
    [key_id.to_row().as_slice(), grant_id.as_bytes()].concat()
}

/// What the rows of one grantee of a key start with in `GrantsByGrantee`.
pub(crate) fn grantee_prefix(key_id: &KeyId, grantee: &NamedPrincipal) -> Vec<u8> {
    [key_id.to_row().as_slice(), &principal_prefix(grantee)].concat()
}

/// A principal and a 0, which is in no name: what the rows of one retiring principal start with in `GrantsByRetiring`.
pub(crate) fn principal_prefix(principal: &NamedPrincipal) -> Vec<u8> {
    let mut prefix = principal.to_string().into_bytes();
    prefix.push(0);
    prefix
}

/// Row of a named grant in `GrantsByContents`: key id row, fingerprint of its contents.
pub(crate) fn contents_row(key_id: &KeyId, fingerprint: &[u8; 32]) -> Vec<u8> {
    [key_id.to_row().as_slice(), fingerprint].concat()
}

/// Key and grant of a row, or of its end in an index.
pub(crate) fn grant_of_row(table: Table, row: &[u8]) -> Result<(KeyId, GrantId), StateError> {
    let (key_id, grant_id) = row.split_at_checked(KeyId::ROW_BYTES).ok_or_else(|| StateError::corrupt_row(table, row))?;
    Ok((key_id_of_row(table, key_id)?, grant_id_of_row(table, grant_id)?))
}

fn grant_id_of_row(table: Table, row: &[u8]) -> Result<GrantId, StateError> {
    let id = <[u8; GRANT_ID_BYTES]>::try_from(row).map_err(|_| StateError::corrupt_row(table, row))?;
    Ok(GrantId::from_bytes(id))
}

/// A grant on a key.
///
/// # Errors
/// When the record cannot be read.
pub fn grant(tables: &(impl Tables + ?Sized), key_id: &KeyId, grant_id: &GrantId) -> Result<Option<GrantRecord>, StateError> {
    record(tables, &grant_row(key_id, grant_id))
}

/// At most `most` grants on a key, in the order of their ids, after `after`.
///
/// # Errors
/// When the table cannot be read.
pub fn grants_of(
    tables: &(impl Tables + ?Sized),
    key_id: &KeyId,
    after: Option<&GrantId>,
    most: usize,
) -> Result<Vec<(GrantId, GrantRecord)>, StateError> {
    let mut grants = Vec::new();
    let from = after.map_or(&[][..], |id| id.as_bytes());
    scan_prefix(tables, Table::Grants, &key_id.to_row(), from, |row, bytes| {
        if grants.len() >= most {
            return Ok(ControlFlow::Break(()));
        }
        if after.is_none() || row != from {
            let grant_id = grant_id_of_row(Table::Grants, row)?;
            grants.push((grant_id, decode(&grant_row(key_id, &grant_id), bytes)?));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(grants)
}

/// Visits the grants of one grantee on a key, in the order of their ids, until `visit` breaks. The grantee is named as in
/// the grant: [`NamedPrincipal::of`] gives every name that a principal goes by.
///
/// # Errors
/// When the table cannot be read.
pub fn visit_grants_for(
    tables: &(impl Tables + ?Sized),
    key_id: &KeyId,
    grantee: &NamedPrincipal,
    after: Option<&GrantId>,
    mut visit: impl FnMut(GrantId, GrantRecord) -> ControlFlow<()>,
) -> Result<(), StateError> {
    let from = after.map_or(&[][..], |id| id.as_bytes());
    let prefix = grantee_prefix(key_id, grantee);
    scan_prefix(tables, Table::GrantsByGrantee, &prefix, from, |row, bytes| {
        if after.is_some() && row == from {
            return Ok(ControlFlow::Continue(()));
        }
        let grant_id = grant_id_of_row(Table::GrantsByGrantee, row)?;
        Ok(visit(grant_id, decode_in(Table::GrantsByGrantee, &[&*prefix, row].concat(), bytes)?))
    })
}

/// At most `most` grants of one grantee on a key, in the order of their ids, after `after`.
///
/// # Errors
/// As [`visit_grants_for`].
pub fn grants_for(
    tables: &(impl Tables + ?Sized),
    key_id: &KeyId,
    grantee: &NamedPrincipal,
    after: Option<&GrantId>,
    most: usize,
) -> Result<Vec<(GrantId, GrantRecord)>, StateError> {
    let mut grants = Vec::new();
    if most > 0 {
        visit_grants_for(tables, key_id, grantee, after, |grant_id, record| {
            grants.push((grant_id, record));
            if grants.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    Ok(grants)
}

/// At most `most` grants, on any key, that name this retiring principal, by key and id, after `after`.
///
/// # Errors
/// As [`visit_grants_for`].
pub fn retirable_by(
    tables: &(impl Tables + ?Sized),
    retiring: &NamedPrincipal,
    after: Option<(&KeyId, &GrantId)>,
    most: usize,
) -> Result<Vec<(KeyId, GrantId, GrantRecord)>, StateError> {
    let mut grants = Vec::new();
    let from = after.map(|(key_id, grant_id)| grant_row(key_id, grant_id)).unwrap_or_default();
    scan_prefix(tables, Table::GrantsByRetiring, &principal_prefix(retiring), &from, |row, _| {
        if grants.len() >= most {
            return Ok(ControlFlow::Break(()));
        }
        if after.is_none() || row != from {
            let (key_id, grant_id) = grant_of_row(Table::GrantsByRetiring, row)?;
            grants.extend(grant(tables, &key_id, &grant_id)?.map(|record| (key_id, grant_id, record)));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(grants)
}

/// The named grant on a key whose contents have this fingerprint.
pub(crate) fn grant_like(tables: &(impl Tables + ?Sized), key_id: &KeyId, fingerprint: &[u8; 32]) -> Result<Option<GrantId>, StateError> {
    let row = contents_row(key_id, fingerprint);
    let Some(held) = tables.get(Table::GrantsByContents, &row)? else { return Ok(None) };
    let id = <[u8; GRANT_ID_BYTES]>::try_from(&*held).map_err(|_| StateError::corrupt_row(Table::GrantsByContents, &row))?;
    Ok(Some(GrantId::from_bytes(id)))
}

/// How many grants a key has.
///
/// # Errors
/// When the counter cannot be read.
pub fn grant_count(tables: &(impl Tables + ?Sized), key_id: &KeyId) -> Result<u64, StateError> {
    count(tables, &counter::grants_of(key_id))
}
