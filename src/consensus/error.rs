//! Why consensus cannot start, found or join. What a read or a proposal can meet is in `region`.

use claviger_state::{Refusal, StateError};
use claviger_storage::StorageError;
use claviger_types::encoding::EncodingError;
use claviger_types::{ClusterId, NodeId};

use crate::{ProposeError, Unavailable};

/// Why a node's consensus cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// The timings contradict each other.
    #[error("the consensus timings do not fit together")]
    Config(#[source] openraft::ConfigError),
    /// The data directory has no identity yet.
    #[error("the data directory has no node identity: run `claviger init` or `claviger join` first")]
    NoIdentity,
    /// The data directory is another node's.
    #[error("the data directory belongs to node {found}, this node is {expected}")]
    OtherNode {
        /// Whose it is.
        found: String,
        /// Who this is.
        expected: String,
    },
    /// The data directory is of another cluster.
    #[error("the data directory belongs to cluster {0}")]
    OtherCluster(ClusterId),
    /// The data directory has taken part in a group.
    #[error("the data directory holds a log already: name an empty one")]
    NotEmpty,
    /// This node cannot know the region's state now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The storage failed.
    #[error("storage")]
    Storage(#[from] StorageError),
    /// The tables do not read.
    #[error("state")]
    State(#[from] StateError),
    /// The consensus engine stopped or refuses.
    #[error("the consensus engine: {0}")]
    Raft(String),
    /// The region is founded, and not as asked.
    #[error("the region has been founded already, as cluster {0}")]
    AlreadyFounded(ClusterId),
    /// The state machine refused a founding command.
    #[error("refused")]
    Refused(#[source] Refusal),
    /// A founding command has no outcome.
    #[error("proposal")]
    Propose(#[from] ProposeError),
    /// The node did not become leader of its own group.
    #[error("this node did not become the leader of its new region in time")]
    NoLeadership,
}

/// Why a node could not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The data directory does not say which node it is.
    #[error("the data directory has no node identity yet")]
    NoIdentity,
    /// The node has taken part in a group already.
    #[error(
        "the data directory holds a log or a restored region already: a node joins once, with an empty directory and an id that was never used"
    )]
    NotEmpty,
    /// The storage failed.
    #[error("storage")]
    Storage(#[from] StorageError),
    /// The request does not encode.
    #[error("the join request does not encode")]
    Encode(#[source] EncodingError),
    /// The region refused, for good.
    #[error("the region refuses node {node}: {reason}")]
    Refused {
        /// The node.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// Nobody could be asked in time.
    #[error("no member of the region took the request in time; the last answer was: {0}")]
    NoAnswer(String),
}
