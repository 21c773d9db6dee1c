//! What the edge knows of a request before the use case sees it.

use std::net::IpAddr;

use claviger_types::{Principal, RevocationFlag};
use uuid::Uuid;

/// Who asks, and under which ids.
#[derive(Clone, Debug)]
pub struct Context {
    /// The authenticated caller.
    pub principal: Principal,
    /// Set once the certificate that authenticated it is not honoured any more.
    pub revoked: RevocationFlag,
    /// The id that the answer's `x-amzn-RequestId` carries.
    pub request_id: Uuid,
    /// The SDK's `amz-sdk-invocation-id`, with the hash that ties it to this request's operation and body.
    pub invocation: Option<Invocation>,
    /// Where the connection comes from; `None` on a Unix socket.
    pub source_ip: Option<IpAddr>,
}

/// One logical call of an SDK, the same in all its retries (DESIGN.md section 4, "Exactly once").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The header's value, at most [`claviger_types::limits::INVOCATION_ID_BYTES_MAX`] bytes.
    pub id: String,
    /// SHA-256 of the request body.
    pub body_sha256: [u8; 32],
}
