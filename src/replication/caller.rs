//! Calling a peer region: any of its endpoints, the next one when one is down.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claviger_types::Region;
use http::StatusCode;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{ReplicationError, Transport, TransportError, message};

/// Of what a peer says when it refuses, so much is kept.
const REASON_CHARS_MAX: usize = 200;

/// A transport, and which endpoint of each region answered last.
pub(crate) struct Caller {
    transport: Arc<dyn Transport>,
    timeout: Duration,
    preferred: Mutex<HashMap<Region, usize>>,
}

impl Caller {
    pub(crate) fn new(transport: Arc<dyn Transport>, timeout: Duration) -> Self {
        Self { transport, timeout, preferred: Mutex::default() }
    }

    /// Sends a message and decodes the answer.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        region: &Region,
        endpoints: &[String],
        path: &'static str,
        message: &(impl Serialize + Sync + ?Sized),
    ) -> Result<T, ReplicationError> {
        let body = message::encode(message).map_err(ReplicationError::Encode)?;
        self.call_encoded(region, endpoints, path, body).await
    }

    /// Tries each endpoint once, beginning with the one that answered last. An endpoint that cannot be reached or says
    /// that it cannot answer now (5xx) makes way for the next; a refusal (4xx) would be the same everywhere.
    pub(crate) async fn call_encoded<T: DeserializeOwned>(
        &self,
        region: &Region,
        endpoints: &[String],
        path: &'static str,
        body: Bytes,
    ) -> Result<T, ReplicationError> {
        let first = self.preferred.lock().get(region).copied().unwrap_or_default();
        let mut last = None;
        for step in 0..endpoints.len() {
            let index = (first + step) % endpoints.len();
            let endpoint = &endpoints[index];
            match self.transport.post(endpoint, region, path, body.clone(), self.timeout).await {
                Ok(answer) if answer.status == StatusCode::OK => {
                    if step > 0 {
                        self.preferred.lock().insert(region.clone(), index);
                    }
                    return message::decode(&answer.body).map_err(|source| ReplicationError::Answer { region: region.clone(), source });
                }
                Ok(answer) if answer.status.is_server_error() => {
                    last = Some(TransportError(format!("{endpoint} answered {}: {}", answer.status, reason(&answer.body))));
                }
                Ok(answer) => {
                    let reason = reason(&answer.body);
                    return Err(ReplicationError::PeerRefused { region: region.clone(), status: answer.status, reason });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(source) => ReplicationError::Unreachable { region: region.clone(), source },
            None => ReplicationError::NoEndpoint(region.clone()),
        })
    }
}

/// Printable text of a peer's words.
fn reason(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}
