//! The HTTP edge of a node: AWS JSON 1.1 dispatch on `POST /`, and the operators' admin API under `/admin`.
//!
//! The way of a request: `dispatch` (who asks, which operation, which content type) → [`claviger_tls::Bodies`] (size, pace and memory
//! limits, zeroized) → [`claviger_shapes::Request::parse`] → `overload` (a bounded queue) → [`Kms::call`] → `respond`.
//! A form on `POST /` is a request of STS and is answered in XML.
//! A panic in a handler is an answer with status 500, never a dropped connection.
//!
//! Deliberately absent: TLS (the accept loop puts [`claviger_tls::Peer`] into each request's extensions), decisions about
//! keys (the service's), and any sight of consensus or storage. Request and response bodies are never logged.

mod admin;
mod dispatch;
mod error;
mod kms;
mod limits;
mod meter;
mod overload;
mod respond;
mod router;
mod service;
#[cfg(test)]
mod testing;

pub use admin::{Admin, Identities, Policies, Restoring};
pub use kms::Kms;
pub use limits::Limits;
pub use router::router;
