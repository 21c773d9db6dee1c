//! [`KeyCache`]: opened keys, by id, in a bounded space.
//!
//! Correctness (DESIGN.md section 4). Whoever applies commands commits a change, then tells the cache, then lets readers
//! rely on the change. A reader passes the read gate, then asks the cache. So a reader can meet a stale entry only if the
//! entry was put there after the cache had been told, by a fill that had read before the commit. Fills therefore take a
//! [`Stamp`] before they read and are refused if anything of their key, or everything, has been invalidated since; both are
//! decided under the lock of the key's shard.
//!
//! Eviction is CLOCK: a key that was used since the hand last passed stays.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_consensus::{Observer, ObserverError};
use claviger_state::CrlRecord;
use claviger_types::KeyId;
use parking_lot::RwLock;

use crate::cached_key::CachedKey;

/// Shards: far more than threads that could meet in one.
const SHARDS: usize = 64;
/// Counters of invalidations in a shard. Keys that share one void each other's fills, which costs a read and no more.
const COUNTERS: usize = 64;

/// How much the cache may hold.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Materials of all cached keys together; a key has at least one, and each takes 32 bytes of locked memory. A key with
    /// more than a 64th of this is not cached.
    pub materials_max: usize,
}

/// Opened keys. One per node, shared by its service and by what applies its region's log.
pub struct KeyCache {
    shards: Box<[RwLock<Shard>]>,
    /// Fills that a planted bug lets end late.
    #[cfg(feature = "known-bugs")]
    late: parking_lot::Mutex<Vec<Arc<CachedKey>>>,
}

/// The state of invalidations when a fill began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp(u64);

impl KeyCache {
    /// An empty cache.
    pub fn new(limits: CacheLimits) -> Self {
        Self::with_shards(SHARDS, limits.materials_max.div_ceil(SHARDS))
    }

    fn with_shards(shards: usize, weight_max: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| RwLock::new(Shard::new(weight_max))).collect(),
            #[cfg(feature = "known-bugs")]
            late: parking_lot::Mutex::default(),
        }
    }

    /// The cached key.
    pub(crate) fn get(&self, key_id: &KeyId) -> Option<Arc<CachedKey>> {
        #[cfg(feature = "known-bugs")]
        self.end_late_fills(key_id);
        self.shard(key_id)?.read().get(key_id)
    }

    /// Begins a fill. Call before reading the tables.
    pub(crate) fn stamp(&self, key_id: &KeyId) -> Stamp {
        Stamp(self.shard(key_id).map_or(0, |shard| shard.read().invalidations(key_id)))
    }

    /// Ends a fill: keeps `key` unless something of it has been invalidated since `stamp`. Says whether it was kept.
    pub(crate) fn insert(&self, stamp: Stamp, key: &Arc<CachedKey>) -> bool {
        #[cfg(feature = "known-bugs")]
        if claviger_types::known_bug!(LateCacheFill) {
            self.late.lock().push(Arc::clone(key));
            return true;
        }
        let Some(shard) = self.shard(&key.arn.key_id) else { return false };
        let mut shard = shard.write();
        if shard.invalidations(&key.arn.key_id) != stamp.0 {
            return false;
        }
        let Some(evicted) = shard.insert(key) else { return false };
        // Wiping material is nothing that readers of the shard should wait for.
        drop(shard);
        drop(evicted);
        true
    }

    /// The planted bug: the filler was held up since it read, and now keeps what it read without looking at its stamp.
    #[cfg(feature = "known-bugs")]
    fn end_late_fills(&self, key_id: &KeyId) {
        let late: Vec<_> = self.late.lock().extract_if(.., |key| key.arn.key_id == *key_id).collect();
        for key in late {
            if let Some(shard) = self.shard(key_id) {
                shard.write().insert(&key);
            }
        }
    }

    /// There is always at least one shard.
    fn shard(&self, key_id: &KeyId) -> Option<&RwLock<Shard>> {
        // Ids are random, and a map's own hash protects it from those that are not.
        self.shards.get(usize::from(key_id.bytes()[0]) % self.shards.len().max(1))
    }
}

impl Observer for KeyCache {
    fn keys_changed(&self, keys: &[KeyId]) {
        for key_id in keys {
            if let Some(shard) = self.shard(key_id) {
                let removed = shard.write().invalidate(key_id);
                drop(removed);
            }
        }
    }

    fn everything_changed(&self) {
        for shard in &self.shards {
            let removed = shard.write().invalidate_all();
            drop(removed);
        }
    }

    fn dirty_grew(&self) {}

    fn crls_changed(&self, _crls: &[CrlRecord]) -> Result<(), ObserverError> {
        Ok(())
    }
}

struct Entry {
    key: Arc<CachedKey>,
    used: AtomicBool,
}

struct Shard {
    index: HashMap<KeyId, usize>,
    entries: Vec<Entry>,
    hand: usize,
    weight: usize,
    weight_max: usize,
    invalidations: [u64; COUNTERS],
}

impl Shard {
    fn new(weight_max: usize) -> Self {
        Self { index: HashMap::new(), entries: Vec::new(), hand: 0, weight: 0, weight_max, invalidations: [0; COUNTERS] }
    }

    fn get(&self, key_id: &KeyId) -> Option<Arc<CachedKey>> {
        let entry = self.entries.get(*self.index.get(key_id)?)?;
        // Written once per round of the hand, so that readers of a hot key do not fight over its cache line.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&entry.key))
    }

    fn invalidations(&self, key_id: &KeyId) -> u64 {
        self.invalidations[Self::counter(key_id)]
    }

    fn counter(key_id: &KeyId) -> usize {
        usize::from(key_id.bytes()[1]) % COUNTERS
    }

    /// `None` when the key is too large to be kept, else what had to go.
    fn insert(&mut self, key: &Arc<CachedKey>) -> Option<Vec<Arc<CachedKey>>> {
        if key.weight() > self.weight_max {
            return None;
        }
        let mut gone = Vec::new();
        gone.extend(self.remove(&key.arn.key_id));
        while self.weight + key.weight() > self.weight_max {
            gone.push(self.evict()?);
        }
        self.index.insert(key.arn.key_id, self.entries.len());
        self.entries.push(Entry { key: Arc::clone(key), used: AtomicBool::new(false) });
        self.weight += key.weight();
        Some(gone)
    }

    /// The first entry from the hand on that was not used since the hand passed it.
    fn evict(&mut self) -> Option<Arc<CachedKey>> {
        loop {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let entry = self.entries.get_mut(self.hand)?;
            if !std::mem::take(entry.used.get_mut()) {
                let key_id = entry.key.arn.key_id;
                return self.remove(&key_id);
            }
            self.hand += 1;
        }
    }

    fn remove(&mut self, key_id: &KeyId) -> Option<Arc<CachedKey>> {
        let at = self.index.remove(key_id)?;
        let entry = self.entries.swap_remove(at);
        if let Some(moved) = self.entries.get(at) {
            self.index.insert(moved.key.arn.key_id, at);
        }
        self.weight -= entry.key.weight();
        Some(entry.key)
    }

    fn invalidate(&mut self, key_id: &KeyId) -> Option<Arc<CachedKey>> {
        let invalidations = &mut self.invalidations[Self::counter(key_id)];
        *invalidations = invalidations.wrapping_add(1);
        self.remove(key_id)
    }

    fn invalidate_all(&mut self) -> Vec<Entry> {
        self.invalidations.iter_mut().for_each(|count| *count = count.wrapping_add(1));
        self.index.clear();
        (self.hand, self.weight) = (0, 0);
        std::mem::take(&mut self.entries)
    }
}

#[cfg(test)]
mod tests;
