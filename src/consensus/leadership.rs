//! Who leads, as this node sees it: a watch for the layers above, the gauges, and the status that operators read.

use claviger_types::{NodeId, NodeInstance};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::Fatal;
use openraft::{RaftMetrics, ServerState};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{error, info};

use crate::applied::AppliedIndex;
use crate::raft_types::{Raft, TypeConfig};

/// Who leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The leader that this node knows of; it may have lost the lead since.
    pub leader: Option<NodeId>,
    /// The term.
    pub term: u64,
    /// Whether it is this node.
    pub is_leader: bool,
}

impl Leadership {
    fn of(metrics: &RaftMetrics<TypeConfig>) -> Self {
        let is_leader = metrics.state == ServerState::Leader && metrics.current_leader == Some(metrics.id);
        // A node that lost the lead and knows of no other still names itself for a moment.
        let leader = metrics.current_leader.filter(|leader| is_leader || *leader != metrics.id);
        Self { leader, term: metrics.current_term, is_leader }
    }
}

/// What this node is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It receives the log and does not vote; a node that belongs to no group yet is one too.
    Learner,
    /// It votes and follows.
    Follower,
    /// It stands for election.
    Candidate,
    /// It leads.
    Leader,
    /// It has stopped.
    Stopped,
}

/// A member of the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its id.
    pub id: NodeId,
    /// Its peer listener.
    pub endpoint: String,
    /// Its data directory.
    pub instance: NodeInstance,
    /// Entries of the leader's log that it is not known to hold; known on the leader alone.
    pub lag_entries: Option<u64>,
}

/// A node's view of its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// This node.
    pub node_id: NodeId,
    /// What it is.
    pub role: Role,
    /// The term.
    pub term: u64,
    /// The leader it knows of.
    pub leader: Option<NodeId>,
    /// The last entry of its log.
    pub last_log_index: Option<u64>,
    /// The last entry that is committed, as far as it knows.
    pub committed_index: Option<u64>,
    /// The last entry that it has applied.
    pub applied_index: Option<u64>,
    /// The last entry of its newest snapshot.
    pub snapshot_index: Option<u64>,
    /// The last entry that is gone from its log.
    pub purged_index: Option<u64>,
    /// Those who vote.
    pub voters: Vec<MemberStatus>,
    /// Those who do not vote yet.
    pub learners: Vec<MemberStatus>,
}

/// The node's status now.
pub(crate) fn status(raft: &Raft, applied: &AppliedIndex) -> Status {
    let metrics = raft.metrics().borrow_watched().clone();
    let membership = metrics.membership_config.membership();
    let voters: Vec<NodeId> = membership.voter_ids().collect();
    let member = |(id, node): (&NodeId, &crate::raft_types::Member)| MemberStatus {
        id: *id,
        endpoint: node.endpoint.clone(),
        instance: node.instance,
        lag_entries: lag(&metrics, *id),
    };
    let (voters, learners) = membership.nodes().map(member).partition(|member: &MemberStatus| voters.contains(&member.id));
    Status {
        node_id: metrics.id,
        role: match metrics.state {
            ServerState::Learner => Role::Learner,
            ServerState::Follower => Role::Follower,
            ServerState::Candidate => Role::Candidate,
            ServerState::Leader => Role::Leader,
            ServerState::Shutdown => Role::Stopped,
        },
        term: metrics.current_term,
        leader: Leadership::of(&metrics).leader,
        last_log_index: metrics.last_log_index,
        committed_index: metrics.local_committed.map(|id| id.index()),
        applied_index: applied.get(),
        snapshot_index: metrics.snapshot.map(|id| id.index()),
        purged_index: metrics.purged.map(|id| id.index()),
        voters,
        learners,
    }
}

/// Entries of the leader's log that a member is not known to hold; known on the leader alone.
pub(crate) fn lag(metrics: &RaftMetrics<TypeConfig>, id: NodeId) -> Option<u64> {
    let replication = metrics.replication.as_ref()?;
    if id == metrics.id {
        return Some(0);
    }
    let next = |index: Option<u64>| index.map_or(0, |index| index + 1);
    let held = replication.get(&id)?.as_ref().map(|log_id| log_id.index());
    Some(next(metrics.last_log_index).saturating_sub(next(held)))
}

/// Publishes who leads, the gauges, and why the engine stopped if it did; ends with the engine.
pub(crate) async fn follow(
    raft: Raft,
    applied: AppliedIndex,
    leadership: watch::Sender<Leadership>,
    stopped: watch::Sender<Option<String>>,
) {
    let term = metrics::gauge!("claviger_raft_term");
    let is_leader = metrics::gauge!("claviger_raft_is_leader");
    let leader = metrics::gauge!("claviger_raft_leader");
    let applied_index = metrics::gauge!("claviger_raft_applied_index");
    let last_log_index = metrics::gauge!("claviger_raft_last_log_index");
    let mut metrics = raft.metrics();
    loop {
        let (now, last_log, running) = {
            let seen = metrics.borrow_watched();
            (Leadership::of(&seen), seen.last_log_index, seen.running_state.clone())
        };
        let changed = leadership.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
        if changed {
            info!(leader = ?now.leader, term = now.term, is_leader = now.is_leader, "leadership");
            term.set(as_gauge(now.term));
            is_leader.set(f64::from(u8::from(now.is_leader)));
            leader.set(as_gauge(now.leader.unwrap_or(0)));
        }
        applied_index.set(as_gauge(applied.get().unwrap_or(0)));
        last_log_index.set(as_gauge(last_log.unwrap_or(0)));
        let ended = match running {
            Err(fatal) => Some(fatal),
            Ok(()) => metrics.changed().await.is_err().then_some(Fatal::Stopped),
        };
        if let Some(fatal) = ended {
            match fatal {
                Fatal::Stopped => info!("consensus was shut down"),
                _ => error!(%fatal, "consensus has stopped"),
            }
            leadership.send_replace(Leadership { leader: None, is_leader: false, ..now });
            is_leader.set(0.0);
            stopped.send_replace(Some(fatal.to_string()));
            return;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are doubles; indexes stay below 2^53")]
fn as_gauge(value: u64) -> f64 {
    value as f64
}
