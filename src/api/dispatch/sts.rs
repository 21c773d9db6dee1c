//! `POST /` with a form and no target: STS in AWS's query protocol, of which GetCallerIdentity is here.
//!
//! Order of checks: authenticate, body, decode, queue, call. Errors are XML, with the query protocol's codes.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::body::Body;
use claviger_service::Context;
use claviger_shapes::ApiError;
use claviger_shapes::sts::{CallerIdentity, StsError, StsRequest};
use futures::FutureExt;
use http::HeaderMap;
use http::request::Parts;
use tracing::Instrument;
use uuid::Uuid;

use super::{Caller, Edge, TARGET, caller, content_type};
use crate::error::not_read;
use crate::meter::Meter;
use crate::{Kms, respond};

const FORM: &str = "application/x-www-form-urlencoded";

/// Whether a request is one of STS.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    !headers.contains_key(TARGET) && content_type(headers).eq_ignore_ascii_case(FORM)
}

/// Answers a request of STS.
pub(super) async fn serve<K: Kms>(edge: &Edge<K>, request: axum::extract::Request) -> http::Response<Body> {
    let started = Instant::now();
    let request_id = Uuid::new_v4();
    let (head, body) = request.into_parts();
    let span = tracing::debug_span!("request", %request_id, operation = "GetCallerIdentity");
    let outcome = AssertUnwindSafe(answer(edge, request_id, head, body)).catch_unwind().instrument(span).await.unwrap_or_else(|_| {
        tracing::error!(%request_id, operation = "GetCallerIdentity", "a request handler panicked");
        Err(ApiError::internal().into())
    });
    let error = outcome.as_ref().err().map(|error| error.code);
    Meter::record_sts(error, started.elapsed());
    tracing::debug!(%request_id, operation = "GetCallerIdentity", code = error.unwrap_or("OK"), "answered");
    match outcome {
        Ok(identity) => respond::xml(request_id, 200, identity.to_body(request_id)),
        Err(error) => respond::xml(request_id, error.http_status, error.to_body(request_id)),
    }
}

async fn answer<K: Kms>(edge: &Edge<K>, request_id: Uuid, head: Parts, body: Body) -> Result<CallerIdentity, StsError> {
    let Caller { principal, revoked, source_ip } = caller(&head.extensions)?;
    let body = edge.bodies.read(body).await.map_err(|error| not_read(&error))?;
    let StsRequest::GetCallerIdentity = StsRequest::parse(&body)?;
    drop(body);

    let _turn = edge.overload.enter().await?;
    let context = Context { principal, revoked, request_id, invocation: None, source_ip };
    Ok(edge.kms.caller_identity(context).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::testing::{Answer, FakeKms, alice, router, send};

    const GET_CALLER_IDENTITY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

    fn form(body: impl Into<Body>) -> http::Request<Body> {
        let request = http::Request::post("/").header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        request.extension(alice()).body(body.into()).unwrap()
    }

    fn text(answer: &Answer) -> &str {
        std::str::from_utf8(&answer.body).unwrap()
    }

    /// Sends to a fresh node; status and body of the refusal.
    async fn refused(request: http::Request<Body>) -> (u16, String) {
        let kms = FakeKms::new();
        let answer = send(&router(&kms, Limits::default()), request).await;
        assert_eq!(kms.calls(), 0, "the service must not see it");
        assert_eq!(answer.headers["content-type"], "text/xml");
        (answer.status.as_u16(), text(&answer).to_owned())
    }

    #[tokio::test]
    async fn a_caller_learns_who_it_is() {
        let kms = FakeKms::new();
        let answer = send(&router(&kms, Limits::default()), form(GET_CALLER_IDENTITY)).await;
        let request_id = kms.last().request_id.to_string();
        assert_eq!((answer.status.as_u16(), kms.last_invocation()), (200, None));
        assert_eq!(answer.headers["content-type"], "text/xml");
        assert_eq!(answer.headers["x-amzn-requestid"], request_id.as_str());
        for element in [
            "<Arn>arn:aws:iam::111122223333:user/alice</Arn>",
            "<UserId>alice</UserId>",
            "<Account>111122223333</Account>",
            &format!("<RequestId>{request_id}</RequestId>"),
        ] {
            assert!(text(&answer).contains(element), "{element} is not in {}", text(&answer));
        }
    }

    #[tokio::test]
    async fn what_is_refused_is_refused_in_xml() {
        let (status, body) = refused(form("Action=AssumeRole&Version=2011-06-15")).await;
        assert!(status == 400 && body.contains("<Code>InvalidAction</Code>"), "{status} {body}");
        let (status, body) = refused(form("x".repeat(2 * 1024 * 1024))).await;
        assert!(status == 413 && body.contains("<Code>RequestEntityTooLarge</Code>"), "{status} {body}");
        let mut unknown = form("Action=AssumeRole");
        unknown.extensions_mut().remove::<claviger_tls::Peer>();
        let (status, body) = refused(unknown).await;
        assert!(status == 403 && body.contains("<Code>MissingAuthenticationToken</Code>"), "who asks comes first: {status} {body}");
    }

    #[tokio::test]
    async fn a_form_with_a_target_is_no_request_of_sts() {
        let mut targeted = form(GET_CALLER_IDENTITY);
        targeted.headers_mut().insert("x-amz-target", "TrentService.Encrypt".parse().unwrap());
        let kms = FakeKms::new();
        let (status, code, _) = send(&router(&kms, Limits::default()), targeted).await.error();
        assert_eq!((status, code.as_str(), kms.calls()), (415, "UnsupportedMediaTypeException", 0));
    }
}
