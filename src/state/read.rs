//! Typed reads over any [`Tables`]: the only other code that knows how rows are laid out is `apply`.
//!
//! A record that does not decode is an error that names its row, never `None`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use claviger_protocol::{Presence, StatusRecord};
use claviger_types::encoding;
use claviger_types::{AccountId, KeyId, MaterialId, NodeId, Region, Timestamp};

use crate::{
    CrlRecord, DirtyRecord, InvocationRecord, KeyRecord, MaterialRecord, NodeRecord, PeerRecord, Record, RegionKeysRecord, RegionRecord,
    ReservationRecord, StateError, Table, Tables,
};

mod aliases;
mod grants;
mod identities;
mod life;

pub(crate) use aliases::alias_by_key_row;
pub use aliases::{alias, alias_names_of, aliases_of};
pub(crate) use grants::{contents_row, grant_like, grant_of_row, grant_row, grantee_prefix, principal_prefix};
pub use grants::{grant, grant_count, grants_for, grants_of, retirable_by, visit_grants_for};
pub use identities::{
    PrincipalIdentity, account, accounts, denial, denials, group, identities_of, identity, identity_count, is_denied, managed_policy,
    principal, role, user,
};
pub(crate) use identities::{account_of_row, first_reference, identity_of_row, identity_row, reference_row};
pub use life::{due, last_usage};
pub(crate) use life::{due_of_row, due_row, status_regions};

/// Row of the log time in `Meta`.
pub(crate) const LOG_TIME_ROW: &[u8] = b"log-time";

/// Row of a material: key id row, material id.
pub fn material_row(key_id: &KeyId, material_id: &MaterialId) -> Vec<u8> {
    [key_id.to_row().as_slice(), material_id.as_bytes()].concat()
}

/// Row of what a region said of a key: key id row, region.
pub(crate) fn status_row(key_id: &KeyId, region: &Region) -> Vec<u8> {
    [key_id.to_row().as_slice(), region.as_str().as_bytes()].concat()
}

/// What the rows of one peer start with in `Dirty` and `DirtyByAge`: region, 0.
pub(crate) fn peer_prefix(peer: &Region) -> Vec<u8> {
    [peer.as_str().as_bytes(), &[0]].concat()
}

pub(crate) fn dirty_row(peer: &Region, key_id: &KeyId) -> Vec<u8> {
    [peer_prefix(peer).as_slice(), &key_id.to_row()].concat()
}

pub(crate) fn dirty_age_row(peer: &Region, since: Timestamp, key_id: &KeyId) -> Vec<u8> {
    [peer_prefix(peer).as_slice(), &since.as_millis().to_be_bytes(), &key_id.to_row()].concat()
}

pub(crate) fn account_row(account: AccountId, key_id: &KeyId) -> Vec<u8> {
    [account.to_be_bytes().as_slice(), &key_id.to_row()].concat()
}

pub(crate) fn invocation_row(principal: &str, invocation_id: &str) -> Vec<u8> {
    [principal.as_bytes(), &[0], invocation_id.as_bytes()].concat()
}

/// Names of rows in `Counters`.
pub(crate) mod counter {
    use claviger_types::{AccountId, KeyId, Region};

    /// Accounts whose identities this region holds.
    pub(crate) const ACCOUNTS: &str = "accounts";
    /// Principals that operators have denied.
    pub(crate) const DENIED: &str = "denied";

    pub(crate) fn keys_of(account: AccountId) -> String {
        format!("keys/{account}")
    }

    pub(crate) fn grants_of(key_id: &KeyId) -> String {
        format!("grants/{key_id}")
    }

    pub(crate) fn identities_of(account: AccountId) -> String {
        format!("identities/{account}")
    }

    pub(crate) fn dirty_of(peer: &Region) -> String {
        format!("dirty/{peer}")
    }

    pub(crate) fn reservations_of(primary: &Region) -> String {
        format!("reservations/{primary}")
    }

    pub(crate) fn reservations_for(account: AccountId) -> String {
        format!("reservations-for/{account}")
    }

    /// Whether a row counts what was said between this region and its peers.
    pub(crate) fn is_of_peers(row: &[u8]) -> bool {
        [&b"dirty/"[..], b"reservations/", b"reservations-for/"].iter().any(|prefix| row.starts_with(prefix))
    }
}

/// The record of type `R` at `row`.
///
/// # Errors
/// When it cannot be read or does not decode.
pub fn record<R: Record>(tables: &(impl Tables + ?Sized), row: &[u8]) -> Result<Option<R>, StateError> {
    tables.get(R::TABLE, row)?.map(|bytes| decode(row, &bytes)).transpose()
}

pub(crate) fn decode<R: Record>(row: &[u8], bytes: &[u8]) -> Result<R, StateError> {
    decode_in(R::TABLE, row, bytes)
}

/// A record that an index holds too.
pub(crate) fn decode_in<R: Record>(table: Table, row: &[u8], bytes: &[u8]) -> Result<R, StateError> {
    encoding::decode(R::SCHEMA, bytes).map_err(|source| StateError::Corrupt { table, row: hex::encode(row), source })
}

/// Who this region is; `None` before its first command.
///
/// # Errors
/// When the record cannot be read.
pub fn region(tables: &(impl Tables + ?Sized)) -> Result<Option<RegionRecord>, StateError> {
    record(tables, RegionRecord::ROW)
}

/// This region's own region keys.
///
/// # Errors
/// When the record cannot be read.
pub fn region_keys(tables: &(impl Tables + ?Sized)) -> Result<Option<RegionKeysRecord>, StateError> {
    record(tables, RegionKeysRecord::ROW)
}

/// Log time: the greatest time of any applied command.
///
/// # Errors
/// When it cannot be read.
pub fn log_time(tables: &(impl Tables + ?Sized)) -> Result<Timestamp, StateError> {
    let Some(bytes) = tables.get(Table::Meta, LOG_TIME_ROW)? else { return Ok(Timestamp::default()) };
    let millis = <[u8; 8]>::try_from(bytes).map_err(|_| StateError::corrupt_row(Table::Meta, LOG_TIME_ROW))?;
    Ok(Timestamp::from_millis(u64::from_be_bytes(millis)))
}

/// A key.
///
/// # Errors
/// When the record cannot be read.
pub fn key(tables: &(impl Tables + ?Sized), key_id: &KeyId) -> Result<Option<KeyRecord>, StateError> {
    record(tables, &key_id.to_row())
}

/// One version of a key's material, sealed.
///
/// # Errors
/// When the record cannot be read.
pub fn material(tables: &(impl Tables + ?Sized), key_id: &KeyId, material_id: &MaterialId) -> Result<Option<MaterialRecord>, StateError> {
    record(tables, &material_row(key_id, material_id))
}

/// The ids of all materials that this region holds of a key, whether its document names them or not.
///
/// # Errors
/// When the table cannot be read.
pub fn material_ids(tables: &(impl Tables + ?Sized), key_id: &KeyId) -> Result<BTreeSet<MaterialId>, StateError> {
    let mut ids = BTreeSet::new();
    scan_prefix(tables, Table::Materials, &key_id.to_row(), &[], |row, _| {
        let id = <[u8; 32]>::try_from(row).map_err(|_| StateError::corrupt_row(Table::Materials, row))?;
        ids.insert(MaterialId::from_bytes(id));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(ids)
}

/// At most `most` keys of an account, in the order of their ids, after `after`.
///
/// # Errors
/// When the table cannot be read.
pub fn keys_of(tables: &(impl Tables + ?Sized), account: AccountId, after: Option<&KeyId>, most: usize) -> Result<Vec<KeyId>, StateError> {
    let mut keys = Vec::new();
    let from = after.map(KeyId::to_row);
    let from = from.as_ref().map_or(&[][..], |row| row.as_slice());
    scan_prefix(tables, Table::KeysByAccount, &account.to_be_bytes(), from, |row, _| {
        if keys.len() >= most {
            return Ok(ControlFlow::Break(()));
        }
        if after.is_none() || row != from {
            keys.push(key_id_of_row(Table::KeysByAccount, row)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(keys)
}

/// At most `most` keys of the region, in the order of their rows, after `after`.
///
/// # Errors
/// When the table cannot be read.
pub fn key_ids(tables: &(impl Tables + ?Sized), after: Option<&KeyId>, most: usize) -> Result<Vec<KeyId>, StateError> {
    let mut keys = Vec::new();
    let from = after.map(KeyId::to_row);
    let from = from.as_ref().map_or(&[][..], |row| row.as_slice());
    scan_prefix(tables, Table::Keys, &[], from, |row, _| {
        if keys.len() >= most {
            return Ok(ControlFlow::Break(()));
        }
        if after.is_none() || row != from {
            keys.push(key_id_of_row(Table::Keys, row)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(keys)
}

/// What an invocation id did, if it is remembered.
///
/// # Errors
/// When the record cannot be read.
pub fn invocation(tables: &(impl Tables + ?Sized), principal: &str, invocation_id: &str) -> Result<Option<InvocationRecord>, StateError> {
    record(tables, &invocation_row(principal, invocation_id))
}

/// A peer region.
///
/// # Errors
/// When the record cannot be read.
pub fn peer(tables: &(impl Tables + ?Sized), region: &Region) -> Result<Option<PeerRecord>, StateError> {
    record(tables, region.as_str().as_bytes())
}

/// All peer regions, by name.
///
/// # Errors
/// When the table cannot be read.
pub fn peers(tables: &(impl Tables + ?Sized)) -> Result<Vec<PeerRecord>, StateError> {
    let mut peers = Vec::new();
    scan_prefix(tables, Table::Peers, &[], &[], |row, bytes| {
        peers.push(decode(row, bytes)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(peers)
}

/// What a member last said of a key.
///
/// # Errors
/// When the record cannot be read.
pub fn status(tables: &(impl Tables + ?Sized), key_id: &KeyId, region: &Region) -> Result<Option<StatusRecord>, StateError> {
    record(tables, &status_row(key_id, region))
}

/// What this region has to say of a key that it holds.
///
/// # Errors
/// When a record cannot be read.
pub fn own_status(tables: &(impl Tables + ?Sized), me: &RegionRecord, key: &KeyRecord) -> Result<StatusRecord, StateError> {
    let key_id = key.document.key_id;
    Ok(StatusRecord {
        key_id,
        region: me.region.clone(),
        incarnation: me.incarnation,
        revision: key.status_revision,
        member_since: key.document.members.get(&me.region).map(|member| member.since.clone()),
        greatest_epoch: key.greatest_epoch.clone(),
        version: key.document.version.clone(),
        materials: material_ids(tables, &key_id)?,
        presence: Presence::Present,
        kept: BTreeSet::new(),
        strays: BTreeSet::new(),
        consent: None,
        refused: None,
    })
}

/// At most `most` dirty entries of a peer, oldest first.
///
/// # Errors
/// When the tables cannot be read.
pub fn dirty(tables: &(impl Tables + ?Sized), peer: &Region, most: usize) -> Result<Vec<(KeyId, DirtyRecord)>, StateError> {
    let mut keys = Vec::new();
    scan_prefix(tables, Table::DirtyByAge, &peer_prefix(peer), &[], |row, _| {
        if keys.len() >= most {
            return Ok(ControlFlow::Break(()));
        }
        let key = row.get(8..).ok_or_else(|| StateError::corrupt_row(Table::DirtyByAge, row))?;
        keys.push(key_id_of_row(Table::DirtyByAge, key)?);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut entries = Vec::with_capacity(keys.len());
    for key_id in keys {
        if let Some(entry) = record(tables, &dirty_row(peer, &key_id))? {
            entries.push((key_id, entry));
        }
    }
    Ok(entries)
}

/// How many keys a peer is behind on.
///
/// # Errors
/// When the counter cannot be read.
pub fn dirty_count(tables: &(impl Tables + ?Sized), peer: &Region) -> Result<u64, StateError> {
    count(tables, &counter::dirty_of(peer))
}

/// How many keys an account has here.
///
/// # Errors
/// When the counter cannot be read.
pub fn key_count(tables: &(impl Tables + ?Sized), account: AccountId) -> Result<u64, StateError> {
    count(tables, &counter::keys_of(account))
}

/// A reservation.
///
/// # Errors
/// When the record cannot be read.
pub fn reservation(tables: &(impl Tables + ?Sized), key_id: &KeyId) -> Result<Option<ReservationRecord>, StateError> {
    record(tables, &key_id.to_row())
}

/// At most `most` reservations that were made at or before `made_by`.
///
/// # Errors
/// When the table cannot be read.
pub fn reservations(
    tables: &(impl Tables + ?Sized),
    made_by: Timestamp,
    most: usize,
) -> Result<Vec<(KeyId, ReservationRecord)>, StateError> {
    let mut found = Vec::new();
    scan_prefix(tables, Table::Reservations, &[], &[], |row, bytes| {
        let reservation: ReservationRecord = decode(row, bytes)?;
        if reservation.reserved_at <= made_by {
            found.push((key_id_of_row(Table::Reservations, row)?, reservation));
        }
        Ok(if found.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(found)
}

/// What is known of a node id that was ever used.
///
/// # Errors
/// When the record cannot be read.
pub fn node(tables: &(impl Tables + ?Sized), id: NodeId) -> Result<Option<NodeRecord>, StateError> {
    record(tables, &id.to_be_bytes())
}

/// The newest revocation list of every CA that has published one.
///
/// # Errors
/// When the table cannot be read.
pub fn crls(tables: &(impl Tables + ?Sized)) -> Result<Vec<CrlRecord>, StateError> {
    let mut crls = Vec::new();
    scan_prefix(tables, Table::Crls, &[], &[], |row, bytes| {
        crls.push(decode(row, bytes)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(crls)
}

/// Every node id that was ever used, removed ones too, in ascending order.
///
/// # Errors
/// When they cannot be read.
pub fn nodes(tables: &(impl Tables + ?Sized)) -> Result<Vec<(NodeId, NodeRecord)>, StateError> {
    let mut found = Vec::new();
    scan_prefix(tables, Table::Nodes, &[], &[], |row, bytes| {
        let id = <[u8; 8]>::try_from(row).map_err(|_| StateError::corrupt_row(Table::Nodes, row))?;
        found.push((NodeId::from_be_bytes(id), decode(row, bytes)?));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

pub(crate) fn count(tables: &(impl Tables + ?Sized), name: &str) -> Result<u64, StateError> {
    let Some(bytes) = tables.get(Table::Counters, name.as_bytes())? else { return Ok(0) };
    let bytes = <[u8; 8]>::try_from(bytes).map_err(|_| StateError::corrupt_row(Table::Counters, name.as_bytes()))?;
    Ok(u64::from_be_bytes(bytes))
}

fn key_id_of_row(table: Table, row: &[u8]) -> Result<KeyId, StateError> {
    KeyId::from_row(row).map_err(|_| StateError::corrupt_row(table, row))
}

/// Visits the rows that start with `prefix`, from `prefix ‖ from` on, without their prefix.
pub(crate) fn scan_prefix(
    tables: &(impl Tables + ?Sized),
    table: Table,
    prefix: &[u8],
    from: &[u8],
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StateError>,
) -> Result<(), StateError> {
    let mut failed = None;
    tables.scan(table, &[prefix, from].concat(), &mut |row, bytes| {
        let Some(rest) = row.strip_prefix(prefix) else { return ControlFlow::Break(()) };
        visit(rest, bytes).unwrap_or_else(|error| {
            failed = Some(error);
            ControlFlow::Break(())
        })
    })?;
    failed.map_or(Ok(()), Err)
}
