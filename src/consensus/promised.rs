//! What voters have promised, and when that is enough to answer a read round.
//!
//! A node's *promise* is the greatest vote that it has begun to save: it is raised before a vote goes to the disk, and so
//! before anybody is told that it was granted or followed, and it is loaded from there at start. It never goes back.
//!
//! A leader of vote T answers a round without a heartbeat if a majority of its voters had promised T and nothing higher
//! **after the round began**. Whatever was acknowledged or shown before was committed by T's leader or by one before it, or
//! by the leader of a T' above T that a majority had elected by then. That majority shares a voter with this one, and the
//! voter would have promised T' before: it cannot be. What leaders before T committed lies below the first entry of T, and
//! what T commits is in its engine before anybody hears of it; so the engine's committed index covers all of it, once an
//! entry of T is committed. The membership must be uniform and committed, or the two majorities need not meet.
//!
//! No clock is involved, and no lease: a voter that restarts still knows its promise.

use std::sync::Arc;

use claviger_types::{NodeId, known_bug};
use openraft::{RaftState, ServerState};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::raft_types::{LeaderId, LogId, StoredMembership, TypeConfig, Vote};

/// A vote, whether or not its candidate has won: a term and who wants to lead it. They are ordered as votes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Promise {
    term: u64,
    node: NodeId,
}

impl From<&LeaderId> for Promise {
    fn from(of: &LeaderId) -> Self {
        Self { term: of.term, node: of.node_id }
    }
}

/// This node's promise; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Promised(Arc<Mutex<Promise>>);

impl Promised {
    /// Promises this vote, unless a greater one was promised before.
    pub(crate) fn raise(&self, vote: &Vote) {
        let mut held = self.0.lock();
        *held = (*held).max(Promise::from(&vote.leader_id));
    }

    pub(crate) fn now(&self) -> Promise {
        *self.0.lock()
    }
}

/// A voter's promise, as it was at some time after a round began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub(crate) of: NodeId,
    pub(crate) promise: Promise,
}

/// What a node's engine holds at one moment.
pub(crate) struct Held<'a> {
    pub(crate) me: NodeId,
    pub(crate) leads: bool,
    pub(crate) vote: &'a Vote,
    /// The membership that counts.
    pub(crate) effective: &'a StoredMembership,
    /// The last that no later leader can undo.
    pub(crate) settled: &'a StoredMembership,
    pub(crate) committed: Option<&'a LogId>,
}

impl<'a> Held<'a> {
    pub(crate) fn by(me: NodeId, state: &'a RaftState<TypeConfig>) -> Self {
        Self {
            me,
            leads: state.server_state == ServerState::Leader,
            vote: state.vote_ref(),
            effective: state.membership_state.effective(),
            settled: state.membership_state.committed(),
            committed: state.cluster_committed(),
        }
    }

    /// The index that answers a round, if these words suffice. The engine's own vote is never below what this node has
    /// promised, so it stands for this node's word: what is held here must have been looked at after the round began.
    pub(crate) fn index_at_once(&self, words: &[Word]) -> Option<u64> {
        let mine = Promise::from(&self.vote.leader_id);
        let leads = self.leads && self.vote.is_committed() && mine.node == self.me;
        let [voters] = &self.effective.membership().get_joint_config()[..] else { return None };
        let is_settled = self.effective.log_id() == self.settled.log_id();
        // An entry of an earlier term says nothing of what this leader's predecessors had committed.
        let committed = self.committed.filter(|id| Promise::from(id.committed_leader_id()) == mine)?;
        let promised = |id: NodeId| id == self.me || words.iter().any(|word| word.of == id && word.promise == mine);
        let promised = voters.iter().filter(|id| promised(**id)).count();
        let is_majority = 2 * promised > voters.len() || known_bug!(UnpromisedRead);
        (leads && is_settled && is_majority).then(|| committed.index())
    }
}

#[cfg(test)]
#[path = "tests_promised.rs"]
mod tests;
