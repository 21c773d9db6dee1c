//! `claviger join`, on the side of the node that wants to be let in.

use std::time::Duration;

use claviger_storage::Storage;
use claviger_tls::{Expect, PeerClient};
use claviger_types::{ClusterId, Region};
use http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::JoinError;
use crate::machine::has_applied;
use crate::wire::{self, JoinAnswer, JoinRequest, lane, path};

/// How long one member may take to answer.
const ASK_WITHIN: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);

/// Asks the region's members, of whom `via` (`https://host:port` each) are known, to let the node of this data directory
/// in, and writes the cluster into its identity. `endpoint` is where the node will be reached. The node becomes a learner
/// at once and a voter when it runs and has caught up. Repeating it is harmless until the node has run.
///
/// # Errors
/// When the directory has no identity or holds a log or a state, the region refuses, or nobody answers within `within`.
pub async fn join_request(
    client: &PeerClient,
    storage: &Storage,
    via: &[String],
    endpoint: &str,
    within: Duration,
) -> Result<ClusterId, JoinError> {
    let mut identity = storage.local().identity()?.ok_or(JoinError::NoIdentity)?;
    let log = storage.log();
    // A restored region that has not run yet has a state and no log.
    if log.last()?.is_some() || log.last_purged()?.is_some() || log.vote()?.is_some() || has_applied(&storage.state())? {
        return Err(JoinError::NotEmpty);
    }
    let request = JoinRequest { node: identity.node_id, instance: identity.instance, endpoint: endpoint.to_owned() };
    let body = wire::encode(&request).map_err(JoinError::Encode)?;
    let deadline = Instant::now() + within;
    let mut last_answer = "no endpoint was named".to_owned();
    let mut told: Option<String> = None;
    loop {
        for member in told.take().iter().chain(via) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(JoinError::NoAnswer(last_answer));
            }
            match ask(client, &identity.region, member, body.clone(), left.min(ASK_WITHIN)).await {
                Ok(JoinAnswer::Joined(cluster)) => {
                    identity.cluster_id = Some(cluster);
                    storage.local().write_identity(&identity)?;
                    return Ok(cluster);
                }
                Ok(JoinAnswer::Refused(reason)) => return Err(JoinError::Refused { node: identity.node_id, reason }),
                Ok(JoinAnswer::NotLeader(Some((leader, leader_endpoint)))) => {
                    last_answer = format!("{member}: the leader is node {leader} at {leader_endpoint}");
                    told = Some(leader_endpoint);
                }
                Ok(JoinAnswer::NotLeader(None)) => last_answer = format!("{member}: the region has no leader"),
                Ok(JoinAnswer::Busy) => last_answer = format!("{member}: not now"),
                Err(Unanswered::Forbidden) => {
                    return Err(JoinError::Refused { node: identity.node_id, reason: format!("{member} does not admit its certificate") });
                }
                Err(Unanswered::Other(text)) => last_answer = text,
            }
        }
        sleep(PAUSE.min(deadline.saturating_duration_since(Instant::now()))).await;
        if Instant::now() >= deadline {
            return Err(JoinError::NoAnswer(last_answer));
        }
    }
}

enum Unanswered {
    Forbidden,
    Other(String),
}

async fn ask(client: &PeerClient, region: &Region, member: &str, body: bytes::Bytes, within: Duration) -> Result<JoinAnswer, Unanswered> {
    let response = client
        .post(member, &Expect::Region(region.clone()), lane::CONTROL, path::JOIN, body, within)
        .await
        .map_err(|e| Unanswered::Other(crate::fault::chain(&e)))?;
    match response.status {
        StatusCode::OK => wire::decode(&response.body).map_err(|e| Unanswered::Other(format!("{member}: {e}"))),
        StatusCode::FORBIDDEN => Err(Unanswered::Forbidden),
        status => Err(Unanswered::Other(format!("{member} answered {status}"))),
    }
}
