//! How the read gate's rounds are made: at the leader by what a majority has promised, elsewhere by asking the leader.
//!
//! In a region of three the leader and whoever asks it are a majority, so a follower's round is one message there and
//! back; the leader's own is one to as many other voters as it needs. Why that is enough is `promised`'s affair. Where it
//! is not (no majority at once, a membership that changes, a new leader that has committed nothing) the leader confirms
//! by a round of heartbeats that it leads. Never by a lease: a voter that restarts has forgotten it and may elect another
//! leader within it.

use std::sync::Arc;
use std::time::Duration;

use claviger_types::{NodeId, known_bug};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::trace;

use crate::applied::AppliedIndex;
use crate::gate::{NoAnswer, ReadSource};
use crate::leadership::Leadership;
use crate::peers::{Peers, Target};
use crate::promised::{Held, Promise, Promised, Word};
use crate::raft_types::Raft;
use crate::wire::{PromisedRequest, ReadIndexRequest, lane, path};

/// How long a leader waits for a voter's promise before it asks another one too.
const ASK_ANOTHER_AFTER: Duration = Duration::from_millis(10);

/// Rounds of this node.
pub(crate) struct ReadRounds {
    pub(crate) me: NodeId,
    pub(crate) raft: Raft,
    pub(crate) peers: Arc<Peers>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    /// Whether the node's state is at least what it was before it was started.
    pub(crate) recovered: watch::Receiver<bool>,
    pub(crate) applied: AppliedIndex,
    pub(crate) promised: Promised,
    pub(crate) voters: VotersToAsk,
    /// How long the leader may take.
    pub(crate) within: Duration,
}

/// In which order a leader asks the other voters: who answered last comes first.
#[derive(Default)]
pub(crate) struct VotersToAsk(Mutex<Vec<NodeId>>);

impl VotersToAsk {
    fn order(&self, voters: &mut [Target]) {
        let known = self.0.lock();
        voters.sort_by_key(|voter| known.iter().position(|id| *id == voter.id).unwrap_or(usize::MAX));
    }

    fn answered(&self, words: &[Word]) {
        let mut known = self.0.lock();
        known.clear();
        known.extend(words.iter().map(|word| word.of));
    }
}

impl ReadRounds {
    /// What this node has promised.
    pub(crate) fn promised(&self) -> Promise {
        self.promised.now()
    }

    /// The index that answers a round, if this node leads and these words and its own suffice.
    pub(crate) async fn index_at_once(&self, words: Vec<Word>) -> Option<u64> {
        let me = self.me;
        self.raft.with_raft_state(move |state| Held::by(me, state).index_at_once(&words)).await.ok().flatten()
    }

    /// A round of the leader's own.
    async fn lead(&self) -> Result<u64, NoAnswer> {
        if let Some(index) = self.ask_voters().await {
            return Ok(index);
        }
        metrics::counter!("claviger_read_gate_heartbeat_rounds_total").increment(1);
        match self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => Ok(linearizer.read_log_id().index()),
            Err(error) => {
                trace!(%error, "no quorum for a read round");
                Err(NoAnswer)
            }
        }
    }

    /// Asks no more voters than are needed, unless they do not answer soon or have promised something else.
    async fn ask_voters(&self) -> Option<u64> {
        if known_bug!(UnpromisedRead) {
            return self.index_at_once(Vec::new()).await;
        }
        let mine = self.promised();
        let mut voters = self.other_voters();
        self.voters.order(&mut voters);
        // With this node they are a majority of an odd number of voters, and of an even one.
        let needed = voters.len().div_ceil(2);
        let question = self.peers.seal(&PromisedRequest).ok()?;
        let ask = async |to: Target| {
            let asked = self.peers.post(&to, lane::CONTROL, path::PROMISED, question.clone(), self.within / 4).await;
            asked.map(|promise| Word { of: to.id, promise })
        };
        let mut left = voters.into_iter();
        let mut asked: FuturesUnordered<_> = left.by_ref().take(needed).map(&ask).collect();
        let mut words = Vec::with_capacity(needed);
        let mut went_well = true;
        while words.len() < needed {
            let answer = tokio::select! {
                answer = asked.next() => Some(answer?),
                () = sleep(ASK_ANOTHER_AFTER), if left.len() > 0 => None,
            };
            match answer {
                Some(Ok(word)) if word.promise == mine => words.push(word),
                Some(Ok(_) | Err(_)) | None => {
                    went_well = false;
                    asked.extend(left.next().map(&ask));
                }
            }
        }
        if !went_well {
            self.voters.answered(&words);
        }
        self.index_at_once(words).await
    }

    /// As far as this node knows; the engine has the last word.
    fn other_voters(&self) -> Vec<Target> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let members = metrics.membership_config.membership();
        let others = members.voter_ids().filter(|id| *id != self.me);
        others.filter_map(|id| members.get_node(&id).map(|node| Target { id, endpoint: node.endpoint.clone() })).collect()
    }

    /// A round of a node that does not lead.
    async fn follow(&self, leader: NodeId) -> Result<u64, NoAnswer> {
        let metrics = self.raft.server_metrics();
        let endpoint = metrics.borrow_watched().membership_config.membership().get_node(&leader).map(|node| node.endpoint.clone());
        let target = Target { id: leader, endpoint: endpoint.ok_or(NoAnswer)? };
        let sealed = self.peers.seal(&ReadIndexRequest { promise: self.promised() }).map_err(|_| NoAnswer)?;
        self.peers.post(&target, lane::CONTROL, path::READ_INDEX, sealed, self.within).await.map_err(|error| {
            trace!(leader, %error, "no answer to a read round");
            NoAnswer
        })
    }
}

impl ReadSource for ReadRounds {
    async fn round(&self) -> Result<u64, NoAnswer> {
        if !*self.recovered.borrow() {
            return Err(NoAnswer);
        }
        let leadership = *self.leadership.borrow();
        if leadership.is_leader { self.lead().await } else { self.follow(leadership.leader.ok_or(NoAnswer)?).await }
    }

    fn has_applied(&self, index: u64) -> bool {
        self.applied.covers(index)
    }

    async fn applied(&self, index: u64) {
        self.applied.wait(index).await;
    }

    async fn changed(&self) {
        let (mut leadership, mut recovered) = (self.leadership.clone(), self.recovered.clone());
        leadership.mark_unchanged();
        recovered.mark_unchanged();
        let changed = async {
            tokio::select! {
                changed = leadership.changed() => changed,
                changed = recovered.changed() => changed,
            }
        };
        if changed.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
