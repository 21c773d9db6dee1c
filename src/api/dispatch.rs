//! `POST /`: who asks, for which operation, with which body; then the service.
//!
//! Order of checks (rules page, section 1): authenticate, target, content type, body, decode, queue, call. A form without a
//! target is a request of STS: `sts`.

mod sts;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use bytes::Bytes;
use claviger_service::{Context, Invocation};
use claviger_shapes::{ApiError, ErrorCode, Operation, Request, unsupported_operation};
use claviger_tls::{Bodies, Peer};
use claviger_types::limits::INVOCATION_ID_BYTES_MAX;
use claviger_types::{Identity, Principal, RevocationFlag};
use futures::FutureExt;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Extensions, HeaderMap};
use sha2::{Digest, Sha256};
use tracing::Instrument;
use uuid::Uuid;

use crate::error::not_read;
use crate::meter::Meter;
use crate::overload::Overload;
use crate::{Kms, Limits, respond};

const TARGET: &str = "x-amz-target";
const TARGET_PREFIX: &str = "TrentService.";
const INVOCATION_ID: &str = "amz-sdk-invocation-id";

/// What all requests share.
pub(crate) struct Edge<K> {
    kms: Arc<K>,
    bodies: Arc<Bodies>,
    overload: Overload,
    meter: Meter,
}

impl<K: Kms> Edge<K> {
    pub(crate) fn new(kms: Arc<K>, bodies: Arc<Bodies>, limits: &Limits) -> Self {
        Self { kms, bodies, overload: Overload::new(limits.running_max, limits.waiting_max), meter: Meter::new() }
    }

    async fn answer(&self, request_id: Uuid, head: Parts, body: axum::body::Body) -> Result<Bytes, ApiError> {
        let Caller { principal, revoked, source_ip } = caller(&head.extensions)?;
        let operation = target(&head.headers)?;
        check_content_type(&head.headers)?;
        let invocation_id = invocation_id(&head.headers)?;

        let body = self.bodies.read(body).await.map_err(|error| not_read(&error))?;
        let request = Request::parse(operation, &body)?;
        // Only writes are remembered, so only they pay for the hash.
        let invocation = invocation_id
            .filter(|_| operation.is_write())
            .map(|id| Invocation { id: id.to_owned(), body_sha256: Sha256::digest(&*body).into() });
        drop(body);

        let _turn = self.overload.enter().await?;
        let context = Context { principal, revoked, request_id, invocation, source_ip };
        let response = self.kms.call(context, request).await?;
        respond::body_of(&response)
    }
}

/// Answers a request of the KMS API.
pub(crate) async fn serve<K: Kms>(State(edge): State<Arc<Edge<K>>>, request: axum::extract::Request) -> http::Response<axum::body::Body> {
    if sts::is_asked(request.headers()) {
        return sts::serve(&edge, request).await;
    }
    let started = Instant::now();
    let request_id = Uuid::new_v4();
    let (head, body) = request.into_parts();
    let operation = target(&head.headers).ok();
    let span = tracing::debug_span!("request", %request_id, operation = operation.map(Operation::as_str));
    let outcome = AssertUnwindSafe(edge.answer(request_id, head, body)).catch_unwind().instrument(span).await.unwrap_or_else(|_| {
        // The panic hook has logged where; the payload may quote the request.
        tracing::error!(%request_id, operation = operation.map(Operation::as_str), "a request handler panicked");
        Err(ApiError::internal())
    });
    let error = outcome.as_ref().err().map(|error| error.code);
    edge.meter.record(operation, error, started.elapsed());
    tracing::debug!(%request_id, operation = operation.map(Operation::as_str), code = error.map_or("OK", ErrorCode::as_str), "answered");
    respond::answer(request_id, outcome)
}

/// What is known of a caller by its connection.
struct Caller {
    principal: Principal,
    revoked: RevocationFlag,
    source_ip: Option<IpAddr>,
}

/// The principal that the connection authenticated, and where it comes from.
fn caller(extensions: &Extensions) -> Result<Caller, ApiError> {
    let refuse = |code, message: &str| Err(ApiError::new(code, message));
    let Some(peer) = extensions.get::<Peer>() else {
        return refuse(ErrorCode::MissingAuthenticationToken, "The connection presented no client certificate.");
    };
    match &peer.identity {
        Identity::Principal(principal) => Ok(Caller {
            principal: principal.clone(),
            revoked: peer.revoked.clone(),
            source_ip: peer.address.map(|address| address.ip().to_canonical()),
        }),
        Identity::Carrier { .. } => refuse(
            ErrorCode::UnrecognizedClient,
            "Carrier certificates have no rights of their own, and signed requests are not supported yet.",
        ),
        Identity::Operator { .. } => refuse(ErrorCode::AccessDenied, "Operators cannot use or read keys."),
        Identity::Node { .. } => refuse(ErrorCode::AccessDenied, "Nodes cannot use or read keys."),
    }
}

fn target(headers: &HeaderMap) -> Result<Operation, ApiError> {
    let unknown = |message: String| ApiError::new(ErrorCode::UnknownOperation, message);
    let Some(target) = headers.get(TARGET) else {
        return Err(unknown(format!("The header X-Amz-Target is missing; it must be {TARGET_PREFIX}<operation>.")));
    };
    let name = target.to_str().ok().and_then(|target| target.strip_prefix(TARGET_PREFIX));
    let Some(name) = name.filter(|name| !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric())) else {
        return Err(unknown(format!("The header X-Amz-Target must be {TARGET_PREFIX}<operation>.")));
    };
    Operation::from_name(name)
        .ok_or_else(|| unsupported_operation(name).unwrap_or_else(|| unknown(format!("The operation {name} is not known."))))
}

/// The content type without its parameters; empty when there is none.
fn content_type(headers: &HeaderMap) -> &str {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim()
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    if content_type(headers).as_bytes().eq_ignore_ascii_case(respond::AWS_JSON.as_bytes()) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::UnsupportedMediaType, "The content type must be application/x-amz-json-1.1."))
}

fn invocation_id(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(INVOCATION_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let id = value.to_str().ok().filter(|id| (1..=INVOCATION_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
    match (id, values.next()) {
        (Some(id), None) => Ok(Some(id)),
        _ => Err(ApiError::validation(format!(
            "The header {INVOCATION_ID} must occur at most once, with 1 to {INVOCATION_ID_BYTES_MAX} visible ASCII characters."
        ))),
    }
}

#[cfg(test)]
mod tests;
