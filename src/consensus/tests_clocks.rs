//! Regions whose nodes have wrong clocks: what log time makes of them.

use std::time::Duration;

use claviger_state::{CommandBody, read};
use claviger_types::{Clock, NodeId, SystemClock, Timestamp};

use crate::testing::{Cluster, create, within};
use crate::{Consensus, Limits, NoDueWork, ProposeError, Region};

const HOUR: i64 = 60 * 60 * 1000;
const YEAR: i64 = 365 * 24 * HOUR;
/// Log time this close to the true time is right; a busy machine may take its time over a test.
const CLOSE: i64 = 60 * 1000;

/// How far log time is ahead of the true time, once a command has been applied at this node.
async fn log_time_error(consensus: &Consensus) -> i64 {
    within("a tick", async { while !matches!(consensus.propose(CommandBody::Tick).await, Ok(Ok(_))) {} }).await;
    within("a read", async { while consensus.read().await.is_err() {} }).await;
    read::log_time(&*consensus.tables()).unwrap().millis_ahead_of(SystemClock.now())
}

/// A region whose leader knows all the clocks, and leads on even if the machine is busy.
async fn region_of(nodes: NodeId) -> Cluster {
    let mut cluster = Cluster::new(Limits::default());
    cluster.timings.election_min = Duration::from_secs(2);
    cluster.timings.election_max = Duration::from_secs(4);
    cluster.timings.hold = Duration::from_secs(10);
    cluster.found().await;
    cluster.grow(nodes).await;
    let leader = cluster.leader().await;
    let knows_all = |cluster: &Cluster| {
        let status = cluster.node(leader).0.clocks.status();
        status.is_some_and(|status| status.voters.len() as u64 == nodes && status.voters.iter().all(|voter| voter.clock.is_some()))
    };
    cluster.until("all clocks are known", knows_all).await;
    cluster
}

/// Sets a clock and waits until the leader has looked at it, and at its own.
async fn set_clock(cluster: &mut Cluster, id: NodeId, ahead_millis: i64) {
    cluster.clock(id).set(ahead_millis);
    looked(cluster).await;
}

/// Until a look has begun and ended since the call.
async fn looked(cluster: &Cluster) {
    let leader = cluster.leader().await;
    let looks = |cluster: &Cluster| cluster.node(leader).0.clocks.looks();
    let before = looks(cluster).unwrap_or_default();
    cluster.until("the leader has looked at the clocks", |cluster| looks(cluster).is_some_and(|now| now >= before + 2)).await;
}

async fn until_due_work(cluster: &Cluster, id: NodeId, what: &str, holds: impl Fn(&Result<(), NoDueWork>) -> bool) {
    cluster.until(what, |cluster| holds(&cluster.node(id).due_permit().map(|_| ()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_clock_of_three_moves_nothing_whoever_has_it() {
    let mut cluster = region_of(3).await;
    let leader = cluster.leader().await;
    until_due_work(&cluster, leader, "due work is allowed", Result::is_ok).await;
    for wrong in [YEAR, -YEAR] {
        let follower = cluster.follower().await;
        for id in [leader, follower] {
            set_clock(&mut cluster, id, wrong).await;
            for asked in [1, 2, 3] {
                let error = log_time_error(cluster.node(asked)).await;
                assert!(error.abs() < CLOSE, "{error} ms off, asked at {asked}, with the clock of {id} {wrong} ms off");
                // Deadlines are made of it at every node.
                let estimate = cluster.node(asked).log_time().unwrap().millis_ahead_of(SystemClock.now());
                assert!(estimate.abs() < CLOSE, "{estimate} ms off at {asked}");
            }
            assert_eq!(cluster.leader().await, leader);
            let permit = cluster.node(leader).due_permit();
            if id == leader {
                assert!(
                    matches!(permit, Err(NoDueWork::OwnClock { offset_millis }) if (offset_millis - wrong).abs() < CLOSE),
                    "{permit:?}"
                );
            } else {
                permit.unwrap();
            }
            set_clock(&mut cluster, id, 0).await;
            until_due_work(&cluster, leader, "due work is allowed again", Result::is_ok).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bad_clocks_of_five_move_nothing_and_a_majority_that_jumps_is_followed() {
    let mut cluster = region_of(5).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    for (first, second) in [(YEAR, YEAR), (-YEAR, YEAR), (-YEAR, -YEAR)] {
        set_clock(&mut cluster, leader, first).await;
        set_clock(&mut cluster, follower, second).await;
        let error = log_time_error(cluster.node(leader)).await;
        assert!(error.abs() < CLOSE, "{error} ms off with clocks {first} and {second} ms off");
        assert!(matches!(cluster.node(leader).due_permit(), Err(NoDueWork::OwnClock { .. })));
    }
    // As if all had been off for an hour.
    for id in 1..=5 {
        cluster.clock(id).set(HOUR);
    }
    looked(&cluster).await;
    until_due_work(&cluster, leader, "due work is allowed", Result::is_ok).await;
    // Every node hears of it without any command.
    let ahead = |consensus: &Consensus| consensus.log_time().unwrap().millis_ahead_of(SystemClock.now());
    let all_know = |cluster: &Cluster| cluster.nodes.values().all(|node| (ahead(&node.consensus) - HOUR).abs() < CLOSE);
    cluster.until("all nodes know log time", all_know).await;
    let error = log_time_error(cluster.node(leader)).await;
    assert!((error - HOUR).abs() < CLOSE, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_goes_on_from_log_time_whatever_its_own_clock_shows() {
    let mut cluster = region_of(3).await;
    let leader = cluster.leader().await;
    create(cluster.node(leader), 0).await;
    let bad = cluster.follower().await;
    cluster.clock(bad).set(YEAR);
    cluster.kill(leader).await;
    // Whichever of the two leads, before and after it has looked at the clocks.
    for number in 1..30 {
        let next = cluster.leader().await;
        create(cluster.node(next), number).await;
        let error = log_time_error(cluster.node(next)).await;
        assert!(error.abs() < CLOSE, "{error} ms off");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn due_work_is_proposed_by_a_leader_with_a_good_clock_alone_and_only_in_its_term() {
    let mut cluster = region_of(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    until_due_work(&cluster, leader, "due work is allowed", Result::is_ok).await;
    assert_eq!(cluster.node(follower).due_permit().unwrap_err(), NoDueWork::NotLeader);
    let permit = cluster.node(leader).due_permit().unwrap();
    cluster.node(leader).propose_due(&permit, CommandBody::Tick).await.unwrap().unwrap();
    // It had a permit, and its clock has gone wrong since.
    set_clock(&mut cluster, leader, YEAR).await;
    let refused = cluster.node(leader).propose_due(&permit, CommandBody::Tick).await;
    assert!(matches!(refused, Err(ProposeError::Unavailable(_))), "{refused:?}");
    set_clock(&mut cluster, leader, 0).await;
    until_due_work(&cluster, leader, "due work is allowed again", Result::is_ok).await;
    cluster.node(leader).propose_due(&permit, CommandBody::Tick).await.unwrap().unwrap();
    // Whoever follows has not what the former leader had.
    let refused = cluster.node(follower).propose_due(&permit, CommandBody::Tick).await;
    assert!(matches!(refused, Err(ProposeError::Unavailable(_))), "{refused:?}");
    cluster.node(leader).hand_over().await;
    let next = cluster.leader().await;
    assert_ne!(next, leader);
    until_due_work(&cluster, next, "due work is allowed at the next leader", Result::is_ok).await;
    let refused = cluster.node(next).propose_due(&permit, CommandBody::Tick).await;
    assert!(matches!(refused, Err(ProposeError::Unavailable(_))), "{refused:?}");
    // A leader that hears too few clocks.
    for id in [1, 2, 3].into_iter().filter(|id| *id != next) {
        cluster.kill(id).await;
    }
    until_due_work(&cluster, next, "no due work", |due| matches!(due, Err(NoDueWork::NoMajority { .. } | NoDueWork::NotLeader))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_says_what_the_leader_knows_of_the_clocks() {
    let mut cluster = region_of(3).await;
    let follower = cluster.follower().await;
    set_clock(&mut cluster, follower, -HOUR).await;
    let leader = cluster.leader().await;
    for id in [1, 2, 3] {
        let status = cluster.node(id).clock_status().await.unwrap();
        assert_eq!((status.leader, status.due_work), (leader, Ok(())));
        assert_eq!(status.voters.iter().map(|voter| voter.id).collect::<Vec<_>>(), [1, 2, 3]);
        let offset = |id| status.offset_millis(status.voters.iter().find(|voter| voter.id == id).unwrap()).unwrap();
        assert!((offset(follower) + HOUR).abs() < CLOSE && offset(leader).abs() < CLOSE, "{status:?}");
        assert!(status.median.unwrap().millis_ahead_of(SystemClock.now()).abs() < CLOSE);
    }
    // There is nothing to accept where a majority decides, and nobody but the leader could.
    let acceptance = cluster.node(leader).accept_clock(false).await.unwrap();
    assert!(!acceptance.had_jumped);
    assert!(matches!(cluster.node(follower).accept_clock(false).await, Err(crate::AcceptClockError::NotLeader(Some(id))) if id == leader));
    // A voter that does not answer is said not to be known, and the others still are a majority.
    cluster.kill(follower).await;
    let silent = |status: crate::ClockStatus| status.voters.iter().any(|voter| voter.id == follower && voter.clock.is_none());
    within("it is not known", async {
        while !cluster.node(leader).clock_status().await.is_ok_and(silent) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    cluster.node(leader).due_permit().unwrap();
}

/// Until the region's only node has followed its clock, or has seen that it cannot.
async fn until_log_time(cluster: &Cluster, what: &str, ahead_millis: i64) {
    within(what, async {
        while (log_time_error(cluster.node(1)).await - ahead_millis).abs() > CLOSE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_of_one_follows_a_jump_of_its_clock_only_once_that_is_accepted() {
    let mut cluster = Cluster::founded(Limits::default()).await;
    until_due_work(&cluster, 1, "due work is allowed", Result::is_ok).await;
    let nothing = cluster.node(1).accept_clock(false).await.unwrap();
    assert!(!nothing.had_jumped);
    cluster.clock(1).set(YEAR);
    until_due_work(&cluster, 1, "the jump is seen", |due| matches!(due, Err(NoDueWork::ClockJumped { .. }))).await;
    let before = log_time_error(cluster.node(1)).await;
    // It goes on, by the monotonic clock.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let after = log_time_error(cluster.node(1)).await;
    assert!(before.abs() < CLOSE && (after - before).abs() < 500, "{before} {after}");

    let shown = cluster.node(1).accept_clock(true).await.unwrap();
    assert!(shown.had_jumped && shown.clock.since(shown.log_time) > Duration::from_secs(364 * 24 * 60 * 60), "{shown:?}");
    assert!(log_time_error(cluster.node(1)).await.abs() < CLOSE, "only shown");
    assert!(cluster.node(1).accept_clock(false).await.unwrap().had_jumped);
    // It is in the log: nothing else has been proposed, and a crash does not undo it.
    let accepted = read::log_time(&*cluster.node(1).tables()).unwrap();
    assert!((accepted.millis_ahead_of(SystemClock.now()) - YEAR).abs() < CLOSE);
    until_due_work(&cluster, 1, "due work is allowed", Result::is_ok).await;
    assert!(!cluster.node(1).accept_clock(false).await.unwrap().had_jumped, "a second time there is nothing to accept");
    cluster.kill(1).await;
    cluster.start(1).await;
    cluster.leader().await;
    until_due_work(&cluster, 1, "due work is allowed after a restart", Result::is_ok).await;
    let error = log_time_error(cluster.node(1)).await;
    assert!((error - YEAR).abs() < CLOSE, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_of_one_may_have_been_off_for_a_day_and_no_longer() {
    let mut cluster = Cluster::founded(Limits::default()).await;
    create(cluster.node(1), 0).await;
    for (off, followed) in [(20 * HOUR, 20 * HOUR), (20 * HOUR + 25 * HOUR, 20 * HOUR), (43 * HOUR, 43 * HOUR)] {
        cluster.kill(1).await;
        cluster.clock(1).set(off);
        cluster.start(1).await;
        cluster.leader().await;
        let due = |due: &Result<(), NoDueWork>| due.is_ok() == (off == followed) && !matches!(due, Err(NoDueWork::NotLeader));
        until_due_work(&cluster, 1, "it has looked at its clock", due).await;
        until_log_time(&cluster, "log time is where it should be", followed).await;
    }
    // Backwards nothing is followed; log time never runs backwards.
    let before: Timestamp = read::log_time(&*cluster.node(1).tables()).unwrap();
    cluster.clock(1).set(0);
    until_due_work(
        &cluster,
        1,
        "the jump is seen",
        |due| matches!(due, Err(NoDueWork::ClockJumped { offset_millis }) if *offset_millis < 0),
    )
    .await;
    until_log_time(&cluster, "log time goes on", 43 * HOUR).await;
    assert!(cluster.node(1).accept_clock(false).await.unwrap().had_jumped);
    until_due_work(&cluster, 1, "accepted", Result::is_ok).await;
    log_time_error(cluster.node(1)).await;
    assert!(read::log_time(&*cluster.node(1).tables()).unwrap() > before);
    // What is due waits for the clock.
    assert!(cluster.node(1).due_permit().unwrap().time().millis_ahead_of(SystemClock.now()).abs() < CLOSE);
}
