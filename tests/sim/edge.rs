//! The service behind HTTP, and the clients before it: requests and answers as the AWS JSON protocol has them, without what
//! the real edge adds for strangers (queues, paces, request ids).

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use claviger_consensus::Consensus;
use claviger_service::{Context, Invocation, Service};
use claviger_shapes::{ApiError, Operation, Request};
use claviger_tls::Peer;
use claviger_types::{Identity, RevocationFlag};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use turmoil::net::TcpStream;
use uuid::Uuid;

use crate::plan::{API_PORT, Node};

const OPERATION: &str = "x-amz-target";
const INVOCATION: &str = "amz-sdk-invocation-id";

/// The routes of a node's api listener.
pub(crate) fn router(service: Arc<Service<Consensus>>) -> Router {
    Router::new().route("/", post(serve)).with_state(service)
}

async fn serve(
    State(service): State<Arc<Service<Consensus>>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match answer(&service, &peer, &headers, &body).await {
        Ok(body) => body.into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.code.http_status()).unwrap();
            (status, json!({ "__type": error.code.as_str(), "message": error.message }).to_string()).into_response()
        }
    }
}

async fn answer(service: &Service<Consensus>, peer: &Peer, headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let Identity::Principal(principal) = &peer.identity else { panic!("the listener admits principals alone") };
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    let operation = Operation::from_name(header(OPERATION).unwrap()).unwrap();
    let invocation = header(INVOCATION).map(|id| Invocation { id: id.to_owned(), body_sha256: Sha256::digest(body).into() });
    let context = Context {
        principal: principal.clone(),
        request_id: Uuid::new_v4(),
        invocation,
        source_ip: None,
        revoked: RevocationFlag::default(),
    };
    let response = service.call(context, Request::parse(operation, body)?).await?;
    Ok(response.to_body()?.to_vec())
}

/// What a client learns of a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It was done.
    Done(Value),
    /// It was refused, for good: the error's code and message.
    Refused(String, String),
    /// It was not done: it never reached the node.
    NotSent,
    /// An SDK would try again; it may have been done.
    Retry,
}

/// Errors that SDKs take for passing.
const PASSING: [&str; 3] = ["KMSInternalException", "DependencyTimeoutException", "ThrottlingException"];

/// Asks a node.
pub(crate) async fn ask(node: &Node, operation: Operation, body: &Value, invocation: Option<&str>, within: Duration) -> Answer {
    let connected = tokio::time::timeout(within, TcpStream::connect((node.to_string(), API_PORT))).await;
    let Ok(Ok(stream)) = connected else { return Answer::NotSent };
    let exchanged = tokio::time::timeout(within, exchange(stream, operation, body, invocation)).await;
    exchanged.ok().flatten().unwrap_or(Answer::Retry)
}

async fn exchange(stream: TcpStream, operation: Operation, body: &Value, invocation: Option<&str>) -> Option<Answer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut request = http::Request::post("/").header(OPERATION, operation.as_str());
    if let Some(invocation) = invocation {
        request = request.header(INVOCATION, invocation);
    }
    let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
    let exchange = async {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        let body = Body::new(response.into_body()).collect().await.ok()?.to_bytes();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).ok()? };
        Some(match status {
            StatusCode::OK => Answer::Done(body),
            _ => refusal(&body),
        })
    };
    // Both on this task: what is left of a connection when the client has lost its patience is gone with it.
    tokio::select! {
        answer = exchange => answer,
        _ = connection => None,
    }
}

fn refusal(body: &Value) -> Answer {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    if PASSING.contains(&text("__type").as_str()) { Answer::Retry } else { Answer::Refused(text("__type"), text("message")) }
}
