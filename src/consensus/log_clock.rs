//! Log time as a node makes it of clock readings and monotonic instants: pure, with no clock of its own.
//!
//! Between readings it goes on by the monotonic clock. It follows what the clocks of a majority of the voters agree on, their
//! median: forwards at once, backwards never; while the clocks are behind it, it goes at half speed until they have caught up.
//! It does not stand still then, because what is kept for a time (invocations, reservations) has to end some day. Without
//! readings of a majority it just goes on.
//!
//! A clock that is the only one has no other to be compared with, so it is compared with what it was: see
//! [`LogClock::has_jumped`].

use std::time::Duration;

use claviger_types::Timestamp;
use tokio::time::Instant;

use crate::due::NoDueWork;

/// Clocks this far apart are not both right (DESIGN.md section 4).
pub(crate) const APART_MAX: Duration = Duration::from_secs(5);
/// How long a region of one node may have been off without anybody being asked.
const OFF_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long a reading counts.
const READING_AGE_MAX: Duration = Duration::from_secs(5);

/// What a clock showed at an instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    at: Instant,
    clock: Timestamp,
}

impl Reading {
    /// An answer counts as given in the middle of the round trip: it is wrong by half of that at most.
    pub(crate) fn between(asked: Instant, answered: Instant, clock: Timestamp) -> Self {
        Self { at: asked + answered.saturating_duration_since(asked) / 2, clock }
    }

    /// What the clock shows now, unless the reading is too old.
    pub(crate) fn shows(&self, now: Instant) -> Option<Timestamp> {
        let age = now.saturating_duration_since(self.at);
        (age <= READING_AGE_MAX).then(|| self.clock.plus(age))
    }
}

/// The clocks of the voters at one instant, as the leader knows them.
#[derive(Clone, Debug)]
pub(crate) struct Voters {
    /// The leader's own.
    pub(crate) own: Timestamp,
    /// How many vote.
    pub(crate) count: usize,
    /// The clocks that are known; the leader's own among them if it votes.
    pub(crate) known: Vec<Timestamp>,
}

impl Voters {
    /// The median of the clocks of a majority; the lower one of an even number.
    pub(crate) fn agreed(&self) -> Option<Timestamp> {
        if self.known.len() * 2 <= self.count {
            return None;
        }
        let mut clocks = self.known.clone();
        clocks.sort_unstable();
        clocks.get((clocks.len() - 1) / 2).copied()
    }
}

/// Log time between two looks at the clocks.
#[derive(Clone, Copy, Debug)]
struct Line {
    from: Instant,
    /// Log time then.
    time: Timestamp,
    /// What the clocks showed then: not more.
    clock: Timestamp,
}

impl Line {
    /// With the clocks.
    const fn with(from: Instant, time: Timestamp) -> Self {
        Self { from, time, clock: time }
    }

    fn at(&self, now: Instant) -> Timestamp {
        let elapsed = now.saturating_duration_since(self.from);
        self.time.plus(elapsed / 2).max(self.clock.plus(elapsed))
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogClock {
    /// None before the region's first command: there is no log time yet.
    line: Option<Line>,
    /// Whether log time has been with the clocks since the node was started. Before that it may have been off for a while.
    has_met: bool,
}

impl LogClock {
    /// Log time now.
    pub(crate) fn time(&self, now: Instant) -> Option<Timestamp> {
        self.line.map(|line| line.at(now))
    }

    /// Log time is at least what has been applied.
    pub(crate) fn raise(&mut self, now: Instant, applied: Timestamp) {
        if applied > self.time(now).unwrap_or_default() {
            self.line = Some(Line::with(now, applied));
        }
    }

    /// The leader says what it is.
    pub(crate) fn hear(&mut self, now: Instant, time: Timestamp) {
        self.line = Some(Line::with(now, time));
        self.has_met = true;
    }

    /// The leader has looked at the clocks.
    pub(crate) fn steer(&mut self, now: Instant, voters: &Voters) {
        let Some(line) = self.line else { return };
        let time = line.at(now);
        match voters.agreed().filter(|clock| voters.count > 1 || !self.has_jumped(now, *clock)) {
            Some(clock) => {
                self.line = Some(Line { from: now, time: time.max(clock), clock });
                self.has_met |= time.since(clock) <= APART_MAX;
            }
            // The clocks that it was slow for are not known any more.
            None if line.clock < line.time => self.line = Some(Line::with(now, time)),
            None => {}
        }
    }

    /// Whether the only voter's clock is not where its own past and the log say that it should be, so that it is not followed.
    ///
    /// Once log time has been with it, it may leave the monotonic clock's pace by no more than clocks are corrected by all the
    /// time. Before, the node was off, for a night perhaps; and a clock that is behind then does no harm.
    pub(crate) fn has_jumped(&self, now: Instant, clock: Timestamp) -> bool {
        let Some(time) = self.time(now) else { return false };
        let ahead_max = if self.has_met { APART_MAX } else { OFF_MAX };
        clock.since(time) > ahead_max || (self.has_met && time.since(clock) > APART_MAX)
    }

    /// An operator says that the only voter's clock, which showed `clock` at `at`, is right.
    pub(crate) fn accept(&mut self, at: Instant, clock: Timestamp) {
        if clock >= self.time(at).unwrap_or_default() {
            self.hear(at, clock);
        } else {
            // As after a start: at half speed until the clock has caught up.
            self.has_met = false;
        }
    }

    /// Until when things may have fallen due: what log time and the clocks have both reached.
    pub(crate) fn due(&self, now: Instant, voters: &Voters) -> Result<Timestamp, NoDueWork> {
        let time = self.time(now).ok_or(NoDueWork::NotFounded)?;
        let Some(agreed) = voters.agreed() else {
            return Err(NoDueWork::NoMajority { known: voters.known.len(), voters: voters.count });
        };
        if voters.count == 1 && self.has_jumped(now, agreed) {
            return Err(NoDueWork::ClockJumped { offset_millis: agreed.millis_ahead_of(time) });
        }
        let own = voters.own;
        if own.since(agreed) > APART_MAX || agreed.since(own) > APART_MAX {
            return Err(NoDueWork::OwnClock { offset_millis: own.millis_ahead_of(agreed) });
        }
        Ok(time.min(agreed))
    }
}

#[cfg(test)]
#[path = "tests_log_clock.rs"]
mod tests;
