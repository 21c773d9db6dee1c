//! How the read gate's rounds are made: at the leader by a quorum's word, elsewhere by asking the leader.
//!
//! Never by a lease: a voter that restarts has forgotten it and may elect another leader within it.

use std::sync::Arc;
use std::time::Duration;

use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::watch;
use tracing::trace;

use crate::applied::AppliedIndex;
use crate::gate::{NoAnswer, ReadSource};
use crate::leadership::Leadership;
use crate::peers::{Peers, Target};
use crate::raft_types::Raft;
use crate::wire::{ReadIndexRequest, lane, path};

/// Rounds of this node.
pub(crate) struct ReadRounds {
    pub(crate) raft: Raft,
    pub(crate) peers: Arc<Peers>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    /// Whether the node's state is at least what it was before it was started.
    pub(crate) recovered: watch::Receiver<bool>,
    pub(crate) applied: AppliedIndex,
    /// How long the leader may take.
    pub(crate) within: Duration,
}

impl ReadSource for ReadRounds {
    async fn round(&self) -> Result<u64, NoAnswer> {
        if !*self.recovered.borrow() {
            return Err(NoAnswer);
        }
        let leadership = *self.leadership.borrow();
        if leadership.is_leader {
            let confirmed = self.raft.get_read_linearizer(ReadPolicy::ReadIndex).await;
            return match confirmed {
                Ok(linearizer) => Ok(linearizer.read_log_id().index()),
                Err(error) => {
                    trace!(%error, "no quorum for a read round");
                    Err(NoAnswer)
                }
            };
        }
        let leader = leadership.leader.ok_or(NoAnswer)?;
        let metrics = self.raft.server_metrics();
        let endpoint = metrics.borrow_watched().membership_config.membership().get_node(&leader).map(|node| node.endpoint.clone());
        let target = Target { id: leader, endpoint: endpoint.ok_or(NoAnswer)? };
        let sealed = self.peers.seal(&ReadIndexRequest).map_err(|_| NoAnswer)?;
        self.peers.post(&target, lane::CONTROL, path::READ_INDEX, sealed, self.within).await.map_err(|error| {
            trace!(leader, %error, "no answer to a read round");
            NoAnswer
        })
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
