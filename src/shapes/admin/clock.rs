//! What operators see of a region's clocks: `claviger clock status` and `claviger clock accept`.

use serde::{Deserialize, Serialize};

/// The clocks of a region, as its leader knows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockStatus {
    /// The leader.
    pub leader: u64,
    /// Log time, milliseconds since the Unix epoch.
    pub log_time_millis: u64,
    /// The median of the voters' clocks, milliseconds since the Unix epoch; absent without a majority of them.
    pub median_millis: Option<u64>,
    /// Whether the leader proposes work that falls due by time.
    pub due_work_allowed: bool,
    /// Why it does not.
    pub due_work_refused_because: Option<String>,
    /// Each voter.
    pub voters: Vec<VoterClock>,
}

/// A voter's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoterClock {
    /// The voter.
    pub node: u64,
    /// How far its clock is ahead of log time, seconds; absent when it has not said for some seconds.
    pub offset_seconds: Option<f64>,
}

/// Accepts the clock of a region's only voter, however it came to show what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptClock {
    /// Only say what there is to accept.
    #[serde(default)]
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptClockResult {
    /// What the clock showed, milliseconds since the Unix epoch.
    pub clock_millis: u64,
    /// What log time was then.
    pub log_time_millis: u64,
    /// Whether the clock had jumped, so that there was something to accept.
    pub had_jumped: bool,
    /// Whether it was accepted now.
    pub changed: bool,
}
