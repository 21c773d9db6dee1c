//! What the shipper sends, when, and to whom.

use claviger_crypto::wrap::WrappedBatch;
use claviger_crypto::{OpenMaterial, SecretBytes};
use claviger_state::AccountScope;

use super::network::Seen;
use super::*;
use crate::message::{self, Parcel, path};

fn parcels(message: &Seen) -> Vec<Parcel> {
    let batch: WrappedBatch = message::decode(&message.body).unwrap();
    message::decode(&batch.documents).unwrap()
}

fn secrets_of(message: &Seen) -> usize {
    let batch: WrappedBatch = message::decode(&message.body).unwrap();
    batch.secret_count().unwrap()
}

#[test]
fn secrets_that_a_peer_has_named_are_not_sent_again() {
    run(async {
        let world = World::three().await;
        let (a, b, c) = (world.site(A), world.site(B), world.site(C));
        let id = a.create().await;
        a.replicate(b, id).await;
        world.settle().await;
        let first = world.network.seen(path::DOCUMENTS).len();
        // Another member, then its activation: two more versions for B.
        a.replicate(c, id).await;
        world.settle().await;
        let later: Vec<Seen> = world.network.seen(path::DOCUMENTS).into_iter().skip(first).filter(|seen| seen.to == b.name).collect();
        assert!(!later.is_empty());
        for message in &later {
            assert!(parcels(message).iter().all(|parcel| !parcel.id_secret && parcel.materials.is_empty()));
            assert_eq!(secrets_of(message), 0);
        }
        let to_c: Vec<Seen> = world.network.seen(path::DOCUMENTS).into_iter().filter(|seen| seen.to == c.name).collect();
        assert_eq!(secrets_of(&to_c[0]), 2, "the id secret and the material");
    });
}

#[test]
fn materials_of_every_length_arrive_under_their_ids() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let kinds = [
            (KeySpec::EccNistP256, KeyUsage::SignVerify),
            (KeySpec::EccNistP521, KeyUsage::KeyAgreement),
            (KeySpec::Rsa2048, KeyUsage::EncryptDecrypt),
            (KeySpec::Hmac512, KeyUsage::GenerateVerifyMac),
            (KeySpec::MlDsa65, KeyUsage::SignVerify),
        ];
        for (spec, usage) in kinds {
            let id = a.create_of(spec, usage).await;
            a.replicate(b, id).await;
            world.settle().await;
            let (sent, arrived) = (a.document(&id).unwrap(), b.document(&id).unwrap());
            assert_eq!((arrived.spec, arrived.usage), (spec, usage));
            assert_eq!(arrived.current_material().map(|held| held.id), sent.current_material().map(|held| held.id));
            // They open under the ids that are computed of them.
            assert_eq!(b.materials(&id), a.materials(&id), "{spec}");
            OpenMaterial::open(spec, usage, SecretBytes::copy_of(&b.materials(&id)[0]).unwrap()).unwrap();
        }
    });
}

#[test]
fn a_document_whose_status_is_on_its_way_is_not_sent_again() {
    run(async {
        let mut settings = config();
        settings.resend_after = Duration::from_secs(3600);
        let world = World::of(&[A, B], settings).await;
        let (a, b) = (world.site(A), world.site(B));
        world.network.cut_path(path::STATUSES);
        let ids = [a.create().await, a.create().await];
        a.replicate(b, ids[0]).await;
        until("the first arrives", || b.document(&ids[0]).is_some()).await;
        // Makes the shipper sweep again, over the first one too.
        a.replicate(b, ids[1]).await;
        until("the second arrives", || b.document(&ids[1]).is_some()).await;
        let sent: Vec<Parcel> = world.network.seen(path::DOCUMENTS).iter().flat_map(parcels).collect();
        assert_eq!(sent.len(), 2);
        world.network.mend();
        world.settle().await;
    });
}

#[test]
fn a_backlog_goes_in_bounded_batches() {
    run(async {
        let mut settings = config();
        (settings.batch_keys_max, settings.unconfirmed_max) = (4, 6);
        let world = World::of(&[A, B], settings).await;
        let (a, b) = (world.site(A), world.site(B));
        let mut reserved = Vec::new();
        for _ in 0..60 {
            let (id, deadline) = (a.create().await, a.deadline());
            a.reserve_at(b, id, deadline).await;
            reserved.push((id, deadline));
        }
        world.network.cut_region(b.name.clone());
        for (id, deadline) in &reserved {
            a.commit_replica(b, *id, *deadline).await.unwrap();
        }
        // No status comes back, so no more than the unconfirmed ones may be on their way.
        world.network.cut_path(path::STATUSES);
        world.network.change(|faults| faults.cut_regions.clear());
        until("the first batches", || !world.network.seen(path::DOCUMENTS).is_empty()).await;
        world.network.mend();
        world.settle().await;
        assert!(world.network.seen(path::DOCUMENTS).iter().all(|message| parcels(message).len() <= 4));
        assert_eq!(reserved.iter().filter(|(id, _)| b.document(id).is_some()).count(), 60);
    });
}

#[test]
fn bytes_bound_a_batch_and_a_larger_document_goes_alone() {
    run(async {
        let mut settings = config();
        settings.batch_bytes_max = 1;
        let world = World::of(&[A, B], settings).await;
        let (a, b) = (world.site(A), world.site(B));
        for _ in 0..5 {
            let id = a.create().await;
            a.replicate(b, id).await;
        }
        world.settle().await;
        assert!(world.network.seen(path::DOCUMENTS).iter().all(|message| parcels(message).len() == 1));
    });
}

#[test]
fn what_is_refused_holds_up_nobody_and_is_tried_again() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let refused = a.create().await;
        let deadline = a.deadline();
        a.reserve_at(b, refused, deadline).await;
        // B's operator changes his mind about the account; its keys are older than what follows.
        b.admit(a, AccountScope::Only([].into())).await;
        a.commit_replica(b, refused, deadline).await.unwrap();
        until("it is refused", || !world.network.seen(path::DOCUMENTS).is_empty()).await;
        assert!(b.document(&refused).is_none());
        b.admit(a, AccountScope::All).await;
        world.settle().await;
        assert!(b.document(&refused).is_some());
    });
}

#[test]
fn the_next_endpoint_serves_when_one_is_down() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let second = "https://second.b:1".to_owned();
        world.network.attach(&second, b.name.clone(), b.router());
        let fingerprint = b.replicator.own_identity().await.unwrap().fingerprint().unwrap();
        let endpoints = vec![b.endpoint(), second];
        let new = NewPeer { region: b.name.clone(), endpoints, accounts: AccountScope::All, fingerprint };
        assert!(a.replicator.add_peer(new.clone()).await.unwrap().1);
        assert!(!a.replicator.add_peer(new).await.unwrap().1, "nothing changes the second time");
        world.network.cut_endpoint(b.endpoint());
        let id = a.create().await;
        a.replicate(b, id).await;
        world.settle().await;
    });
}

#[test]
fn only_a_leader_ships() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        a.leads.send_replace(false);
        let id = a.create().await;
        a.replicate(b, id).await;
        // Long enough for several sweeps of a leader.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(world.network.seen(path::DOCUMENTS).is_empty());
        a.leads.send_replace(true);
        world.settle().await;
    });
}

#[test]
fn a_peer_is_admitted_with_its_own_fingerprint_only() {
    run(async {
        let network = Network::default();
        let (a, b) = (Site::found(A, config(), network.link(name(A))).await, Site::found(B, config(), network.link(name(B))).await);
        for site in [&a, &b] {
            network.attach(&site.endpoint(), site.name.clone(), site.router());
        }
        let own = a.replicator.own_identity().await.unwrap().fingerprint().unwrap();
        let mut new = NewPeer { region: b.name.clone(), endpoints: vec![b.endpoint()], accounts: AccountScope::All, fingerprint: own };
        let wrong = a.replicator.add_peer(new.clone()).await;
        let Err(crate::ReplicationError::Fingerprint { found, .. }) = wrong else { panic!("{wrong:?}") };
        assert!(a.replicator.peers().await.unwrap().is_empty());
        assert_eq!(found, a.replicator.probe(&new.endpoints, &b.name).await.unwrap().fingerprint().unwrap());
        new.fingerprint = found;
        a.replicator.add_peer(new.clone()).await.unwrap();
        assert_eq!(a.replicator.peers().await.unwrap().len(), 1);
        new.region = name(C);
        assert!(a.replicator.add_peer(new).await.is_err(), "another region is at these endpoints");
    });
}

/// Each side waits for statuses that lie behind its peer's own backlog: without shippers of their own they would wait for
/// each other.
#[test]
fn documents_that_wait_for_statuses_do_not_hold_up_statuses() {
    run(async {
        let mut settings = config();
        (settings.batch_keys_max, settings.unconfirmed_max, settings.resend_after) = (2, 2, Duration::from_secs(3600));
        let world = World::of(&[A, B], settings).await;
        let (a, b) = (world.site(A), world.site(B));
        let mut reserved = Vec::new();
        for _ in 0..12 {
            for (primary, target) in [(a, b), (b, a)] {
                let (id, deadline) = (primary.create().await, primary.deadline());
                primary.reserve_at(target, id, deadline).await;
                reserved.push((primary, target, id, deadline));
            }
        }
        world.network.cut_region(a.name.clone());
        for (primary, target, id, deadline) in &reserved {
            primary.commit_replica(target, *id, *deadline).await.unwrap();
        }
        world.network.mend();
        world.settle().await;
    });
}
