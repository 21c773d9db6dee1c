//! What a node does to stay in touch with its region: it says where it is when it has moved, notes where the others are,
//! and asks them while it cannot serve, since one that was removed while it was away is told so by them alone.

use std::sync::{Arc, Weak};
use std::time::Duration;

use claviger_types::NodeId;
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
        let leader = inner.leadership.borrow().leader;
        match leader {
            Some(leader) if has_moved(&inner) => tell(&inner, leader).await,
            _ if inner.readiness() != Readiness::Ready => ask_around(&inner).await,
            _ => {}
        }
    }
}

/// Any member that answers tells a node that was removed so, whatever it is asked; this is the smallest question.
async fn ask_around(inner: &Inner) {
    let Ok(question) = inner.peers.seal(&ReadIndexRequest) else { return };
    let status = inner.status();
    let others = status.voters.into_iter().chain(status.learners).filter(|member| member.id != inner.config.node_id);
    let asked = others.map(async |member| {
        let to = Target { id: member.id, endpoint: member.endpoint };
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

/// The request is the one to be let in: of a member it changes the endpoint alone.
async fn tell(inner: &Inner, leader: NodeId) {
    let endpoint = inner.config.endpoint.clone();
    let request = JoinRequest { node: inner.config.node_id, instance: inner.identity.instance, endpoint };
    let answer =
        if leader == inner.config.node_id { Ok(membership::admit(inner, request).await) } else { ask(inner, leader, &request).await };
    match answer {
        Ok(JoinAnswer::Joined(_)) => info!(endpoint = %inner.config.endpoint, "the region knows that this node has moved"),
        Ok(answer) => debug!(?answer, "the region does not know yet that this node has moved"),
        Err(error) => debug!(error, "the leader could not be told that this node has moved"),
    }
}

async fn ask(inner: &Inner, leader: NodeId, request: &JoinRequest) -> Result<JoinAnswer, String> {
    let endpoint = inner.endpoint_of(leader).ok_or("it is not known where the leader is")?;
    let to = Target { id: leader, endpoint };
    let body = wire::encode(request).map_err(|e| chain(&e))?;
    inner.peers.post(&to, lane::PROPOSE, path::JOIN, body, TELL_WITHIN).await.map_err(|e| chain(&e))
}
