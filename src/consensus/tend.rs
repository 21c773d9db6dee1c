//! What a leader does about its group: it brings the membership to what operators want of each node, one change at a time.
//!
//! What is wanted is in the replicated state, what is in the membership. Whoever leads compares the two, so a change that
//! one leader recorded, or left half done, is finished by the next. The decisions are `seen`'s.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use claviger_state::{StateError, read};
use claviger_storage::StateStore;
use claviger_types::NodeId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{ChangeMembers, Instant as _, Precondition, RaftMetrics};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::applied::AppliedIndex;
use crate::fault::chain;
use crate::leadership::{self, Leadership};
use crate::raft_types::{Raft, TypeConfig};
use crate::seen::{Seen, SeenMember, Step, Wanted};

/// How often the leader looks after its group, unless it is hurried.
const TEND_INTERVAL: Duration = Duration::from_millis(200);
/// How long a leader that hands over waits for another to take over.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(2);

/// The group, for whoever leads it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) raft: Raft,
    pub(crate) state: Arc<StateStore>,
    pub(crate) applied: AppliedIndex,
    pub(crate) leadership: watch::Receiver<Leadership>,
    /// A node that is silent for longer is not there.
    pub(crate) silence_max: Duration,
    pub(crate) hurry: Arc<Notify>,
}

impl Group {
    /// What the leader knows now.
    pub(crate) fn look(&self) -> Result<Seen, StateError> {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let membership = &metrics.membership_config;
        let is_committed = membership.log_id() == metrics.committed_membership_config.log_id();
        // Looked at before the records are read: those that the membership followed are among them then.
        let is_applied = membership.log_id().is_some_and(|id| self.applied.covers(id.index()));
        let voters: BTreeSet<NodeId> = membership.membership().voter_ids().collect();
        let members = membership.membership().nodes().map(|(id, _)| {
            let record = read::node(&*self.state, *id)?;
            Ok(SeenMember {
                id: *id,
                is_voter: voters.contains(id),
                wanted: Wanted::of(record.as_ref()),
                lag_entries: leadership::lag(&metrics, *id),
                silent: silent(&metrics, *id),
            })
        });
        Ok(Seen {
            me: metrics.id,
            membership: *membership.log_id(),
            is_settled: is_committed && is_applied,
            is_joint: membership.membership().get_joint_config().len() > 1,
            silence_max: self.silence_max,
            members: members.collect::<Result<_, StateError>>()?,
        })
    }

    /// Runs for as long as the engine does; acts while this node leads.
    pub(crate) async fn tend(self) {
        let mut leadership = self.leadership.clone();
        loop {
            if leadership.wait_for(|now| now.is_leader).await.is_err() {
                return;
            }
            match self.look() {
                Ok(seen) => {
                    if let Some(step) = seen.next_step() {
                        self.take(&seen, step).await;
                    }
                }
                Err(error) => warn!(error = chain(&error), "what is wanted of the nodes cannot be read"),
            }
            tokio::select! {
                () = self.hurry.notified() => {}
                () = sleep(TEND_INTERVAL) => {}
            }
        }
    }

    /// Lets another voter lead; true once this node does not any more.
    pub(crate) async fn hand_over(&self, to: NodeId) -> bool {
        let mut leadership = self.leadership.clone();
        if self.raft.trigger().transfer_leader(to).await.is_err() {
            return false;
        }
        let handed = timeout(HAND_OVER_WITHIN, leadership.wait_for(|now| !now.is_leader)).await.is_ok_and(|now| now.is_ok());
        info!(to, handed, "leadership handed over");
        handed
    }

    async fn take(&self, seen: &Seen, step: Step) {
        let only = |id| BTreeSet::from([id]);
        let (change, keep_as_learner) = match step {
            Step::HandOver(to) => {
                self.hand_over(to).await;
                return;
            }
            Step::Settle => (ChangeMembers::AddVoterIds(BTreeSet::new()), true),
            Step::Promote(id) => (ChangeMembers::AddVoterIds(only(id)), true),
            Step::Demote(id) => (ChangeMembers::RemoveVoters(only(id)), true),
            Step::RemoveVoter(id) => (ChangeMembers::RemoveVoters(only(id)), false),
            Step::RemoveLearner(id) => (ChangeMembers::RemoveNodes(only(id)), false),
        };
        let observed = [Precondition::LastMembershipLogId { last_membership_log_id: seen.membership }];
        match self.raft.change_membership_if(change, keep_as_learner, observed).await {
            Ok(_) => info!(?step, "the membership has changed"),
            Err(RaftError::APIError(
                error @ (ClientWriteError::PreconditionFailed(_)
                | ClientWriteError::ForwardToLeader(_)
                | ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_))),
            )) => debug!(?step, %error, "the membership changed meanwhile"),
            Err(error) => warn!(?step, %error, "the membership could not be changed"),
        }
    }
}

fn silent(metrics: &RaftMetrics<TypeConfig>, id: NodeId) -> Option<Duration> {
    metrics.heartbeat.as_ref()?.get(&id)?.as_ref().map(|heard| heard.elapsed())
}
