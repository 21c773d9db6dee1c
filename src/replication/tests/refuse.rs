//! What a receiver must not take, and from whom.

use bytes::Bytes;
use claviger_crypto::SecretBytes;
use claviger_crypto::wrap::{BatchHeader, BatchRoute, seal_batch};
use claviger_protocol::{DOCUMENT_SCHEMA, StatusRecord};
use claviger_state::DocumentRefusal;
use claviger_types::limits::RECORD_BYTES_MAX;
use claviger_types::{MaterialId, Principal, encoding};
use http::StatusCode;

use super::*;
use crate::message::{self, Message, Parcel, RegionLife, path};

type Results = Vec<Result<(), DocumentRefusal>>;

async fn life(site: &Site) -> RegionLife {
    site.replicator.own_identity().await.unwrap().life
}

async fn route(from: &Site, to: &Site) -> BatchRoute {
    let (source, target) = (life(from).await, life(to).await);
    BatchRoute {
        source_region: source.region,
        source_cluster: source.cluster_id,
        source_incarnation: source.incarnation,
        target_region: target.region,
        target_cluster: target.cluster_id,
        target_incarnation: target.incarnation,
        recipient_key_version: 1,
    }
}

/// A batch as `from` could sign it, whatever is in it.
fn batch(from: &Site, to: &Site, route: BatchRoute, parcels: &[Parcel], secrets: &[SecretBytes]) -> Bytes {
    let documents = message::encode(parcels).unwrap();
    let header = BatchHeader { route, number: 1 };
    message::encode(&seal_batch(&from.private_keys, &to.private_keys.public(), &header, &documents, secrets).unwrap()).unwrap()
}

/// What a primary ships of a key that is new to its peer.
fn parcel(site: &Site, id: &KeyId) -> (Parcel, Vec<SecretBytes>) {
    let key = site.key(id).unwrap();
    let materials: Vec<MaterialId> = key.document.materials.iter().map(|material| material.id).collect();
    let mut secrets = vec![site.barrier.unseal_secret(RecordPlace::id_secret(id).context(), &key.id_secret).unwrap()];
    secrets.extend(site.materials(id).iter_mut().map(|bytes| SecretBytes::from_slice_zeroizing(bytes).unwrap()));
    let document = encoding::encode(DOCUMENT_SCHEMA, &key.document).unwrap().into();
    (Parcel { document, id_secret: true, materials }, secrets)
}

/// Keys of `from` that are committed for `to` and not delivered: nothing that the shipper sends arrives.
async fn undelivered(world: &World, from: &Site, to: &Site, count: usize) -> Vec<KeyId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let (id, deadline) = (from.create().await, from.deadline());
        from.reserve_at(to, id, deadline).await;
        ids.push((id, deadline));
    }
    world.network.change(|faults| faults.drop = 100);
    for (id, deadline) in &ids {
        from.commit_replica(to, *id, *deadline).await.unwrap();
    }
    ids.into_iter().map(|(id, _)| id).collect()
}

async fn send(world: &World, to: &Site, who: Identity, body: Bytes) -> Result<Results, StatusCode> {
    let (status, body) = world.network.deliver(&to.endpoint(), who, path::DOCUMENTS, body).await;
    if status == StatusCode::OK { Ok(message::decode(&body).unwrap()) } else { Err(status) }
}

#[test]
fn a_batch_with_any_flipped_bit_is_refused_whole() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let id = undelivered(&world, a, b, 1).await[0];
        until("the batch is sent", || !world.network.seen(path::DOCUMENTS).is_empty()).await;
        let body = world.network.seen(path::DOCUMENTS)[0].body.clone();
        for position in (0..body.len()).step_by(23) {
            let mut flipped = body.to_vec();
            flipped[position] ^= 1 << (position % 8);
            assert!(send(&world, b, a.node(), flipped.into()).await.is_err(), "byte {position}");
        }
        for length in [0, 1, body.len() / 2, body.len() - 1] {
            assert_eq!(send(&world, b, a.node(), body.slice(..length)).await, Err(StatusCode::BAD_REQUEST));
        }
        assert!(b.document(&id).is_none());
        assert_eq!(send(&world, b, a.node(), body.clone()).await, Ok(vec![Ok(())]));
        assert!(b.document(&id).is_some());
        assert_eq!(send(&world, b, a.node(), body).await, Ok(vec![Err(DocumentRefusal::NotNewer)]), "a replayed batch changes nothing");
    });
}

#[test]
fn only_the_admitted_life_of_the_certificates_region_is_believed() {
    run(async {
        let world = World::three().await;
        let (a, b, c) = (world.site(A), world.site(B), world.site(C));
        let id = undelivered(&world, a, b, 1).await[0];
        let (parcel, secrets) = parcel(a, &id);
        let parcels = [parcel];
        let good = route(a, b).await;
        let body = batch(a, b, good.clone(), &parcels, &secrets);
        let refused = |who: Identity, body: Bytes| async { send(&world, b, who, body).await.unwrap_err() };

        assert_eq!(refused(c.node(), body.clone()).await, StatusCode::BAD_REQUEST, "C's certificate, A's batch");
        assert_eq!(refused(Identity::Node { region: name("un-known-1"), id: 1 }, body.clone()).await, StatusCode::FORBIDDEN);
        let principal = Identity::Principal(Principal::Root { account: account() });
        assert_eq!(refused(principal, body.clone()).await, StatusCode::FORBIDDEN);

        let other_lives: [fn(&mut BatchRoute); 5] = [
            |route| route.source_incarnation = Incarnation::from_bytes([9; 16]),
            |route| route.source_cluster = ClusterId::from_bytes([9; 16]),
            |route| route.target_incarnation = Incarnation::from_bytes([9; 16]),
            |route| route.target_cluster = ClusterId::from_bytes([9; 16]),
            |route| route.recipient_key_version = 2,
        ];
        for change in other_lives {
            let mut route = good.clone();
            change(&mut route);
            assert_eq!(refused(a.node(), batch(a, b, route, &parcels, &secrets)).await, StatusCode::BAD_REQUEST);
        }
        let for_c = batch(a, c, route(a, c).await, &parcels, &secrets);
        assert_eq!(refused(a.node(), for_c).await, StatusCode::BAD_REQUEST, "a batch for C, brought to B");
        // C signs and says that it is A.
        assert_eq!(refused(a.node(), batch(c, b, good.clone(), &parcels, &secrets)).await, StatusCode::BAD_REQUEST);
        // C as itself, with a document of which it is not the author.
        let as_c = batch(c, b, route(c, b).await, &parcels, &secrets);
        assert_eq!(send(&world, b, c.node(), as_c).await, Ok(vec![Err(DocumentRefusal::Invalid)]));
        assert!(b.document(&id).is_none());
        assert_eq!(send(&world, b, a.node(), body).await, Ok(vec![Ok(())]));
    });
}

#[test]
fn a_bad_record_is_refused_alone() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let ids = undelivered(&world, a, b, 6).await;
        let (mut parcels, mut secrets): (Vec<_>, Vec<_>) = ids.iter().map(|id| parcel(a, id)).unzip();
        // 0: other bytes than the material id was computed from. 1: another id secret. 2: undecodable. 3: no secrets at all.
        secrets[0][1] = Secret32::random().unwrap().into();
        secrets[1][0] = Secret32::random().unwrap().into();
        parcels[2].document = Bytes::from_static(&[DOCUMENT_SCHEMA, 0xff, 0xff]);
        (parcels[3].id_secret, parcels[3].materials) = (false, Vec::new());
        secrets[3].clear();
        // 4: good, and once more. 5: good.
        let again = parcels[4].clone();
        parcels.push(again);
        secrets.push(parcel(a, &ids[4]).1);
        let flat: Vec<SecretBytes> = secrets.into_iter().flatten().collect();
        let results = send(&world, b, a.node(), batch(a, b, route(a, b).await, &parcels, &flat)).await.unwrap();
        let invalid = Err(DocumentRefusal::Invalid);
        assert_eq!(results, [invalid, invalid, invalid, Err(DocumentRefusal::MissingMaterial), Ok(()), Ok(()), invalid]);
        let held = |index: usize| b.document(&ids[index]).is_some();
        assert_eq!([0, 1, 2, 3, 4, 5].map(held), [false, false, false, false, true, true]);
        assert_eq!(b.materials(&ids[4]), a.materials(&ids[4]));
        // When the network mends, those that were refused come by themselves.
        world.network.change(|faults| faults.drop = 0);
        world.settle().await;
    });
}

#[test]
fn a_known_key_keeps_its_id_secret() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let id = a.create().await;
        a.replicate(b, id).await;
        world.settle().await;
        // A newer document whose new material is named under another id secret.
        let mut document = a.document(&id).unwrap();
        document.version = document.version.next();
        let (other, material) = (Secret32::random().unwrap(), Secret32::random().unwrap());
        let mut entry = document.materials[0].clone();
        entry.id = material_id::compute(&other, id, &material).unwrap();
        entry.state = claviger_protocol::MaterialState::Past;
        document.materials.push(entry.clone());
        let document = encoding::encode(DOCUMENT_SCHEMA, &document).unwrap().into();
        let parcel = Parcel { document, id_secret: true, materials: vec![entry.id] };
        let body = batch(a, b, route(a, b).await, &[parcel], &[other.into(), material.into()]);
        assert_eq!(send(&world, b, a.node(), body).await, Ok(vec![Err(DocumentRefusal::Invalid)]));
    });
}

#[test]
fn promises_and_secrets_must_agree() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let id = undelivered(&world, a, b, 1).await[0];
        let (parcel, secrets) = parcel(a, &id);
        let copy = |number: usize| secrets[number].duplicate().unwrap();
        let (one, three) = (vec![copy(0)], vec![copy(0), copy(1), copy(1)]);
        for secrets in [one.as_slice(), three.as_slice()] {
            let body = batch(a, b, route(a, b).await, std::slice::from_ref(&parcel), secrets);
            assert_eq!(send(&world, b, a.node(), body).await, Err(StatusCode::BAD_REQUEST));
        }
    });
}

#[test]
fn other_messages_are_bound_to_their_senders_life_too() {
    run(async {
        let world = World::three().await;
        let (a, b, c) = (world.site(A), world.site(B), world.site(C));
        let id = a.create().await;
        a.replicate(b, id).await;
        world.settle().await;
        let status: StatusRecord = read::status(&*a.tables(), &id, &b.name).unwrap().unwrap();
        let (life_a, life_b, life_c) = (life(a).await, life(b).await, life(c).await);
        let post = |who: Identity, path: &'static str, body: Bytes| {
            let network = world.network.clone();
            let endpoint = a.endpoint();
            async move { network.deliver(&endpoint, who, path, body).await.0 }
        };
        let statuses = |from: &RegionLife, to: &RegionLife, status: &StatusRecord| {
            message::encode(&Message { from: from.clone(), to: to.clone(), body: vec![status.clone()] }).unwrap()
        };
        assert_eq!(post(b.node(), path::STATUSES, statuses(&life_b, &life_a, &status)).await, StatusCode::OK);
        let mut reborn = life_b.clone();
        reborn.incarnation = Incarnation::from_bytes([9; 16]);
        for (who, from, to) in [(c.node(), &life_b, &life_a), (b.node(), &reborn, &life_a), (b.node(), &life_b, &life_c)] {
            assert_eq!(post(who, path::STATUSES, statuses(from, to, &status)).await, StatusCode::CONFLICT);
        }
        // C speaks for itself alone: what it says of B is not taken.
        let mut greater = status.clone();
        greater.revision += 1;
        let (code, body) = world.network.deliver(&a.endpoint(), c.node(), path::STATUSES, statuses(&life_c, &life_a, &greater)).await;
        assert_eq!((code, message::decode::<Vec<(KeyId, u64)>>(&body).unwrap()), (StatusCode::OK, Vec::new()));
        assert_eq!(read::status(&*a.tables(), &id, &b.name).unwrap().unwrap(), status);

        assert_eq!(post(b.node(), path::STATUSES, Bytes::from_static(&[2, 0])).await, StatusCode::BAD_REQUEST, "another schema");
        let huge = Bytes::from(vec![1; RECORD_BYTES_MAX + 1]);
        for path in [path::STATUSES, path::DOCUMENTS, path::RESERVE, path::RESERVATION] {
            assert_eq!(post(b.node(), path, huge.clone()).await, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(post(Identity::Node { region: name("un-known-1"), id: 1 }, path, huge.clone()).await, StatusCode::FORBIDDEN);
        }
        let tags = (0..51).map(|tag| (format!("tag-{tag}"), String::new())).collect();
        let good = reservation(id, a.deadline());
        let long = "x".repeat(2 * 1024 * 1024);
        for request in [
            ReplicaReservation { tags, ..good.clone() },
            ReplicaReservation { description: long.clone(), ..good.clone() },
            ReplicaReservation { policy: Some(long.clone()), ..good.clone() },
            ReplicaReservation { principal: Principal::User { account: account(), name: long }, ..good.clone() },
            ReplicaReservation { principal: Principal::Root { account: "444455556666".parse().unwrap() }, ..good.clone() },
            ReplicaReservation { key_id: KeyId::single_region([1; 16]), ..good },
        ] {
            let body = message::encode(&Message { from: life_b.clone(), to: life_a.clone(), body: request }).unwrap();
            assert_eq!(post(b.node(), path::RESERVE, body).await, StatusCode::BAD_REQUEST);
        }
        assert!(a.authority.asked.lock().is_empty());
    });
}
