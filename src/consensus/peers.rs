//! Calls to the other nodes of the region.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use claviger_tls::{ClientError, Expect, PeerClient, Response};
use claviger_types::encoding::EncodingError;
use claviger_types::{ClusterId, NodeId, Region};
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

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
    #[error("the answer does not decode")]
    Answer(#[source] EncodingError),
}

impl CallError {
    /// Whether the other node may have acted on the message.
    pub(crate) const fn may_have_acted(&self) -> bool {
        match self {
            Self::NoCluster | Self::Encode(_) => false,
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
}

impl Peers {
    pub(crate) fn new(client: Arc<PeerClient>, region: Region, cluster: Option<ClusterId>) -> Self {
        Self { client, region, cluster: cluster.map(OnceLock::from).unwrap_or_default() }
    }

    /// The cluster that this node belongs to.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.cluster.get().copied()
    }

    /// Says which cluster this node belongs to; false when it belongs to another.
    pub(crate) fn set_cluster(&self, cluster: ClusterId) -> bool {
        *self.cluster.get_or_init(|| cluster) == cluster
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
        answer(&self.client.post(&to.endpoint, &self.expect(to.id), lane, path, body, within).await?)
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
        answer(&self.client.post_stream(&to.endpoint, &self.expect(to.id), lane, path, body, within).await?)
    }

    fn expect(&self, id: NodeId) -> Expect {
        Expect::Node { region: self.region.clone(), id }
    }
}

/// A node and where it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) id: NodeId,
    pub(crate) endpoint: String,
}

fn answer<A: DeserializeOwned>(response: &Response) -> Result<A, CallError> {
    if response.status != StatusCode::OK {
        return Err(CallError::Status(response.status));
    }
    wire::decode(&response.body).map_err(CallError::Answer)
}
