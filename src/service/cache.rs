//! [`KeyCache`]: opened keys by id, the keys that aliases name, and the accounts with their callers, each in a bounded space.
//!
//! Correctness (DESIGN.md section 4). Whoever applies commands commits a change, then tells the cache, then lets readers
//! rely on the change. A reader passes the read gate, then asks the cache. So a reader can meet a stale entry only if the
//! entry was put there after the cache had been told, by a fill that had read before the commit. Fills therefore take a
//! [`Stamp`] before they read and are refused if anything of their id, or everything, has been invalidated since; both are
//! decided under the lock of the id's shard.
//!
//! A key and an alias are two entries, which change one after the other: who comes by an alias looks at it twice
//! (`access`).

mod shards;

use std::sync::Arc;

use claviger_consensus::{Observer, ObserverError};
use claviger_state::CrlRecord;
use claviger_types::{AccountId, AliasId, AliasRow, KeyId};

pub(crate) use self::shards::Stamp;
use self::shards::{CacheId, Shards};
use crate::cached_key::CachedKey;
use crate::caller::CachedAccount;

/// Shards: far more than threads that could meet in one.
const SHARDS: usize = 64;

/// What the callers of all cached accounts may take, in KiB: 256 MiB. An account takes one at least, and a 64th of them at most.
const CALLERS_KIB_MAX: usize = 256 << 10;

/// How much the cache may hold.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Materials of all cached keys together, and KiB of their policies, labels and grants; a key has at least one material, and each takes
    /// 32 bytes of locked memory. A key with more than a 64th of this is not cached.
    pub materials_max: usize,
    /// Aliases; each takes some 200 bytes, and no more than 1 KiB.
    pub aliases_max: usize,
}

/// Opened keys, and what aliases name. One per node, shared by its service and by what applies its region's log.
pub struct KeyCache {
    keys: Shards<KeyId, Arc<CachedKey>>,
    aliases: Shards<[u8], AliasTarget>,
    accounts: Shards<AccountId, Arc<CachedAccount>>,
}

/// What an alias names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AliasTarget {
    /// The key.
    pub(crate) key_id: KeyId,
    /// Names this association among all that the alias ever had.
    pub(crate) revision: u64,
}

impl KeyCache {
    /// An empty cache.
    pub fn new(limits: CacheLimits) -> Self {
        Self::with_shards(SHARDS, limits)
    }

    fn with_shards(shards: usize, limits: CacheLimits) -> Self {
        Self {
            keys: Shards::new(shards, limits.materials_max),
            aliases: Shards::new(shards, limits.aliases_max),
            accounts: Shards::new(shards, CALLERS_KIB_MAX),
        }
    }

    /// The cached key.
    pub(crate) fn get(&self, key_id: &KeyId) -> Option<Arc<CachedKey>> {
        self.keys.get(key_id)
    }

    /// Begins the fill of a key. Call before reading the tables.
    pub(crate) fn stamp(&self, key_id: &KeyId) -> Stamp {
        self.keys.stamp(key_id)
    }

    /// Ends the fill of a key: keeps it unless something of it has been invalidated since `stamp`. Says whether it was kept.
    pub(crate) fn insert(&self, stamp: Stamp, key: &Arc<CachedKey>) -> bool {
        self.keys.insert(stamp, &key.arn.key_id, Arc::clone(key), key.weight())
    }

    /// Whether nothing of the key has changed since it was opened: `stamp` was taken before, if it was not cached.
    pub(crate) fn is_current(&self, key: &Arc<CachedKey>, stamp: Option<Stamp>) -> bool {
        self.keys.is_current(&key.arn.key_id, |held| Arc::ptr_eq(held, key), stamp)
    }

    /// Makes room for so many KiB of grants of a cached key. Says whether there is.
    pub(crate) fn make_room(&self, key: &CachedKey, grants_kib: usize) -> bool {
        self.keys.reweigh(&key.arn.key_id, |held| std::ptr::eq(&raw const **held, key), key.weight() + grants_kib)
    }

    /// The cached target of an alias.
    pub(crate) fn alias(&self, alias: &AliasRow) -> Option<AliasTarget> {
        self.aliases.get(alias.as_bytes())
    }

    /// Begins the fill of an alias. Call before reading the tables.
    pub(crate) fn alias_stamp(&self, alias: &AliasRow) -> Stamp {
        self.aliases.stamp(alias.as_bytes())
    }

    /// Ends the fill of an alias, as [`KeyCache::insert`] does for a key.
    pub(crate) fn insert_alias(&self, stamp: Stamp, alias: &AliasRow, target: AliasTarget) -> bool {
        self.aliases.insert(stamp, alias.as_bytes(), target, 1)
    }
}

impl KeyCache {
    /// The cached callers of an account.
    pub(crate) fn account(&self, account: AccountId) -> Option<Arc<CachedAccount>> {
        self.accounts.get(&account)
    }

    /// Begins the fill of an account.
    pub(crate) fn account_stamp(&self, account: AccountId) -> Stamp {
        self.accounts.stamp(&account)
    }

    /// Makes room for so many KiB of an account's callers. Says whether there is.
    pub(crate) fn make_room_for_callers(&self, account: AccountId, callers: &CachedAccount, kib: usize) -> bool {
        self.accounts.reweigh(&account, |held| std::ptr::eq(&raw const **held, callers), kib.max(1))
    }

    /// Ends the fill of an account, as [`KeyCache::insert`] does for a key.
    pub(crate) fn insert_account(&self, stamp: Stamp, account: AccountId, callers: &Arc<CachedAccount>) -> bool {
        self.accounts.insert(stamp, &account, Arc::clone(callers), 1)
    }
}

impl Observer for KeyCache {
    fn keys_changed(&self, keys: &[KeyId]) {
        keys.iter().for_each(|key_id| self.keys.invalidate(key_id));
    }

    fn aliases_changed(&self, aliases: &[AliasId]) {
        aliases.iter().for_each(|id| self.aliases.invalidate(AliasRow::of(id).as_bytes()));
    }

    fn accounts_changed(&self, accounts: &[AccountId]) {
        accounts.iter().for_each(|account| self.accounts.invalidate(account));
    }

    fn everything_changed(&self) {
        self.keys.invalidate_all();
        self.aliases.invalidate_all();
        self.accounts.invalidate_all();
    }

    fn dirty_grew(&self) {}

    fn crls_changed(&self, _crls: &[CrlRecord]) -> Result<(), ObserverError> {
        Ok(())
    }
}

impl CacheId for KeyId {
    /// Ids are random.
    fn spread(&self) -> [u8; 2] {
        [self.bytes()[0], self.bytes()[1]]
    }
}

impl CacheId for AccountId {
    /// Fibonacci hashing: account numbers need not be random.
    fn spread(&self) -> [u8; 2] {
        let [first, second, ..] = u64::from(*self).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        [first, second]
    }
}

impl CacheId for [u8] {
    /// FNV-1a: names are short, and who chooses them to meet in one shard only makes that shard small.
    fn spread(&self) -> [u8; 2] {
        let hash = self.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        let [first, second, ..] = hash.to_be_bytes();
        [first, second]
    }
}

#[cfg(test)]
mod tests;
