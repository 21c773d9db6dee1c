//! Messages between the nodes of one region: what is in them, and how they become bytes.
//!
//! Every message names the cluster, so that a node of a region that was founded anew under the same name is not taken for
//! one of this. Who sent it is not in it: that is what the certificate says.

use bytes::Bytes;
use claviger_state::{CommandBody, Outcome};
use claviger_types::encoding::{self, EncodingError};
use claviger_types::{ClusterId, NodeId, NodeInstance, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const SCHEMA: u8 = 1;

/// Longest endpoint that a member may have.
const ENDPOINT_BYTES_MAX: usize = 256;

/// Paths of the peer listener.
pub(crate) mod path {
    pub(crate) const APPEND: &str = "/raft/append";
    pub(crate) const VOTE: &str = "/raft/vote";
    pub(crate) const PRE_VOTE: &str = "/raft/pre_vote";
    pub(crate) const TRANSFER_LEADER: &str = "/raft/transfer_leader";
    pub(crate) const SNAPSHOT: &str = "/raft/snapshot";
    pub(crate) const CLOCK: &str = "/raft/clock";
    pub(crate) const PROPOSE: &str = "/cluster/propose";
    pub(crate) const READ_INDEX: &str = "/cluster/read_index";
    pub(crate) const CLOCKS: &str = "/cluster/clocks";
    pub(crate) const JOIN: &str = "/cluster/join";
    pub(crate) const OPERATE: &str = "/cluster/operate";
    pub(crate) const REPORT: &str = "/cluster/report";
}

/// Connections that do not wait for each other.
pub(crate) mod lane {
    /// Log entries.
    pub(crate) const LOG: u8 = 0;
    /// Heartbeats, votes, read indexes, clocks: small and urgent.
    pub(crate) const CONTROL: u8 = 1;
    /// Snapshots: large and patient.
    pub(crate) const SNAPSHOT: u8 = 2;
    /// Forwarded proposals, and what operators ask.
    pub(crate) const PROPOSE: u8 = 3;
}

/// The body of a refusal (403) that tells a node that it was removed from the region: it is not heard again.
pub(crate) const REMOVED: &[u8] = b"removed";

/// A follower's proposal, for the leader to stamp and propose.
#[derive(Serialize, Deserialize)]
pub(crate) struct ProposeRequest {
    pub(crate) body: CommandBody,
    /// How long the leader may take.
    pub(crate) within_ms: u64,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ProposeAnswer {
    /// It was applied.
    Applied(Outcome),
    /// It was not proposed; this node knows of this leader.
    NotLeader(Option<NodeId>),
    /// It was not proposed: too many are waiting.
    Overloaded,
    /// It was not proposed: it is too large.
    TooLarge,
    /// It may or may not be applied.
    Unknown,
}

/// Asks for a read index.
#[derive(Serialize, Deserialize)]
pub(crate) struct ReadIndexRequest;

/// Asks a node how it is.
#[derive(Serialize, Deserialize)]
pub(crate) struct ReportRequest;

/// A leader asks what a node's clock shows.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClockRequest {
    /// In which term it leads.
    pub(crate) term: u64,
    /// The region's log time, once the leader knows better than its predecessor did.
    pub(crate) log_time: Option<Timestamp>,
}

/// What it shows.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClockAnswer {
    pub(crate) clock: Timestamp,
}

/// A member asks the leader for the region's clocks, for its operator.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClocksRequest;

/// A node asks to be let in, or says that it has moved.
#[derive(Serialize, Deserialize)]
pub(crate) struct JoinRequest {
    pub(crate) node: NodeId,
    pub(crate) instance: NodeInstance,
    pub(crate) endpoint: String,
}

/// The answer to a node that asks to be let in.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum JoinAnswer {
    /// It is a learner now, or a member already.
    Joined(ClusterId),
    /// Ask the leader, if there is one.
    NotLeader(Option<(NodeId, String)>),
    /// Ask again.
    Busy,
    /// Never.
    Refused(String),
}

/// A message of this cluster.
pub(crate) fn seal<T: Serialize>(cluster: ClusterId, message: &T) -> Result<Bytes, EncodingError> {
    encode(&(cluster, message))
}

/// The inverse of [`seal`].
pub(crate) fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<(ClusterId, T), EncodingError> {
    encoding::decode(SCHEMA, bytes)
}

/// An answer, or a message of a node that is in no cluster.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Bytes, EncodingError> {
    encoding::encode(SCHEMA, message).map(Bytes::from)
}

/// The inverse of [`encode`].
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EncodingError> {
    encoding::decode(SCHEMA, bytes)
}

/// Whether an endpoint is `https://host:port` and nothing more.
pub(crate) fn is_endpoint(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
    endpoint.len() <= ENDPOINT_BYTES_MAX
        && uri.scheme_str() == Some("https")
        && uri.host().is_some_and(|host| !host.is_empty())
        && uri.port_u16().is_some_and(|port| port != 0)
        && uri.path_and_query().is_none_or(|rest| rest.as_str() == "/")
        && !endpoint.ends_with('/')
        && !endpoint.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_scheme_host_and_port() {
        for good in ["https://127.0.0.1:1", "https://node-1.example:8443", "https://[::1]:8443"] {
            assert!(is_endpoint(good), "{good}");
        }
        let long = format!("https://{}:1", "a".repeat(300));
        for bad in ["", "127.0.0.1:1", "http://a:1", "https://a", "https://a:0", "https://a:1/", "https://a:1/x", "https://u@a:1", &long] {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }
}
