//! `convergence`, `material_is_immutable`, `regional_stays_regional`, `version_never_regresses`.

use std::collections::BTreeMap;
use std::time::Duration;

use claviger_protocol::MemberStatus;
use claviger_types::KeyState;
use proptest::prelude::*;

use super::*;

#[test]
fn a_key_becomes_active_everywhere_with_one_document_and_one_material() {
    run(async {
        let world = World::three().await;
        let (a, b, c) = (world.site(A), world.site(B), world.site(C));
        let id = a.create().await;
        a.replicate(b, id).await;
        a.replicate(c, id).await;
        world.settle().await;
        let document = a.document(&id).unwrap();
        assert_eq!(document.members.len(), 3);
        assert!(document.members.values().all(|member| member.status == MemberStatus::Active));
        assert_eq!(a.materials(&id), c.materials(&id));
        // The same secret, and not one sealed byte in common: each region has its own barrier.
        let sealed = |site: &Site| read::material(&*site.tables(), &id, &document.materials[0].id).unwrap().unwrap().sealed;
        assert_ne!(sealed(a), sealed(b));
        assert!(c.barrier.unseal32(RecordPlace::material(&id, &document.materials[0].id).context(), &sealed(b)).is_err());
    });
}

#[test]
fn what_is_regional_stays_regional() {
    run(async {
        let world = World::three().await;
        let (a, b, c) = (world.site(A), world.site(B), world.site(C));
        let id = a.create().await;
        a.replicate(b, id).await;
        world.settle().await;
        b.set_enabled(id, false).await;
        a.replicate(c, id).await;
        world.settle().await;
        let [in_a, in_b, in_c] = [a, b, c].map(|site| site.key(&id).unwrap());
        assert_eq!(in_a.regional.description, format!("made in {A}"));
        assert_eq!(in_b.regional.description, format!("replica in {B}"));
        assert_eq!(in_b.regional.tags, BTreeMap::new());
        assert_eq!(in_c.regional.description, format!("replica in {C}"));
        assert_eq!([in_a.regional.enabled, in_b.regional.enabled, in_c.regional.enabled], [true, false, true]);
        assert_eq!(in_b.regional.state(&in_b.document, &b.name, in_b.regional.admitted_in), KeyState::Disabled);
    });
}

#[test]
fn a_region_that_was_down_catches_up_by_itself() {
    run(async {
        let world = World::three().await;
        let (a, b, c) = (world.site(A), world.site(B), world.site(C));
        let mut ids = Vec::new();
        for _ in 0..10 {
            let (id, deadline) = (a.create().await, a.deadline());
            a.reserve_at(c, id, deadline).await;
            ids.push((id, deadline));
        }
        world.network.cut_region(c.name.clone());
        for (id, deadline) in &ids {
            a.commit_replica(c, *id, *deadline).await.unwrap();
            a.replicate(b, *id).await;
        }
        until("B has them", || ids.iter().all(|(id, _)| b.document(id).is_some())).await;
        a.clock.advance(Duration::from_secs(7));
        let behind = a.replicator.peers().await.unwrap();
        let of = |site: &Site| behind.iter().find(|peer| peer.peer.region == site.name).unwrap();
        assert_eq!((of(c).dirty, of(c).lag), (10, Duration::from_secs(7)));
        assert!(ids.iter().all(|(id, _)| c.document(id).is_none()));
        world.network.mend();
        world.settle().await;
        assert!(ids.iter().all(|(id, _)| c.document(id).is_some()));
        assert_eq!(a.replicator.peers().await.unwrap().iter().map(|peer| peer.dirty).sum::<u64>(), 0);
    });
}

#[test]
fn statuses_that_could_not_be_delivered_come_later() {
    run(async {
        let world = World::three().await;
        let (a, b) = (world.site(A), world.site(B));
        world.network.cut_path(crate::message::path::STATUSES);
        let id = a.create().await;
        a.replicate(b, id).await;
        until("B holds it", || b.document(&id).is_some()).await;
        assert_eq!(a.document(&id).unwrap().members[&b.name].status, MemberStatus::Creating);
        assert!(b.dirty() > 0);
        world.network.mend();
        world.settle().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the network does to messages, the regions converge when it stops, and no version ever goes back
    /// ([`CheckedRegion`] asserts that at every command).
    #[test]
    fn random_faults_converge(seed: u64, drop in 0_u64..40, lose_answer in 0_u64..40, repeat in 0_u64..60, delay in 0_u64..15) {
        run(async {
            let mut settings = config();
            (settings.batch_keys_max, settings.unconfirmed_max) = (3, 7);
            let world = World::of(&[A, B, C], settings).await;
            world.network.change(|faults| {
                (faults.drop, faults.lose_answer, faults.repeat, faults.delay_millis_max, faults.seed) = (drop, lose_answer, repeat, delay, seed);
            });
            for round in 0..8 {
                for (primary, targets) in [(A, [B, C]), (B, [C, A])] {
                    let primary = world.site(primary);
                    let id = primary.create().await;
                    for target in targets.iter().take(1 + round % 2) {
                        let (target, deadline) = (world.site(target), primary.deadline());
                        let reservation = reservation(id, deadline);
                        // As a client would: it asks until it is answered.
                        while !matches!(primary.replicator.reserve(&target.name, reservation.clone()).await, Ok(Ok(()))) {}
                        primary.commit_replica(target, id, deadline).await.unwrap();
                    }
                }
            }
            world.network.change(|faults| (faults.drop, faults.lose_answer, faults.repeat, faults.delay_millis_max) = (0, 0, 0, 0));
            world.settle().await;
        });
    }
}
