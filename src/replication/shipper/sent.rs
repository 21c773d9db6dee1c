//! What was sent lately and not confirmed: so that nothing goes twice while its confirmation is on the way.
//!
//! All of it may be lost at any moment; then something is sent once more, which is harmless.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use claviger_types::{KeyId, Timestamp};
use tokio::time::Instant;

/// A place in the order of a dirty set.
pub(super) type Age = (Timestamp, KeyId);

/// An entry waits at most this many times the first wait.
const DOUBLINGS_MAX: u32 = 5;

struct Entry<V> {
    what: V,
    age: Age,
    until: Instant,
    repeats: u32,
    refused: bool,
}

/// One thing per key: a document's version, or a status's revision.
pub(super) struct Sent<V> {
    entries: HashMap<KeyId, Entry<V>>,
    /// Entries kept at most, beyond those that wait for a confirmation.
    extra_max: usize,
}

impl<V: PartialEq> Sent<V> {
    pub(super) fn new(extra_max: usize) -> Self {
        Self { entries: HashMap::new(), extra_max }
    }

    /// Whether exactly this is on its way, or was refused not long ago.
    pub(super) fn holds(&self, key_id: &KeyId, what: &V, now: Instant) -> bool {
        self.entries.get(key_id).is_some_and(|entry| entry.what == *what && now < entry.until)
    }

    /// Whether anything of the key waits for its confirmation.
    pub(super) fn awaits(&self, key_id: &KeyId, now: Instant) -> bool {
        self.entries.get(key_id).is_some_and(|entry| entry.is_awaited(now))
    }

    /// Notes that `what` is being sent.
    pub(super) fn note(&mut self, age: Age, what: V, now: Instant, wait: Duration) {
        let repeats = match self.entries.get(&age.1) {
            Some(entry) if entry.what == what => (entry.repeats + 1).min(DOUBLINGS_MAX),
            _ => 0,
        };
        self.insert(Entry { what, age, until: now + wait * (1 << repeats), repeats, refused: false }, now);
    }

    /// Leaves `what` alone until `until`, unless something newer was sent since.
    pub(super) fn refuse(&mut self, age: Age, what: V, now: Instant, until: Instant) {
        if self.entries.get(&age.1).is_none_or(|entry| entry.what == what) {
            self.insert(Entry { what, age, until, repeats: 0, refused: true }, now);
        }
    }

    /// Forgets `what`, which did not arrive.
    pub(super) fn forget(&mut self, key_id: &KeyId, what: &V) {
        if self.entries.get(key_id).is_some_and(|entry| entry.what == *what) {
            self.entries.remove(key_id);
        }
    }

    /// Forgets what is not dirty any more: `listed` are all dirty keys up to `up_to`, or all of them.
    pub(super) fn keep_listed(&mut self, listed: &HashSet<KeyId>, up_to: Option<Age>) {
        self.entries.retain(|key_id, entry| up_to.is_some_and(|up_to| entry.age > up_to) || listed.contains(key_id));
    }

    /// Keeps what `keep` wants kept; at its first error, all the rest.
    pub(super) fn retain<E>(&mut self, mut keep: impl FnMut(&KeyId, &V) -> Result<bool, E>) -> Result<(), E> {
        let mut failed = None;
        self.entries.retain(|key_id, entry| {
            failed.is_some()
                || keep(key_id, &entry.what).unwrap_or_else(|error| {
                    failed = Some(error);
                    true
                })
        });
        failed.map_or(Ok(()), Err)
    }

    /// How many wait for their confirmation.
    pub(super) fn awaiting(&self, now: Instant) -> usize {
        self.entries.values().filter(|entry| entry.is_awaited(now)).count()
    }

    fn insert(&mut self, entry: Entry<V>, now: Instant) {
        if self.entries.len() >= self.extra_max.max(1) * 2 {
            self.entries.retain(|_, entry| entry.is_awaited(now));
        }
        self.entries.insert(entry.age.1, entry);
    }
}

impl<V> Entry<V> {
    fn is_awaited(&self, now: Instant) -> bool {
        !self.refused && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(key: u8) -> Age {
        (Timestamp::from_millis(key.into()), KeyId::multi_region([key; 16]))
    }

    const WAIT: Duration = Duration::from_secs(1);

    #[test]
    fn waits_longer_with_each_repetition_and_not_for_something_newer() {
        let (mut sent, now, key) = (Sent::new(8), Instant::now(), age(1));
        sent.note(key, 1, now, WAIT);
        assert!(sent.holds(&key.1, &1, now));
        assert!(!sent.holds(&key.1, &2, now), "something newer goes at once");
        assert!(!sent.holds(&key.1, &1, now + WAIT));
        sent.note(key, 1, now, WAIT);
        assert!(sent.holds(&key.1, &1, now + WAIT));
        sent.note(key, 2, now, WAIT);
        assert!(!sent.holds(&key.1, &2, now + WAIT));
        sent.forget(&key.1, &1);
        assert!(sent.holds(&key.1, &2, now));
        sent.forget(&key.1, &2);
        assert!(!sent.holds(&key.1, &2, now));
    }

    #[test]
    fn a_refusal_is_left_alone_and_does_not_count_as_awaited() {
        let (mut sent, now, key) = (Sent::new(8), Instant::now(), age(1));
        sent.note(key, 1, now, WAIT);
        assert_eq!(sent.awaiting(now), 1);
        sent.refuse(key, 1, now, now + 9 * WAIT);
        assert!(sent.holds(&key.1, &1, now + 8 * WAIT));
        assert_eq!(sent.awaiting(now), 0);
        sent.note(key, 2, now, WAIT);
        sent.refuse(key, 1, now, now + 9 * WAIT);
        assert!(sent.holds(&key.1, &2, now), "a late refusal of what was replaced");
    }

    #[test]
    fn what_is_clean_is_forgotten_and_what_was_not_listed_is_kept() {
        let (mut sent, now) = (Sent::new(8), Instant::now());
        (1..=3).for_each(|key| sent.note(age(key), 0, now, WAIT));
        sent.keep_listed(&HashSet::from([age(1).1]), Some(age(2)));
        assert_eq!([1, 2, 3].map(|key| sent.holds(&age(key).1, &0, now)), [true, false, true]);
        sent.keep_listed(&HashSet::new(), None);
        assert_eq!(sent.awaiting(now), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut sent, now) = (Sent::new(8), Instant::now());
        for key in 0..=255 {
            sent.refuse(age(key), 0, now, now + WAIT);
        }
        assert!(sent.entries.len() <= 16, "{}", sent.entries.len());
    }
}
