//! Nodes of a region, as operators see and change them.

use claviger_types::Region;
use serde::{Deserialize, Serialize};

use super::Peer;

/// What a node does in its Raft group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// It leads.
    Leader,
    /// It votes and follows.
    Follower,
    /// It votes and stands for election.
    Candidate,
    /// It receives the log and does not vote.
    Learner,
    /// Its consensus has stopped.
    Stopped,
}

/// Whether a node serves clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It does.
    Serving,
    /// Not yet: its root key has not opened the keyring.
    Sealed,
    /// Not yet: it has not caught up with what it held before it was started.
    Recovering,
    /// Not now: it knows of no leader that a majority answers.
    NoLeader,
    /// No more: its disk or its state has failed it.
    Stopped,
    /// Never again: it was removed from its region.
    Removed,
}

/// What a node is, or is to be, in the membership of its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// It votes.
    Voter,
    /// It receives the log and does not vote.
    Learner,
    /// Nothing, for ever.
    Removed,
}

/// A data directory on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What it takes, bytes.
    pub used_bytes: u64,
    /// What is left on its file system, bytes.
    pub free_bytes: u64,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its id.
    pub node: u64,
    /// Whether it serves.
    pub state: NodeState,
    /// What it does in its group.
    pub role: NodeRole,
    /// The leader it knows of.
    pub leader: Option<u64>,
    /// Its Raft term.
    pub term: u64,
    /// Index of the last entry of its log; 0 before the first, as the others.
    pub last_log: u64,
    /// Index of the last entry that it knows to be committed.
    pub committed: u64,
    /// Index of the last entry that it has applied.
    pub applied: u64,
    /// Index of the last entry of its newest snapshot, if it has one.
    pub snapshot: Option<u64>,
    /// Index of the last entry that is gone from its log, if any is.
    pub purged: Option<u64>,
    /// Its data directory, if it can be measured.
    pub disk: Option<Disk>,
    /// How long it has run, seconds.
    pub uptime_seconds: u64,
    /// The version of its program.
    pub version: String,
}

/// A member as one node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: u64,
    /// Its peer listener, `https://host:port`.
    pub endpoint: String,
    /// Entries of the log that it is not known to hold; the leader alone knows.
    pub lag_entries: Option<u64>,
}

/// How the node that answers sees itself and its region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its region.
    pub region: Region,
    /// Whether it serves.
    pub ready: bool,
    /// What it says of itself.
    #[serde(flatten)]
    pub report: NodeReport,
    /// Members that vote.
    pub voters: Vec<Member>,
    /// Members that do not.
    pub learners: Vec<Member>,
    /// Ids of nodes that were removed; none of them is used again.
    pub removed: Vec<u64>,
    /// The regions it replicates with; none while it is not ready.
    pub peers: Vec<Peer>,
}

/// A region and all its nodes, as one of them has found them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionStatus {
    /// The region.
    pub region: Region,
    /// The node that answers.
    pub answered_by: u64,
    /// The leader, if any node that answered leads.
    pub leader: Option<u64>,
    /// How many more voters may be lost before the region stops; 0 too when it has.
    pub losses_survived: u64,
    /// Its members.
    pub nodes: Vec<RegionNode>,
    /// Ids of nodes that were removed; none of them is used again.
    pub removed: Vec<u64>,
    /// The regions it replicates with; none while the node that answers is not ready.
    pub peers: Vec<Peer>,
}

/// A member of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionNode {
    /// Its id.
    pub id: u64,
    /// Its peer listener, `https://host:port`.
    pub endpoint: String,
    /// What it is.
    pub membership: Membership,
    /// What operators want it to be; the leader sees to it.
    pub wanted: Membership,
    /// Entries of the log that it is not known to hold; `None` when no leader has answered.
    pub lag_entries: Option<u64>,
    /// What it says of itself; `None` when it did not answer.
    pub report: Option<NodeReport>,
    /// Why it did not.
    pub unreachable: Option<String>,
}

/// A node id that was ever used in a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The id.
    pub id: u64,
    /// What the node is; `None` when it is no member.
    pub membership: Option<Membership>,
    /// What operators want it to be.
    pub wanted: Membership,
    /// Whether it leads.
    pub is_leader: bool,
    /// Its peer listener, if it is a member.
    pub endpoint: Option<String>,
    /// When it was registered, milliseconds since the Unix epoch.
    pub registered_at_millis: u64,
    /// When it was removed, if it was.
    pub removed_at_millis: Option<u64>,
}

/// What an operator does with one node. The last part of the path that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// It is to vote.
    Promote,
    /// It is to receive the log and not to vote.
    Demote,
    /// It leaves the region for ever.
    Remove,
}

impl NodeChange {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Promote, Self::Demote, Self::Remove];

    /// Its name on the command line and in paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Remove => "remove",
        }
    }
}

/// Asks for another leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferLeader {
    /// Who is to lead; any other voter than the present leader when it is left out.
    pub to: Option<u64>,
}

/// What came of a change of nodes or of the leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersChanged {
    /// False when everything was as asked already.
    pub changed: bool,
    /// Who leads now, as far as is known.
    pub leader: Option<u64>,
    /// It is recorded and not done yet, for this reason; the leader does it as soon as it can.
    pub pending: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_flat_and_reads_back() {
        let report = NodeReport {
            node: 1,
            state: NodeState::NoLeader,
            role: NodeRole::Follower,
            leader: None,
            term: 3,
            last_log: 10,
            committed: 9,
            applied: 9,
            snapshot: None,
            purged: None,
            disk: Some(Disk { used_bytes: 1, free_bytes: 2 }),
            uptime_seconds: 5,
            version: "0.1.0".to_owned(),
        };
        let voters = vec![Member { id: 1, endpoint: "https://a:1".to_owned(), lag_entries: None }];
        let region = "eu-west-1".parse().unwrap();
        let status = Status { region, ready: false, report, voters, learners: vec![], removed: vec![4], peers: vec![] };
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!((&json["node"], &json["state"], &json["disk"]["free_bytes"]), (&1.into(), &"no_leader".into(), &2.into()));
        assert_eq!(serde_json::from_value::<Status>(json).unwrap(), status);
        assert_eq!(serde_json::from_str::<TransferLeader>("{}").unwrap(), TransferLeader::default());
        assert!(serde_json::from_str::<TransferLeader>(r#"{"too":1}"#).is_err());
    }
}
