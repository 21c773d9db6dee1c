//! The messages between regions. Every body starts with the schema byte of [`SCHEMA`]; fields are never reordered.
//!
//! Documents travel as [`claviger_crypto::wrap::WrappedBatch`], signed over its header; everything else in a [`Message`],
//! whose sender the TLS certificate vouches for. Nothing here is believed before the receiver has compared it with what
//! an operator admitted.

use std::collections::BTreeMap;

use bytes::Bytes;
use claviger_protocol::Author;
use claviger_state::{RegionPublicKeys, RegionRecord};
use claviger_types::encoding::{self, EncodingError};
use claviger_types::{AccountId, ClusterId, Incarnation, KeyId, MaterialId, Region, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Schema version of every message between regions.
pub(crate) const SCHEMA: u8 = 1;

/// Where each message goes.
pub(crate) mod path {
    /// `()` → [`super::PeerHello`].
    pub(crate) const HELLO: &str = "/region/hello";
    /// A wrapped batch of [`super::Parcel`]s → `Vec<Result<(), DocumentRefusal>>`, one a parcel.
    pub(crate) const DOCUMENTS: &str = "/region/documents";
    /// `Message<Vec<StatusRecord>>` → `Vec<(KeyId, u64)>`, those taken.
    pub(crate) const STATUSES: &str = "/region/statuses";
    /// `Message<ReserveRequest>` → `Result<(), Refusal>`.
    pub(crate) const RESERVE: &str = "/region/reserve";
    /// `Message<Vec<ReservationQuestion>>` → `Vec<ReservationFate>`, one a question.
    pub(crate) const RESERVATION: &str = "/region/reservation";
}

/// A region in one of its lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionLife {
    /// Its name.
    pub region: Region,
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// Its incarnation.
    pub incarnation: Incarnation,
}

impl RegionLife {
    pub(crate) fn author(&self) -> Author {
        Author { region: self.region.clone(), incarnation: self.incarnation }
    }
}

impl From<&RegionRecord> for RegionLife {
    fn from(me: &RegionRecord) -> Self {
        Self { region: me.region.clone(), cluster_id: me.cluster_id, incarnation: me.incarnation }
    }
}

impl From<&claviger_state::PeerRecord> for RegionLife {
    fn from(peer: &claviger_state::PeerRecord) -> Self {
        Self { region: peer.region.clone(), cluster_id: peer.cluster_id, incarnation: peer.incarnation }
    }
}

/// What a region tells whoever of the trust domain asks: nothing that is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerHello {
    /// Who it is.
    pub life: RegionLife,
    /// Its public keys.
    pub keys: RegionPublicKeys,
}

/// Anything but a batch of documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message<T> {
    pub(crate) from: RegionLife,
    pub(crate) to: RegionLife,
    pub(crate) body: T,
}

/// One document of a batch. Its secrets stand in the batch in this order: the id secret, if there, then the materials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parcel {
    /// The document, encoded with its own schema version, so that one that does not decode is refused alone.
    pub(crate) document: Bytes,
    /// Whether the id secret is in the batch.
    pub(crate) id_secret: bool,
    /// The materials whose bytes are in the batch.
    pub(crate) materials: Vec<MaterialId>,
}

/// Rule 10: a primary asks the target of a ReplicateKey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReserveRequest {
    pub(crate) key_id: KeyId,
    pub(crate) account: AccountId,
    pub(crate) description: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) deadline: Timestamp,
}

/// A target asks its primary what became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReservationQuestion {
    pub(crate) key_id: KeyId,
    pub(crate) deadline: Timestamp,
}

/// The primary's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReservationFate {
    /// The document comes, or may still come.
    Stays,
    /// No commit for this reservation exists, and none can ever be.
    NeverComes,
}

pub(crate) fn encode<T: Serialize + ?Sized>(message: &T) -> Result<Bytes, EncodingError> {
    encoding::encode(SCHEMA, message).map(Bytes::from)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EncodingError> {
    encoding::decode(SCHEMA, bytes)
}
