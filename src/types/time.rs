//! Time as the state machine counts it, and the clock that gives it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Seconds since the Unix epoch with a fraction, as the AWS JSON protocol writes a timestamp.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay below 2^53 until the year 287,396")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This time moved forward, saturating.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// How many milliseconds this is ahead of `other`; negative when it is behind. Saturating.
    pub const fn millis_ahead_of(self, other: Self) -> i64 {
        let apart = self.0.abs_diff(other.0);
        let apart = if apart > i64::MAX as u64 { i64::MAX } else { apart.cast_signed() };
        if self.0 < other.0 { -apart } else { apart }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// A node's wall clock; tests inject their own. It may be wrong and it may jump, so log time alone is made of it. Durations are
/// measured by the monotonic clock, `tokio::time::Instant` everywhere, which a simulation can stop and wind on.
pub trait Clock: Send + Sync {
    /// What it shows.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_apart_in_both_directions() {
        let at = Timestamp::from_millis;
        assert_eq!((at(7).millis_ahead_of(at(2)), at(2).millis_ahead_of(at(7)), at(2).millis_ahead_of(at(2))), (5, -5, 0));
        let far = (at(u64::MAX).millis_ahead_of(at(0)), at(0).millis_ahead_of(at(u64::MAX)));
        assert_eq!(far, (i64::MAX, -i64::MAX));
    }
}
