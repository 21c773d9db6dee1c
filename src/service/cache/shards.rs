//! [`Shards`]: values of one kind by id, in a bounded space, each fill checked against what was invalidated meanwhile.
//!
//! What is kept, and why that is right, is the parent module's to say. Eviction is CLOCK: an entry that was used since the
//! hand last passed stays.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

/// Counters of invalidations in a shard. Ids that share one void each other's fills, which costs a read and no more.
const COUNTERS: usize = 64;

/// An id of a cached value. Whatever it is, the map's own hash protects it from ids that were chosen to collide.
pub(super) trait CacheId: ToOwned<Owned: Hash + Eq> + Hash + Eq {
    /// Chooses a shard, and a counter of it.
    fn spread(&self) -> [u8; 2];
}

/// The state of invalidations when a fill began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp(u64);

/// See the module.
pub(super) struct Shards<I: CacheId + ?Sized, V> {
    shards: Box<[RwLock<Shard<I, V>>]>,
    /// Fills that a planted bug lets end late.
    #[cfg(feature = "known-bugs")]
    late: parking_lot::Mutex<Vec<Entry<I, V>>>,
}

impl<I: CacheId + ?Sized, V: Clone> Shards<I, V> {
    /// So many shards, at least one, which together keep values of so great a weight.
    pub(super) fn new(shards: usize, weight_max: usize) -> Self {
        let each = weight_max.div_ceil(shards.max(1));
        Self {
            shards: (0..shards.max(1)).map(|_| RwLock::new(Shard::new(each))).collect(),
            #[cfg(feature = "known-bugs")]
            late: parking_lot::Mutex::default(),
        }
    }

    pub(super) fn get(&self, id: &I) -> Option<V> {
        #[cfg(feature = "known-bugs")]
        self.end_late_fills(id);
        self.shard(id)?.read().get(id)
    }

    /// Begins a fill. Call before reading the tables.
    pub(super) fn stamp(&self, id: &I) -> Stamp {
        Stamp(self.shard(id).map_or(0, |shard| shard.read().invalidations(id)))
    }

    /// Ends a fill: keeps `value` unless something of it has been invalidated since `stamp`. Says whether it was kept.
    pub(super) fn insert(&self, stamp: Stamp, id: &I, value: V, weight: usize) -> bool {
        #[cfg(feature = "known-bugs")]
        if claviger_types::known_bug!(LateCacheFill) {
            self.late.lock().push(Entry::new(id, value, weight));
            return true;
        }
        let Some(shard) = self.shard(id) else { return false };
        let mut shard = shard.write();
        if shard.invalidations(id) != stamp.0 {
            return false;
        }
        let Some(evicted) = shard.insert(Entry::new(id, value, weight)) else { return false };
        // Wiping material is nothing that readers of the shard should wait for.
        drop(shard);
        drop(evicted);
        true
    }

    /// Gives the kept value another weight, if it is the same still; what has no room beside it goes. Says whether it is kept.
    pub(super) fn reweigh(&self, id: &I, is_same: impl FnOnce(&V) -> bool, weight: usize) -> bool {
        let Some(shard) = self.shard(id) else { return false };
        let mut shard = shard.write();
        if weight > shard.weight_max || !shard.peek(id).is_some_and(is_same) {
            return false;
        }
        let Some(entry) = shard.remove(id) else { return false };
        let Some(evicted) = shard.insert(Entry { weight, ..entry }) else { return false };
        drop(shard);
        drop(evicted);
        true
    }

    /// Whether the value is kept still, or nothing of its id has been invalidated since `stamp`.
    pub(super) fn is_current(&self, id: &I, is_same: impl FnOnce(&V) -> bool, stamp: Option<Stamp>) -> bool {
        let Some(shard) = self.shard(id) else { return false };
        let shard = shard.read();
        shard.peek(id).is_some_and(is_same) || stamp.is_some_and(|stamp| shard.invalidations(id) == stamp.0)
    }

    pub(super) fn invalidate(&self, id: &I) {
        if let Some(shard) = self.shard(id) {
            let removed = shard.write().invalidate(id);
            drop(removed);
        }
    }

    pub(super) fn invalidate_all(&self) {
        for shard in &self.shards {
            let removed = shard.write().invalidate_all();
            drop(removed);
        }
    }

    /// The planted bug: the filler was held up since it read, and now keeps what it read without looking at its stamp.
    #[cfg(feature = "known-bugs")]
    fn end_late_fills(&self, id: &I) {
        let late: Vec<_> = self.late.lock().extract_if(.., |entry| entry.id.borrow() == id).collect();
        for entry in late {
            if let Some(shard) = self.shard(id) {
                shard.write().insert(entry);
            }
        }
    }

    /// There is always at least one shard.
    fn shard(&self, id: &I) -> Option<&RwLock<Shard<I, V>>> {
        self.shards.get(usize::from(id.spread()[0]) % self.shards.len().max(1))
    }

    /// The weight of all that is kept, checked against the entries.
    #[cfg(test)]
    pub(super) fn checked_weight(&self) -> usize {
        let weights = self.shards.iter().map(|shard| {
            let shard = shard.read();
            let counted: usize = shard.entries.iter().map(|entry| entry.weight).sum();
            assert_eq!(shard.weight, counted);
            assert!(shard.weight <= shard.weight_max);
            assert_eq!(shard.index.len(), shard.entries.len());
            assert!(shard.index.iter().all(|(id, at)| shard.entries[*at].id == *id));
            counted
        });
        weights.sum()
    }
}

struct Entry<I: CacheId + ?Sized, V> {
    id: I::Owned,
    value: V,
    weight: usize,
    used: AtomicBool,
}

impl<I: CacheId + ?Sized, V> Entry<I, V> {
    fn new(id: &I, value: V, weight: usize) -> Self {
        Self { id: id.to_owned(), value, weight, used: AtomicBool::new(false) }
    }
}

struct Shard<I: CacheId + ?Sized, V> {
    index: HashMap<I::Owned, usize>,
    entries: Vec<Entry<I, V>>,
    hand: usize,
    weight: usize,
    weight_max: usize,
    invalidations: [u64; COUNTERS],
}

impl<I: CacheId + ?Sized, V: Clone> Shard<I, V> {
    fn new(weight_max: usize) -> Self {
        Self { index: HashMap::new(), entries: Vec::new(), hand: 0, weight: 0, weight_max, invalidations: [0; COUNTERS] }
    }

    fn get(&self, id: &I) -> Option<V> {
        let entry = self.entries.get(*self.index.get(id)?)?;
        // Written once per round of the hand, so that readers of a hot entry do not fight over its cache line.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(entry.value.clone())
    }

    /// The value, which does not count as used by this.
    fn peek(&self, id: &I) -> Option<&V> {
        self.entries.get(*self.index.get(id)?).map(|entry| &entry.value)
    }

    fn invalidations(&self, id: &I) -> u64 {
        self.invalidations[Self::counter(id)]
    }

    fn counter(id: &I) -> usize {
        usize::from(id.spread()[1]) % COUNTERS
    }

    /// `None` when the value is too large to be kept, else what had to go.
    fn insert(&mut self, entry: Entry<I, V>) -> Option<Vec<Entry<I, V>>> {
        if entry.weight > self.weight_max {
            return None;
        }
        let mut gone = Vec::new();
        gone.extend(self.remove(entry.id.borrow()));
        while self.weight + entry.weight > self.weight_max {
            gone.push(self.evict()?);
        }
        self.index.insert(entry.id.borrow().to_owned(), self.entries.len());
        self.weight += entry.weight;
        self.entries.push(entry);
        Some(gone)
    }

    /// The first entry from the hand on that was not used since the hand passed it.
    fn evict(&mut self) -> Option<Entry<I, V>> {
        loop {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let entry = self.entries.get_mut(self.hand)?;
            if !std::mem::take(entry.used.get_mut()) {
                return self.remove_at(self.hand);
            }
            self.hand += 1;
        }
    }

    fn remove(&mut self, id: &I) -> Option<Entry<I, V>> {
        self.remove_at(*self.index.get(id)?)
    }

    fn remove_at(&mut self, at: usize) -> Option<Entry<I, V>> {
        let entry = (at < self.entries.len()).then(|| self.entries.swap_remove(at))?;
        self.index.remove(entry.id.borrow());
        if let Some(moved) = self.entries.get(at)
            && let Some(place) = self.index.get_mut(moved.id.borrow())
        {
            *place = at;
        }
        self.weight -= entry.weight;
        Some(entry)
    }

    fn invalidate(&mut self, id: &I) -> Option<Entry<I, V>> {
        let invalidations = &mut self.invalidations[Self::counter(id)];
        *invalidations = invalidations.wrapping_add(1);
        self.remove(id)
    }

    fn invalidate_all(&mut self) -> Vec<Entry<I, V>> {
        self.invalidations.iter_mut().for_each(|count| *count = count.wrapping_add(1));
        self.index.clear();
        (self.hand, self.weight) = (0, 0);
        std::mem::take(&mut self.entries)
    }
}
