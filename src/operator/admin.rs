//! Calls of the admin API, by an [`ApiClient`] that presents an operator's certificate to the api listener, or that
//! connects to the node's own Unix socket.

use claviger_shapes::admin::{
    AddPeer, AddPeerResult, AdminError, Identity, MembersChanged, Node, NodeChange, Peer, ProbePeer, RegionStatus, Status, TransferLeader,
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

/// A refusal in the admin API's own words where it used them.
fn said<T>(outcome: Result<T, ApiClientError>) -> Result<T, AdminClientError> {
    outcome.map_err(|error| match error {
        ApiClientError::Refused { target, status, body } => match serde_json::from_str::<AdminError>(&body) {
            Ok(error) => AdminClientError::Refused { target, error },
            Err(_) => ApiClientError::Refused { target, status, body }.into(),
        },
        other => other.into(),
    })
}

#[cfg(test)]
mod tests;
