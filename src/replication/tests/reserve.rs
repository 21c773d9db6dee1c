//! Rule 10: a reservation lapses when its document can never come, and never otherwise.

use claviger_state::Refusal;

use super::*;
use crate::ReservationRefusal;
use crate::message::path;

fn is_reserved(site: &Site, id: &KeyId) -> bool {
    read::reservation(&*site.tables(), id).unwrap().is_some()
}

#[test]
fn one_that_is_never_committed_lapses() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let (id, deadline) = (a.create().await, a.deadline());
        a.reserve_at(b, id, deadline).await;
        assert!(is_reserved(b, &id));
        // Old enough here, and its primary's time has not come yet: it stays.
        b.clock.advance(2 * RESERVATION_WINDOW);
        until("B asks", || !world.network.seen(path::RESERVATION).is_empty()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(is_reserved(b, &id));
        a.clock.set(deadline.plus(Duration::from_millis(1)));
        until("it lapses", || !is_reserved(b, &id)).await;
        assert_eq!(a.commit_replica(b, id, deadline).await, Err(Refusal::ReservationLapsed));
    });
}

#[test]
fn none_lapses_while_the_leader_may_not_propose_due_work() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let no_due_work = NoDueWork::NoMajority { known: 1, voters: 3 };
        *b.region.no_due_work.lock() = Some(no_due_work);
        let (id, deadline) = (a.create().await, a.deadline());
        a.reserve_at(b, id, deadline).await;
        [a, b].iter().for_each(|site| site.clock.advance(10 * RESERVATION_WINDOW));
        // It would be asked after at every look.
        tokio::time::sleep(10 * config().reservation_check_interval).await;
        assert!(is_reserved(b, &id) && world.network.seen(path::RESERVATION).is_empty());
        *b.region.no_due_work.lock() = None;
        until("it lapses", || !is_reserved(b, &id)).await;
    });
}

#[test]
fn one_that_was_committed_stays_until_its_document_comes() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        world.network.cut_path(path::DOCUMENTS);
        let (id, deadline) = (a.create().await, a.deadline());
        a.reserve_at(b, id, deadline).await;
        a.commit_replica(b, id, deadline).await.unwrap();
        [a, b].iter().for_each(|site| site.clock.advance(10 * RESERVATION_WINDOW));
        let asked = world.network.seen(path::RESERVATION).len();
        until("B asks and is answered", || world.network.seen(path::RESERVATION).len() > asked + 2).await;
        assert!(is_reserved(b, &id));
        world.network.mend();
        world.settle().await;
        assert!(b.document(&id).is_some() && !is_reserved(b, &id));
    });
}

#[test]
fn a_primary_that_does_not_answer_keeps_its_reservations_and_no_others() {
    run(async {
        let world = World::three().await;
        let (a, b, c) = (world.site(A), world.site(B), world.site(C));
        let (from_a, from_c) = (a.create().await, c.create().await);
        a.reserve_at(b, from_a, a.deadline()).await;
        c.reserve_at(b, from_c, c.deadline()).await;
        world.network.cut_region(a.name.clone());
        world.sites.iter().for_each(|site| site.clock.advance(10 * RESERVATION_WINDOW));
        until("C's lapses", || !is_reserved(b, &from_c)).await;
        assert!(is_reserved(b, &from_a));
        world.network.mend();
        until("A's lapses", || !is_reserved(b, &from_a)).await;
    });
}

#[test]
fn a_refusal_of_the_target_reaches_the_primary() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let key_id = b.create().await;
        let reservation = reservation(key_id, a.deadline());
        let refused = a.replicator.reserve(&b.name, reservation.clone()).await.unwrap();
        assert_eq!(refused, Err(ReservationRefusal::Refused(Refusal::AlreadyExists)));
        let unknown = a.replicator.reserve(&name("no-where-1"), reservation).await;
        assert!(matches!(unknown, Err(crate::ReplicationError::UnknownPeer(_))));
    });
}

#[test]
fn at_the_deadline_itself_a_commit_may_still_come() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let (id, deadline) = (a.create().await, a.deadline());
        a.reserve_at(b, id, deadline).await;
        a.clock.set(deadline);
        b.clock.advance(2 * RESERVATION_WINDOW);
        until("B asks and is answered", || world.network.seen(path::RESERVATION).len() > 2).await;
        a.commit_replica(b, id, deadline).await.unwrap();
        world.settle().await;
        assert!(b.document(&id).is_some());
    });
}

/// The race that rule 10 is about: commit and lapse at the deadline, with the clock passing it in between.
#[test]
fn commit_and_lapse_never_both_happen() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        world.network.cut_path(path::DOCUMENTS);
        let (mut committed, mut lapsed) = (Vec::new(), 0);
        for round in 0..60_u64 {
            let (id, deadline) = (a.create().await, a.clock.now().plus(Duration::from_secs(60)));
            a.reserve_at(b, id, deadline).await;
            b.clock.advance(2 * RESERVATION_WINDOW);
            a.clock.set(deadline);
            let commit = async {
                tokio::time::sleep(Duration::from_micros(700 * (round % 12))).await;
                a.commit_replica(b, id, deadline).await
            };
            let pass = async {
                tokio::time::sleep(Duration::from_micros(500 * (round % 7))).await;
                a.clock.advance(Duration::from_millis(1));
            };
            match tokio::join!(commit, pass).0 {
                Ok(_) => committed.push(id),
                Err(refusal) => {
                    assert_eq!(refusal, Refusal::ReservationLapsed);
                    until("a refused one lapses", || !is_reserved(b, &id)).await;
                    lapsed += 1;
                }
            }
        }
        assert!(!committed.is_empty() && lapsed > 0, "{} committed, {lapsed} lapsed", committed.len());
        let asked = world.network.seen(path::RESERVATION).len();
        until("B asks after them again", || world.network.seen(path::RESERVATION).len() > asked + 1).await;
        assert!(committed.iter().all(|id| is_reserved(b, id)));
        world.network.mend();
        world.settle().await;
        assert!(committed.iter().all(|id| b.document(id).is_some()));
    });
}
