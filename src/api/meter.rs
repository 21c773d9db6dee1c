//! `claviger_requests_total{operation,code}` and `claviger_request_seconds{operation}`.
//!
//! Handles are looked up once and kept: the recorder must be installed before the first request.

use std::sync::OnceLock;
use std::time::Duration;

use claviger_shapes::{ErrorCode, Operation};
use metrics::{Counter, Histogram};

const OPERATIONS: usize = Operation::ALL.len() + 1;
const CODES: usize = ErrorCode::ALL.len() + 1;

/// One handle for each operation and code; the last of each row and column is "unknown" and "OK".
pub(crate) struct Meter {
    requests: Box<[OnceLock<Counter>]>,
    seconds: Box<[OnceLock<Histogram>]>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        metrics::describe_counter!("claviger_requests_total", "API requests answered, by operation and code");
        metrics::describe_histogram!(
            "claviger_request_seconds",
            metrics::Unit::Seconds,
            "Time from an API request's headers to its answer"
        );
        Self {
            requests: (0..OPERATIONS * CODES).map(|_| OnceLock::new()).collect(),
            seconds: (0..OPERATIONS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Counts one answer of STS. Such requests are rare, so that no handle is kept.
    pub(crate) fn record_sts(error: Option<&'static str>, took: Duration) {
        const OPERATION: &str = "GetCallerIdentity";
        metrics::counter!("claviger_requests_total", "operation" => OPERATION, "code" => error.unwrap_or("OK")).increment(1);
        metrics::histogram!("claviger_request_seconds", "operation" => OPERATION).record(took);
    }

    /// Counts one answer.
    pub(crate) fn record(&self, operation: Option<Operation>, error: Option<ErrorCode>, took: Duration) {
        let name = operation.map_or("unknown", Operation::as_str);
        let code = error.map_or("OK", ErrorCode::as_str);
        let row = operation.map_or(OPERATIONS - 1, |operation| operation as usize);
        let column = error.map_or(CODES - 1, |code| code as usize);
        self.requests[row * CODES + column]
            .get_or_init(|| metrics::counter!("claviger_requests_total", "operation" => name, "code" => code))
            .increment(1);
        self.seconds[row].get_or_init(|| metrics::histogram!("claviger_request_seconds", "operation" => name)).record(took);
    }
}
