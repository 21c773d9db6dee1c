//! A region's tables taken from a backup, made into a region's first state in a new life (rule 11).
//!
//! This happens once, on one node, before there is a log: no command does it, so nobody can propose it to a region that
//! lives, and no state of the old life is ever part of the new log or its snapshots. Documents are not touched: the region
//! authored them in another life, so it is primary of nothing. Keys are not touched either: each was admitted in another
//! life, so the region withholds it ([`crate::Regional::enablement`]). That is also why policies, grants and identities may
//! come back as the backup has them: one that was taken away after the backup opens no key before an operator admits the key.

use claviger_protocol::StatusRecord;
use claviger_types::{ClusterId, Incarnation, KeyId, Timestamp};

use crate::read::{self, LOG_TIME_ROW, counter};
use crate::{
    AccountRecord, AliasRecord, CrlRecord, DenialRecord, DirtyRecord, GrantRecord, IdentityRecord, InvocationRecord, KeyRecord,
    LastUsageRecord, MaterialRecord, NodeRecord, NodeRole, Overlay, PeerRecord, Record, Refusal, RegionKeysRecord, RegionRecord,
    RegisterNode, ReservationRecord, RestoredFrom, StateError, Table,
};

/// How a restored region differs from what its backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreRegion {
    /// Its new cluster: nodes of the lost one cannot talk to it.
    pub cluster_id: ClusterId,
    /// Its new life: peers refuse it until their operators admit it again.
    pub incarnation: Incarnation,
    /// Which backup: the SHA-256 of its manifest.
    pub backup: [u8; 32],
    /// The wall clock. Log time goes on from the backup's.
    pub at: Timestamp,
    /// The first node, under an id that the lost cluster never used.
    pub node: RegisterNode,
}

/// Whether a restored region begins with this row of its backup.
///
/// What it owed to peers, and what it had promised to hold for them, was said in its old life: peers send their documents
/// anew when they admit it, and ask for reservations anew.
pub fn is_carried_over(table: Table, row: &[u8]) -> bool {
    match table {
        Table::Dirty | Table::DirtyByAge | Table::Reservations => false,
        Table::Counters => !counter::is_of_peers(row),
        _ => true,
    }
}

/// Gives the region in `tables`, which hold every row of a backup that [`is_carried_over`], its new life.
///
/// # Errors
/// The outer one when the tables cannot be read; the inner one when they hold no region, or the node's id is used.
pub fn restore_region(tables: &mut Overlay<'_>, restore: &RestoreRegion) -> Result<Result<(), Refusal>, StateError> {
    let Some(old) = read::region(tables)? else { return Ok(Err(Refusal::NotFounded)) };
    if read::node(tables, restore.node.id)?.is_some() {
        return Ok(Err(Refusal::NodeIdUsed));
    }
    let restored = RestoredFrom { cluster_id: old.cluster_id, incarnation: old.incarnation, backup: restore.backup, at: restore.at };
    let new = RegionRecord { cluster_id: restore.cluster_id, incarnation: restore.incarnation, restored: Some(restored), ..old };
    tables.put(RegionRecord::ROW, &new)?;
    let now = read::log_time(tables)?;
    // The nodes of the old life are no members of this one, and their ids are used.
    for (id, node) in read::nodes(tables)? {
        tables.put(&id.to_be_bytes(), &NodeRecord { removed_at: node.removed_at.or(Some(now)), ..node })?;
    }
    let RegisterNode { id, instance } = restore.node;
    tables.put(&id.to_be_bytes(), &NodeRecord { instance, registered_at: now, role: NodeRole::Voter, removed_at: None })?;
    Ok(Ok(()))
}

/// Checks that this build reads a row, so that a region is not restored only to stop at it later.
///
/// # Errors
/// What is wrong with it.
pub fn check_row(table: Table, row: &[u8], record: &[u8]) -> Result<(), StateError> {
    let key_id = |row: &[u8]| KeyId::from_row(row).map(drop).map_err(|_| StateError::corrupt_row(table, row));
    let number = || <[u8; 8]>::try_from(record).map(drop).map_err(|_| StateError::corrupt_row(table, row));
    match table {
        Table::Meta if row == LOG_TIME_ROW => number(),
        Table::Meta if row == RegionRecord::ROW => decodes::<RegionRecord>(row, record),
        Table::Meta if row == RegionKeysRecord::ROW => decodes::<RegionKeysRecord>(row, record),
        Table::Meta => Err(StateError::corrupt_row(table, row)),
        Table::Keys => key_id(row).and_then(|()| decodes::<KeyRecord>(row, record)),
        Table::Materials => decodes::<MaterialRecord>(row, record),
        Table::Aliases => decodes::<AliasRecord>(row, record),
        Table::Counters => number(),
        Table::Invocations => decodes::<InvocationRecord>(row, record),
        Table::Peers => decodes::<PeerRecord>(row, record),
        Table::Statuses => decodes::<StatusRecord>(row, record),
        Table::Dirty => decodes::<DirtyRecord>(row, record),
        Table::Reservations => key_id(row).and_then(|()| decodes::<ReservationRecord>(row, record)),
        Table::Nodes => decodes::<NodeRecord>(row, record),
        Table::Crls => decodes::<CrlRecord>(row, record),
        Table::Grants => read::grant_of_row(Table::Grants, row).and_then(|_| decodes::<GrantRecord>(row, record)),
        Table::Accounts => read::account_of_row(row).and_then(|_| decodes::<AccountRecord>(row, record)),
        Table::Identities => identity(row, record),
        Table::DeniedPrincipals => decodes::<DenialRecord>(row, record),
        Table::GrantsByGrantee => read::decode_in::<GrantRecord>(table, row, record).map(drop),
        Table::GrantsByContents => <[u8; 32]>::try_from(record).map(drop).map_err(|_| StateError::corrupt_row(table, row)),
        Table::Due => read::due_of_row(row).map(drop),
        Table::LastUsages => key_id(row).and_then(|()| decodes::<LastUsageRecord>(row, record)),
        // The row is all there is.
        Table::KeysByAccount | Table::InvocationsByTime | Table::DirtyByAge | Table::AliasesByKey => Ok(()),
        Table::GrantsByRetiring | Table::IdentityReferences => Ok(()),
    }
}

/// An identity is of the kind that its row says.
fn identity(row: &[u8], record: &[u8]) -> Result<(), StateError> {
    let (_, kind, _) = read::identity_of_row(row)?;
    let record: IdentityRecord = read::decode(row, record)?;
    if record.kind() == kind { Ok(()) } else { Err(StateError::corrupt_row(Table::Identities, row)) }
}

fn decodes<R: Record>(row: &[u8], record: &[u8]) -> Result<(), StateError> {
    read::decode::<R>(row, record).map(drop)
}
