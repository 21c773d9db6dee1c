//! Who belongs to the group: nodes that join become learners, learners that have caught up become voters.
//!
//! A node's id is registered through the log before the node is added, and belongs to one data directory for ever: an id
//! on an empty disk would vote with a memory that it lost. Nothing here removes anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use claviger_state::{CommandBody, RegisterNode};
use claviger_types::NodeId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{ChangeMembers, Instant as _, Precondition, RaftMetrics};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::consensus::Inner;
use crate::leadership::Leadership;
use crate::raft_types::{LogId, Member, Raft, TypeConfig};
use crate::wire::{JoinAnswer, JoinRequest};

/// Members of one group; a region has 1, 3 or 5, and one more while one is replaced.
const MEMBERS_MAX: usize = 7;
/// A learner this close to the leader's end of the log has caught up.
const CAUGHT_UP_ENTRIES: u64 = 100;
/// How long a request to join waits for another change of the membership.
const ADMIT_WITHIN: Duration = Duration::from_secs(5);
const ADMIT_PAUSE: Duration = Duration::from_millis(50);
/// How often the leader looks after its learners.
const TEND_INTERVAL: Duration = Duration::from_millis(200);

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
            // It moved before it ever took part; its certificate says who it is.
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
    let metrics = inner.raft.server_metrics();
    let endpoint = metrics.borrow_watched().membership_config.membership().get_node(&leader).map(|node| node.endpoint.clone());
    endpoint.map(|endpoint| (leader, endpoint))
}

/// On the leader: makes voters of learners, and finishes a change that a former leader left half done.
pub(crate) async fn tend(raft: Raft, mut leadership: watch::Receiver<Leadership>, silence_max: Duration) {
    loop {
        if leadership.wait_for(|now| now.is_leader).await.is_err() {
            return;
        }
        let seen = Seen::of(&raft.metrics().borrow_watched());
        if let Some(step) = next_step(&seen, silence_max) {
            take(&raft, &seen, step).await;
        }
        sleep(TEND_INTERVAL).await;
    }
}

/// What a leader knows of its group.
#[derive(Clone, Debug)]
struct Seen {
    membership: Option<LogId>,
    is_committed: bool,
    is_joint: bool,
    next_index: u64,
    learners: Vec<Learner>,
}

#[derive(Clone, Debug)]
struct Learner {
    id: NodeId,
    held: Option<u64>,
    silent: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Leave a joint membership.
    Settle,
    /// Make this learner a voter.
    Promote(NodeId),
}

impl Seen {
    fn of(metrics: &RaftMetrics<TypeConfig>) -> Self {
        let members = metrics.membership_config.membership();
        let held = |id: &NodeId| metrics.replication.as_ref()?.get(id)?.as_ref().map(|log_id| log_id.index());
        let silent = |id: &NodeId| metrics.heartbeat.as_ref()?.get(id)?.as_ref().map(|heard| heard.elapsed());
        Self {
            membership: *metrics.membership_config.log_id(),
            is_committed: metrics.membership_config.log_id() == metrics.committed_membership_config.log_id(),
            is_joint: members.get_joint_config().len() > 1,
            next_index: metrics.last_log_index.map_or(0, |index| index + 1),
            learners: members.learner_ids().map(|id| Learner { id, held: held(&id), silent: silent(&id) }).collect(),
        }
    }
}

/// The next change, one at a time. A learner that is not heard of stays one: as a voter it would only be missed.
fn next_step(seen: &Seen, silence_max: Duration) -> Option<Step> {
    if !seen.is_committed {
        return None;
    }
    if seen.is_joint {
        return Some(Step::Settle);
    }
    let is_ready = |learner: &&Learner| {
        let behind = learner.held.map_or(seen.next_index, |held| seen.next_index.saturating_sub(held + 1));
        learner.held.is_some() && behind <= CAUGHT_UP_ENTRIES && learner.silent.is_some_and(|silent| silent < silence_max)
    };
    seen.learners.iter().find(is_ready).map(|learner| Step::Promote(learner.id))
}

async fn take(raft: &Raft, seen: &Seen, step: Step) {
    let voters = match step {
        Step::Settle => BTreeSet::new(),
        Step::Promote(id) => BTreeSet::from([id]),
    };
    let observed = [Precondition::LastMembershipLogId { last_membership_log_id: seen.membership }];
    match raft.change_membership_if(ChangeMembers::AddVoterIds(voters), true, observed).await {
        Ok(_) => info!(?step, "the membership has changed"),
        Err(RaftError::APIError(
            error @ (ClientWriteError::PreconditionFailed(_)
            | ClientWriteError::ForwardToLeader(_)
            | ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))),
        )) => debug!(?step, %error, "the membership changed meanwhile"),
        Err(error) => warn!(?step, %error, "the membership could not be changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE_MAX: Duration = Duration::from_secs(1);

    fn seen(learners: &[(NodeId, Option<u64>, Option<u64>)]) -> Seen {
        let learners = learners.iter().map(|&(id, held, silent)| Learner { id, held, silent: silent.map(Duration::from_millis) }).collect();
        Seen { membership: None, is_committed: true, is_joint: false, next_index: 1000, learners }
    }

    #[test]
    fn only_a_learner_that_has_caught_up_and_is_alive_is_promoted() {
        assert_eq!(next_step(&seen(&[(2, Some(999), Some(50))]), SILENCE_MAX), Some(Step::Promote(2)));
        assert_eq!(next_step(&seen(&[(2, Some(500), Some(50)), (3, Some(950), Some(50))]), SILENCE_MAX), Some(Step::Promote(3)));
        assert_eq!(next_step(&seen(&[]), SILENCE_MAX), None);
        assert_eq!(next_step(&seen(&[(2, None, Some(50))]), SILENCE_MAX), None, "nothing is known of it");
        assert_eq!(next_step(&seen(&[(2, Some(999), None)]), SILENCE_MAX), None, "it was never heard");
        assert_eq!(next_step(&seen(&[(2, Some(999), Some(5000))]), SILENCE_MAX), None, "it is gone");
    }

    #[test]
    fn one_change_at_a_time_and_a_joint_membership_is_left_first() {
        let mut changing = seen(&[(2, Some(999), Some(50))]);
        changing.is_committed = false;
        assert_eq!(next_step(&changing, SILENCE_MAX), None);
        let mut joint = seen(&[(2, Some(999), Some(50))]);
        joint.is_joint = true;
        assert_eq!(next_step(&joint, SILENCE_MAX), Some(Step::Settle));
    }
}
