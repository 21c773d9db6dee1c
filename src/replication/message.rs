//! The messages between regions. Every body starts with the schema byte of [`SCHEMA`]; fields are never reordered.
//!
//! Documents travel as [`claviger_crypto::wrap::WrappedBatch`], signed over its header; everything else in a [`Message`],
//! whose sender the TLS certificate vouches for. Nothing here is believed before the receiver has compared it with what
//! an operator admitted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use claviger_protocol::Author;
use claviger_state::{Refusal, RegionPublicKeys, RegionRecord};
use claviger_types::encoding::{self, EncodingError};
use claviger_types::{AccountId, ClusterId, Incarnation, KeyId, KeySpec, KeyUsage, MaterialId, Origin, Principal, Region, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Of what a region says when it denies a replica, so much is kept: several times an ARN and a reason.
pub const DENIAL_CHARS_MAX: usize = 2048;

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
    /// `Message<ReplicaReservation>` → `Result<(), ReservationRefusal>`.
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

/// Rule 10: what a primary asks the target of a ReplicateKey to decide, and to hold ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaReservation {
    /// The key.
    pub key_id: KeyId,
    /// Its owner.
    pub account: AccountId,
    /// The replica's description.
    pub description: String,
    /// The replica's tags.
    pub tags: BTreeMap<String, String>,
    /// The replica's policy; `None` is the default policy.
    pub policy: Option<String>,
    /// Whether the policy may lock the caller out of changing it.
    pub bypass_policy_lockout_safety_check: bool,
    /// What kind of key it is.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its material comes from.
    pub origin: Origin,
    /// Who asks, as the primary's region has authenticated it; of the key's account.
    pub principal: Principal,
    /// Where the caller's request came from.
    pub source_ip: Option<IpAddr>,
    /// The same as in the ReplicateKey command that follows, which is refused once log time is past it.
    pub deadline: Timestamp,
}

/// Why the target holds no place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationRefusal {
    /// By its state machine.
    Refused(Refusal),
    /// By its identities or its rules for policies.
    Denied(ReplicaDenial),
}

/// What speaks against a replica in its region, whatever the primary's region thinks. The texts are for the client, and cut to
/// [`DENIAL_CHARS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaDenial {
    /// The region does not know the principal.
    UnknownPrincipal,
    /// The region's policies do not let the principal create the replica.
    AccessDenied(String),
    /// The replica's policy is none, names who is not known there, or locks the principal out.
    MalformedPolicy(String),
    /// The replica's policy is larger than one may be.
    LimitExceeded(String),
}

impl ReplicaDenial {
    /// The same with a text of bounded length, without anything that is not to be printed.
    pub(crate) fn bounded(self) -> Self {
        let cut = |text: String| text.chars().filter(|c| !c.is_control()).take(DENIAL_CHARS_MAX).collect();
        match self {
            Self::UnknownPrincipal => Self::UnknownPrincipal,
            Self::AccessDenied(text) => Self::AccessDenied(cut(text)),
            Self::MalformedPolicy(text) => Self::MalformedPolicy(cut(text)),
            Self::LimitExceeded(text) => Self::LimitExceeded(cut(text)),
        }
    }
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
