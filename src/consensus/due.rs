//! Work that falls due by time: who may propose it, and how long what destroys waits besides.
//!
//! Such work needs a [`DuePermit`], which a leader has while its clock and log time can be believed. Deleting a key or expiring
//! material needs an hour as well, by the leader's monotonic clock, after this leader first saw it due ([`DueWatch`]): clocks
//! that are all wrong together are noticed in that time, or not at all.

use std::collections::BTreeMap;

use claviger_types::Timestamp;
use claviger_types::limits::DESTRUCTION_DELAY;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A leader may propose due work. Ask for one for each piece of work or each look at what is due; never keep it.
#[derive(Debug)]
pub struct DuePermit {
    pub(crate) term: u64,
    pub(crate) time: Timestamp,
}

impl DuePermit {
    /// What fell due up to this time is due: log time, or what the clocks agree on where that is less.
    pub const fn time(&self) -> Timestamp {
        self.time
    }
}

/// Why this node may not propose due work now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NoDueWork {
    /// Another node leads, or none.
    #[error("this node does not lead")]
    NotLeader,
    /// The region has no log time before its first command.
    #[error("the region has not been founded")]
    NotFounded,
    /// Too few clocks are known.
    #[error("the clocks of {known} of {voters} voters are known, which is no majority")]
    NoMajority {
        /// How many are known.
        known: usize,
        /// How many vote.
        voters: usize,
    },
    /// The leader's own clock is not to be believed.
    #[error("the leader's clock is {} s from the median of the voters' clocks", seconds(*.offset_millis))]
    OwnClock {
        /// How far ahead of the median it is, milliseconds.
        offset_millis: i64,
    },
    /// The clock of the only voter has jumped, and nobody has accepted that.
    #[error(
        "the clock of the region's only voter has jumped and is {} s from log time: set it right, or run `claviger clock accept`",
        seconds(*.offset_millis)
    )]
    ClockJumped {
        /// How far ahead of log time it is, milliseconds.
        offset_millis: i64,
    },
}

impl NoDueWork {
    /// Whether both are of one kind, however far the clocks are apart.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Milliseconds as seconds, with a sign.
pub(crate) fn seconds(millis: i64) -> String {
    let apart = millis.unsigned_abs();
    format!("{}{}.{:03}", if millis < 0 { '-' } else { '+' }, apart / 1000, apart % 1000)
}

/// Things to destroy that one leader has seen due, and since when. It forgets them all when the term changes.
#[derive(Debug)]
pub struct DueWatch<K> {
    term: Option<u64>,
    first_seen: BTreeMap<K, Instant>,
    items_max: usize,
}

impl<K: Ord + Clone> DueWatch<K> {
    /// Watches at most so many things at a time.
    pub const fn new(items_max: usize) -> Self {
        Self { term: None, first_seen: BTreeMap::new(), items_max }
    }

    /// Which of the things that are due may be destroyed now: those that have been in `due` at every look since an hour ago, and
    /// in the same term.
    ///
    /// Whatever is not in `due` is forgotten, and what is beyond the bound is not seen: name what could be destroyed if it
    /// were not for the hour, the oldest first. `K` says what became due and when that was, so that a thing that was saved and
    /// is due again waits again. `now` is the monotonic clock's.
    pub fn ripe(&mut self, permit: &DuePermit, now: Instant, due: impl IntoIterator<Item = K>) -> Vec<K> {
        if self.term.replace(permit.term) != Some(permit.term) {
            self.first_seen.clear();
        }
        let mut ripe = Vec::new();
        let mut seen = BTreeMap::new();
        for item in due.into_iter().take(self.items_max) {
            let first = self.first_seen.get(&item).copied().unwrap_or(now);
            if now.saturating_duration_since(first) >= DESTRUCTION_DELAY {
                ripe.push(item.clone());
            }
            seen.insert(item, first);
        }
        self.first_seen = seen;
        ripe
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ALMOST: Duration = DESTRUCTION_DELAY.saturating_sub(Duration::from_millis(1));

    fn permit(term: u64) -> DuePermit {
        DuePermit { term, time: Timestamp::from_millis(1) }
    }

    #[test]
    fn what_is_due_waits_an_hour_of_the_monotonic_clock() {
        let (mut watch, start) = (DueWatch::new(10), Instant::now());
        assert!(watch.ripe(&permit(1), start, ["a"]).is_empty());
        assert!(watch.ripe(&permit(1), start + ALMOST, ["a", "b"]).is_empty());
        assert_eq!(watch.ripe(&permit(1), start + DESTRUCTION_DELAY, ["a", "b"]), ["a"]);
        // It stays ripe until it is done, and the other has its own hour.
        assert_eq!(watch.ripe(&permit(1), start + DESTRUCTION_DELAY + ALMOST, ["a", "b"]), ["a", "b"]);
    }

    #[test]
    fn another_leader_and_the_same_one_elected_again_begin_anew() {
        let (mut watch, start) = (DueWatch::new(10), Instant::now());
        watch.ripe(&permit(1), start, ["a"]);
        assert!(watch.ripe(&permit(2), start + DESTRUCTION_DELAY, ["a"]).is_empty(), "another term");
        assert!(watch.ripe(&permit(2), start + DESTRUCTION_DELAY + ALMOST, ["a"]).is_empty());
        assert_eq!(watch.ripe(&permit(2), start + 2 * DESTRUCTION_DELAY, ["a"]), ["a"]);
    }

    #[test]
    fn what_ceased_to_be_due_is_forgotten() {
        let (mut watch, start) = (DueWatch::new(10), Instant::now());
        watch.ripe(&permit(1), start, ["a", "b"]);
        watch.ripe(&permit(1), start + ALMOST, ["b"]);
        assert_eq!(watch.ripe(&permit(1), start + DESTRUCTION_DELAY, ["a", "b"]), ["b"]);
    }

    #[test]
    fn no_more_is_remembered_than_the_bound() {
        let (mut watch, start) = (DueWatch::new(2), Instant::now());
        watch.ripe(&permit(1), start, 0..1000);
        assert_eq!(watch.first_seen.len(), 2);
        assert_eq!(watch.ripe(&permit(1), start + DESTRUCTION_DELAY, 0..1000), [0, 1]);
        // Those that are done make room.
        assert!(watch.ripe(&permit(1), start + DESTRUCTION_DELAY, 2..1000).is_empty());
        assert_eq!(watch.ripe(&permit(1), start + 2 * DESTRUCTION_DELAY, 2..1000), [2, 3]);
    }

    #[test]
    fn reasons_say_how_far_and_in_which_direction() {
        assert_eq!(
            NoDueWork::OwnClock { offset_millis: -5001 }.to_string(),
            "the leader's clock is -5.001 s from the median of the voters' clocks"
        );
        assert!(NoDueWork::ClockJumped { offset_millis: 86_400_000 }.to_string().contains("+86400.000 s"));
        assert_eq!(seconds(i64::MIN), "-9223372036854775.808");
    }
}
