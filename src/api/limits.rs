//! What the edge lets clients use up, all of it bounded.

use std::time::Duration;

use claviger_types::limits::API_BODY_BYTES_MAX;

/// The edge's limits. The defaults suit a node with a few cores.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request body.
    pub body_bytes_max: usize,
    /// Memory that the bodies of all requests may take while they are read.
    pub bodies_bytes_max: usize,
    /// How long one body may take to arrive.
    pub body_timeout: Duration,
    /// Requests that the service works on at once. Most of them wait for the read gate or the log, not for a core.
    pub running_max: usize,
    /// Requests that wait for one of those to end; one more is throttled.
    pub waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: API_BODY_BYTES_MAX,
            bodies_bytes_max: 64 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            running_max: 1024,
            waiting_max: 4096,
        }
    }
}
