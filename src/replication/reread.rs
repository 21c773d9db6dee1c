//! What another region may send or answer, decoded and encoded again: for tests that have nothing but bytes (`tests/fuzz`).

use claviger_crypto::wrap::WrappedBatch;
use claviger_protocol::{DOCUMENT_SCHEMA, SharedDoc, StatusRecord};
use claviger_state::DocumentRefusal;
use claviger_types::KeyId;
use claviger_types::encoding::{self, EncodingError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::{
    Message, Parcel, PeerHello, ReplicaReservation, ReservationFate, ReservationQuestion, ReservationRefusal, SCHEMA, path,
};

/// A message between regions.
#[derive(Clone, Copy, Debug)]
pub struct PeerMessage {
    /// Where it goes, and of what is not a request behind a space what it is instead.
    pub name: &'static str,
    reread: fn(&[u8]) -> Result<Vec<u8>, EncodingError>,
}

impl PeerMessage {
    /// Every message that is decoded from what another region sent.
    pub const ALL: &[Self] = &[
        Self::of::<()>(path::HELLO),
        Self::of::<PeerHello>("/region/hello answer"),
        Self::of::<WrappedBatch>(path::DOCUMENTS),
        Self::of::<Vec<Parcel>>("/region/documents parcels"),
        Self { name: "/region/documents document", reread: |bytes| again::<SharedDoc>(DOCUMENT_SCHEMA, bytes) },
        Self::of::<Vec<Result<(), DocumentRefusal>>>("/region/documents answer"),
        Self::of::<Message<Vec<StatusRecord>>>(path::STATUSES),
        Self::of::<Vec<(KeyId, u64)>>("/region/statuses answer"),
        Self::of::<Message<ReplicaReservation>>(path::RESERVE),
        Self::of::<Result<(), ReservationRefusal>>("/region/reserve answer"),
        Self::of::<Message<Vec<ReservationQuestion>>>(path::RESERVATION),
        Self::of::<Vec<ReservationFate>>("/region/reservation answer"),
    ];

    const fn of<T: Serialize + DeserializeOwned>(name: &'static str) -> Self {
        Self { name, reread: |bytes| again::<T>(SCHEMA, bytes) }
    }

    /// Decodes `bytes` as the receiver does, and encodes what they say.
    ///
    /// # Errors
    /// When they do not decode.
    pub fn reread(&self, bytes: &[u8]) -> Result<Vec<u8>, EncodingError> {
        (self.reread)(bytes)
    }
}

fn again<T: Serialize + DeserializeOwned>(schema: u8, bytes: &[u8]) -> Result<Vec<u8>, EncodingError> {
    encoding::encode(schema, &encoding::decode::<T>(schema, bytes)?)
}

/// Writes the seeds of `tests/fuzz` that this crate alone can make, when asked; else holds them to be decodable.
#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use bytes::Bytes;
    use claviger_protocol::{Author, Epoch, NewDocument, Presence, Version};
    use claviger_state::{Refusal, RegionPublicKeys};
    use claviger_types::{ClusterId, Incarnation, KeySpec, KeyUsage, MaterialId, Origin, Principal, Region, Timestamp};

    use super::*;
    use crate::message::{RegionLife, ReplicaDenial, encode};

    fn life(region: &str, byte: u8) -> RegionLife {
        let region: Region = region.parse().unwrap();
        RegionLife { region, cluster_id: ClusterId::from_bytes([byte; 16]), incarnation: Incarnation::from_bytes([byte + 1; 16]) }
    }

    fn to_peer<T: Serialize>(body: T) -> Bytes {
        encode(&Message { from: life("dc-north-1", 1), to: life("dc-east-1", 3), body }).unwrap()
    }

    fn key_id() -> KeyId {
        KeyId::multi_region([0x22; 16])
    }

    fn document() -> SharedDoc {
        SharedDoc::create(NewDocument {
            author: life("dc-north-1", 1).author(),
            key_id: key_id(),
            account: "111122223333".parse().unwrap(),
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            created_at: Timestamp::from_millis(1_700_000_000_000),
            material: Some(MaterialId::from_bytes([5; 32])),
        })
    }

    fn status() -> StatusRecord {
        let author: Author = life("dc-north-1", 1).author();
        let epoch = Epoch { promotions: 3, handoffs: 2, author };
        StatusRecord {
            key_id: key_id(),
            region: life("dc-east-1", 3).region,
            incarnation: life("dc-east-1", 3).incarnation,
            revision: 5,
            member_since: Some(Version { epoch: epoch.clone(), revision: 2 }),
            greatest_epoch: epoch.clone(),
            version: Version { epoch, revision: 69_999 },
            materials: BTreeSet::from([MaterialId::from_bytes([5; 32])]),
            presence: Presence::Gone,
            kept: BTreeSet::from([MaterialId::from_bytes([6; 32])]),
            strays: BTreeSet::from([life("dc-north-1", 1).region]),
            consent: None,
            refused: None,
        }
    }

    fn reservation() -> ReplicaReservation {
        ReplicaReservation {
            key_id: key_id(),
            account: "111122223333".parse().unwrap(),
            description: "für Tests".to_owned(),
            tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            policy: Some("{}".to_owned()),
            bypass_policy_lockout_safety_check: false,
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            principal: Principal::User { account: "111122223333".parse().unwrap(), name: "alice".to_owned() },
            source_ip: Some("2001:db8::1".parse().unwrap()),
            deadline: Timestamp::from_millis(1_700_000_030_000),
        }
    }

    /// One of each message but the batch, which has a target of its own.
    fn messages() -> Vec<(&'static str, Bytes)> {
        let keys = RegionPublicKeys { version: 1, kem: vec![1; 40], ed25519: vec![2; 32], ml_dsa_65: vec![3; 40] };
        let encoded: Bytes = encoding::encode(DOCUMENT_SCHEMA, &document()).unwrap().into();
        let parcel = Parcel { document: encoded.clone(), id_secret: true, materials: vec![MaterialId::from_bytes([5; 32])] };
        let denied = ReservationRefusal::Denied(ReplicaDenial::AccessDenied("no".to_owned()));
        let refused = ReservationRefusal::Refused(Refusal::ReservationLapsed);
        let question = ReservationQuestion { key_id: key_id(), deadline: Timestamp::from_millis(1_700_000_030_000) };
        let results: [Result<(), DocumentRefusal>; 2] = [Ok(()), Err(DocumentRefusal::MissingMaterial)];
        vec![
            (path::HELLO, encode(&()).unwrap()),
            ("/region/hello answer", encode(&PeerHello { life: life("dc-north-1", 1), keys }).unwrap()),
            ("/region/documents parcels", encode(&[parcel.clone(), parcel][..]).unwrap()),
            ("/region/documents document", encoded),
            ("/region/documents answer", encode(&results[..]).unwrap()),
            (path::STATUSES, to_peer(vec![status()])),
            ("/region/statuses answer", encode(&[(key_id(), 5_u64)][..]).unwrap()),
            (path::RESERVE, to_peer(reservation())),
            ("/region/reserve answer", encode(&Err::<(), _>(denied)).unwrap()),
            ("/region/reserve answer", encode(&Err::<(), _>(refused)).unwrap()),
            (path::RESERVATION, to_peer(vec![question])),
            ("/region/reservation answer", encode(&[ReservationFate::Stays, ReservationFate::NeverComes][..]).unwrap()),
        ]
    }

    #[test]
    fn every_message_is_read_and_written_alike_and_is_a_seed() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/region_message");
        let write = std::env::var("CLAVIGER_SEEDS").is_ok_and(|mode| mode == "write");
        for (index, (name, bytes)) in messages().into_iter().enumerate() {
            let message = PeerMessage::ALL.iter().find(|message| message.name == name).unwrap();
            assert_eq!(message.reread(&bytes).unwrap(), bytes, "{name}");
            let seed = [name.as_bytes(), b"\n", &bytes].concat();
            let file = seeds.join(format!("ok-{index:02}-{}", name.trim_start_matches('/').replace(['/', ' '], "-")));
            if write {
                std::fs::create_dir_all(&seeds).unwrap();
                std::fs::write(&file, &seed).unwrap();
            }
            assert_eq!(std::fs::read(&file).unwrap(), seed, "{}", file.display());
        }
    }
}
