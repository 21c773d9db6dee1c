//! The types that openraft is instantiated with. What a command means is not known here: the log carries its bytes.

use std::fmt;

use bytes::Bytes;
use claviger_state::Outcome;
use claviger_storage::SnapshotDir;
use claviger_types::{NodeId, NodeInstance};
use serde::{Deserialize, Serialize};

use crate::machine::StateMachine;

/// An encoded [`claviger_state::Command`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposed(pub(crate) Bytes);

impl fmt::Debug for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposed({} bytes)", self.0.len())
    }
}

impl fmt::Display for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What applying an entry answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied(pub(crate) Outcome);

/// A member of the group as its membership names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Its peer listener, `https://host:port`.
    pub(crate) endpoint: String,
    /// Its data directory.
    pub(crate) instance: NodeInstance,
}

/// openraft's conformance suite invents members.
#[cfg(test)]
impl Default for Member {
    fn default() -> Self {
        Self { endpoint: String::new(), instance: NodeInstance::from_bytes([0; 16]) }
    }
}

openraft::declare_raft_types!(
    /// The group of a region.
    pub(crate) TypeConfig:
        D = Proposed,
        R = Applied,
        NodeId = NodeId,
        Node = Member,
        AsyncRuntime = crate::runtime::Runtime,
);

pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;
type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, NodeId>;
pub(crate) type LogId = openraft::LogId<LeaderId>;
pub(crate) type Entry = openraft::Entry<LeaderId, openraft::EntryPayload<Proposed, NodeId, Member>>;
pub(crate) type Vote = openraft::Vote<LeaderId>;
pub(crate) type StoredMembership = openraft::StoredMembership<LeaderId, NodeId, Member>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<LeaderId, NodeId, Member>;
pub(crate) type Snapshot = openraft::Snapshot<LeaderId, NodeId, Member, SnapshotDir>;
