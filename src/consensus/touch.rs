//! What a node does to stay in touch with its region: it says where it is when it has moved, notes where the others are,
//! and asks them while it cannot serve, since one that was removed while it was away is told so by them alone.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use tokio::time::sleep;
use tracing::{debug, info};

use crate::consensus::Inner;
use crate::fault::chain;
use crate::peers::{Peers, Target};
use crate::raft_types::Raft;
use crate::wire::{self, JoinAnswer, JoinRequest, ReadIndexRequest, lane, path};
use crate::{Readiness, membership};

/// How often a node looks whether the region knows where it is.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a member may take to say whether this node was removed.
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// How long the leader may take to record that it moved.
const TELL_WITHIN: Duration = Duration::from_secs(15);

/// Runs until the node is removed or gone.
pub(crate) async fn stay_in_touch(node: Weak<Inner>) {
    loop {
        sleep(INTERVAL).await;
        let Some(inner) = node.upgrade() else { return };
        if inner.peers.is_removed() {
            return;
        }
        if has_moved(&inner) {
            tell(&inner).await;
        }
        if inner.readiness() != Readiness::Ready {
            ask_around(&inner).await;
        }
    }
}

/// Any member that answers tells a node that was removed so, whatever it is asked; this is the smallest question.
async fn ask_around(inner: &Inner) {
    let Ok(question) = inner.peers.seal(&ReadIndexRequest) else { return };
    let asked = others(inner).map(async |to| {
        // The answer itself is of no use.
        let _ = inner.peers.post::<u64>(&to, lane::PROPOSE, path::READ_INDEX, question.clone(), ASK_WITHIN).await;
    });
    futures::future::join_all(asked).await;
}

/// Has messages go where the membership says that the members are, as it changes; ends with the engine.
pub(crate) async fn follow_endpoints(raft: Raft, peers: Arc<Peers>) {
    let mut metrics = raft.server_metrics();
    loop {
        let known = metrics.borrow_watched().membership_config.clone();
        peers.set_endpoints(known.membership().nodes().map(|(id, node)| (*id, node.endpoint.clone())).collect());
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

fn has_moved(inner: &Inner) -> bool {
    inner.endpoint_of(inner.config.node_id).is_some_and(|known| known != inner.config.endpoint)
}

/// The other members, as far as this node knows.
fn others(inner: &Inner) -> impl Iterator<Item = Target> {
    let status = inner.status();
    let members = status.voters.into_iter().chain(status.learners).filter(|member| member.id != inner.config.node_id);
    members.map(|member| Target { id: member.id, endpoint: member.endpoint })
}

/// The request is the one to be let in: of a member it changes the endpoint alone. Any member is asked, since the leader's
/// messages go where this node was, so it may not know who leads.
async fn tell(inner: &Inner) {
    let request = JoinRequest { node: inner.config.node_id, instance: inner.identity.instance, endpoint: inner.config.endpoint.clone() };
    if inner.leadership.borrow().is_leader {
        let answer = membership::admit(inner, request).await;
        debug!(?answer, "this node leads, and has moved");
        return;
    }
    let Ok(body) = wire::encode(&request) else { return };
    let leader = inner.leadership.borrow().leader;
    let mut left: VecDeque<Target> = others(inner).collect();
    left.make_contiguous().sort_by_key(|member| Some(member.id) != leader);
    let mut named = BTreeSet::from([inner.config.node_id]);
    while let Some(to) = left.pop_front() {
        match inner.peers.post(&to, lane::PROPOSE, path::JOIN, body.clone(), TELL_WITHIN).await {
            Ok(JoinAnswer::Joined(_)) => {
                info!(endpoint = %inner.config.endpoint, "the region knows that this node has moved");
                return;
            }
            // Each is followed once.
            Ok(JoinAnswer::NotLeader(Some((id, endpoint)))) if named.insert(id) => left.push_front(Target { id, endpoint }),
            Ok(answer) => debug!(?answer, of = to.id, "the region does not know yet that this node has moved"),
            Err(error) => debug!(error = chain(&error), of = to.id, "a member could not be told that this node has moved"),
        }
    }
}
