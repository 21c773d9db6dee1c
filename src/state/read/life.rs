//! What falls due, and when keys were used last.

use std::ops::ControlFlow;

use claviger_types::{KeyId, MaterialId, Region, Timestamp};

use super::{key_id_of_row, record, scan_prefix};
use crate::{Due, DueWork, LastUsageRecord, StateError, Table, Tables};

const DESTROY: u8 = 0;
const ROTATE: u8 = 1;
const EXPIRE: u8 = 2;

pub(crate) fn due_row(due: &Due) -> Vec<u8> {
    let (kind, material): (_, &[u8]) = match &due.what {
        DueWork::Destroy => (DESTROY, &[]),
        DueWork::Rotate => (ROTATE, &[]),
        DueWork::Expire(id) => (EXPIRE, id.as_bytes()),
    };
    [due.at.as_millis().to_be_bytes().as_slice(), &[kind], &due.key_id.to_row(), material].concat()
}

pub(crate) fn due_of_row(row: &[u8]) -> Result<Due, StateError> {
    let corrupt = || StateError::corrupt_row(Table::Due, row);
    let (at, rest) = row.split_first_chunk::<8>().ok_or_else(corrupt)?;
    let (kind, rest) = rest.split_first().ok_or_else(corrupt)?;
    let (key_id, material) = rest.split_at_checked(KeyId::ROW_BYTES).ok_or_else(corrupt)?;
    let what = match (*kind, material) {
        (DESTROY, []) => DueWork::Destroy,
        (ROTATE, []) => DueWork::Rotate,
        (EXPIRE, id) => DueWork::Expire(MaterialId::from_bytes(id.try_into().map_err(|_| corrupt())?)),
        _ => return Err(corrupt()),
    };
    Ok(Due { at: Timestamp::from_millis(u64::from_be_bytes(*at)), what, key_id: key_id_of_row(Table::Due, key_id)? })
}

/// At most `most` things that fell due by `time`, the oldest first, after `after`.
///
/// # Errors
/// When the table cannot be read.
pub fn due(tables: &(impl Tables + ?Sized), time: Timestamp, after: Option<&Due>, most: usize) -> Result<Vec<Due>, StateError> {
    let mut found = Vec::new();
    let from = after.map(due_row).unwrap_or_default();
    scan_prefix(tables, Table::Due, &[], &from, |row, _| {
        let due = due_of_row(row)?;
        if due.at > time || found.len() >= most {
            return Ok(ControlFlow::Break(()));
        }
        if after != Some(&due) {
            found.push(due);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// When a key was used last in this region.
///
/// # Errors
/// When the record cannot be read.
pub fn last_usage(tables: &(impl Tables + ?Sized), key_id: &KeyId) -> Result<Option<LastUsageRecord>, StateError> {
    record(tables, &key_id.to_row())
}

/// The regions that have said something of a key.
pub(crate) fn status_regions(tables: &(impl Tables + ?Sized), key_id: &KeyId) -> Result<Vec<Region>, StateError> {
    let mut regions = Vec::new();
    scan_prefix(tables, Table::Statuses, &key_id.to_row(), &[], |row, _| {
        let region = std::str::from_utf8(row).ok().and_then(|text| text.parse().ok());
        regions.push(region.ok_or_else(|| StateError::corrupt_row(Table::Statuses, row))?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(regions)
}
