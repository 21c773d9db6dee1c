//! The admin API: JSON for operators, and for nobody else. Its shapes are [`claviger_shapes::admin`].

mod clock;
mod iam;
mod policy;
mod restoring;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use claviger_shapes::admin::clock::{AcceptClock, AcceptClockResult, ClockStatus};
use claviger_shapes::admin::{
    AddPeer, AddPeerResult, AdminError, AdminErrorCode, Crl, DetachRegion, DetachRegionResult, Identity, MembersChanged, Node, NodeChange,
    Peer, ProbePeer, PublishCrl, PublishCrlResult, RegionStatus, Status, TransferLeader,
};
use claviger_tls::Bodies;
use claviger_types::limits::PEER_ENDPOINTS_MAX;
use futures::FutureExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::iam::Identities;
pub use self::policy::Policies;
pub use self::restoring::Restoring;
use crate::error::not_read_admin;

/// Largest peer endpoint, `https://` and port included.
const ENDPOINT_BYTES_MAX: usize = 512;
/// Largest fingerprint, as people type it.
const FINGERPRINT_BYTES_MAX: usize = 256;

/// What operators may ask. The root of the program implements it: it alone sees consensus and replication.
pub trait Admin: Restoring + Identities + Policies {
    /// Who this region is.
    fn identity(&self) -> impl Future<Output = Result<Identity, AdminError>> + Send;

    /// The regions that this one replicates with.
    fn peers(&self) -> impl Future<Output = Result<Vec<Peer>, AdminError>> + Send;

    /// Adds a peer whose fingerprint the operator has compared. The same again changes nothing; a difference is a conflict.
    fn add_peer(&self, peer: AddPeer) -> impl Future<Output = Result<AddPeerResult, AdminError>> + Send;

    /// Who answers at these endpoints, unconfirmed; changes nothing.
    fn probe_peer(&self, peer: ProbePeer) -> impl Future<Output = Result<Identity, AdminError>> + Send;

    /// Takes a region out of the count of keys whose primary is here, until it shows that it has all of them again. The same again
    /// changes nothing.
    fn detach_region(&self, detach: DetachRegion) -> impl Future<Output = Result<DetachRegionResult, AdminError>> + Send;

    /// How this node sees itself and its region.
    fn status(&self) -> impl Future<Output = Result<Status, AdminError>> + Send;

    /// The revocation lists that the region enforces.
    fn crls(&self) -> impl Future<Output = Result<Vec<Crl>, AdminError>> + Send;

    /// Takes a revocation list: once this answers, no node of the region honours what it revokes. The same again changes
    /// nothing; one that is not newer is a conflict.
    fn publish_crl(&self, crl: PublishCrl) -> impl Future<Output = Result<PublishCrlResult, AdminError>> + Send;

    /// The read gate: once it is passed, this node knows of every revocation that was answered before.
    fn gate(&self) -> impl Future<Output = Result<(), AdminError>> + Send;

    /// The region with all its nodes, each of which is asked.
    fn region(&self) -> impl Future<Output = Result<RegionStatus, AdminError>> + Send;

    /// Every node id that was ever used.
    fn nodes(&self) -> impl Future<Output = Result<Vec<Node>, AdminError>> + Send;

    /// Changes what a node is to be, wherever the leader is. The same again changes nothing.
    fn change_node(&self, id: u64, change: NodeChange) -> impl Future<Output = Result<MembersChanged, AdminError>> + Send;

    /// Lets another node lead, wherever the leader is.
    fn transfer_leader(&self, transfer: TransferLeader) -> impl Future<Output = Result<MembersChanged, AdminError>> + Send;

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
    let desk = Arc::new(Desk { admin, bodies });
    Router::new()
        .route("/v1/identity", get(async |State(desk): State<Arc<Desk<A>>>| answer(desk.admin.identity().await)))
        .route("/v1/peers", get(async |State(desk): State<Arc<Desk<A>>>| answer(desk.admin.peers().await)).post(add_peer::<A>))
        .route("/v1/peers/probe", post(probe_peer::<A>))
        .route("/v1/peers/detach", post(detach_region::<A>))
        .route("/v1/crls", get(async |State(desk): State<Arc<Desk<A>>>| answer(desk.admin.crls().await)).post(publish_crl::<A>))
        .route("/v1/status", get(async |State(desk): State<Arc<Desk<A>>>| answer(desk.admin.status().await)))
        .merge(restoring::routes())
        .route("/v1/region", get(async |State(desk): State<Arc<Desk<A>>>| answer(desk.admin.region().await)))
        .route("/v1/nodes", get(async |State(desk): State<Arc<Desk<A>>>| answer(desk.admin.nodes().await)))
        .route("/v1/nodes/{id}/{change}", post(change_node::<A>))
        .route("/v1/leader/transfer", post(transfer_leader::<A>))
        .merge(clock::routes())
        .merge(iam::routes())
        .merge(policy::routes())
        .method_not_allowed_fallback(async || refusal(AdminErrorCode::MethodNotAllowed, "this path does not take this method"))
        .fallback(async || refusal(AdminErrorCode::NotFound, "there is nothing at this path"))
        .with_state(Arc::clone(&desk))
        .layer(middleware::from_fn_with_state(desk, guard::<A>))
}

/// What an operator looks at when a region has lost its quorum: it changes nothing, and names no key.
const SHOWN_WITHOUT_LEADER: [&str; 3] = ["/v1/status", "/v1/region", "/v1/clock"];

/// Lets operators through, whatever the path, and turns a panic into an answer.
async fn guard<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<claviger_tls::Peer>().cloned();
    let Some((peer, operator)) = peer.and_then(|peer| match &peer.identity {
        claviger_types::Identity::Operator { name } => Some((peer.clone(), name.clone())),
        _ => None,
    }) else {
        return refusal(AdminErrorCode::Forbidden, "only operators may use the admin API");
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let work = async {
        if let Err(refused) = check_honoured(&*desk.admin, &peer, &path).await {
            return answer::<()>(Err(refused));
        }
        next.run(request).await
    };
    let response = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(path, "an admin handler panicked");
        refusal(AdminErrorCode::Internal, "the request failed because of an internal error")
    });
    tracing::info!(operator, %method, path, status = response.status().as_u16(), "admin request");
    response
}

/// Refuses an operator whose certificate is revoked, however far this node is behind. A node that is cut off cannot know;
/// it shows how the region stands all the same, and nothing else. The node's own socket has no certificate, and needs no gate.
async fn check_honoured<A: Admin>(admin: &A, peer: &claviger_tls::Peer, path: &str) -> Result<(), AdminError> {
    if peer.certificate.is_none() {
        return Ok(());
    }
    match admin.gate().await {
        Err(_) if SHOWN_WITHOUT_LEADER.contains(&path) => {}
        passed => passed?,
    }
    if peer.revoked.is_set() {
        return Err(AdminError::new(AdminErrorCode::Forbidden, "the operator's certificate has been revoked"));
    }
    Ok(())
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

async fn detach_region<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request) -> Response {
    let outcome = async {
        let detach: DetachRegion = read(&desk.bodies, request).await?;
        desk.admin.detach_region(detach).await
    };
    answer(outcome.await)
}

async fn publish_crl<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request) -> Response {
    let outcome = async { desk.admin.publish_crl(read(&desk.bodies, request).await?).await };
    answer(outcome.await)
}

async fn change_node<A: Admin>(State(desk): State<Arc<Desk<A>>>, path: Result<Path<(String, String)>, PathRejection>) -> Response {
    let change = |name: &str| NodeChange::ALL.into_iter().find(|change| change.name() == name);
    let Some((id, change)) = path.ok().and_then(|Path((id, name))| Some((id, change(&name)?))) else {
        return refusal(AdminErrorCode::NotFound, "there is nothing at this path");
    };
    match id.parse() {
        Ok(id) => answer(desk.admin.change_node(id, change).await),
        Err(_) => refusal(AdminErrorCode::Invalid, "a node's id is a number"),
    }
}

async fn transfer_leader<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request) -> Response {
    let outcome = async {
        let transfer: TransferLeader = read(&desk.bodies, request).await?;
        desk.admin.transfer_leader(transfer).await
    };
    answer(outcome.await)
}

async fn read<T: DeserializeOwned>(bodies: &Bodies, request: Request) -> Result<T, AdminError> {
    let body = bodies.read(request.into_body()).await.map_err(|error| not_read_admin(&error))?;
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
