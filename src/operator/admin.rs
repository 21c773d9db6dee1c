//! Calls of the admin API, by an [`ApiClient`] that presents an operator's certificate to the api listener, or that
//! connects to the node's own Unix socket.

pub mod clock;

use claviger_shapes::admin::{AddPeer, AddPeerResult, AdminError, Identity, Peer, ProbePeer, Status};
use claviger_tls::{ApiClient, ApiClientError};

use crate::AdminClientError;

/// Who this region is: `GET /admin/v1/identity`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn identity(node: &ApiClient) -> Result<Identity, AdminClientError> {
    said(node.get("/admin/v1/identity").await)
}

/// How the node sees its region: `GET /admin/v1/status`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn status(node: &ApiClient) -> Result<Status, AdminClientError> {
    said(node.get("/admin/v1/status").await)
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
