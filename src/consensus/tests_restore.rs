//! A region that begins with another's state: one node at first, more by joining, and nothing to do with the lost ones.

use std::ops::ControlFlow;
use std::time::Duration;

use claviger_state::{Table, Tables};
use claviger_storage::{LocalIdentity, StateImport};
use claviger_types::{ClusterId, NodeId};
use openraft::raft::VoteRequest;

use crate::raft_types::{TypeConfig, Vote};
use crate::restore::{StateView, begin_with};
use crate::testing::{CLUSTER, Cluster, REGION, create, create_key, within};
use crate::{Consensus, ConsensusError, JoinError, Limits, Readiness, Region, wire};

const NEW_CLUSTER: ClusterId = ClusterId::from_bytes([9; 16]);

/// What a backup has.
struct Backup {
    rows: Vec<(Table, Vec<u8>, Vec<u8>)>,
    applied_index: u64,
}

async fn back_up(consensus: &Consensus) -> Backup {
    let StateView { tables, applied_index } = within("a view", consensus.view()).await.unwrap();
    let mut rows = Vec::new();
    for table in Table::ALL {
        let keep = &mut |row: &[u8], record: &[u8]| {
            rows.push((*table, row.to_vec(), record.to_vec()));
            ControlFlow::Continue(())
        };
        tables.scan(*table, &[], keep).unwrap();
    }
    Backup { rows, applied_index }
}

/// Gives a new node's directory the rows of a backup.
async fn restore(cluster: &Cluster, id: NodeId, backup: &Backup) -> Result<(), ConsensusError> {
    let storage = cluster.storage(id).await;
    let mut import = StateImport::begin(&storage.state()).unwrap();
    for (table, row, record) in &backup.rows {
        import.put(*table, row, record).unwrap();
    }
    begin_with(&storage, import, backup.applied_index, &cluster.endpoint(id))?;
    let identity = storage.local().identity().unwrap().unwrap();
    storage.local().write_identity(&LocalIdentity { cluster_id: Some(NEW_CLUSTER), ..identity }).unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_node_leads_goes_on_behind_the_backup_and_lets_others_join() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    for number in 0..50 {
        create(cluster.node(1), number).await;
    }
    // A follower's backup has what was acknowledged elsewhere.
    let follower = cluster.follower().await;
    create(cluster.node(cluster.leader().await), 50).await;
    let backup = back_up(cluster.node(follower)).await;
    for number in 51..60 {
        create(cluster.node(1), number).await;
    }
    for id in [1, 2, 3] {
        cluster.kill(id).await;
    }
    cluster.reserve(4).await;
    restore(&cluster, 4, &backup).await.unwrap();
    // The region that lives must not take it for an empty node: the two states would be one log apart, unseen.
    assert!(matches!(cluster.join(4, 1).await, Err(JoinError::NotEmpty)));

    cluster.start(4).await;
    assert_eq!(cluster.keys_at(4).await, 51, "what came after the backup is lost, and nothing else");
    assert_eq!(cluster.node(4).readiness(), Readiness::Ready);
    let status = cluster.node(4).status();
    assert!(status.applied_index > Some(backup.applied_index), "{status:?}");
    // An invocation of the lost cluster is remembered, and new ones are taken.
    create(cluster.node(4), 50).await;
    assert_eq!(cluster.keys_at(4).await, 51);
    create(cluster.node(4), 100).await;
    // Its log does not begin at the beginning: others take a snapshot.
    cluster.join(5, 4).await.unwrap();
    cluster.join(6, 4).await.unwrap();
    cluster.until("three voters", |cluster| cluster.node(4).status().voters.len() == 3).await;
    for id in [4, 5, 6] {
        assert_eq!(cluster.keys_at(id).await, 52);
    }
    cluster.kill(4).await;
    create(cluster.node(5), 101).await;
    cluster.start(4).await;
    assert_eq!(cluster.keys_at(4).await, 53);

    // A node of the lost cluster comes back: nobody listens to it, and it serves nobody.
    cluster.start(2).await;
    assert_eq!(cluster.node(2).cluster_id(), Some(CLUSTER));
    let message = wire::seal(CLUSTER, &VoteRequest::<TypeConfig>::new(Vote::new(1000, 2), None)).unwrap();
    let old = cluster.pki.client(REGION, 2);
    let leader = cluster.leader_among(|id| id >= 4).await;
    for path in [wire::path::VOTE, wire::path::PRE_VOTE] {
        assert_eq!(cluster.post(&old, leader, path, message.clone()).await, http::StatusCode::FORBIDDEN, "{path}");
    }
    let refused = tokio::time::timeout(Duration::from_secs(30), cluster.node(2).propose(create_key(200))).await.unwrap();
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(cluster.node(2).readiness(), Readiness::Recovering);
    assert_eq!(cluster.keys_at(leader).await, 53);
    assert_eq!(cluster.node(leader).status().voters.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_has_taken_part_in_a_group_begins_with_nothing_else() {
    let mut cluster = Cluster::founded(Limits::default()).await;
    create(cluster.node(1), 0).await;
    let backup = back_up(cluster.node(1)).await;
    cluster.kill(1).await;
    let refused = restore(&cluster, 1, &backup).await;
    assert!(matches!(refused, Err(ConsensusError::NotEmpty)), "{refused:?}");
    cluster.start(1).await;
    assert_eq!(cluster.keys_at(1).await, 1);
    // One that has no identity is nobody's.
    let storage = claviger_storage::Storage::open(&cluster.path_of(9), claviger_storage::StorageOptions::default()).unwrap();
    let import = StateImport::begin(&storage.state()).unwrap();
    assert!(matches!(begin_with(&storage, import, 1, "https://127.0.0.1:1"), Err(ConsensusError::NoIdentity)));
}
