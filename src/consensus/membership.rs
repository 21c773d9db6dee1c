//! Letting nodes in: who asks becomes a learner. That learners become voters, and members leave, is `tend`'s affair.
//!
//! A node's id is registered through the log before the node is added, and belongs to one data directory for ever: an id
//! on an empty disk would vote with a memory that it lost. One that was removed is not let in again.

use std::collections::BTreeMap;
use std::time::Duration;

use claviger_state::{CommandBody, RegisterNode};
use claviger_types::NodeId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, Precondition};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::consensus::Inner;
use crate::raft_types::Member;
use crate::wire::{JoinAnswer, JoinRequest};

/// Members of one group; a region has 1, 3 or 5, and one more while one is replaced.
const MEMBERS_MAX: usize = 7;
/// How long a request to join waits for another change of the membership.
const ADMIT_WITHIN: Duration = Duration::from_secs(5);
const ADMIT_PAUSE: Duration = Duration::from_millis(50);

/// Lets a node in whose certificate was checked.
pub(crate) async fn admit(inner: &Inner, request: JoinRequest) -> JoinAnswer {
    if !inner.leadership.borrow().is_leader {
        return JoinAnswer::NotLeader(leader_of(inner));
    }
    let Some(cluster) = inner.peers.cluster() else { return JoinAnswer::Busy };
    let JoinRequest { node, instance, endpoint } = request;
    let register = CommandBody::RegisterNode(RegisterNode { id: node, instance });
    match inner.proposer.propose(register).await {
        Ok(Ok(_)) => {}
        Ok(Err(refusal)) => return JoinAnswer::Refused(refusal.to_string()),
        Err(error) => {
            debug!(node, %error, "a node could not be registered");
            return JoinAnswer::Busy;
        }
    }
    let deadline = Instant::now() + ADMIT_WITHIN;
    loop {
        let (known, committed) = {
            let metrics = inner.raft.server_metrics();
            let metrics = metrics.borrow_watched();
            (metrics.membership_config.clone(), metrics.committed_membership_config.clone())
        };
        let members = known.membership();
        let is_let_in = committed.membership().get_node(&node).is_some_and(|held| held.endpoint == endpoint);
        let change = match members.get_node(&node) {
            Some(held) if held.endpoint == endpoint && is_let_in => return JoinAnswer::Joined(cluster),
            // In the log, and a later leader may still take it out.
            Some(held) if held.endpoint == endpoint && Instant::now() >= deadline => return JoinAnswer::Busy,
            Some(held) if held.endpoint == endpoint => {
                sleep(ADMIT_PAUSE).await;
                continue;
            }
            // It has moved; its certificate says who it is, and its registration which data directory.
            Some(_) => ChangeMembers::SetNodes(BTreeMap::from([(node, Member { endpoint: endpoint.clone(), instance })])),
            None if members.nodes().count() >= MEMBERS_MAX => return JoinAnswer::Refused("the region has too many nodes".to_owned()),
            None => ChangeMembers::AddNodes(BTreeMap::from([(node, Member { endpoint: endpoint.clone(), instance })])),
        };
        let observed = [Precondition::LastMembershipLogId { last_membership_log_id: *known.log_id() }];
        match inner.raft.change_membership_if(change, true, observed).await {
            Ok(_) => info!(node, %endpoint, "a node has joined"),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => return JoinAnswer::NotLeader(leader_of(inner)),
            Err(error) if Instant::now() >= deadline => {
                warn!(node, %error, "a node could not be added");
                return JoinAnswer::Busy;
            }
            Err(error) => {
                debug!(node, %error, "the membership is changing; trying again");
                sleep(ADMIT_PAUSE).await;
            }
        }
    }
}

fn leader_of(inner: &Inner) -> Option<(NodeId, String)> {
    let leader = inner.leadership.borrow().leader?;
    inner.endpoint_of(leader).map(|endpoint| (leader, endpoint))
}

impl Inner {
    /// Where a member is, as far as this node knows.
    pub(crate) fn endpoint_of(&self, id: NodeId) -> Option<String> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().get_node(&id).map(|node| node.endpoint.clone())
    }
}
