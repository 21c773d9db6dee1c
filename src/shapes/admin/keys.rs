//! Keys as operators may treat them: after a restore, and while a region is away.

use claviger_types::Region;
use serde::{Deserialize, Serialize};

/// Which keys of the region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdmitScope {
    /// One, by its id or ARN.
    Key(String),
    /// All of an account, by its twelve digits.
    Account(String),
    /// All.
    All,
}

/// Asks to let keys be used again that a restore withholds: as many as fit into one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmitKeys {
    /// Which.
    pub scope: AdmitScope,
    /// Where the step before ended: its [`AdmitKeysResult::next`].
    pub after: Option<String>,
}

/// What came of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitKeysResult {
    /// Keys that were withheld and are not any more.
    pub admitted: u64,
    /// Keys that were withheld by nothing: admitted before, or made since.
    pub unchanged: u64,
    /// Where the next step begins; `None` after the last.
    pub next: Option<String>,
}

/// Asks to take a region out of the count of multi-region keys whose primary is here: as many as fit into one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetachRegion {
    /// The region that is not to be waited for.
    pub region: Region,
    /// Where the step before ended: its [`DetachRegionResult::next`].
    #[serde(default)]
    pub after: Option<String>,
}

/// What came of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachRegionResult {
    /// Keys of which the region counted as a member, and does not any more.
    pub detached: u64,
    /// Of these, keys whose rotation waited for it.
    pub rotating: u64,
    /// Where the next step begins; `None` after the last.
    pub next: Option<String>,
}
