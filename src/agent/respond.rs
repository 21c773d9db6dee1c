//! Answers: a node's, passed on untouched, and the agent's own, in AWS's form (rules page, section 1).

use axum::body::Body;
use claviger_shapes::sts::StsError;
use claviger_shapes::{ApiError, ErrorCode};
use claviger_tls::ApiAnswer;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;
use uuid::Uuid;

pub(crate) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const AWS_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const XML: HeaderValue = HeaderValue::from_static("text/xml");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// What is of the connection to the node. `Date` too: SDKs set their clocks by who checks their signatures, which is the agent.
const OF_THE_CONNECTION: [HeaderName; 5] = [CONNECTION, HeaderName::from_static("keep-alive"), TRANSFER_ENCODING, CONTENT_LENGTH, DATE];

/// A node's answer. Its bytes are wiped when the connection has let go of them.
pub(crate) fn pass_on(answer: ApiAnswer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body.into_bytes()));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    for name in OF_THE_CONNECTION {
        response.headers_mut().remove(name);
    }
    response
}

/// The agent's own refusal.
pub(crate) fn refuse(error: &ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    failure(status, error)
}

/// The agent's own refusal of a request of STS.
pub(crate) fn refuse_in_xml(error: ApiError) -> Response<Body> {
    let error = StsError::from(error);
    let request_id = Uuid::new_v4();
    let mut response = Response::new(error.to_body(request_id).into());
    *response.status_mut() = StatusCode::from_u16(error.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    with_headers(&mut response, request_id, XML);
    response
}

/// A path that is not there.
pub(crate) fn not_found() -> Response<Body> {
    let error = ApiError::new(ErrorCode::UnknownOperation, "There is nothing at this path. The API is POST /.");
    failure(StatusCode::NOT_FOUND, &error)
}

/// `/` with another method.
pub(crate) fn method_not_allowed() -> Response<Body> {
    let mut response = failure(StatusCode::METHOD_NOT_ALLOWED, &ApiError::new(ErrorCode::UnknownOperation, "The API takes POST only."));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

fn failure(status: StatusCode, error: &ApiError) -> Response<Body> {
    #[derive(Serialize)]
    struct Failure<'a> {
        #[serde(rename = "__type")]
        code: &'a str,
        message: &'a str,
    }
    let code = error.code.as_str();
    let mut response = Response::new(serde_json::to_vec(&Failure { code, message: &error.message }).unwrap_or_default().into());
    *response.status_mut() = status;
    with_headers(&mut response, Uuid::new_v4(), AWS_JSON);
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(code));
    response
}

fn with_headers(response: &mut Response<Body>, request_id: Uuid, content_type: HeaderValue) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, NO_STORE);
}
