//! Keys as operators may treat them: after a restore, and in no other way.

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
