//! Calls of the admin API, by an [`ApiClient`] that presents an operator's certificate to the api listener, or that
//! connects to the node's own Unix socket.

pub mod clock;
pub mod iam;
pub mod policy;

use claviger_shapes::admin::{
    AddPeer, AddPeerResult, AdminError, AdmitKeys, AdmitKeysResult, Crl, DetachRegion, DetachRegionResult, Identity, MembersChanged, Node,
    NodeChange, Peer, ProbePeer, PublishCrl, PublishCrlResult, RegionStatus, Status, TransferLeader,
};
use claviger_tls::{ApiClient, ApiClientError};

use crate::AdminClientError;

/// Who this region is: `GET /admin/v1/identity`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn identity(node: &ApiClient) -> Result<Identity, AdminClientError> {
    said(node.get("/admin/v1/identity").await)
}

/// How the node sees itself and its region: `GET /admin/v1/status`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn status(node: &ApiClient) -> Result<Status, AdminClientError> {
    said(node.get("/admin/v1/status").await)
}

/// The region with all its nodes: `GET /admin/v1/region`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn region(node: &ApiClient) -> Result<RegionStatus, AdminClientError> {
    said(node.get("/admin/v1/region").await)
}

/// Every node id that was ever used in the region: `GET /admin/v1/nodes`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn nodes(node: &ApiClient) -> Result<Vec<Node>, AdminClientError> {
    said(node.get("/admin/v1/nodes").await)
}

/// Changes what a node is to be: `POST /admin/v1/nodes/{id}/{change}`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn change_node(node: &ApiClient, id: u64, change: NodeChange) -> Result<MembersChanged, AdminClientError> {
    said(node.post(&format!("/admin/v1/nodes/{id}/{}", change.name()), &()).await)
}

/// Lets another node lead: `POST /admin/v1/leader/transfer`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn transfer_leader(node: &ApiClient, request: &TransferLeader) -> Result<MembersChanged, AdminClientError> {
    said(node.post("/admin/v1/leader/transfer", request).await)
}

/// The first of some nodes of one region that can be connected to.
///
/// # Errors
/// When none can, or the first that can refuses: see [`AdminClientError`].
pub async fn first_reachable(nodes: Vec<ApiClient>) -> Result<ApiClient, AdminClientError> {
    let mut failed = None;
    for node in nodes {
        match status(&node).await {
            Ok(_) => return Ok(node),
            Err(error @ AdminClientError::Call(ApiClientError::Connect { .. })) => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(failed.unwrap_or(AdminClientError::NoNode))
}

/// The regions that this one replicates with: `GET /admin/v1/peers`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn peers(node: &ApiClient) -> Result<Vec<Peer>, AdminClientError> {
    said(node.get("/admin/v1/peers").await)
}

/// Who answers at these endpoints, unconfirmed: `POST /admin/v1/peers/probe`. Changes nothing.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn probe(node: &ApiClient, request: &ProbePeer) -> Result<Identity, AdminClientError> {
    said(node.post("/admin/v1/peers/probe", request).await)
}

/// Replicates with a region from now on: `POST /admin/v1/peers`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn add_peer(node: &ApiClient, request: &AddPeer) -> Result<AddPeerResult, AdminClientError> {
    said(node.post("/admin/v1/peers", request).await)
}

/// Takes a region out of the count of some keys whose primary is here: `POST /admin/v1/peers/detach`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn detach_region(node: &ApiClient, request: &DetachRegion) -> Result<DetachRegionResult, AdminClientError> {
    said(node.post("/admin/v1/peers/detach", request).await)
}

/// The revocation lists that the region enforces: `GET /admin/v1/crls`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn crls(node: &ApiClient) -> Result<Vec<Crl>, AdminClientError> {
    said(node.get("/admin/v1/crls").await)
}

/// Gives the region a revocation list: `POST /admin/v1/crls`. Once this returns, no node of it honours what it revokes.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn publish_crl(node: &ApiClient, request: &PublishCrl) -> Result<PublishCrlResult, AdminClientError> {
    said(node.post("/admin/v1/crls", request).await)
}

/// Lets some keys be used again that a restore withholds: `POST /admin/v1/keys/admit`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn admit_keys(node: &ApiClient, request: &AdmitKeys) -> Result<AdmitKeysResult, AdminClientError> {
    said(node.post("/admin/v1/keys/admit", request).await)
}

/// A backup of the region, given to `take` as it comes: `GET /admin/v1/backup`.
///
/// # Errors
/// See [`AdminClientError`]; what `take` returns ends it too.
pub async fn backup<E: From<AdminClientError>>(node: &ApiClient, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let downloaded = node.download("/admin/v1/backup", |bytes| take(bytes).map_err(Ended::ByTaker));
    downloaded.await.map_err(|ended| match ended {
        Ended::ByNode(error) => in_its_own_words(error).into(),
        Ended::ByTaker(error) => error,
    })
}

/// Why a download ended before its end.
enum Ended<E> {
    ByNode(ApiClientError),
    ByTaker(E),
}

impl<E> From<ApiClientError> for Ended<E> {
    fn from(error: ApiClientError) -> Self {
        Self::ByNode(error)
    }
}

fn said<T>(outcome: Result<T, ApiClientError>) -> Result<T, AdminClientError> {
    outcome.map_err(in_its_own_words)
}

/// A refusal in the admin API's own words where it used them.
fn in_its_own_words(error: ApiClientError) -> AdminClientError {
    match error {
        ApiClientError::Refused { target, status, body } => match serde_json::from_str::<AdminError>(&body) {
            Ok(error) => AdminClientError::Refused { target, error },
            Err(_) => ApiClientError::Refused { target, status, body }.into(),
        },
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
