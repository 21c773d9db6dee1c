//! What an operator or the wiring may set of consensus; everything is bounded.

use std::time::Duration;

use claviger_types::{NodeId, Region};
use openraft::SnapshotPolicy;

use crate::ConsensusError;

/// Largest encoded command. With one append's limit it stays below what one peer message may have.
pub const COMMAND_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Entries of one append message, unless a single entry is larger.
pub(crate) const APPEND_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Entries of one append message.
const APPEND_ENTRIES_MAX: u64 = 1024;

/// Which node this is, and how it takes part.
#[derive(Clone, Debug)]
pub struct ConsensusConfig {
    /// This node's id, as its certificate has it.
    pub node_id: NodeId,
    /// This node's region, as its certificate has it.
    pub region: Region,
    /// Where the other nodes reach this node's peer listener, `https://host:port`.
    pub endpoint: String,
    /// How fast things are noticed.
    pub timings: Timings,
    /// How much may wait.
    pub limits: Limits,
}

/// How fast things are noticed, and how long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// How often a leader says that it is there.
    pub heartbeat: Duration,
    /// After how long a silence a node stands for election, at least.
    pub election_min: Duration,
    /// After how long a silence a node stands for election, at most. A leader that no quorum answers for this long takes
    /// no proposals.
    pub election_max: Duration,
    /// How long reads and proposals are held when there is no leader: the time of an election.
    pub hold: Duration,
    /// How long a proposal may take in all.
    pub propose: Duration,
    /// How long a node may take to put one append message on its disk.
    pub append: Duration,
    /// How long after material was destroyed a node begins to erase it from its files, with what else is destroyed meanwhile.
    pub erase_after: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(500),
            election_max: Duration::from_millis(1000),
            hold: Duration::from_secs(4),
            propose: Duration::from_secs(10),
            append: Duration::from_secs(2),
            erase_after: Duration::from_secs(10 * 60),
        }
    }
}

/// How much may wait, and how much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Proposals that wait for their outcome at once.
    pub proposals_max: usize,
    /// Their bytes, together.
    pub proposal_bytes_max: usize,
    /// A snapshot is taken after this many log entries.
    pub snapshot_every_entries: u64,
    /// Entries that are kept below a snapshot, so that a node that was away a short time needs no snapshot.
    pub keep_entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { proposals_max: 4096, proposal_bytes_max: 64 * 1024 * 1024, snapshot_every_entries: 50_000, keep_entries: 20_000 }
    }
}

impl ConsensusConfig {
    pub(crate) fn raft(&self) -> Result<openraft::Config, ConsensusError> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let Timings { heartbeat, election_min, election_max, .. } = self.timings;
        let config = openraft::Config {
            cluster_name: self.region.to_string(),
            heartbeat_interval: millis(heartbeat),
            election_timeout_min: millis(election_min),
            election_timeout_max: millis(election_max),
            // Else five voters under a partial partition may never elect anybody (openraft issue 2080).
            quorum_loss_probe_interval: Some(millis(election_max).saturating_mul(2)),
            enable_pre_vote: Some(true),
            // A restarted leader stands for election like everybody else.
            enable_leader_restore: Some(false),
            max_payload_entries: APPEND_ENTRIES_MAX,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.limits.snapshot_every_entries),
            replication_lag_threshold: self.limits.snapshot_every_entries.saturating_mul(2),
            max_in_snapshot_log_to_keep: self.limits.keep_entries,
            ..openraft::Config::default()
        };
        config.validate().map_err(ConsensusError::Config)
    }
}
