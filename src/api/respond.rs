//! From an outcome to the HTTP answer, in AWS's form (rules page, section 1).

use axum::body::Body;
use bytes::Bytes;
use claviger_shapes::{ApiError, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use uuid::Uuid;

type HttpResponse = http::Response<Body>;

pub(crate) const AWS_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const XML: HeaderValue = HeaderValue::from_static("text/xml");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// The body of a successful answer. Secret bytes are zeroized when the connection has let go of them.
pub(crate) fn body_of(response: &Response) -> Result<Bytes, ApiError> {
    let mut body = response.to_body()?;
    Ok(if response.is_secret() { Bytes::from_owner(body) } else { Bytes::from(std::mem::take(&mut *body)) })
}

/// The answer to a request of the KMS API.
pub(crate) fn answer(request_id: Uuid, outcome: Result<Bytes, ApiError>) -> HttpResponse {
    match outcome {
        Ok(body) => with_headers(request_id, StatusCode::OK, body),
        Err(error) => {
            let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            failure(request_id, status, error.code.as_str(), &error.message)
        }
    }
}

/// The answer to a request of STS.
pub(crate) fn xml(request_id: Uuid, status: u16, body: String) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_headers(request_id, status, body.into());
    response.headers_mut().insert(CONTENT_TYPE, XML);
    response
}

/// A path that is not there.
pub(crate) fn not_found() -> HttpResponse {
    failure(Uuid::new_v4(), StatusCode::NOT_FOUND, UNKNOWN, "There is nothing at this path. The API is POST /.")
}

/// `/` with another method.
pub(crate) fn method_not_allowed() -> HttpResponse {
    let mut response = failure(Uuid::new_v4(), StatusCode::METHOD_NOT_ALLOWED, UNKNOWN, "The API takes POST only.");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

const UNKNOWN: &str = "UnknownOperationException";

fn failure(request_id: Uuid, status: StatusCode, code: &'static str, message: &str) -> HttpResponse {
    #[derive(Serialize)]
    struct Failure<'a> {
        #[serde(rename = "__type")]
        code: &'a str,
        message: &'a str,
    }
    let body = serde_json::to_vec(&Failure { code, message }).unwrap_or_default();
    let mut response = with_headers(request_id, status, body.into());
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(code));
    response
}

fn with_headers(request_id: Uuid, status: StatusCode, body: Bytes) -> HttpResponse {
    let mut response = HttpResponse::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(4);
    let mut text = Uuid::encode_buffer();
    if let Ok(value) = HeaderValue::from_str(request_id.as_hyphenated().encode_lower(&mut text)) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(CONTENT_TYPE, AWS_JSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    response
}
