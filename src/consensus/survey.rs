//! How each node of the group sees itself: one node's own report, and what the others answer within a short time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use claviger_storage::DiskUse;
use claviger_types::NodeId;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::blocking::blocking;
use crate::consensus::Inner;
use crate::fault::chain;
use crate::peers::Target;
use crate::wire::{ReportRequest, lane, path};
use crate::{Consensus, Readiness, Status};

/// How long a node may take to report; one that is silent is not waited for.
const REPORT_WITHIN: Duration = Duration::from_secs(2);

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its view of the group.
    pub status: Status,
    /// Whether its consensus can serve.
    pub readiness: Readiness,
    /// Whether it has begun to serve clients: its barrier is open.
    pub has_opened: bool,
    /// Its data directory; `None` when it cannot be measured.
    pub disk: Option<DiskUse>,
    /// How long it has run.
    pub uptime_seconds: u64,
    /// The version of the program.
    pub version: String,
}

/// A member, and what it says or why it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// Its id.
    pub id: NodeId,
    /// Where it was asked.
    pub endpoint: String,
    /// What it said.
    pub report: Result<NodeReport, String>,
}

impl Consensus {
    /// This node's own report.
    pub async fn report(&self) -> NodeReport {
        report(&self.0).await
    }

    /// The reports of all members that this node knows of, its own among them, in the order of their ids.
    pub async fn survey(&self) -> Vec<Surveyed> {
        survey(&self.0).await
    }

    /// Has this node's reports say that it serves clients.
    pub fn set_opened(&self) {
        self.0.has_opened.store(true, Ordering::Relaxed);
    }
}

pub(crate) async fn report(inner: &Inner) -> NodeReport {
    let local = inner.local.clone();
    let disk = match blocking(move || local.disk_use()).await {
        Ok(Ok(disk)) => Some(disk),
        Ok(Err(error)) => {
            warn!(error = chain(&error), "the data directory cannot be measured");
            None
        }
        Err(_) => None,
    };
    NodeReport {
        status: inner.status(),
        readiness: inner.readiness(),
        has_opened: inner.has_opened.load(Ordering::Relaxed),
        disk,
        uptime_seconds: inner.started.elapsed().as_secs(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

pub(crate) async fn survey(inner: &Inner) -> Vec<Surveyed> {
    let status = inner.status();
    let mut members: Vec<(NodeId, String)> =
        status.voters.into_iter().chain(status.learners).map(|member| (member.id, member.endpoint)).collect();
    let me = inner.config.node_id;
    if !members.iter().any(|(id, _)| *id == me) {
        members.push((me, inner.config.endpoint.clone()));
    }
    members.sort_unstable();
    let asked = members.into_iter().map(async |(id, endpoint)| {
        let report = if id == me { Ok(report(inner).await) } else { ask(inner, id, &endpoint).await };
        Surveyed { id, endpoint, report }
    });
    futures::future::join_all(asked).await
}

async fn ask(inner: &Inner, id: NodeId, endpoint: &str) -> Result<NodeReport, String> {
    let sealed = inner.peers.seal(&ReportRequest).map_err(|e| chain(&e))?;
    let to = Target { id, endpoint: endpoint.to_owned() };
    inner.peers.post(&to, lane::PROPOSE, path::REPORT, sealed, REPORT_WITHIN).await.map_err(|e| chain(&e))
}
