//! The peer listener's side of consensus: what each message is, and what becomes of it.
//!
//! Who may send it is settled before its body is read: see `callers`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use claviger_types::NodeId;
use claviger_types::encoding::EncodingError;
use claviger_types::limits::PEER_BODY_BYTES_MAX;
use http::StatusCode;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

use crate::callers::{FromMember, FromRaft, FromRegion, Request};
use crate::consensus::Inner;
use crate::operate::{self, OperateAnswer, OperateRequest};
use crate::raft_types::{TypeConfig, Vote};
use crate::wire::{self, ClockAnswer, ClockRequest, ClocksRequest, JoinRequest, ProposeRequest, ReadIndexRequest, ReportRequest, path};
use crate::{membership, snapshot, survey};

/// Of the messages that hold neither entries nor commands; the largest, a request to join, has an endpoint of 256 bytes.
const SMALL_BODY_BYTES_MAX: usize = 4 * 1024;

/// Why a message is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the caller may not")]
    Forbidden,
    #[error("the caller was removed from the region")]
    Removed,
    #[error("the message does not decode")]
    Undecodable(#[source] EncodingError),
    #[error("the message contradicts itself: {0}")]
    Malformed(&'static str),
    #[error("the message is of another cluster")]
    OtherCluster,
    #[error("this node cannot answer now")]
    Unavailable,
    #[error("too much is being received at once")]
    Full,
    #[error("consensus has stopped: {0}")]
    Stopped(String),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Forbidden | Self::Removed | Self::OtherCluster => StatusCode::FORBIDDEN,
            Self::Undecodable(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::MISDIRECTED_REQUEST,
            // Not a server error: its sender may rely on nothing having been done.
            Self::Full => StatusCode::TOO_MANY_REQUESTS,
            Self::Stopped(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        debug!(error = %self, "a peer's message was refused");
        match self {
            Self::Removed => (status, wire::REMOVED).into_response(),
            _ => status.into_response(),
        }
    }
}

/// The routes of the peer listener that belong to consensus.
pub(crate) fn router(inner: Arc<Inner>) -> Router {
    let large = Router::new()
        .route(path::APPEND, post(append))
        .route(path::PROPOSE, post(propose))
        .layer(DefaultBodyLimit::max(PEER_BODY_BYTES_MAX));
    Router::new()
        .route(path::VOTE, post(vote))
        .route(path::PRE_VOTE, post(pre_vote))
        .route(path::TRANSFER_LEADER, post(transfer_leader))
        .route(path::CLOCK, post(clock))
        .route(path::READ_INDEX, post(read_index))
        .route(path::CLOCKS, post(clocks))
        .route(path::JOIN, post(join))
        .route(path::OPERATE, post(operate))
        .route(path::REPORT, post(report))
        .layer(DefaultBodyLimit::max(SMALL_BODY_BYTES_MAX))
        .merge(large)
        // A snapshot is a stream, whose receiver counts for itself.
        .merge(Router::new().route(path::SNAPSHOT, post(snapshot::receive)).layer(DefaultBodyLimit::disable()))
        .with_state(inner)
}

type Answer = Result<Response, Refused>;

async fn append(State(inner): State<Arc<Inner>>, request: Request<FromRaft>) -> Answer {
    let from = request.from;
    let message: AppendEntriesRequest<TypeConfig> = inner.open(&request.body)?;
    check_sender(&message.vote, from)?;
    check_entries(&message)?;
    answer(&inner.raft.append_entries(message).await.map_err(|e| Refused::Stopped(e.to_string()))?)
}

async fn vote(State(inner): State<Arc<Inner>>, request: Request<FromRaft>) -> Answer {
    let from = request.from;
    let message: VoteRequest<TypeConfig> = inner.open(&request.body)?;
    check_sender(&message.vote, from)?;
    answer(&inner.raft.vote(message).await.map_err(|e| Refused::Stopped(e.to_string()))?)
}

async fn pre_vote(State(inner): State<Arc<Inner>>, request: Request<FromRaft>) -> Answer {
    let from = request.from;
    let message: VoteRequest<TypeConfig> = inner.open(&request.body)?;
    check_sender(&message.vote, from)?;
    answer(&inner.raft.pre_vote(message).await.map_err(|e| Refused::Stopped(e.to_string()))?)
}

async fn transfer_leader(State(inner): State<Arc<Inner>>, request: Request<FromRaft>) -> Answer {
    let message: TransferLeaderRequest<TypeConfig> = inner.open(&request.body)?;
    check_sender(message.from_leader(), request.from)?;
    answer(&inner.raft.handle_transfer_leader(message).await.map_err(|e| Refused::Stopped(e.to_string()))?)
}

/// Log time is whatever the leader says, and nobody else.
async fn clock(State(inner): State<Arc<Inner>>, request: Request<FromRaft>) -> Answer {
    let ClockRequest { term, log_time } = inner.open(&request.body)?;
    let known = *inner.leadership.borrow();
    if let Some(log_time) = log_time.filter(|_| known.leader == Some(request.from) && known.term == term) {
        inner.clocks.hear(term, log_time);
    }
    answer(&ClockAnswer { clock: inner.clocks.wall() })
}

async fn clocks(State(inner): State<Arc<Inner>>, request: Request<FromMember>) -> Answer {
    let ClocksRequest = inner.open(&request.body)?;
    answer(&inner.clocks.status().ok_or(Refused::Unavailable)?)
}

async fn propose(State(inner): State<Arc<Inner>>, request: Request<FromMember>) -> Answer {
    let message: ProposeRequest = inner.open(&request.body)?;
    answer(&inner.proposer.take_forwarded(&message).await)
}

/// Only a node that believes to lead answers: two followers must not ask each other in a circle.
async fn read_index(State(inner): State<Arc<Inner>>, request: Request<FromMember>) -> Answer {
    let ReadIndexRequest = inner.open(&request.body)?;
    if !inner.leadership.borrow().is_leader {
        return Err(Refused::Unavailable);
    }
    answer(&inner.gate.index().await.map_err(|_| Refused::Unavailable)?)
}

async fn join(State(inner): State<Arc<Inner>>, request: Request<FromRegion>) -> Answer {
    let from = request.from;
    let request: JoinRequest = wire::decode(&request.body).map_err(Refused::Undecodable)?;
    if request.node != from {
        warn!(from, node = request.node, "a node asked to join under another's id");
        return Err(Refused::Forbidden);
    }
    if !wire::is_endpoint(&request.endpoint) {
        return Err(Refused::Malformed("the endpoint is not https://host:port"));
    }
    answer(&membership::admit(&inner, request).await)
}

async fn operate(State(inner): State<Arc<Inner>>, request: Request<FromMember>) -> Answer {
    let OperateRequest(change) = inner.open(&request.body)?;
    if !inner.leadership.borrow().is_leader {
        return answer(&OperateAnswer::NotLeader { leader: inner.leadership.borrow().leader, changed: false });
    }
    answer(&operate::carry_out(&inner, change).await)
}

async fn report(State(inner): State<Arc<Inner>>, request: Request<FromMember>) -> Answer {
    let ReportRequest = inner.open(&request.body)?;
    answer(&survey::report(&inner).await)
}

fn answer<T: Serialize>(answer: &T) -> Answer {
    let bytes = wire::encode(answer).map_err(|e| Refused::Stopped(e.to_string()))?;
    Ok(bytes.into_response())
}

/// Beyond what elections can reach. A term near the end of its numbers, once taken, would leave none for the next leader.
const TERM_MAX: u64 = 1 << 48;

/// A vote is cast for its sender by the sender alone, in a term that leaves room for later ones.
pub(crate) fn check_sender(vote: &Vote, from: NodeId) -> Result<(), Refused> {
    if vote.leader_id().node_id != from {
        return Err(Refused::Malformed("the vote is another node's"));
    }
    if vote.leader_id().term > TERM_MAX {
        return Err(Refused::Malformed("the vote's term is beyond what elections can reach"));
    }
    Ok(())
}

/// What openraft takes for granted of a leader.
pub(crate) fn check_entries(message: &AppendEntriesRequest<TypeConfig>) -> Result<(), Refused> {
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
    /// A message of this cluster.
    pub(crate) fn open<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Refused> {
        let (cluster, message) = wire::open(body).map_err(Refused::Undecodable)?;
        if self.peers.cluster() == Some(cluster) { Ok(message) } else { Err(Refused::OtherCluster) }
    }
}
