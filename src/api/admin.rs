//! The admin API: JSON for operators, and for nobody else. Its shapes are [`claviger_shapes::admin`].

mod clock;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use claviger_shapes::admin::clock::{AcceptClock, AcceptClockResult, ClockStatus};
use claviger_shapes::admin::{AddPeer, AddPeerResult, AdminError, AdminErrorCode, Identity, Peer, ProbePeer, Status};
use claviger_types::limits::PEER_ENDPOINTS_MAX;
use futures::FutureExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::Bodies;

/// Largest peer endpoint, `https://` and port included.
const ENDPOINT_BYTES_MAX: usize = 512;
/// Largest fingerprint, as people type it.
const FINGERPRINT_BYTES_MAX: usize = 256;

/// What operators may ask. The root of the program implements it: it alone sees consensus and replication.
pub trait Admin: Send + Sync + 'static {
    /// Who this region is.
    fn identity(&self) -> impl Future<Output = Result<Identity, AdminError>> + Send;

    /// The regions that this one replicates with.
    fn peers(&self) -> impl Future<Output = Result<Vec<Peer>, AdminError>> + Send;

    /// Adds a peer whose fingerprint the operator has compared. The same again changes nothing; a difference is a conflict.
    fn add_peer(&self, peer: AddPeer) -> impl Future<Output = Result<AddPeerResult, AdminError>> + Send;

    /// Who answers at these endpoints, unconfirmed; changes nothing.
    fn probe_peer(&self, peer: ProbePeer) -> impl Future<Output = Result<Identity, AdminError>> + Send;

    /// How this node sees its region.
    fn status(&self) -> impl Future<Output = Result<Status, AdminError>> + Send;

    /// The region's clocks.
    fn clock_status(&self) -> impl Future<Output = Result<ClockStatus, AdminError>> + Send;

    /// Accepts the clock of the region's only voter. With nothing to accept, nothing changes.
    fn accept_clock(&self, accept: AcceptClock) -> impl Future<Output = Result<AcceptClockResult, AdminError>> + Send;
}

struct Desk<A> {
    admin: Arc<A>,
    bodies: Arc<Bodies>,
}

/// Everything under `/admin`.
pub(crate) fn routes<A: Admin>(admin: Arc<A>, bodies: Arc<Bodies>) -> Router {
    Router::new()
        .route("/v1/identity", get(async |State(desk): State<Arc<Desk<A>>>| answer(desk.admin.identity().await)))
        .route("/v1/peers", get(async |State(desk): State<Arc<Desk<A>>>| answer(desk.admin.peers().await)).post(add_peer::<A>))
        .route("/v1/peers/probe", post(probe_peer::<A>))
        .route("/v1/status", get(async |State(desk): State<Arc<Desk<A>>>| answer(desk.admin.status().await)))
        .merge(clock::routes())
        .method_not_allowed_fallback(async || refusal(AdminErrorCode::MethodNotAllowed, "this path does not take this method"))
        .fallback(async || refusal(AdminErrorCode::NotFound, "there is nothing at this path"))
        .with_state(Arc::new(Desk { admin, bodies }))
        .layer(middleware::from_fn(guard))
}

/// Lets operators through, whatever the path, and turns a panic into an answer.
async fn guard(request: Request, next: Next) -> Response {
    let operator = match request.extensions().get::<claviger_tls::Peer>().map(|peer| &peer.identity) {
        Some(claviger_types::Identity::Operator { name }) => name.clone(),
        _ => return refusal(AdminErrorCode::Forbidden, "only operators may use the admin API"),
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(path, "an admin handler panicked");
        refusal(AdminErrorCode::Internal, "the request failed because of an internal error")
    });
    tracing::info!(operator, %method, path, status = response.status().as_u16(), "admin request");
    response
}

async fn add_peer<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request) -> Response {
    let outcome = async {
        let peer: AddPeer = read(&desk.bodies, request).await?;
        check_endpoints(&peer.endpoints)?;
        if peer.fingerprint.is_empty() || peer.fingerprint.len() > FINGERPRINT_BYTES_MAX {
            return Err(invalid(format!("the fingerprint must have 1 to {FINGERPRINT_BYTES_MAX} characters")));
        }
        desk.admin.add_peer(peer).await
    };
    answer(outcome.await)
}

async fn probe_peer<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request) -> Response {
    let outcome = async {
        let peer: ProbePeer = read(&desk.bodies, request).await?;
        check_endpoints(&peer.endpoints)?;
        desk.admin.probe_peer(peer).await
    };
    answer(outcome.await)
}

async fn read<T: DeserializeOwned>(bodies: &Bodies, request: Request) -> Result<T, AdminError> {
    let body = bodies.read(request.into_body()).await?;
    serde_json::from_slice(&body).map_err(|error| invalid(format!("the request body is not what it should be: {error}")))
}

fn check_endpoints(endpoints: &[String]) -> Result<(), AdminError> {
    if endpoints.is_empty() || endpoints.len() > PEER_ENDPOINTS_MAX {
        return Err(invalid(format!("1 to {PEER_ENDPOINTS_MAX} endpoints are needed")));
    }
    let shaped = |endpoint: &String| {
        let host = endpoint.strip_prefix("https://").unwrap_or_default();
        endpoint.len() <= ENDPOINT_BYTES_MAX
            && host.parse::<http::uri::Authority>().is_ok_and(|host| host.port().is_some() && !host.as_str().contains('@'))
    };
    match endpoints.iter().all(shaped) {
        true => Ok(()),
        false => Err(invalid(format!("an endpoint must be https://<host>:<port>, at most {ENDPOINT_BYTES_MAX} characters"))),
    }
}

fn invalid(message: String) -> AdminError {
    AdminError::new(AdminErrorCode::Invalid, message)
}

fn refusal(code: AdminErrorCode, message: &str) -> Response {
    answer::<()>(Err(AdminError::new(code, message)))
}

fn answer<T: Serialize>(outcome: Result<T, AdminError>) -> Response {
    let (status, body) = match outcome {
        Ok(value) => (StatusCode::OK, serde_json::to_vec(&value)),
        Err(error) => {
            (StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), serde_json::to_vec(&error))
        }
    };
    let (status, body) = body.map_or_else(|_| (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()), |body| (status, Bytes::from(body)));
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
