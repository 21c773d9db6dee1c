//! Who may say what on the peer listener.

use std::time::Duration;

use bytes::Bytes;
use claviger_state::CommandBody;
use claviger_tls::{Expect, PeerClient, streaming_body};
use claviger_types::{ClusterId, NodeInstance};
use http::StatusCode;
use openraft::EntryPayload;
use openraft::raft::{AppendEntriesRequest, VoteRequest};

use crate::raft_types::{Entry, LogId, TypeConfig, Vote};
use crate::testing::{CLUSTER, Cluster, REGION, within};
use crate::wire::{self, ClocksRequest, JoinRequest, ProposeRequest, ReadIndexRequest, path};
use crate::{Limits, Region};

const RAFT: [&str; 5] = [path::APPEND, path::VOTE, path::PRE_VOTE, path::TRANSFER_LEADER, path::CLOCK];
const CLUSTER_PATHS: [&str; 3] = [path::PROPOSE, path::READ_INDEX, path::CLOCKS];

fn vote_of(node: u64) -> Bytes {
    wire::seal(CLUSTER, &VoteRequest::<TypeConfig>::new(Vote::new(1, node), None)).unwrap()
}

fn append(entries: Vec<Entry>) -> Bytes {
    let message = AppendEntriesRequest::<TypeConfig> { vote: Vote::new_committed(9, 9), prev_log_id: None, entries, leader_commit: None };
    wire::seal(CLUSTER, &message).unwrap()
}

fn blank(index: u64, term: u64) -> Entry {
    let leader = openraft::impls::leader_id_adv::LeaderId { term, node_id: 1 };
    Entry { log_id: LogId::new(leader, index), payload: EntryPayload::Blank }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_nodes_of_this_region_and_cluster_are_heard_and_malformed_messages_change_nothing() {
    let cluster = Cluster::founded(Limits::default()).await;
    let before = cluster.node(1).status();
    let stranger = cluster.pki.client("us-east-1", 9);
    let newcomer = cluster.pki.client(REGION, 9);
    let itself = cluster.pki.client(REGION, 1);
    let propose = wire::seal(CLUSTER, &ProposeRequest { body: CommandBody::Tick, within_ms: 1000 }).unwrap();

    for path in RAFT.into_iter().chain(CLUSTER_PATHS).chain([path::JOIN, path::SNAPSHOT]) {
        for caller in [&stranger, &itself] {
            assert_eq!(cluster.post(caller, 1, path, propose.clone()).await, StatusCode::FORBIDDEN, "{path}");
        }
    }
    // A node of the region that is no member may not propose nor read.
    let read_index = wire::seal(CLUSTER, &ReadIndexRequest).unwrap();
    let clocks = wire::seal(CLUSTER, &ClocksRequest).unwrap();
    for (path, body) in [(path::PROPOSE, propose), (path::READ_INDEX, read_index), (path::CLOCKS, clocks)] {
        assert_eq!(cluster.post(&newcomer, 1, path, body).await, StatusCode::FORBIDDEN, "{path}");
    }
    for path in RAFT.into_iter().chain([path::JOIN]) {
        for body in [&[][..], &[1], &[0; 64], &[255; 64]] {
            assert_eq!(cluster.post(&newcomer, 1, path, Bytes::copy_from_slice(body)).await, StatusCode::BAD_REQUEST, "{path}");
        }
    }
    for body in [&[][..], &[0, 0, 0, 1], &[0, 0, 0, 1, 5], &[255; 64], &[0, 0, 0, 9, 1, 2]] {
        assert_eq!(cluster.post(&newcomer, 1, path::SNAPSHOT, Bytes::copy_from_slice(body)).await, StatusCode::BAD_REQUEST, "{body:?}");
    }
    let other_cluster = wire::seal(ClusterId::from_bytes([3; 16]), &VoteRequest::<TypeConfig>::new(Vote::new(1, 9), None)).unwrap();
    assert_eq!(cluster.post(&newcomer, 1, path::VOTE, other_cluster).await, StatusCode::FORBIDDEN);
    // Nobody speaks for another, and no leader sends a log with holes or of later terms than its own.
    assert_eq!(cluster.post(&newcomer, 1, path::VOTE, vote_of(8)).await, StatusCode::BAD_REQUEST);
    let last_term = wire::seal(CLUSTER, &VoteRequest::<TypeConfig>::new(Vote::new(u64::MAX, 9), None)).unwrap();
    assert_eq!(cluster.post(&newcomer, 1, path::VOTE, last_term).await, StatusCode::BAD_REQUEST);
    for entries in [vec![blank(1, 1)], vec![blank(0, 1), blank(2, 1)], vec![blank(0, 2), blank(1, 1)], vec![blank(0, 10)]] {
        assert_eq!(cluster.post(&newcomer, 1, path::APPEND, append(entries)).await, StatusCode::BAD_REQUEST);
    }
    let join = |node, endpoint: &str| {
        wire::encode(&JoinRequest { node, instance: NodeInstance::from_bytes([9; 16]), endpoint: endpoint.to_owned() }).unwrap()
    };
    assert_eq!(cluster.post(&newcomer, 1, path::JOIN, join(8, "https://a:1")).await, StatusCode::FORBIDDEN, "another's id");
    assert_eq!(cluster.post(&newcomer, 1, path::JOIN, join(9, "http://a:1")).await, StatusCode::BAD_REQUEST);
    // A body beyond the limit.
    let large = Bytes::from(vec![1; claviger_types::limits::PEER_BODY_BYTES_MAX + 1]);
    assert_eq!(cluster.post(&newcomer, 1, path::APPEND, large).await, StatusCode::PAYLOAD_TOO_LARGE);

    cluster.node(1).read().await.unwrap();
    let after = cluster.node(1).status();
    assert_eq!((before.term, before.last_log_index, before.voters), (after.term, after.last_log_index, after.voters));
}

/// A body that never comes: whoever waits for it answers nothing.
fn endless() -> claviger_tls::StreamingBody {
    streaming_body(futures::stream::pending())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_speak_is_told_before_its_body_is_read() {
    let cluster = Cluster::founded(Limits::default()).await;
    let endpoint = cluster.endpoint(1);
    let (stranger, newcomer) = (cluster.pki.client("us-east-1", 9), cluster.pki.client(REGION, 9));
    let status = async |caller: &PeerClient, path| {
        // Less than the listener's patience with a slow body, so that this is not what ends the wait.
        let sent = caller.post_stream(&endpoint, &Expect::AnyNode, 0, path, endless(), Duration::from_secs(8));
        sent.await.unwrap().status
    };
    for path in RAFT.into_iter().chain(CLUSTER_PATHS).chain([path::JOIN, path::SNAPSHOT]) {
        assert_eq!(status(&stranger, path).await, StatusCode::FORBIDDEN, "{path}");
    }
    for path in CLUSTER_PATHS {
        assert_eq!(status(&newcomer, path).await, StatusCode::FORBIDDEN, "{path}");
    }
    // Small messages have a small limit, of which a join needs less.
    let large = Bytes::from(vec![1; 64 * 1024]);
    for path in [path::VOTE, path::PRE_VOTE, path::TRANSFER_LEADER, path::CLOCK, path::JOIN] {
        assert_eq!(cluster.post(&newcomer, 1, path, large.clone()).await, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
    assert_eq!(cluster.post(&newcomer, 1, path::APPEND, large).await, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_nodes_cannot_make_a_node_hold_more_than_their_share_nor_keep_members_from_being_heard() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    let silent = cluster.follower().await;
    cluster.kill(silent).await;
    let leader = cluster.leader().await;
    let (member, unknown) = (cluster.pki.client(REGION, silent), cluster.pki.client(REGION, 9));
    let garbage = Bytes::from_static(&[1]);

    // Two bodies of unknown length are all there is room for.
    let endpoint = cluster.endpoint(leader);
    let hold = || unknown.post_stream(&endpoint, &Expect::AnyNode, 1, path::APPEND, endless(), Duration::from_secs(60));
    let full = async {
        while cluster.post(&unknown, leader, path::APPEND, garbage.clone()).await != StatusCode::TOO_MANY_REQUESTS {}
        assert_eq!(cluster.post(&member, leader, path::APPEND, garbage.clone()).await, StatusCode::BAD_REQUEST, "heard");
    };
    within("unknown nodes have no more room", async {
        tokio::select! {
            () = full => {}
            (first, second) = async { tokio::join!(hold(), hold()) } => panic!("{first:?} {second:?}"),
        }
    })
    .await;
    // Those requests are gone now, and their room is free again.
    within("room again", async {
        while cluster.post(&unknown, leader, path::APPEND, garbage.clone()).await == StatusCode::TOO_MANY_REQUESTS {}
    })
    .await;
}
