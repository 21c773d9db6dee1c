//! The records that the tables hold, each with its table and schema version. Fields are never reordered; a change of
//! layout is a new schema version (golden files in `tests/golden` hold them fast).

use std::collections::{BTreeMap, BTreeSet};

use claviger_protocol::{Author, Enablement, Epoch, MaterialEntry, STATUS_SCHEMA, SharedDoc, StatusRecord};
use claviger_types::{
    AccountId, ClusterId, Incarnation, KeyId, KeyState, MaterialId, NodeInstance, Origin, Partition, Region, Sealed, Timestamp, TrustDomain,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Operation, Outcome, Table};

/// A record that lives in one table.
pub trait Record: Serialize + DeserializeOwned {
    /// Its table.
    const TABLE: Table;
    /// The schema version of its encoding.
    const SCHEMA: u8;
}

macro_rules! record {
    ($type:ty, $table:ident, $schema:expr) => {
        impl Record for $type {
            const TABLE: Table = Table::$table;
            const SCHEMA: u8 = $schema;
        }
    };
}

mod access;
mod life;

pub use access::{
    AccountRecord, DenialRecord, GrantRecord, GroupRecord, IdentityKind, IdentityRecord, ManagedPolicyRecord, RoleRecord, UserRecord,
};
pub use life::{Deletion, Due, DueWork, Import, LastUsageRecord, UsageOperation};

/// Who this region is: written by its first command, and anew by a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRecord {
    /// The region's name.
    pub region: Region,
    /// The partition of its ARNs.
    pub partition: Partition,
    /// The trust domain of its certificates.
    pub trust_domain: TrustDomain,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// The barrier's keyring, sealed by the root key.
    pub keyring: Sealed,
    /// From what the present life was restored; `None` in a region's first life.
    pub restored: Option<RestoredFrom>,
}
record!(RegionRecord, Meta, 1);

/// The life before a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredFrom {
    /// The cluster that was lost.
    pub cluster_id: ClusterId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Which backup: the SHA-256 of its manifest.
    pub backup: [u8; 32],
    /// When, by the clock of the machine that restored it.
    pub at: Timestamp,
}

impl RegionRecord {
    /// Its row in `Meta`.
    pub const ROW: &'static [u8] = b"region";

    /// This region as the author of documents.
    pub fn author(&self) -> Author {
        Author { region: self.region.clone(), incarnation: self.incarnation }
    }
}

/// The public keys of a region (DESIGN.md section 6, region wrap); `crypto` knows their lengths and uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionPublicKeys {
    /// Counts this region's key pairs, from 1.
    pub version: u32,
    /// X-Wing encapsulation key.
    pub kem: Vec<u8>,
    /// Ed25519 verification key.
    pub ed25519: Vec<u8>,
    /// ML-DSA-65 verification key.
    pub ml_dsa_65: Vec<u8>,
}

/// This region's own region keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionKeysRecord {
    /// What peers are told.
    pub public: RegionPublicKeys,
    /// The private keys, sealed by the barrier.
    pub private: Sealed,
}
record!(RegionKeysRecord, Meta, 1);

impl RegionKeysRecord {
    /// Its row in `Meta`.
    pub const ROW: &'static [u8] = b"region-keys";
}

/// What belongs to one region's copy of a key and never leaves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regional {
    /// When the key, or this replica of it, came into being here.
    pub created_at: Timestamp,
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its policy; `None` is the default policy, whose text the service makes.
    pub policy: Option<String>,
    /// What EnableKey and DisableKey have left. Whether the key may be used is [`Regional::enablement`]'s to say.
    pub enabled: bool,
    /// The life of the region in which the key was made or an operator admitted it.
    pub admitted_in: Incarnation,
    /// Its deletion, once it was asked for.
    pub deletion: Option<Deletion>,
    /// Of an EXTERNAL key: every material that was ever imported here.
    pub imports: BTreeMap<MaterialId, Import>,
}

impl Regional {
    /// What is a key's, or a replica's, on its first day here.
    pub fn new(now: Timestamp, admitted_in: Incarnation) -> Self {
        Self {
            created_at: now,
            description: String::new(),
            tags: BTreeMap::new(),
            policy: None,
            enabled: true,
            admitted_in,
            deletion: None,
            imports: BTreeMap::new(),
        }
    }

    /// Whether the region, in its life `present`, lets the key of `document` be used. A restore gives the region another life, so it
    /// withholds every key at once and touches none: what was revoked after the backup must not come back by itself.
    pub fn enablement(&self, document: &SharedDoc, present: Incarnation) -> Enablement {
        if self.deletion.is_some() {
            Enablement::PendingDeletion
        } else if self.lacks_imports(document) {
            Enablement::PendingImport
        } else if self.is_withheld(present) {
            Enablement::Withheld
        } else if self.enabled {
            Enablement::Enabled
        } else {
            Enablement::Disabled
        }
    }

    /// Whether the key waits for an operator to admit it after a restore.
    pub fn is_withheld(&self, present: Incarnation) -> bool {
        self.admitted_in != present
    }

    /// The state that DescribeKey shows in `region`, in its life `present`.
    pub fn state(&self, document: &SharedDoc, region: &Region, present: Incarnation) -> KeyState {
        document.state_in(region, self.enablement(document, present))
    }

    /// A key is usable while all materials that are or were current are imported (rules page, section 7). One that came by union counts once
    /// it was imported here (rule 9).
    fn lacks_imports(&self, document: &SharedDoc) -> bool {
        let is_here = |id: &MaterialId| self.imports.get(id).is_some_and(|import| import.is_present);
        let counts = |material: &&MaterialEntry| !material.united || self.imports.contains_key(&material.id);
        let mut needed = document.permanent_materials().filter(counts).peekable();
        document.origin == Origin::External && (needed.peek().is_none() || !needed.all(|material| is_here(&material.id)))
    }
}

/// A key as this region holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The log index of the latest change: what an authorisation that read this record depends on.
    pub revision: u64,
    /// What all its regions share.
    pub document: SharedDoc,
    /// What is this region's alone.
    pub regional: Regional,
    /// The id secret, sealed by this region's barrier.
    pub id_secret: Sealed,
    /// Counts this region's status records for the key.
    pub status_revision: u64,
    /// The greatest epoch seen or promised.
    pub greatest_epoch: Epoch,
}
record!(KeyRecord, Keys, 5);

impl KeyRecord {
    /// The state that DescribeKey shows in this region.
    pub fn state(&self, me: &RegionRecord) -> KeyState {
        self.regional.state(&self.document, &me.region, me.incarnation)
    }

    /// All that happens to the key by time, in the region `me`. A rotation happens to an enabled key alone, at once if it is overdue.
    pub fn due(&self) -> Vec<Due> {
        let key_id = self.document.key_id;
        let mut due = Vec::new();
        match (self.regional.deletion, self.document.rotation.next_at) {
            (Some(deletion), _) => due.push(Due { at: deletion.at, what: DueWork::Destroy, key_id }),
            (None, Some(at)) if self.regional.enabled => due.push(Due { at, what: DueWork::Rotate, key_id }),
            (None, _) => {}
        }
        for (id, import) in &self.regional.imports {
            if let (true, Some(at)) = (import.is_present, import.expires_at) {
                due.push(Due { at, what: DueWork::Expire(*id), key_id });
            }
        }
        due
    }
}

/// An alias of an account, in this region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRecord {
    /// The key with which it is associated; the two have the same account.
    pub key_id: KeyId,
    /// When it was created, in log time.
    pub created_at: Timestamp,
    /// When it was last associated with a key, in log time.
    pub updated_at: Timestamp,
    /// The log index of that: names this association among those of the alias.
    pub revision: u64,
}
record!(AliasRecord, Aliases, 1);

/// One version of a key's material, sealed by this region's barrier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaterialRecord {
    /// The sealed bytes.
    pub sealed: Sealed,
}
record!(MaterialRecord, Materials, 1);

/// What an invocation id did (DESIGN.md section 4, "Exactly once").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvocationRecord {
    /// The operation.
    pub operation: Operation,
    /// SHA-256 of the request body.
    pub body_sha256: [u8; 32],
    /// What was answered.
    pub outcome: Outcome,
    /// When, in log time.
    pub at: Timestamp,
}
record!(InvocationRecord, Invocations, 3);

/// The accounts for which a peer region may ask something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountScope {
    /// All of them.
    All,
    /// These alone.
    Only(BTreeSet<AccountId>),
}

impl AccountScope {
    /// Whether `account` is in it.
    pub fn contains(&self, account: AccountId) -> bool {
        match self {
            Self::All => true,
            Self::Only(accounts) => accounts.contains(&account),
        }
    }
}

/// A region that an operator has admitted as a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// Its name.
    pub region: Region,
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// The life in which it was admitted; another one is refused.
    pub incarnation: Incarnation,
    /// Its nodes' peer listeners, `https://host:port`.
    pub endpoints: Vec<String>,
    /// Its public keys.
    pub keys: RegionPublicKeys,
    /// The accounts for which it may act.
    pub accounts: AccountScope,
    /// When it was added, in log time.
    pub added_at: Timestamp,
}
record!(PeerRecord, Peers, 1);

record!(StatusRecord, Statuses, STATUS_SCHEMA);

/// What a peer has not got yet of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirtyRecord {
    /// Since when, in log time.
    pub since: Timestamp,
    /// Our document.
    pub document: bool,
    /// Our status.
    pub status: bool,
}
record!(DirtyRecord, Dirty, 1);

/// A place held for a replica that a peer is about to create (rule 10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationRecord {
    /// Who asked: the key's primary.
    pub primary: Author,
    /// The key's owner.
    pub account: AccountId,
    /// The replica's description.
    pub description: String,
    /// The replica's tags.
    pub tags: BTreeMap<String, String>,
    /// The replica's policy; `None` is the default policy.
    pub policy: Option<String>,
    /// The primary commits before its log time passes this, or never.
    pub deadline: Timestamp,
    /// When it was made, in this region's log time.
    pub reserved_at: Timestamp,
    /// The log index that made it: names this reservation among those of the key.
    pub revision: u64,
}
record!(ReservationRecord, Reservations, 2);

/// What operators want a node to be. What it is, the group's membership says; the leader brings the two together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeRole {
    /// It votes.
    Voter,
    /// It receives the log and does not vote.
    Learner,
}

/// A node id that was used once and so belongs to one data directory for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// The data directory.
    pub instance: NodeInstance,
    /// When it was registered, in log time.
    pub registered_at: Timestamp,
    /// What it is to be for as long as it is not removed.
    pub role: NodeRole,
    /// When it was removed, in log time. Nobody uses the id again, the node itself included.
    pub removed_at: Option<Timestamp>,
}
record!(NodeRecord, Nodes, 1);

/// The newest revocation list of one CA. One that has expired stays: what it revokes stays revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrlRecord {
    /// SHA-256 over the CA's subject and public key, DER: the record's row.
    pub ca: [u8; 32],
    /// The CRL number (RFC 5280 section 5.2.3), big-endian.
    pub number: [u8; 20],
    /// When the CA made the list.
    pub this_update: Timestamp,
    /// When the CA promises the next one.
    pub next_update: Timestamp,
    /// When it was published, in log time.
    pub published_at: Timestamp,
    /// The list.
    pub der: Vec<u8>,
}
record!(CrlRecord, Crls, 1);
