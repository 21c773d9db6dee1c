//! The stale-cache races one by one, then all at once; eviction and its bounds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use claviger_types::AccountId;
use proptest::prelude::*;

use super::*;

fn cache() -> KeyCache {
    KeyCache::new(limits(1 << 16))
}

const fn limits(materials_max: usize) -> CacheLimits {
    CacheLimits { materials_max, aliases_max: 4 }
}

/// Keys of different counters and, from 64 on, of the same.
fn id(number: u8) -> KeyId {
    let mut bytes = [0; 16];
    bytes[1] = number;
    KeyId::from_parts(bytes, true)
}

fn key(number: u8, revision: u64) -> Arc<CachedKey> {
    CachedKey::for_test(id(number), revision, 1)
}

fn revision(cache: &KeyCache, number: u8) -> Option<u64> {
    cache.get(&id(number)).map(|key| key.revision)
}

fn fill(cache: &KeyCache, number: u8, revision: u64) -> bool {
    let stamp = cache.stamp(&id(number));
    cache.insert(stamp, &key(number, revision))
}

#[test]
fn a_fill_without_a_change_is_kept() {
    let cache = cache();
    assert_eq!(revision(&cache, 1), None);
    assert!(fill(&cache, 1, 7));
    assert_eq!(revision(&cache, 1), Some(7));
    assert_eq!(revision(&cache, 2), None);
}

#[test]
fn a_change_removes_the_key_and_no_other() {
    let cache = cache();
    assert!(fill(&cache, 1, 1) && fill(&cache, 2, 1));
    cache.keys_changed(&[id(1)]);
    assert_eq!(revision(&cache, 1), None);
    assert_eq!(revision(&cache, 2), Some(1));
}

#[test]
fn a_fill_that_read_before_a_change_is_refused() {
    let cache = cache();
    let stamp = cache.stamp(&id(1));
    let read = key(1, 1);
    cache.keys_changed(&[id(1)]);
    assert!(!cache.insert(stamp, &read));
    assert_eq!(revision(&cache, 1), None);
}

#[test]
fn a_fill_that_began_after_the_change_is_kept() {
    let cache = cache();
    cache.keys_changed(&[id(1)]);
    assert!(fill(&cache, 1, 2));
    assert_eq!(revision(&cache, 1), Some(2));
}

#[test]
fn a_change_between_two_fills_refuses_the_older_even_after_the_newer() {
    let cache = cache();
    let (old_stamp, old) = (cache.stamp(&id(1)), key(1, 1));
    cache.keys_changed(&[id(1)]);
    assert!(fill(&cache, 1, 2));
    assert!(!cache.insert(old_stamp, &old));
    assert_eq!(revision(&cache, 1), Some(2), "the refused fill must not have removed the newer entry");
}

#[test]
fn two_fills_of_the_same_state_are_one_entry() {
    let cache = cache();
    let (one, two) = (cache.stamp(&id(1)), cache.stamp(&id(1)));
    assert!(cache.insert(one, &key(1, 1)) && cache.insert(two, &key(1, 1)));
    assert_eq!(weights(&cache), 1);
}

#[test]
fn a_snapshot_during_a_fill_refuses_it_and_empties_the_cache() {
    let cache = cache();
    assert!(fill(&cache, 2, 1));
    let stamp = cache.stamp(&id(1));
    cache.everything_changed();
    assert!(!cache.insert(stamp, &key(1, 1)));
    assert_eq!((revision(&cache, 1), revision(&cache, 2)), (None, None));
    assert!(fill(&cache, 1, 2), "fills that begin later are kept");
}

#[test]
fn a_key_that_shares_a_counter_voids_a_fill_and_nothing_more() {
    let cache = cache();
    assert!(fill(&cache, 1, 1));
    let stamp = cache.stamp(&id(1));
    cache.keys_changed(&[id(65)]);
    assert!(!cache.insert(stamp, &key(1, 1)));
    assert_eq!(revision(&cache, 1), Some(1));
}

#[test]
fn who_holds_a_key_keeps_it_when_it_is_removed() {
    let cache = cache();
    assert!(fill(&cache, 1, 1));
    let held = cache.get(&id(1)).unwrap();
    cache.keys_changed(&[id(1)]);
    assert_eq!(held.revision, 1);
}

#[test]
fn the_unused_goes_first_and_the_bound_holds() {
    let cache = KeyCache::with_shards(1, limits(3));
    assert!(fill(&cache, 1, 1) && fill(&cache, 2, 1) && fill(&cache, 3, 1));
    assert!(cache.get(&id(1)).is_some() && cache.get(&id(3)).is_some());
    assert!(fill(&cache, 4, 1));
    assert_eq!([1, 2, 3, 4].map(|number| revision(&cache, number).is_some()), [true, false, true, true]);
    assert_eq!(weights(&cache), 3);
}

#[test]
fn a_key_weighs_what_its_materials_weigh_and_one_too_heavy_is_not_kept() {
    let cache = KeyCache::with_shards(1, limits(10));
    for number in 0..4 {
        assert!(cache.insert(cache.stamp(&id(number)), &CachedKey::for_test(id(number), 1, 3)));
    }
    assert_eq!(weights(&cache), 9);
    assert!(!cache.insert(cache.stamp(&id(9)), &CachedKey::for_test(id(9), 1, 11)));
    assert_eq!(weights(&cache), 9);
    assert!(cache.insert(cache.stamp(&id(9)), &CachedKey::for_test(id(9), 1, 10)), "exactly the limit");
    assert_eq!(weights(&cache), 10);
    let nothing = KeyCache::new(limits(0));
    assert!(!nothing.insert(nothing.stamp(&id(1)), &key(1, 1)));
}

#[test]
fn what_is_kept_with_a_key_takes_the_room_of_others() {
    let cache = KeyCache::with_shards(1, limits(10));
    for number in 0..3 {
        assert!(cache.insert(cache.stamp(&id(number)), &CachedKey::for_test(id(number), 1, 3)));
    }
    let key = cache.get(&id(0)).unwrap();
    assert!(cache.make_room(&key, 1));
    assert_eq!(weights(&cache), 10);
    assert!(cache.make_room(&key, 7) && cache.get(&id(0)).is_some());
    assert_eq!(weights(&cache), 10);
    assert!(!cache.make_room(&key, 8), "more than the limit");
    assert_eq!(weights(&cache), 10);
    assert!(cache.make_room(&key, 0));
    assert_eq!(weights(&cache), 3);
    cache.keys_changed(&[id(0)]);
    assert!(fill(&cache, 0, 2) && !cache.make_room(&key, 0), "another key by now");
    assert_eq!(weights(&cache), 1);
}

/// The sum that the shards keep, checked against their entries.
fn weights(cache: &KeyCache) -> usize {
    cache.keys.checked_weight()
}

fn alias_id(account: u64, name: &str) -> AliasId {
    AliasId { account: AccountId::try_from(account).unwrap(), name: name.parse().unwrap() }
}

/// Fills an alias as somebody would who read this revision.
fn fill_alias(cache: &KeyCache, alias: &AliasId, revision: u64) -> bool {
    let row = AliasRow::of(alias);
    cache.insert_alias(cache.alias_stamp(&row), &row, AliasTarget { key_id: id(1), revision })
}

fn alias_revision(cache: &KeyCache, alias: &AliasId) -> Option<u64> {
    cache.alias(&AliasRow::of(alias)).map(|target| target.revision)
}

#[test]
fn an_alias_is_cached_for_its_account_alone_and_voided_alone() {
    let cache = cache();
    let [one, other, longer] = [alias_id(1, "alias/a"), alias_id(2, "alias/a"), alias_id(1, "alias/a/b")];
    assert!(fill_alias(&cache, &one, 7) && fill_alias(&cache, &longer, 8));
    assert_eq!([&one, &other, &longer].map(|alias| alias_revision(&cache, alias)), [Some(7), None, Some(8)]);
    cache.aliases_changed(&[one.clone(), other]);
    assert_eq!([&one, &longer].map(|alias| alias_revision(&cache, alias)), [None, Some(8)]);
    cache.keys_changed(&[id(1)]);
    assert_eq!(alias_revision(&cache, &longer), Some(8), "what an alias names does not depend on the key's record");
}

#[test]
fn an_alias_read_before_its_change_or_a_snapshot_is_not_kept() {
    let cache = cache();
    let alias = alias_id(1, "alias/a");
    let row = AliasRow::of(&alias);
    let target = AliasTarget { key_id: id(1), revision: 1 };
    let stamp = cache.alias_stamp(&row);
    cache.aliases_changed(std::slice::from_ref(&alias));
    assert!(!cache.insert_alias(stamp, &row, target));
    let stamp = cache.alias_stamp(&row);
    cache.everything_changed();
    assert!(!cache.insert_alias(stamp, &row, target));
    assert_eq!(alias_revision(&cache, &alias), None);
    assert!(fill_alias(&cache, &alias, 2));
    cache.everything_changed();
    assert_eq!(alias_revision(&cache, &alias), None);
}

#[test]
fn aliases_are_bounded() {
    let cache = KeyCache::with_shards(1, limits(1));
    for number in 0..100 {
        assert!(fill_alias(&cache, &alias_id(1, &format!("alias/{number}")), number));
    }
    assert_eq!(cache.aliases.checked_weight(), 4);
    assert_eq!(alias_revision(&cache, &alias_id(1, "alias/99")), Some(99));
}

#[derive(Clone, Debug)]
enum Step {
    /// A fill of this key takes its stamp and reads.
    Begin(u8),
    /// The oldest fill that has begun ends.
    End,
    /// The newest one does.
    EndLast,
    /// A change is committed and the cache is told.
    Change(u8),
    Snapshot,
    Get(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_u8).prop_map(Step::Begin),
        2 => Just(Step::End),
        2 => Just(Step::EndLast),
        2 => (0..5_u8).prop_map(Step::Change),
        1 => Just(Step::Snapshot),
        3 => (0..5_u8).prop_map(Step::Get),
    ]
}

proptest! {
    #[test]
    fn whatever_the_order_a_get_never_returns_what_a_told_change_replaced(steps in proptest::collection::vec(step(), 0..200)) {
        let cache = KeyCache::with_shards(2, limits(3));
        let mut stored = BTreeMap::<u8, u64>::new();
        let mut fills = std::collections::VecDeque::new();
        for step in steps {
            match step {
                Step::Begin(number) => {
                    let stamp = cache.stamp(&id(number));
                    fills.push_back((stamp, key(number, stored.get(&number).copied().unwrap_or(0))));
                }
                Step::End | Step::EndLast => {
                    let fill = if matches!(step, Step::End) { fills.pop_front() } else { fills.pop_back() };
                    if let Some((stamp, key)) = fill {
                        cache.insert(stamp, &key);
                    }
                }
                Step::Change(number) => {
                    *stored.entry(number).or_default() += 1;
                    cache.keys_changed(&[id(number)]);
                }
                Step::Snapshot => {
                    (0..5).for_each(|number| *stored.entry(number).or_default() += 1);
                    cache.everything_changed();
                }
                Step::Get(number) => {
                    if let Some(key) = cache.get(&id(number)) {
                        prop_assert_eq!(key.revision, stored.get(&number).copied().unwrap_or(0));
                    }
                }
            }
            weights(&cache);
        }
    }
}

/// One writer, many readers that fill, on a space that holds most of the keys. A key's published revision is what the
/// gate would let a reader rely on. It goes on until cached entries were read and fills were refused, often.
#[test]
fn threads_never_read_below_what_was_published() {
    const KEYS: u8 = 8;
    const CHANGES_MAX: u64 = 5_000_000;
    let cache = KeyCache::with_shards(1, limits(6));
    let stored: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let published: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let (done, hits, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let enough = || hits.load(Ordering::Relaxed) > 20_000 && refused.load(Ordering::Relaxed) > 200;
    std::thread::scope(|scope| {
        for reader in 0..3_usize {
            let (cache, stored, published, done, hits, refused) = (&cache, &stored, &published, &done, &hits, &refused);
            scope.spawn(move || {
                for round in reader.. {
                    if done.load(Ordering::Acquire) {
                        break;
                    }
                    let number = u8::try_from(round / 4 % usize::from(KEYS)).unwrap();
                    let gate = published[usize::from(number)].load(Ordering::Acquire);
                    let read = match cache.get(&id(number)) {
                        Some(key) => {
                            hits.fetch_add(1, Ordering::Relaxed);
                            key.revision
                        }
                        None => {
                            let stamp = cache.stamp(&id(number));
                            let read = stored[usize::from(number)].load(Ordering::Acquire);
                            let key = key(number, read);
                            std::thread::yield_now();
                            if !cache.insert(stamp, &key) {
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                            read
                        }
                    };
                    assert!(read >= gate, "key {number}: read {read} behind a gate at {gate}");
                }
            });
        }
        for change in (0..CHANGES_MAX).take_while(|_| !enough()) {
            let number = u8::try_from(change % u64::from(KEYS)).unwrap();
            let revision = stored[usize::from(number)].fetch_add(1, Ordering::AcqRel) + 1;
            if change % 1000 == 999 {
                cache.everything_changed();
            } else {
                cache.keys_changed(&[id(number)]);
            }
            published[usize::from(number)].store(revision, Ordering::Release);
            std::thread::yield_now();
        }
        done.store(true, Ordering::Release);
    });
    assert!(enough(), "hardly anything was cached or refused, so hardly anything was tested");
    weights(&cache);
}
