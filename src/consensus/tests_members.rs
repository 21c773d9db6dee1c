//! Members leave, vote or not, lead, move: what operators ask for, and what must hold whatever happens in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use claviger_state::{CommandBody, NodeRole, Refusal, read};
use claviger_tls::Expect;
use claviger_types::{NodeId, NodeInstance};
use http::StatusCode;
use openraft::raft::{AppendEntriesRequest, VoteRequest};

use crate::raft_types::{TypeConfig, Vote};
use crate::testing::{CLUSTER, Cluster, REGION, create, create_key, within};
use crate::wire::{self, ProposeRequest, ReadIndexRequest, ReportRequest, path};
use crate::{JoinError, Limits, MemberChange, OperateError, Operated, Readiness, Region, Role, Unavailable};

impl Cluster {
    async fn operate(&self, via: NodeId, change: MemberChange) -> Result<Operated, OperateError> {
        within("an operator's request", self.node(via).operate(change)).await
    }

    /// Insists on it, at any node, and says whether it changed anything.
    async fn done(&self, change: MemberChange) -> bool {
        let via = *self.nodes.keys().last().unwrap();
        let done = self.operate(via, change).await.unwrap();
        assert_eq!(done.pending, None);
        done.changed
    }

    async fn refused(&self, change: MemberChange) -> String {
        match self.operate(*self.nodes.keys().next().unwrap(), change).await {
            Err(OperateError::Refused(reason)) => reason,
            other => panic!("{change:?}: {other:?}"),
        }
    }

    /// Waits until a node sees these voters and learners.
    async fn until_members(&self, at: NodeId, voters: &[NodeId], learners: &[NodeId]) {
        self.until(&format!("voters {voters:?} and learners {learners:?}"), |cluster| {
            let learning: Vec<NodeId> = cluster.node(at).status().learners.iter().map(|member| member.id).collect();
            cluster.voters_at(at) == voters && learning == learners
        })
        .await;
    }

    async fn until_silent(&self, leader: NodeId, id: NodeId) {
        self.until("the leader misses the node", |cluster| {
            let seen = cluster.node(leader).0.group.look().unwrap();
            seen.is_able(seen.member(id).unwrap()).is_err()
        })
        .await;
    }

    async fn until_removed(&self, id: NodeId) {
        self.until("the node knows that it was removed", |cluster| cluster.node(id).readiness() == Readiness::Removed).await;
    }
}

/// Writes keys through nodes that stay, one after the other, until told to stop; counts those that were acknowledged.
struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Writer {
    fn start(cluster: &Cluster, via: NodeId, first: u64) -> Self {
        let (stop, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let consensus = cluster.node(via).clone();
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::SeqCst) {
                // Held and tried again inside: nothing that operators do here may make it fail.
                consensus.propose(create_key(first + count.load(Ordering::SeqCst))).await.unwrap().unwrap();
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { stop, written, task }
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        within("the writer", self.task).await.unwrap();
        self.written.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_grows_to_five_and_shrinks_to_three_under_writes() {
    let mut cluster = Cluster::founded(Limits::default()).await;
    let writer = Writer::start(&cluster, 1, 0);
    cluster.grow_to(3).await;
    cluster.grow_to(5).await;
    let before = writer.written();
    cluster.until("writes go on", |_| writer.written() > before + 20).await;
    for leaving in [5, 4] {
        assert!(cluster.operate(1, MemberChange::Remove(leaving)).await.unwrap().changed);
        assert!(!cluster.operate(1, MemberChange::Remove(leaving)).await.unwrap().changed);
        assert!(!cluster.voters_at(1).contains(&leaving));
        cluster.until_removed(leaving).await;
    }
    let before = writer.written();
    cluster.until("writes go on", |_| writer.written() > before + 20).await;
    let written = writer.end().await;
    for id in [1, 2, 3] {
        assert_eq!(cluster.keys_at(id).await, written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_is_heard_no_more_knows_it_and_leaves_its_id_to_nobody() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    let gone = cluster.follower().await;
    let stays: Vec<NodeId> = cluster.nodes.keys().copied().filter(|id| *id != gone).collect();
    // Through the node itself: any node takes the request.
    let first = cluster.operate(gone, MemberChange::Remove(gone)).await;
    assert!(matches!(first, Ok(Operated { changed: true, pending: None, .. })), "{first:?}");
    for id in &stays {
        cluster.until_members(*id, &stays, &[]).await;
    }
    assert!(!cluster.operate(stays[0], MemberChange::Remove(gone)).await.unwrap().changed);

    cluster.until_removed(gone).await;
    assert_eq!(cluster.node(gone).read().await, Err(Unavailable));
    within("whoever waits for it is told", cluster.node(gone).removed()).await;

    let client = cluster.pki.client(REGION, gone);
    let vote = wire::seal(CLUSTER, &VoteRequest::<TypeConfig>::new(Vote::new(1000, gone), None)).unwrap();
    let append = AppendEntriesRequest::<TypeConfig> {
        vote: Vote::new_committed(1000, gone),
        prev_log_id: None,
        entries: vec![],
        leader_commit: None,
    };
    let messages: [(&str, Bytes); 6] = [
        (path::VOTE, vote.clone()),
        (path::PRE_VOTE, vote),
        (path::APPEND, wire::seal(CLUSTER, &append).unwrap()),
        (path::PROPOSE, wire::seal(CLUSTER, &ProposeRequest { body: CommandBody::Tick, within_ms: 1000 }).unwrap()),
        (path::READ_INDEX, wire::seal(CLUSTER, &ReadIndexRequest).unwrap()),
        (path::REPORT, wire::seal(CLUSTER, &ReportRequest).unwrap()),
    ];
    let term = cluster.node(stays[0]).status().term;
    for id in &stays {
        for (path, message) in messages.iter().chain([(path::SNAPSHOT, Bytes::from_static(&[0, 0, 0, 0]))].iter()) {
            let answer = client.post(&cluster.endpoint(*id), &Expect::AnyNode, 0, path, message.clone(), Duration::from_secs(10)).await;
            let answer = answer.unwrap();
            assert_eq!((answer.status, &answer.body[..]), (StatusCode::FORBIDDEN, wire::REMOVED), "{path} at {id}");
        }
    }
    assert_eq!(cluster.node(stays[0]).status().term, term, "the removed node was listened to");

    // Its id is nobody's: not its own directory's, nor a new one's.
    cluster.kill(gone).await;
    cluster.wipe(gone).await;
    drop(cluster.storage_of(gone, NodeInstance::from_bytes([99; 16])).await);
    let refused = cluster.join(gone, stays[0]).await.unwrap_err();
    assert!(matches!(&refused, JoinError::Refused { reason, .. } if *reason == Refusal::NodeRemoved.to_string()), "{refused}");
    // A new id joins in its place.
    cluster.grow_to(3).await;
    create(cluster.node(stays[0]), 1).await;
    assert_eq!(cluster.keys_at(4).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_hands_over_before_it_is_removed_or_demoted() {
    let mut cluster = Cluster::founded(Limits::default()).await;
    cluster.grow_to(4).await;
    let first = cluster.leader().await;
    assert!(cluster.operate(first, MemberChange::Demote(first)).await.unwrap().changed);
    let second = cluster.leader().await;
    assert_ne!(first, second);
    let writer = Writer::start(&cluster, if second == 1 { 2 } else { 1 }, 0);
    assert!(cluster.operate(second, MemberChange::Remove(second)).await.unwrap().changed);
    cluster.until_removed(second).await;
    let stays: Vec<NodeId> = cluster.nodes.keys().copied().filter(|id| *id != first && *id != second).collect();
    cluster.until_members(stays[0], &stays, &[first]).await;
    assert_eq!(cluster.node(first).status().role, Role::Learner);
    let written = writer.end().await;
    assert_eq!(cluster.keys_at(first).await, written, "a learner follows and serves");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_node_stays_a_learner_whoever_leads_until_it_is_promoted() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    let demoted = cluster.follower().await;
    assert!(cluster.done(MemberChange::Demote(demoted)).await);
    assert!(!cluster.done(MemberChange::Demote(demoted)).await);
    let voters: Vec<NodeId> = cluster.nodes.keys().copied().filter(|id| *id != demoted).collect();
    assert!(cluster.done(MemberChange::TransferLead(None)).await);
    cluster.kill(demoted).await;
    cluster.start(demoted).await;
    // Leaders have made a voter of another learner meanwhile, so they had their time.
    cluster.grow_to_voters(4, &[voters[0], voters[1], 4]).await;
    cluster.until_members(voters[0], &[voters[0], voters[1], 4], &[demoted]).await;
    let record = read::node(&cluster.node(demoted).tables(), demoted).unwrap().unwrap();
    assert_eq!(record.role, NodeRole::Learner);

    assert!(cluster.done(MemberChange::Promote(demoted)).await);
    assert!(!cluster.done(MemberChange::Promote(demoted)).await);
    cluster.until_members(demoted, &[1, 2, 3, 4], &[]).await;
}

impl Cluster {
    /// Lets a node join and waits until it votes, among these.
    async fn grow_to_voters(&mut self, id: NodeId, voters: &[NodeId]) {
        let via = self.leader().await;
        self.join(id, via).await.unwrap();
        self.until("the new node votes", |cluster| cluster.voters_at(id) == voters).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_stop_the_region_is_refused_and_changes_nothing() {
    let mut cluster = Cluster::founded(Limits::default()).await;
    assert!(cluster.refused(MemberChange::Remove(1)).await.contains("last voter"));
    assert!(cluster.refused(MemberChange::Demote(1)).await.contains("last voter"));
    assert!(cluster.refused(MemberChange::TransferLead(None)).await.contains("no other voter"));
    cluster.grow_to(3).await;
    for unknown in [MemberChange::Remove(9), MemberChange::Promote(9), MemberChange::Demote(9), MemberChange::TransferLead(Some(9))] {
        assert_eq!(cluster.operate(1, unknown).await, Err(OperateError::UnknownNode(9)));
    }

    let leader = cluster.leader().await;
    let others: Vec<NodeId> = cluster.nodes.keys().copied().filter(|id| *id != leader).collect();
    let (dead, alive) = (others[0], others[1]);
    cluster.kill(dead).await;
    for change in [MemberChange::Remove(alive), MemberChange::Demote(alive), MemberChange::Remove(leader)] {
        let reason = cluster.refused(change).await;
        assert!(reason.contains("only 1 of the 2 voters") && reason.contains(&format!("node {dead} has not answered")), "{reason}");
    }
    assert!(cluster.refused(MemberChange::TransferLead(Some(dead))).await.contains("has not answered"));
    assert_eq!(cluster.voters_at(leader), [1, 2, 3]);
    assert!(read::nodes(&cluster.node(leader).tables()).unwrap().iter().all(|(_, record)| record.removed_at.is_none()));
    // The dead one may go: the others are a majority without it.
    assert!(cluster.done(MemberChange::Remove(dead)).await);
    assert!(cluster.refused(MemberChange::Promote(dead)).await.contains("never used again"));
    cluster.start(dead).await;
    cluster.until_removed(dead).await;
    create(cluster.node(alive), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lead_goes_to_whom_it_is_told_under_writes() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    let writers = [1, 2, 3].map(|id| Writer::start(&cluster, id, id * 1_000_000));
    for _ in 0..2 {
        for to in [1, 2, 3] {
            let led = cluster.leader().await;
            let done = cluster.operate(1, MemberChange::TransferLead(Some(to))).await.unwrap();
            assert_eq!((done.changed, done.leader), (led != to, Some(to)));
            assert_eq!(cluster.leader().await, to);
        }
    }
    let led = cluster.leader().await;
    assert!(cluster.operate(led, MemberChange::TransferLead(None)).await.unwrap().changed);
    assert_ne!(cluster.leader().await, led);
    let mut written = 0;
    for writer in writers {
        written += writer.end().await;
    }
    assert_eq!(cluster.keys_at(1).await, written);

    let learner = cluster.follower().await;
    cluster.done(MemberChange::Demote(learner)).await;
    assert!(cluster.refused(MemberChange::TransferLead(Some(learner))).await.contains("promote it first"));
    cluster.kill(learner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_leader_recorded_the_next_one_finishes() {
    let mut cluster = Cluster::founded(Limits::default()).await;
    cluster.grow_to(5).await;
    // A leader that is to go is recorded as such with no preparation, and lost on the spot; so is one that is to stay.
    let first = cluster.leader().await;
    cluster.node(first).propose(CommandBody::RemoveNode { id: first }).await.unwrap().unwrap();
    let second = *cluster.nodes.keys().find(|id| **id != first).unwrap();
    let keeps: Vec<NodeId> = cluster.nodes.keys().copied().filter(|id| *id != first).collect();
    cluster.until_members(second, &keeps, &[]).await;
    cluster.until_removed(first).await;

    let leader = cluster.leader().await;
    let leaving = *keeps.iter().find(|id| **id != leader).unwrap();
    cluster.node(leader).propose(CommandBody::RemoveNode { id: leaving }).await.unwrap().unwrap();
    cluster.kill(leader).await;
    // Three of four voters are left, so the one that leaves must vote, and may even lead; what follows its own end it never hears.
    let keeps: Vec<NodeId> = keeps.into_iter().filter(|id| *id != leaving).collect();
    let stays = *keeps.iter().find(|id| **id != leader).unwrap();
    cluster.until_members(stays, &keeps, &[]).await;
}

/// The others are not a majority yet: were the node not heard any more, or did it stop, nobody could write.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_removal_is_recorded_votes_until_the_others_can_do_without_it_but_serves_no_more() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    let leader = cluster.leader().await;
    let others: Vec<NodeId> = cluster.nodes.keys().copied().filter(|id| *id != leader).collect();
    let (away, leaving) = (others[0], others[1]);
    cluster.kill(away).await;
    cluster.until_silent(leader, away).await;
    cluster.node(leader).propose(CommandBody::RemoveNode { id: leaving }).await.unwrap().unwrap();
    cluster.until_removed(leaving).await;
    for number in 0..20 {
        create(cluster.node(leader), number).await;
    }
    let asked = cluster.operate(leader, MemberChange::Remove(leaving)).await.unwrap();
    assert!(!asked.changed && asked.pending.as_ref().is_some_and(|why| why.contains("only 1 of the 2")), "{asked:?}");
    assert_eq!(cluster.voters_at(leader), [1, 2, 3]);
    cluster.start(away).await;
    let mut keeps = vec![away, leader];
    keeps.sort_unstable();
    cluster.until_members(leader, &keeps, &[]).await;
    assert_eq!(cluster.keys_at(away).await, 20);
}

/// Were it refused for the record alone it would hold entries that nobody takes and that keep anybody else from being elected.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_removal_is_recorded_leads_until_another_can() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    let leader = cluster.leader().await;
    let others: Vec<NodeId> = cluster.nodes.keys().copied().filter(|id| *id != leader).collect();
    let (away, follower) = (others[0], others[1]);
    cluster.kill(away).await;
    cluster.until_silent(leader, away).await;
    cluster.node(leader).propose(CommandBody::RemoveNode { id: leader }).await.unwrap().unwrap();
    for number in 0..20 {
        create(cluster.node(follower), number).await;
    }
    assert_eq!(cluster.leader().await, leader);
    cluster.start(away).await;
    let mut keeps = vec![away, follower];
    keeps.sort_unstable();
    cluster.until_members(follower, &keeps, &[]).await;
    cluster.until_removed(leader).await;
    assert_eq!(cluster.keys_at(away).await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_removed_while_it_was_away_is_told_when_it_is_back() {
    let mut cluster = Cluster::founded(Limits::default()).await;
    cluster.grow_to(4).await;
    let leader = cluster.leader().await;
    let others: Vec<NodeId> = cluster.nodes.keys().copied().filter(|id| *id != leader).collect();
    // A voter, which stands for election, and a learner, which never does.
    let (voter, learner) = (others[0], others[1]);
    cluster.operate(leader, MemberChange::Demote(learner)).await.unwrap();
    cluster.until_members(learner, &cluster.voters_at(leader), &[learner]).await;
    for id in [voter, learner] {
        cluster.kill(id).await;
        assert!(cluster.operate(leader, MemberChange::Remove(id)).await.unwrap().changed);
        cluster.start(id).await;
        cluster.until_removed(id).await;
        cluster.kill(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_moved_tells_the_region_where_it_is() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    for moving in [cluster.follower().await, cluster.leader().await] {
        let before = cluster.endpoint(moving);
        cluster.kill(moving).await;
        cluster.forget_address(moving);
        cluster.start(moving).await;
        let now = cluster.endpoint(moving);
        assert_ne!(before, now);
        cluster
            .until("all know where it is", |cluster| {
                cluster.nodes.values().all(|node| node.consensus.status().voters.iter().any(|m| m.id == moving && m.endpoint == now))
            })
            .await;
    }
    // It is reached there: without it the others would still be a majority, so let one of them go.
    let moved = cluster.follower().await;
    let third = *cluster.nodes.keys().find(|id| **id != moved && **id != 1).unwrap();
    cluster.kill(third).await;
    create(cluster.node(moved), 1).await;
    assert_eq!(cluster.keys_at(moved).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_reports_and_one_that_is_silent_is_shown_so() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    create(cluster.node(1), 1).await;
    cluster.node(2).set_opened();
    let surveyed = within("a survey", cluster.node(1).survey()).await;
    assert_eq!(surveyed.iter().map(|node| node.id).collect::<Vec<_>>(), [1, 2, 3]);
    for node in &surveyed {
        let report = node.report.as_ref().unwrap();
        assert_eq!((report.status.node_id, report.has_opened), (node.id, node.id == 2));
        assert_eq!((&report.readiness, report.version.as_str()), (&Readiness::Ready, env!("CARGO_PKG_VERSION")));
        assert!(report.disk.is_some_and(|disk| disk.used_bytes > 0 && disk.free_bytes > 0));
        assert_eq!(report.status.role == Role::Leader, report.status.voters.iter().all(|member| member.lag_entries.is_some()));
    }
    cluster.kill(3).await;
    let surveyed = within("a survey", cluster.node(1).survey()).await;
    assert!(surveyed[0].report.is_ok() && surveyed[1].report.is_ok() && surveyed[2].report.is_err(), "{surveyed:?}");
}
