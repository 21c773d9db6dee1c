//! `claviger_agent_*`. Handles of what every request counts are looked up once and kept: install the recorder first.

use std::sync::OnceLock;
use std::time::Duration;

use claviger_shapes::{ErrorCode, Operation};
use claviger_types::Region;
use metrics::{Counter, Histogram};

/// Every operation of KMS, STS, and what this version does not know.
const OPERATIONS: usize = Operation::ALL.len() + 2;
/// Every code, "OK", and codes that this version does not know.
const CODES: usize = ErrorCode::ALL.len() + 2;

/// What a request asks for, as far as its headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// An operation of KMS; none if this version does not know it.
    Kms(Option<Operation>),
    /// Something of STS, of which nodes have GetCallerIdentity alone.
    Sts,
}

impl Asked {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Kms(Some(operation)) => operation.as_str(),
            Self::Kms(None) => "unknown",
            Self::Sts => "GetCallerIdentity",
        }
    }

    const fn row(self) -> usize {
        match self {
            Self::Kms(Some(operation)) => operation as usize,
            Self::Sts => OPERATIONS - 2,
            Self::Kms(None) => OPERATIONS - 1,
        }
    }
}

/// How a request ended, in the words of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Error(ErrorCode),
    /// A node answered with a code that this version does not know.
    Other,
}

impl Outcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Error(code) => code.as_str(),
            Self::Other => "other",
        }
    }

    const fn column(self) -> usize {
        match self {
            Self::Error(code) => code as usize,
            Self::Ok => CODES - 2,
            Self::Other => CODES - 1,
        }
    }
}

/// The counters of one agent.
pub(crate) struct Meter {
    regions: Vec<String>,
    requests: Box<[OnceLock<Counter>]>,
    seconds: Box<[OnceLock<Histogram>]>,
}

impl Meter {
    pub(crate) fn new<'a>(regions: impl Iterator<Item = &'a Region>) -> Self {
        metrics::describe_counter!("claviger_agent_requests_total", "Requests answered, by operation, region and code");
        metrics::describe_histogram!(
            "claviger_agent_request_seconds",
            metrics::Unit::Seconds,
            "Time from a request's headers to its answer"
        );
        metrics::describe_counter!("claviger_agent_failovers_total", "Times that a request went on to another node, by region and reason");
        metrics::describe_counter!("claviger_agent_refused_total", "Requests refused for want of a good signature, by reason");
        metrics::describe_gauge!("claviger_agent_node_connections", "Open connections to each node");
        let regions: Vec<String> = regions.map(Region::to_string).chain(["unknown".to_owned()]).collect();
        Self {
            requests: (0..regions.len() * OPERATIONS * CODES).map(|_| OnceLock::new()).collect(),
            seconds: (0..OPERATIONS).map(|_| OnceLock::new()).collect(),
            regions,
        }
    }

    /// Counts one answer; `region` is the region's place in the configuration.
    pub(crate) fn record(&self, asked: Asked, region: Option<usize>, outcome: Outcome, took: Duration) {
        let (name, row) = (asked.as_str(), asked.row());
        let region = region.unwrap_or(self.regions.len() - 1);
        self.requests[(region * OPERATIONS + row) * CODES + outcome.column()]
            .get_or_init(|| {
                let region = self.regions[region].clone();
                metrics::counter!("claviger_agent_requests_total", "operation" => name, "region" => region, "code" => outcome.as_str())
            })
            .increment(1);
        self.seconds[row].get_or_init(|| metrics::histogram!("claviger_agent_request_seconds", "operation" => name)).record(took);
    }
}

/// Counts a request that was not signed well.
pub(crate) fn refused(reason: &'static str) {
    metrics::counter!("claviger_agent_refused_total", "reason" => reason).increment(1);
}

/// Counts a request that goes on to another node.
pub(crate) fn failover(region: &Region, reason: &'static str) {
    metrics::counter!("claviger_agent_failovers_total", "region" => region.to_string(), "reason" => reason).increment(1);
}
