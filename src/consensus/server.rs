//! The peer listener's side of consensus: who may say what, and what becomes of it.
//!
//! Whoever arrives here has a node's certificate. Raft messages are taken from nodes of this region and cluster that were
//! not removed; commands and read indexes from present members; requests to join from any node of this region, for
//! itself. A node that is behind knows its newest fellow members only once it has caught up, so an unknown id passes for
//! Raft messages: were it refused, the node could neither catch up nor help to elect.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use claviger_state::read;
use claviger_tls::Peer;
use claviger_types::encoding::EncodingError;
use claviger_types::limits::PEER_BODY_BYTES_MAX;
use claviger_types::{Identity, NodeId};
use http::StatusCode;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

use crate::consensus::Inner;
use crate::raft_types::{TypeConfig, Vote};
use crate::wire::{self, JoinRequest, ProposeRequest, ReadIndexRequest, path};
use crate::{membership, snapshot};

/// Why a message is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the caller may not")]
    Forbidden,
    #[error("the message does not decode")]
    Undecodable(#[source] EncodingError),
    #[error("the message contradicts itself: {0}")]
    Malformed(&'static str),
    #[error("the message is of another cluster")]
    OtherCluster,
    #[error("this node cannot answer now")]
    Unavailable,
    #[error("consensus has stopped: {0}")]
    Stopped(String),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Forbidden | Self::OtherCluster => StatusCode::FORBIDDEN,
            Self::Undecodable(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::MISDIRECTED_REQUEST,
            Self::Stopped(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        debug!(error = %self, "a peer's message was refused");
        status.into_response()
    }
}

/// The routes of the peer listener that belong to consensus.
pub(crate) fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route(path::APPEND, post(append))
        .route(path::VOTE, post(vote))
        .route(path::PRE_VOTE, post(pre_vote))
        .route(path::TRANSFER_LEADER, post(transfer_leader))
        .route(path::PROPOSE, post(propose))
        .route(path::READ_INDEX, post(read_index))
        .route(path::JOIN, post(join))
        .layer(DefaultBodyLimit::max(PEER_BODY_BYTES_MAX))
        // A snapshot is a stream, whose receiver counts for itself.
        .merge(Router::new().route(path::SNAPSHOT, post(snapshot::receive)).layer(DefaultBodyLimit::disable()))
        .with_state(inner)
}

type Caller = Option<Extension<Peer>>;
type Answer = Result<Response, Refused>;

async fn append(State(inner): State<Arc<Inner>>, caller: Caller, body: Bytes) -> Answer {
    let from = inner.raft_caller(caller)?;
    let message: AppendEntriesRequest<TypeConfig> = inner.open(&body)?;
    check_sender(&message.vote, from)?;
    check_entries(&message)?;
    answer(&inner.raft.append_entries(message).await.map_err(|e| Refused::Stopped(e.to_string()))?)
}

async fn vote(State(inner): State<Arc<Inner>>, caller: Caller, body: Bytes) -> Answer {
    let from = inner.raft_caller(caller)?;
    let message: VoteRequest<TypeConfig> = inner.open(&body)?;
    check_sender(&message.vote, from)?;
    answer(&inner.raft.vote(message).await.map_err(|e| Refused::Stopped(e.to_string()))?)
}

async fn pre_vote(State(inner): State<Arc<Inner>>, caller: Caller, body: Bytes) -> Answer {
    let from = inner.raft_caller(caller)?;
    let message: VoteRequest<TypeConfig> = inner.open(&body)?;
    check_sender(&message.vote, from)?;
    answer(&inner.raft.pre_vote(message).await.map_err(|e| Refused::Stopped(e.to_string()))?)
}

async fn transfer_leader(State(inner): State<Arc<Inner>>, caller: Caller, body: Bytes) -> Answer {
    let from = inner.raft_caller(caller)?;
    let message: TransferLeaderRequest<TypeConfig> = inner.open(&body)?;
    check_sender(message.from_leader(), from)?;
    answer(&inner.raft.handle_transfer_leader(message).await.map_err(|e| Refused::Stopped(e.to_string()))?)
}

async fn propose(State(inner): State<Arc<Inner>>, caller: Caller, body: Bytes) -> Answer {
    inner.member_caller(caller)?;
    let message: ProposeRequest = inner.open(&body)?;
    answer(&inner.proposer.take_forwarded(&message).await)
}

/// Only a node that believes to lead answers: two followers must not ask each other in a circle.
async fn read_index(State(inner): State<Arc<Inner>>, caller: Caller, body: Bytes) -> Answer {
    inner.member_caller(caller)?;
    let ReadIndexRequest = inner.open(&body)?;
    if !inner.leadership.borrow().is_leader {
        return Err(Refused::Unavailable);
    }
    answer(&inner.gate.index().await.map_err(|_| Refused::Unavailable)?)
}

async fn join(State(inner): State<Arc<Inner>>, caller: Caller, body: Bytes) -> Answer {
    let from = inner.region_caller(caller)?;
    let request: JoinRequest = wire::decode(&body).map_err(Refused::Undecodable)?;
    if request.node != from {
        warn!(from, node = request.node, "a node asked to join under another's id");
        return Err(Refused::Forbidden);
    }
    if !wire::is_endpoint(&request.endpoint) {
        return Err(Refused::Malformed("the endpoint is not https://host:port"));
    }
    answer(&membership::admit(&inner, request).await)
}

fn answer<T: Serialize>(answer: &T) -> Answer {
    let bytes = wire::encode(answer).map_err(|e| Refused::Stopped(e.to_string()))?;
    Ok(bytes.into_response())
}

/// A vote is cast for its sender by the sender alone.
pub(crate) fn check_sender(vote: &Vote, from: NodeId) -> Result<(), Refused> {
    if vote.leader_id().node_id == from { Ok(()) } else { Err(Refused::Malformed("the vote is another node's")) }
}

/// What openraft takes for granted of a leader.
fn check_entries(message: &AppendEntriesRequest<TypeConfig>) -> Result<(), Refused> {
    let leader = &message.vote.leader_id;
    let mut last = message.prev_log_id;
    for entry in &message.entries {
        let follows = match &last {
            Some(last) => {
                last.index().checked_add(1) == Some(entry.log_id.index())
                    && last.committed_leader_id() <= entry.log_id.committed_leader_id()
            }
            None => entry.log_id.index() == 0,
        };
        if !follows || entry.log_id.committed_leader_id() > leader {
            return Err(Refused::Malformed("the entries do not follow one another"));
        }
        last = Some(entry.log_id);
    }
    Ok(())
}

impl Inner {
    /// A node of this region, and not this one.
    fn region_caller(&self, caller: Caller) -> Result<NodeId, Refused> {
        match caller.map(|Extension(peer)| peer.identity.clone()) {
            Some(Identity::Node { region, id }) if region == self.config.region && id != self.config.node_id => Ok(id),
            _ => Err(Refused::Forbidden),
        }
    }

    /// A node of this region that this node does not know to have been removed.
    pub(crate) fn raft_caller(&self, caller: Caller) -> Result<NodeId, Refused> {
        let id = self.region_caller(caller)?;
        if self.is_member(id) {
            return Ok(id);
        }
        match read::node(&*self.state, id) {
            // It was registered once and is no member: it was removed.
            Ok(Some(_)) => Err(Refused::Forbidden),
            Ok(None) => Ok(id),
            Err(error) => Err(Refused::Stopped(error.to_string())),
        }
    }

    fn member_caller(&self, caller: Caller) -> Result<NodeId, Refused> {
        let id = self.region_caller(caller)?;
        if self.is_member(id) { Ok(id) } else { Err(Refused::Forbidden) }
    }

    fn is_member(&self, id: NodeId) -> bool {
        self.raft.server_metrics().borrow_watched().membership_config.membership().get_node(&id).is_some()
    }

    /// A message of this cluster.
    pub(crate) fn open<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Refused> {
        let (cluster, message) = wire::open(body).map_err(Refused::Undecodable)?;
        if self.peers.cluster() == Some(cluster) { Ok(message) } else { Err(Refused::OtherCluster) }
    }
}
