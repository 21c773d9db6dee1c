//! Calls to the other nodes of the region.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use claviger_tls::{ClientError, Expect, PeerClient, Response};
use claviger_types::encoding::EncodingError;
use claviger_types::{ClusterId, NodeId, Region};
use http::StatusCode;
use parking_lot::RwLock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::error;

use crate::wire;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("this node belongs to no cluster yet")]
    NoCluster,
    #[error("the message does not encode")]
    Encode(#[source] EncodingError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the node answered {0}")]
    Status(StatusCode),
    #[error("this node was removed from the region")]
    Removed,
    #[error("the answer does not decode")]
    Answer(#[source] EncodingError),
}

impl CallError {
    /// Whether the other node may have acted on the message.
    pub(crate) const fn may_have_acted(&self) -> bool {
        match self {
            Self::NoCluster | Self::Encode(_) | Self::Removed => false,
            Self::Client(error) => error.was_sent(),
            // Refused before anything was done; a server error is not.
            Self::Status(status) => status.as_u16() >= 500,
            Self::Answer(_) => true,
        }
    }
}

/// The other nodes, and how to reach them.
pub(crate) struct Peers {
    client: Arc<PeerClient>,
    region: Region,
    cluster: OnceLock<ClusterId>,
    /// Where the members are now: openraft's clients keep the endpoint that a member had when they were made.
    endpoints: RwLock<BTreeMap<NodeId, String>>,
    /// A member has said that this node was removed. That is for ever, since no id is used again.
    removed: watch::Sender<bool>,
}

impl Peers {
    pub(crate) fn new(client: Arc<PeerClient>, region: Region, cluster: Option<ClusterId>) -> Self {
        let cluster = cluster.map(OnceLock::from).unwrap_or_default();
        Self { client, region, cluster, endpoints: RwLock::default(), removed: watch::Sender::new(false) }
    }

    /// The cluster that this node belongs to.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.cluster.get().copied()
    }

    /// Says which cluster this node belongs to; false when it belongs to another.
    pub(crate) fn set_cluster(&self, cluster: ClusterId) -> bool {
        *self.cluster.get_or_init(|| cluster) == cluster
    }

    /// Says where the members are from now on.
    pub(crate) fn set_endpoints(&self, endpoints: BTreeMap<NodeId, String>) {
        *self.endpoints.write() = endpoints;
    }

    /// Where a node is now, unless it is no member yet.
    fn endpoint(&self, to: &Target) -> String {
        self.endpoints.read().get(&to.id).unwrap_or(&to.endpoint).clone()
    }

    /// Whether a member has told this node that it was removed.
    pub(crate) fn is_removed(&self) -> bool {
        *self.removed.borrow()
    }

    /// Tells when that changes.
    pub(crate) fn removed(&self) -> watch::Receiver<bool> {
        self.removed.subscribe()
    }

    /// A message as its bytes.
    pub(crate) fn seal<T: Serialize>(&self, message: &T) -> Result<Bytes, CallError> {
        wire::seal(self.cluster().ok_or(CallError::NoCluster)?, message).map_err(CallError::Encode)
    }

    /// Posts a sealed message to a node and decodes its answer.
    pub(crate) async fn post<A: DeserializeOwned>(
        &self,
        to: &Target,
        lane: u8,
        path: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<A, CallError> {
        self.answer(to, &self.client.post(&self.endpoint(to), &self.expect(to.id), lane, path, body, within).await?)
    }

    /// As [`Peers::post`], with a body that is made while it is sent.
    pub(crate) async fn post_stream<A: DeserializeOwned>(
        &self,
        to: &Target,
        lane: u8,
        path: &str,
        body: claviger_tls::StreamingBody,
        within: Duration,
    ) -> Result<A, CallError> {
        self.answer(to, &self.client.post_stream(&self.endpoint(to), &self.expect(to.id), lane, path, body, within).await?)
    }

    fn expect(&self, id: NodeId) -> Expect {
        Expect::Node { region: self.region.clone(), id }
    }

    fn answer<A: DeserializeOwned>(&self, from: &Target, response: &Response) -> Result<A, CallError> {
        match response.status {
            StatusCode::OK => wire::decode(&response.body).map_err(CallError::Answer),
            StatusCode::FORBIDDEN if response.body == wire::REMOVED => {
                if !self.removed.send_replace(true) {
                    error!(told_by = from.id, "this node was removed from its region: it serves nobody any more; stop it");
                }
                Err(CallError::Removed)
            }
            status => Err(CallError::Status(status)),
        }
    }
}

/// A node and where it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) id: NodeId,
    pub(crate) endpoint: String,
}
