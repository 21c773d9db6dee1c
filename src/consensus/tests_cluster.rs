//! Regions of one and three nodes: elections, writes anywhere, linearizable reads, crashes, joining.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use claviger_state::{CommandBody, FoundRegion, PublishCrl, Refusal, read};
use claviger_types::{ClusterId, NodeInstance, Timestamp};
use tokio::time::Instant;

use crate::testing::{CLUSTER, Cluster, create, create_key, found_region, key_count, within};
use crate::{ConsensusError, JoinError, Limits, ProposeError, Readiness, Region, Role, Unavailable};

const FEW_ENTRIES: Limits = Limits { proposals_max: 4096, proposal_bytes_max: 64 << 20, snapshot_every_entries: 100, keep_entries: 10 };

#[tokio::test(flavor = "multi_thread")]
async fn a_region_of_one_is_founded_once_serves_and_is_found_again_after_a_crash() {
    let mut cluster = Cluster::founded(Limits::default()).await;
    for number in 0..20 {
        create(cluster.node(1), number).await;
    }
    assert_eq!(cluster.keys_at(1).await, 20);
    assert_eq!(cluster.nodes[&1].told.keys.load(Ordering::SeqCst), 20);
    // The same invocation again: the same answer, and nothing twice.
    create(cluster.node(1), 3).await;
    cluster.node(1).found(found_region()).await.unwrap();
    assert_eq!(cluster.keys_at(1).await, 20);
    let status = cluster.node(1).status();
    assert_eq!((status.role, status.leader, status.voters.len()), (Role::Leader, Some(1), 1));
    assert_eq!(cluster.node(1).readiness(), Readiness::Ready);
    let other = FoundRegion { cluster_id: ClusterId::from_bytes([1; 16]), ..found_region() };
    assert!(matches!(cluster.node(1).found(other).await, Err(ConsensusError::OtherCluster(CLUSTER))));

    cluster.kill(1).await;
    cluster.start(1).await;
    assert_eq!(cluster.keys_at(1).await, 20);
    cluster.stop(1).await;
    cluster.start(1).await;
    assert_eq!(cluster.keys_at(1).await, 20);
    create(cluster.node(1), 20).await;
    assert_eq!(cluster.keys_at(1).await, 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_join_and_any_node_writes_and_reads_through_the_loss_of_leaders() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    let mut written = 0;
    for id in [1, 2, 3] {
        create(cluster.node(id), written).await;
        written += 1;
        for reader in [1, 2, 3] {
            assert_eq!(cluster.keys_at(reader).await, written, "written at {id}, read at {reader}");
        }
    }
    for _ in 0..2 {
        let leader = cluster.leader().await;
        cluster.kill(leader).await;
        let begun = Instant::now();
        for survivor in cluster.nodes.keys().copied().collect::<Vec<_>>() {
            create(cluster.node(survivor), written).await;
            written += 1;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert_ne!(cluster.leader().await, leader);
        for survivor in cluster.nodes.keys().copied().collect::<Vec<_>>() {
            assert_eq!(cluster.keys_at(survivor).await, written);
        }
        // It catches up by the log.
        cluster.start(leader).await;
        assert_eq!(cluster.keys_at(leader).await, written);
        assert_eq!(cluster.nodes[&leader].told.everything.load(Ordering::SeqCst), 0);
    }
    // A leader that is told to stop hands over first.
    let leader = cluster.leader().await;
    cluster.stop(leader).await;
    let next = cluster.leader().await;
    create(cluster.node(next), written).await;
    assert_eq!(cluster.keys_at(next).await, written + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_too_long_for_the_log_takes_a_snapshot() {
    let mut cluster = Cluster::of_three(FEW_ENTRIES).await;
    create(cluster.node(1), 0).await;
    let away = cluster.follower().await;
    cluster.kill(away).await;
    let leader = cluster.leader().await;
    for number in 1..400 {
        create(cluster.node(leader), number).await;
    }
    cluster.until("a purge", |cluster| cluster.node(leader).status().purged_index > Some(200)).await;
    cluster.start(away).await;
    assert_eq!(cluster.keys_at(away).await, 400);
    assert!(cluster.nodes[&away].told.everything.load(Ordering::SeqCst) > 0, "no snapshot was installed");
    assert!(cluster.node(away).status().snapshot_index > Some(200));
    // What came by snapshot is there after a crash, and the log goes on behind it.
    create(cluster.node(away), 400).await;
    cluster.kill(away).await;
    cluster.start(away).await;
    assert_eq!(cluster.keys_at(away).await, 401);
    // A new node needs a snapshot too, and becomes a voter.
    cluster.join(4, away).await.unwrap();
    assert_eq!(cluster.keys_at(4).await, 401);
    cluster.until("a fourth voter", |cluster| cluster.node(4).status().voters.len() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_belongs_to_one_disk_for_ever() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    let victim = cluster.follower().await;
    let other = *cluster.nodes.keys().find(|id| **id != victim).unwrap();
    // Its own directory, with its log, does not join a second time.
    cluster.kill(victim).await;
    assert!(matches!(cluster.join(victim, other).await, Err(JoinError::NotEmpty)));
    // Another directory under the same id is refused by the region.
    cluster.wipe(victim).await;
    let storage = cluster.storage_of(victim, NodeInstance::from_bytes([99; 16])).await;
    drop(storage);
    let refused = cluster.join(victim, other).await.unwrap_err();
    assert!(matches!(&refused, JoinError::Refused { reason, .. } if *reason == Refusal::NodeIdUsed.to_string()), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_linearizable_on_every_node_under_concurrent_writes() {
    const WRITERS: u64 = 4;
    const WRITES: u64 = 150;
    let cluster = Cluster::of_three(FEW_ENTRIES).await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (consensus, acknowledged) = (cluster.node(1 + writer % 3).clone(), Arc::clone(&acknowledged));
        writers.push(tokio::spawn(async move {
            for number in 0..WRITES {
                create(&consensus, writer * WRITES + number).await;
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    let mut readers = Vec::new();
    for id in [1, 2, 3] {
        for _ in 0..8 {
            let (consensus, acknowledged) = (cluster.node(id).clone(), Arc::clone(&acknowledged));
            readers.push(tokio::spawn(async move {
                let (mut reads, mut last) = (0_u64, 0);
                while last < WRITERS * WRITES {
                    let before = acknowledged.load(Ordering::SeqCst);
                    consensus.read().await.unwrap();
                    let seen = key_count(&*consensus.tables());
                    assert!(seen >= before, "node {id}: {before} were acknowledged before the read, which saw {seen}");
                    assert!(seen >= last, "node {id} went back from {last} to {seen}");
                    last = seen;
                    reads += 1;
                }
                reads
            }));
        }
    }
    for writer in writers {
        within("writers", writer).await.unwrap();
    }
    for reader in readers {
        assert!(within("readers", reader).await.unwrap() > 0);
    }
}

/// Commands with an invocation are tried again inside: a caller notices the loss of a leader by the time it takes.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_when_the_leader_dies_happens_once_and_is_seen_by_every_later_read() {
    const WRITES: u64 = 120;
    let mut cluster = Cluster::of_three(FEW_ENTRIES).await;
    let leader = cluster.leader().await;
    let survivors: Vec<_> = cluster.nodes.keys().copied().filter(|id| *id != leader).collect();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for (number, id) in survivors.iter().cycle().take(8).enumerate() {
        let (consensus, acknowledged) = (cluster.node(*id).clone(), Arc::clone(&acknowledged));
        writers.push(tokio::spawn(async move {
            for key in 0..WRITES {
                consensus.propose(create_key(number as u64 * WRITES + key)).await.unwrap().unwrap();
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    for id in &survivors {
        let (consensus, acknowledged) = (cluster.node(*id).clone(), Arc::clone(&acknowledged));
        readers.push(tokio::spawn(async move {
            let mut seen = 0;
            while seen < 8 * WRITES {
                let before = acknowledged.load(Ordering::SeqCst);
                consensus.read().await.unwrap();
                seen = key_count(&*consensus.tables());
                assert!(seen >= before, "{before} were acknowledged before the read, which saw {seen}");
            }
        }));
    }
    cluster.until("writes under way", |_| acknowledged.load(Ordering::SeqCst) > 100).await;
    cluster.kill(leader).await;
    for task in writers.into_iter().chain(readers) {
        within("a writer or reader", task).await.unwrap();
    }
    cluster.start(leader).await;
    for id in [1, 2, 3] {
        assert_eq!(cluster.keys_at(id).await, 8 * WRITES);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_refuses_at_once_until_it_hears_from_a_leader() {
    let mut cluster = Cluster::of_three(Limits::default()).await;
    create(cluster.node(1), 0).await;
    cluster.kill(2).await;
    cluster.kill(3).await;
    let begun = Instant::now();
    within("refusal", async { while cluster.node(1).read().await.is_ok() {} }).await;
    assert!(begun.elapsed() < cluster.timings.hold * 2, "{:?}", begun.elapsed());
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(cluster.node(1).read().await, Err(Unavailable));
    }
    assert!(begun.elapsed() < cluster.timings.hold / 2, "{:?}", begun.elapsed());
    assert_eq!(cluster.node(1).readiness(), Readiness::NoLeader, "nobody should send it requests");
    // A proposal is certain not to have been made, or its outcome is unknown; never anything else.
    let proposed = cluster.node(1).propose(CommandBody::Tick).await;
    assert!(matches!(proposed, Err(ProposeError::Unavailable(_) | ProposeError::Unknown)), "{proposed:?}");

    cluster.start(2).await;
    assert_eq!(cluster.keys_at(1).await, 1);
    create(cluster.node(1), 1).await;
    assert_eq!(cluster.keys_at(2).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn proposals_past_the_bounds_are_refused() {
    let cluster = Cluster::founded(Limits { proposals_max: 2, ..Limits::default() }).await;
    let attempts = (0..50).map(|number| cluster.node(1).propose(create_key(number)));
    let outcomes = futures::future::join_all(attempts).await;
    let overloaded = outcomes.iter().filter(|outcome| matches!(outcome, Err(ProposeError::Overloaded))).count();
    assert!(overloaded > 0 && overloaded < 50, "{overloaded}");
    assert_eq!(cluster.keys_at(1).await, 50 - overloaded as u64);

    let CommandBody::CreateKey(mut large) = create_key(99) else { unreachable!() };
    large.description = "x".repeat(crate::COMMAND_BYTES_MAX);
    assert!(matches!(cluster.node(1).propose(CommandBody::CreateKey(large)).await, Err(ProposeError::TooLarge)));
}

/// Every node enforces what is in the log, or stops.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_list_that_cannot_be_read_never_reaches_the_log_whoever_proposes_it() {
    let cluster = Cluster::of_three(Limits::default()).await;
    let (this_update, next_update) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
    let list = PublishCrl { ca: [1; 32], number: [1; 20], this_update, next_update, der: vec![0x30, 0] };
    for member in [cluster.leader().await, cluster.follower().await] {
        let told = cluster.node(member).propose(CommandBody::PublishCrl(Box::new(list.clone()))).await.unwrap();
        assert!(matches!(told, Err(Refusal::BadCrl(_))), "{told:?}");
    }
    create(cluster.node(1), 1).await;
    assert!(read::crls(&cluster.node(1).tables()).unwrap().is_empty());
}
