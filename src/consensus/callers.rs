//! Who may send which message, decided before any of its body is read, and how much of bodies is held at once.
//!
//! Whoever arrives here has a node's certificate. Raft messages are taken from nodes of this region and cluster; commands,
//! read indexes and what operators ask from present members; requests to join from any node of this region, for itself. A
//! node that is behind knows its newest fellow members only once it has caught up, so an unknown id passes for Raft
//! messages: were it refused, the node could neither catch up nor help to elect.
//!
//! Who was removed is refused, and told why. That is decided by the record of its removal and not by its absence from the
//! membership. The record comes first: until the membership has followed, the node still counts as a voter and its Raft
//! messages are taken, or the others could be left without a majority; what serves clients is refused it at once.
//!
//! A handler gets a body only as part of a [`Request`], so none can read one of a caller that it has not asked about.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::FromRequest;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use claviger_state::read;
use claviger_tls::Peer;
use claviger_types::limits::PEER_BODY_BYTES_MAX;
use claviger_types::{Identity, NodeId};
use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::consensus::Inner;
use crate::fault::chain;
use crate::server::Refused;

/// What the bodies of present members may take up together: some large appends beside a full queue of proposals.
const MEMBER_BYTES_MAX: usize = 8 * PEER_BODY_BYTES_MAX;
/// The same of nodes that this one does not know: one leader's append, with some room for its predecessor's.
const UNKNOWN_BYTES_MAX: usize = 2 * PEER_BODY_BYTES_MAX;

/// The callers whose messages a handler takes.
pub(crate) trait Callers {
    /// The caller's id if it is one of them.
    fn admit(inner: &Inner, peer: Option<&Peer>) -> Result<NodeId, Refused>;
}

/// Any other node of this region, members that this one has not heard of yet among them.
pub(crate) struct FromRaft;
/// Present members.
pub(crate) struct FromMember;
/// Any other node of this region.
pub(crate) struct FromRegion;

impl Callers for FromRaft {
    fn admit(inner: &Inner, peer: Option<&Peer>) -> Result<NodeId, Refused> {
        let id = inner.region_caller(peer)?;
        if !inner.is_member(id) && inner.was_removed(id)? { Err(Refused::Removed) } else { Ok(id) }
    }
}

impl Callers for FromMember {
    fn admit(inner: &Inner, peer: Option<&Peer>) -> Result<NodeId, Refused> {
        let id = inner.region_caller(peer)?;
        if inner.was_removed(id)? {
            return Err(Refused::Removed);
        }
        if inner.is_member(id) { Ok(id) } else { Err(Refused::Forbidden) }
    }
}

impl Callers for FromRegion {
    fn admit(inner: &Inner, peer: Option<&Peer>) -> Result<NodeId, Refused> {
        inner.region_caller(peer)
    }
}

/// A whole message of an admitted caller. It counts against [`Room`] until it is dropped.
pub(crate) struct Request<C> {
    pub(crate) from: NodeId,
    pub(crate) body: Bytes,
    _room: OwnedSemaphorePermit,
    _callers: PhantomData<C>,
}

impl<C: Callers> FromRequest<Arc<Inner>> for Request<C> {
    type Rejection = Response;

    async fn from_request(request: axum::extract::Request, inner: &Arc<Inner>) -> Result<Self, Response> {
        let from = C::admit(inner, request.extensions().get()).map_err(IntoResponse::into_response)?;
        let room = inner.room.take(inner.is_member(from), request.body().size_hint().upper()).map_err(IntoResponse::into_response)?;
        let body = Bytes::from_request(request, inner).await.map_err(IntoResponse::into_response)?;
        Ok(Self { from, body, _room: room, _callers: PhantomData })
    }
}

/// Bounds the bodies that are held at once. Nodes that are not known have room of their own, lest one that is nobody keeps
/// the members from being heard.
pub(crate) struct Room {
    members: Arc<Semaphore>,
    unknown: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self { members: Arc::new(Semaphore::new(MEMBER_BYTES_MAX)), unknown: Arc::new(Semaphore::new(UNKNOWN_BYTES_MAX)) }
    }
}

impl Room {
    /// Room for a body of at most so many bytes. One of unknown or excessive length counts as the largest: what is beyond
    /// that is not read. Nobody waits, since who does holds a stream.
    fn take(&self, member: bool, bytes: Option<u64>) -> Result<OwnedSemaphorePermit, Refused> {
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).map_or(PEER_BODY_BYTES_MAX, |bytes| bytes.min(PEER_BODY_BYTES_MAX));
        let room = if member { &self.members } else { &self.unknown };
        let permits = u32::try_from(bytes).map_err(|_| Refused::Full)?;
        Arc::clone(room).try_acquire_many_owned(permits).map_err(|_| Refused::Full)
    }
}

impl Inner {
    /// A node of this region, and not this one.
    pub(crate) fn region_caller(&self, peer: Option<&Peer>) -> Result<NodeId, Refused> {
        match peer.map(|peer| &peer.identity) {
            Some(Identity::Node { region, id }) if *region == self.config.region && *id != self.config.node_id => Ok(*id),
            _ => Err(Refused::Forbidden),
        }
    }

    /// Whether an operator has removed this node; no other node will ever have its id.
    fn was_removed(&self, id: NodeId) -> Result<bool, Refused> {
        let record = read::node(&*self.state, id).map_err(|error| Refused::Stopped(chain(&error)))?;
        Ok(record.is_some_and(|record| record.removed_at.is_some()))
    }

    fn is_member(&self, id: NodeId) -> bool {
        self.raft.server_metrics().borrow_watched().membership_config.membership().get_node(&id).is_some()
    }
}
