//! `POST /`: who signed, what for, and on to a node.
//!
//! Order of checks: the claim in the headers as they came, the access key, the body, the proof, then the region. A caller
//! without a good signature learns nothing but AWS's error, and never takes the place of a request in flight. Errors are in the
//! words of the protocol that was spoken: JSON for KMS, XML for STS.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::post;
use bytes::Bytes;
use claviger_shapes::{ApiError, ErrorCode, Operation};
use claviger_sigv4::{Claim, Head, SignatureError, SignatureErrorCode};
use claviger_tls::{ApiAnswer, BodyError};
use claviger_types::limits::API_BODY_BYTES_MAX;
use futures::FutureExt;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tracing::{debug, error, info};
use uuid::Uuid;

use crate::agent::Agent;
use crate::forward::{Call, forward};
use crate::meter::{self, Asked, Outcome};
use crate::respond;

const FORM: &str = "application/x-www-form-urlencoded";
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const INVOCATION_ID: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");
/// How long a client that is refused may go on sending.
const SKIP_WITHIN: Duration = Duration::from_secs(5);
/// What a node is told of the request. The signature is not: it was for the agent.
const FORWARDED: [HeaderName; 6] = [
    CONTENT_TYPE,
    TARGET,
    INVOCATION_ID,
    HeaderName::from_static("amz-sdk-request"),
    USER_AGENT,
    HeaderName::from_static("x-amzn-trace-id"),
];

pub(crate) fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/", post(serve).fallback(async || respond::method_not_allowed()))
        .with_state(agent)
        .fallback(async || respond::not_found())
}

async fn serve(State(agent): State<Arc<Agent>>, request: Request) -> Response<Body> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let asked = asked_by(&head.headers);
    let mut region = None;
    let answering = agent.answer(started, &head, body, &mut region);
    let outcome = AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_| {
        // The panic hook has logged where; the payload may quote the request.
        error!(operation = asked.as_str(), "a request handler panicked");
        Err(ApiError::internal())
    });
    let code = outcome_of(&outcome);
    agent.meter.record(asked, region, code, started.elapsed());
    debug!(operation = asked.as_str(), code = code.as_str(), "answered");
    match outcome {
        Ok(answer) => respond::pass_on(answer),
        Err(error) if asked == Asked::Sts => respond::refuse_in_xml(error),
        Err(error) => respond::refuse(&error),
    }
}

impl Agent {
    async fn answer(&self, started: Instant, head: &Parts, body: Body, place: &mut Option<usize>) -> Result<ApiAnswer, ApiError> {
        let keys = self.keys.load_full();
        let signed = Head { method: &head.method, uri: &head.uri, headers: &head.headers };
        let claimed = Claim::parse(signed, self.clock.now()).map_err(|error| refuse(None, &error));
        let claimed = claimed.and_then(|claim| {
            // Session tokens are of temporary keys, and there are none.
            let holder = keys.get(claim.access_key_id()).filter(|_| !head.headers.contains_key(SECURITY_TOKEN));
            let holder = holder.ok_or_else(|| refuse(Some(claim.access_key_id()), &SignatureError::UnknownAccessKey))?;
            Ok((claim, holder))
        });
        let (claim, holder) = match claimed {
            Ok(claimed) => claimed,
            Err(refused) => {
                skip(body).await;
                return Err(refused);
            }
        };
        let refused = |error: SignatureError| refuse(Some(claim.access_key_id()), &error);
        let body = self.requests.read(body).await.map_err(|error| not_read(&error))?;
        claim.verify(&holder.secret, &body).map_err(refused)?;

        *place = self.place_of(claim.region());
        let region = place.ok_or_else(|| refused(self.no_such_region(claim.region().as_str())))?;
        let call = Call {
            headers: &forwarded(&head.headers),
            body: body.into_bytes(),
            deadline: started + self.settings.limits.request_timeout,
            answer_timeout: self.settings.limits.answer_timeout,
        };
        // Every waiting request holds a connection, of which there is a bounded number.
        let turn = tokio::time::timeout_at(call.deadline, self.in_flight.acquire()).await;
        let _turn = turn.map_err(|_| ApiError::throttling())?.map_err(|_| ApiError::internal())?;
        let pools = &self.identities[holder.identity].pools[region];
        forward(&self.regions[region], pools, &call, &self.answers).await
    }

    fn no_such_region(&self, asked: &str) -> SignatureError {
        let served: Vec<&str> = self.regions.iter().map(|nodes| nodes.region().as_str()).collect();
        let served = served.join(", ");
        SignatureError::Scope(format!("Credential should be scoped to a valid region, not '{asked}': this agent serves {served}."))
    }
}

/// Reads the body of a request that is refused already, and keeps nothing of it: a client that is refused while it still sends may
/// see its connection break instead. It takes no room that signed requests could need.
async fn skip(mut body: Body) {
    let reading = async {
        let mut left = API_BODY_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Whether all of it came or not, the refusal follows.
    let _ = tokio::time::timeout(SKIP_WITHIN, reading).await;
}

/// The headers for a node. A request without an invocation id gets one: the agent may send it more than once.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut chosen = HeaderMap::with_capacity(FORWARDED.len() + 1);
    for name in FORWARDED {
        for value in headers.get_all(&name) {
            chosen.append(name.clone(), value.clone());
        }
    }
    if !chosen.contains_key(INVOCATION_ID)
        && let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string())
    {
        chosen.insert(INVOCATION_ID, id);
    }
    chosen
}

fn refuse(access_key_id: Option<&str>, error: &SignatureError) -> ApiError {
    meter::refused(error.reason());
    info!(access_key_id, reason = error.reason(), "a request was refused");
    let code = match error.code() {
        SignatureErrorCode::MissingAuthenticationToken => ErrorCode::MissingAuthenticationToken,
        SignatureErrorCode::IncompleteSignature => ErrorCode::IncompleteSignature,
        SignatureErrorCode::InvalidSignature => ErrorCode::InvalidSignature,
        SignatureErrorCode::UnrecognizedClient => ErrorCode::UnrecognizedClient,
    };
    ApiError::new(code, error.to_string())
}

fn not_read(error: &BodyError) -> ApiError {
    match error {
        BodyError::TooLarge(_) => ApiError::new(ErrorCode::RequestEntityTooLarge, error.to_string()),
        BodyError::TooSlow | BodyError::Broken(_) => ApiError::new(ErrorCode::RequestTimeout, error.to_string()),
        BodyError::NoRoom => ApiError::throttling(),
    }
}

/// For metrics, logs and the form of refusals alone: what a node knows and the agent does not is forwarded all the same. A form
/// without a target is of STS, as at a node.
fn asked_by(headers: &HeaderMap) -> Asked {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if !headers.contains_key(TARGET) {
        let content_type = text(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
        return if content_type.eq_ignore_ascii_case(FORM) { Asked::Sts } else { Asked::Kms(None) };
    }
    Asked::Kms(text(TARGET).and_then(|target| target.strip_prefix("TrentService.")).and_then(Operation::from_name))
}

fn outcome_of(outcome: &Result<ApiAnswer, ApiError>) -> Outcome {
    match outcome {
        Err(error) => Outcome::Error(error.code),
        Ok(answer) if answer.status.is_success() => Outcome::Ok,
        Ok(answer) => {
            let code = answer.headers.get(respond::ERROR_TYPE).and_then(|code| code.to_str().ok()).and_then(ErrorCode::from_name);
            code.map_or(Outcome::Other, Outcome::Error)
        }
    }
}
