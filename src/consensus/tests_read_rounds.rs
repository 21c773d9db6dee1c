//! Read rounds of real nodes: no leader that has been succeeded answers a read, and how a round is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use claviger_types::NodeId;
use http::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::promised::{Promise, Word};
use crate::testing::{CLUSTER, Cluster, REGION, create, key_count, within};
use crate::wire::{self, PromisedRequest, path};
use crate::{Consensus, Limits, Region};

/// Reads at a node for as long as it is told to; a read that is answered shows what was acknowledged before it came.
struct Reader {
    answered: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Reader {
    fn start(node: &Consensus, acknowledged: &Arc<AtomicU64>) -> Self {
        let (node, acknowledged) = (node.clone(), Arc::clone(acknowledged));
        let (answered, refused, end) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let task = tokio::spawn({
            let (answered, refused, end) = (Arc::clone(&answered), Arc::clone(&refused), Arc::clone(&end));
            async move {
                while !end.load(Ordering::SeqCst) {
                    let before = acknowledged.load(Ordering::SeqCst);
                    if node.read().await.is_err() {
                        refused.fetch_add(1, Ordering::SeqCst);
                        sleep(Duration::from_millis(5)).await;
                        continue;
                    }
                    let seen = key_count(&*node.tables());
                    assert!(seen >= before, "{before} were acknowledged before the read, which saw {seen}");
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { answered, refused, end, task }
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    async fn end(self) {
        self.end.store(true, Ordering::SeqCst);
        within("the reader ends", self.task).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_answers_no_read_once_another_was_elected() {
    for size in [3, 5] {
        let mut cluster = Cluster::new(Limits::default());
        cluster.timings.hold = Duration::from_secs(2);
        cluster.found().await;
        cluster.grow_to(size).await;
        let acknowledged = Arc::<AtomicU64>::default();
        for _ in 0..2 {
            let old = cluster.leader().await;
            let reader = Reader::start(cluster.node(old), &acknowledged);
            cluster.until("reads at the leader", |_| reader.answered() > 20).await;
            cluster.cut.off(old);
            let new = cluster.leader_among(|id| id != old).await;
            for _ in 0..5 {
                create(cluster.node(new), acknowledged.load(Ordering::SeqCst)).await;
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            let refused = reader.refused();
            cluster.until("the old leader refuses reads", |_| reader.refused() > refused + 3).await;
            let answered = reader.answered();
            cluster.cut.heal();
            cluster.until("reads where the old leader was", |_| reader.answered() > answered).await;
            reader.end().await;
        }
        let written = acknowledged.load(Ordering::SeqCst);
        for id in cluster.nodes.keys() {
            assert_eq!(cluster.keys_at(*id).await, written);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_is_promised_once_it_is_cast_and_after_a_restart_still() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    let promises = |cluster: &Cluster| cluster.nodes.values().map(|node| node.consensus.0.rounds.promised()).collect::<Vec<_>>();
    let leader = cluster.leader().await;
    cluster.until("all follow", |cluster| promises(cluster).iter().all(|promise| *promise == promises(cluster)[0])).await;
    let before = promises(&cluster)[0];
    let follower = cluster.follower().await;
    cluster.kill(follower).await;
    cluster.start(follower).await;
    assert!(cluster.node(follower).0.rounds.promised() >= before);

    cluster.kill(leader).await;
    let next = cluster.leader().await;
    let promised = cluster.node(next).0.rounds.promised();
    assert!(promised > before);
    cluster.start(leader).await;
    cluster.until("the old leader follows", |cluster| cluster.node(leader).0.rounds.promised() >= promised).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_established_leader_answers_at_once_and_a_stale_word_does_not_help_it() {
    let cluster = Cluster::of_three(Limits::default()).await;
    create(cluster.node(1), 0).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let rounds = &cluster.node(leader).0.rounds;
    let at_once = async |of: NodeId, promise: Promise| rounds.index_at_once(vec![Word { of, promise }]).await;
    let promise = rounds.promised();
    within("the membership is settled", async { while at_once(follower, promise).await.is_none() {} }).await;
    assert!(at_once(follower, promise).await >= cluster.node(leader).status().applied_index);
    for (of, promise) in [(follower, Promise::default()), (leader, promise), (9, promise)] {
        assert_eq!(at_once(of, promise).await, None);
    }
    assert_eq!(cluster.node(follower).0.rounds.index_at_once(vec![Word { of: leader, promise }]).await, None, "a follower");

    // A voter says what it has promised to any node of the region; a leader may be one that it does not know yet.
    let question = wire::seal(CLUSTER, &PromisedRequest).unwrap();
    let stranger = cluster.pki.client("us-east-1", 9);
    assert_eq!(cluster.post(&stranger, follower, path::PROMISED, question.clone()).await, StatusCode::FORBIDDEN);
    assert_eq!(cluster.post(&cluster.pki.client(REGION, 9), follower, path::PROMISED, question).await, StatusCode::OK);
}
