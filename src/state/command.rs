//! Commands: what is proposed to a region's log. All that is random, and the time, is inside.

use std::collections::{BTreeMap, BTreeSet};

use claviger_protocol::{Author, SharedDoc, StatusRecord};
use claviger_types::encoding::{self, EncodingError};
use claviger_types::{
    AccountId, AliasName, ClusterId, Incarnation, KeyId, KeySpec, KeyUsage, MaterialId, NodeId, NodeInstance, Origin, Partition, Region,
    Sealed, Timestamp, TrustDomain,
};
use serde::{Deserialize, Serialize};

mod access;
mod life;

pub use access::{
    ApplyIdentities, Authorised, CreateGrant, IdentityChange, PutKeyPolicy, ResetKeyPolicy, RetireGrant, RevokeGrant, SetPrincipalDenied,
};
pub use life::{
    CancelKeyDeletion, CarryOutDue, DeleteImportedKeyMaterial, ImportKeyMaterial, RecordUsages, RotateKeyOnDemand, ScheduleKeyDeletion,
    SetKeyRotation,
};

use crate::{AccountScope, NodeRole, Operation, RegionKeysRecord, RegionPublicKeys};

/// A command with the time at which the leader proposed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The leader's log time when it proposed this. Log time is the greatest so far: it never runs backwards.
    pub time: Timestamp,
    /// What to do.
    pub body: CommandBody,
}

impl Command {
    /// Schema version of an encoded command.
    pub const SCHEMA: u8 = 4;

    /// The bytes that the log holds.
    ///
    /// # Errors
    /// When the command is too large.
    pub fn encode(&self) -> Result<Vec<u8>, EncodingError> {
        encoding::encode(Self::SCHEMA, self)
    }

    /// The inverse of [`Command::encode`].
    ///
    /// # Errors
    /// When the bytes are of another version or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        encoding::decode(Self::SCHEMA, bytes)
    }
}

/// What to do. Variants are appended, never reordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandBody {
    /// A region's first command.
    FoundRegion(Box<FoundRegion>),
    /// Nothing but the passing of time.
    Tick,
    /// A node id is taken for ever.
    RegisterNode(RegisterNode),
    /// CreateKey.
    CreateKey(Box<CreateKey>),
    /// EnableKey and DisableKey.
    SetKeyEnabled(SetKeyEnabled),
    /// ReplicateKey, at the primary.
    ReplicateKey(ReplicateKey),
    /// ReplicateKey, at the target, before the primary commits.
    Reserve(Box<Reserve>),
    /// The primary will never commit what a reservation was for.
    LapseReservation {
        /// The key.
        key_id: KeyId,
        /// Which of its reservations.
        revision: u64,
    },
    /// `claviger peer add`.
    AddPeer(Box<AddPeer>),
    /// Documents from a primary.
    ReceiveDocuments(ReceiveDocuments),
    /// Statuses from members.
    ReceiveStatuses(ReceiveStatuses),
    /// A primary has taken our statuses.
    StatusesDelivered {
        /// The primary.
        to: Region,
        /// Key and status revision of each.
        delivered: Vec<(KeyId, u64)>,
    },
    /// CreateAlias.
    CreateAlias(CreateAlias),
    /// UpdateAlias.
    UpdateAlias(UpdateAlias),
    /// DeleteAlias.
    DeleteAlias(DeleteAlias),
    /// TagResource.
    TagResource(TagResource),
    /// UntagResource.
    UntagResource(UntagResource),
    /// UpdateKeyDescription.
    UpdateKeyDescription(UpdateKeyDescription),
    /// `claviger crl publish`.
    PublishCrl(Box<PublishCrl>),
    /// `claviger key admit`, after a restore.
    AdmitKeys(AdmitKeys),
    /// A node leaves the region for ever.
    RemoveNode {
        /// Its id.
        id: NodeId,
    },
    /// What a node is to be.
    SetNodeRole {
        /// Its id.
        id: NodeId,
        /// What its operators want.
        role: NodeRole,
    },
    /// `claviger clock accept`: nothing but the passing of time, however much; the command's time is the clock's.
    AcceptClock,
    /// PutKeyPolicy.
    PutKeyPolicy(PutKeyPolicy),
    /// CreateGrant.
    CreateGrant(Box<CreateGrant>),
    /// RetireGrant.
    RetireGrant(RetireGrant),
    /// RevokeGrant.
    RevokeGrant(RevokeGrant),
    /// `claviger iam apply`, and what the API of identities writes.
    ApplyIdentities(Box<ApplyIdentities>),
    /// An operator denies a principal everything, or lifts that.
    SetPrincipalDenied(Box<SetPrincipalDenied>),
    /// `claviger key reset-policy`.
    ResetKeyPolicy(ResetKeyPolicy),
    /// ScheduleKeyDeletion.
    ScheduleKeyDeletion(ScheduleKeyDeletion),
    /// CancelKeyDeletion.
    CancelKeyDeletion(CancelKeyDeletion),
    /// EnableKeyRotation and DisableKeyRotation.
    SetKeyRotation(SetKeyRotation),
    /// RotateKeyOnDemand.
    RotateKeyOnDemand(Box<RotateKeyOnDemand>),
    /// ImportKeyMaterial.
    ImportKeyMaterial(Box<ImportKeyMaterial>),
    /// DeleteImportedKeyMaterial.
    DeleteImportedKeyMaterial(DeleteImportedKeyMaterial),
    /// What has fallen due.
    CarryOutDue(Box<CarryOutDue>),
    /// When keys were used last.
    RecordUsages(RecordUsages),
    /// `claviger region detach`.
    DetachMember(DetachMember),
}

/// Makes a command of one invocation happen once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    /// The caller's ARN.
    pub principal: String,
    /// The SDK's invocation id, or one of the server's own.
    pub invocation_id: String,
    /// The operation.
    pub operation: Operation,
    /// SHA-256 of the request body.
    pub body_sha256: [u8; 32],
    /// What the authorisation read besides the keys that the command names.
    pub authorised: Authorised,
}

/// A key record that the command's authorisation read; a later change refuses the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The key.
    pub key_id: KeyId,
    /// `KeyRecord::revision` as it was read.
    pub revision: u64,
}

/// A material with its sealed bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedMaterial {
    /// Its id.
    pub id: MaterialId,
    /// Its bytes, sealed by this region's barrier.
    pub sealed: Sealed,
}

/// A region's first command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRegion {
    /// The region's name.
    pub region: Region,
    /// The partition of its ARNs.
    pub partition: Partition,
    /// The trust domain of its certificates.
    pub trust_domain: TrustDomain,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Its first life.
    pub incarnation: Incarnation,
    /// The barrier's keyring, sealed by the root key.
    pub keyring: Sealed,
    /// The region's own keys.
    pub region_keys: RegionKeysRecord,
}

/// A node id is taken for ever by one data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterNode {
    /// The id, from the node's certificate.
    pub id: NodeId,
    /// The data directory.
    pub instance: NodeInstance,
}

/// CreateKey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateKey {
    /// Which invocation.
    pub once: Once,
    /// The new key's id; multi-region if the id says so.
    pub key_id: KeyId,
    /// The owner.
    pub account: AccountId,
    /// What kind of material.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where material comes from.
    pub origin: Origin,
    /// The description.
    pub description: String,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// The policy; `None` is the default policy.
    pub policy: Option<String>,
    /// The new id secret, sealed.
    pub id_secret: Sealed,
    /// The first material; `None` for a key whose material is imported.
    pub material: Option<SealedMaterial>,
}

/// EnableKey and DisableKey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetKeyEnabled {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// Enable or disable.
    pub enabled: bool,
}

/// CreateAlias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateAlias {
    /// Which invocation.
    pub once: Once,
    /// The alias, which becomes one of the key's account.
    pub name: AliasName,
    /// The key, as the authorisation read it.
    pub key: Expected,
}

/// UpdateAlias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateAlias {
    /// Which invocation.
    pub once: Once,
    /// The alias.
    pub name: AliasName,
    /// The key that has it, as the authorisation read it.
    pub from: Expected,
    /// The key that gets it, as the authorisation read it; may be the same.
    pub to: Expected,
}

/// DeleteAlias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteAlias {
    /// Which invocation.
    pub once: Once,
    /// The alias.
    pub name: AliasName,
    /// The key that has it, as the authorisation read it.
    pub key: Expected,
}

/// TagResource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagResource {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// New tags, and new values of tags that it has.
    pub tags: BTreeMap<String, String>,
}

/// UntagResource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UntagResource {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// The keys of the tags that go.
    pub tag_keys: BTreeSet<String>,
}

/// UpdateKeyDescription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateKeyDescription {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// The new description.
    pub description: String,
}

/// ReplicateKey, at the primary, once the target holds a reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicateKey {
    /// Which invocation.
    pub once: Once,
    /// The key, as the authorisation read it.
    pub key: Expected,
    /// The target.
    pub region: Region,
    /// What the reservation was told: past this log time the command is refused.
    pub deadline: Timestamp,
}

/// ReplicateKey, at the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// The region that asks: the key's primary.
    pub primary: Author,
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
    /// The primary commits before its log time passes this, or never.
    pub deadline: Timestamp,
    /// What this region read to decide that the caller may have the replica here.
    pub authorised: Authorised,
}

/// An operator admits a peer, or changes what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddPeer {
    /// Its name.
    pub region: Region,
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// Its nodes' peer listeners, `https://host:port`.
    pub endpoints: Vec<String>,
    /// Its public keys.
    pub keys: RegionPublicKeys,
    /// The accounts for which it may act.
    pub accounts: AccountScope,
}

/// A document with the bytes that the receiver lacked, sealed by the receiver's own barrier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedDocument {
    /// The document.
    pub document: SharedDoc,
    /// The id secret; needed when the key is new here.
    pub id_secret: Option<Sealed>,
    /// Materials, each of which the receiver has recomputed the id of.
    pub materials: Vec<SealedMaterial>,
}

/// Documents from a primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveDocuments {
    /// The region that sent them, in its admitted life.
    pub from: Author,
    /// One a key.
    pub documents: Vec<ReceivedDocument>,
}

/// Statuses from a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveStatuses {
    /// The region that sent them, in its admitted life.
    pub from: Author,
    /// One a key.
    pub statuses: Vec<StatusRecord>,
}

/// A CA's certificate revocation list. Its proposer has checked the CA's signature and read these facts from the DER: this
/// crate parses no certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishCrl {
    /// SHA-256 over the CA's subject and public key, DER.
    pub ca: [u8; 32],
    /// The CRL number (RFC 5280 section 5.2.3), big-endian.
    pub number: [u8; 20],
    /// When the CA made the list.
    pub this_update: Timestamp,
    /// When the CA promises the next one.
    pub next_update: Timestamp,
    /// The list, at most [`claviger_types::limits::CRL_BYTES_MAX`].
    pub der: Vec<u8>,
}

/// An operator takes a region out of the count of keys whose primary is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachMember {
    /// The region.
    pub region: Region,
    /// At most [`claviger_types::limits::ADMIT_KEYS_MAX`]; one in which it does not count is passed over.
    pub keys: Vec<KeyId>,
}

/// An operator lets keys be used again that a restore withheld.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitKeys {
    /// At most [`claviger_types::limits::ADMIT_KEYS_MAX`]; one that is not there, or admitted already, is passed over.
    pub keys: Vec<KeyId>,
}
