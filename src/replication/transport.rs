//! How bytes reach a node of another region: a small trait, so that tests need no sockets, and its real form over mTLS.

use std::time::Duration;

use bytes::Bytes;
use claviger_tls::{Expect, PeerClient};
use claviger_types::Region;
use futures::future::{BoxFuture, FutureExt};
use http::StatusCode;

use crate::message::path;

/// What a node answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its HTTP status.
    pub status: StatusCode,
    /// The whole body; the transport bounds it.
    pub body: Bytes,
}

/// Nobody answered, or what answers is not of the region. Whether the message took effect is unknown, and does not matter:
/// every message may be repeated.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub String);

/// Carries one message to one node.
pub trait Transport: Send + Sync + 'static {
    /// Posts `body` to `path` at `endpoint` and waits for the answer, all within `timeout`. The transport makes sure,
    /// before it sends anything, that a node of `region` is at the other end.
    fn post<'a>(
        &'a self,
        endpoint: &'a str,
        region: &'a Region,
        path: &'static str,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Answer, TransportError>>;
}

/// Control messages have a connection of their own, so that no batch stands before them.
const LANE_CONTROL: u8 = 0;
const LANE_BATCHES: u8 = 1;

impl Transport for PeerClient {
    fn post<'a>(
        &'a self,
        endpoint: &'a str,
        region: &'a Region,
        path: &'static str,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Answer, TransportError>> {
        let lane = if path == path::DOCUMENTS { LANE_BATCHES } else { LANE_CONTROL };
        async move {
            let expect = Expect::Region(region.clone());
            match Self::post(self, endpoint, &expect, lane, path, body, timeout).await {
                Ok(response) => Ok(Answer { status: response.status, body: response.body }),
                Err(error) => Err(TransportError(with_sources(&error))),
            }
        }
        .boxed()
    }
}

/// An error with all that caused it, on one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
