//! What applying a command gives: an answer or a refusal, and what the rest of the node must know.

use claviger_protocol::{LifeError, Refused, SharedDoc};
use claviger_types::{AccountId, AliasId, GrantId, KeyId, KeyState, MaterialId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{PeerRecord, Regional};

/// The API operations that write. Variants are appended, never reordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// CreateKey.
    CreateKey,
    /// EnableKey.
    EnableKey,
    /// DisableKey.
    DisableKey,
    /// ReplicateKey.
    ReplicateKey,
    /// CreateAlias.
    CreateAlias,
    /// UpdateAlias.
    UpdateAlias,
    /// DeleteAlias.
    DeleteAlias,
    /// TagResource.
    TagResource,
    /// UntagResource.
    UntagResource,
    /// UpdateKeyDescription.
    UpdateKeyDescription,
    /// PutKeyPolicy.
    PutKeyPolicy,
    /// CreateGrant.
    CreateGrant,
    /// RetireGrant.
    RetireGrant,
    /// RevokeGrant.
    RevokeGrant,
    /// ScheduleKeyDeletion.
    ScheduleKeyDeletion,
    /// CancelKeyDeletion.
    CancelKeyDeletion,
    /// EnableKeyRotation.
    EnableKeyRotation,
    /// DisableKeyRotation.
    DisableKeyRotation,
    /// RotateKeyOnDemand.
    RotateKeyOnDemand,
    /// ImportKeyMaterial.
    ImportKeyMaterial,
    /// DeleteImportedKeyMaterial.
    DeleteImportedKeyMaterial,
}

/// The answer to a command, or why it was refused. Part of the log's contract: it is stored for retries and sent
/// between nodes, so variants are appended, never reordered.
pub type Outcome = Result<Response, Refusal>;

/// A command was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// Nothing to tell.
    Done,
    /// A key as it is now.
    Key {
        /// Its shared document.
        document: Box<SharedDoc>,
        /// This region's part, without its policy: no answer shows it, and answers are kept for a while.
        regional: Box<Regional>,
    },
    /// A peer was added or changed (`changed`), or was known exactly so.
    Peer {
        /// The peer as it is now.
        peer: Box<PeerRecord>,
        /// Whether the command changed anything.
        changed: bool,
    },
    /// What became of each document of a batch, in its order.
    Documents(Vec<Result<(), DocumentRefusal>>),
    /// Key and status revision of each status that was taken.
    Statuses(Vec<(KeyId, u64)>),
    /// A grant, made now or before under the same name.
    Grant {
        /// Its id.
        grant_id: GrantId,
    },
    /// The identities of an account, or who is denied in it, are as they were to be.
    Identities {
        /// The account's revision now; `None` when the region does not know the account.
        revision: Option<u64>,
        /// Whether the command changed anything.
        changed: bool,
    },
    /// A key has the default policy.
    PolicyReset {
        /// The policy that it had instead; `None` when it had the default policy already.
        replaced: Option<String>,
    },
    /// A key is to be deleted.
    Deletion {
        /// Not before this.
        at: Timestamp,
    },
    /// Something happened to a material.
    Material {
        /// Which; `None` when the key has none.
        id: Option<MaterialId>,
    },
    /// A step was made; there is more to do.
    Unfinished,
}

/// Why one document of a batch was not taken, in a form that is stored and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DocumentRefusal {
    /// Malformed, or not from its author, or contradicting what is held: an operator must look.
    Invalid,
    /// The receiver is no member of it.
    NotAMember,
    /// The receiver does not know the key and holds no reservation.
    NoReservation,
    /// The receiver holds this version or a greater one; its status is on its way.
    NotNewer,
    /// Bytes of a material are missing; the receiver's status, which names what it holds, is on its way.
    MissingMaterial,
    /// The peer may not act for the key's account.
    AccountNotAllowed,
}

impl From<Refused> for DocumentRefusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed(_) | Refused::NotItsAuthor | Refused::NotAdmitted | Refused::Contradicts => Self::Invalid,
            Refused::NotAMember => Self::NotAMember,
            Refused::NoReservation => Self::NoReservation,
            // A region that has promised a greater epoch holds, as it were, a newer document.
            Refused::NotNewer | Refused::Promised => Self::NotNewer,
            Refused::MissingMaterial => Self::MissingMaterial,
        }
    }
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The region has not been founded.
    #[error("the region has not been founded")]
    NotFounded,
    /// The region has been founded already.
    #[error("the region has been founded already")]
    AlreadyFounded,
    /// What is to be created is there.
    #[error("it exists already")]
    AlreadyExists,
    /// There is no such key.
    #[error("there is no such key")]
    NotFound,
    /// The key's state does not allow it.
    #[error("the key is {0}")]
    InvalidState(KeyState),
    /// What the authorisation read has changed since: authorise again. Never stored for retries.
    #[error("what the authorisation read has changed")]
    StaleAuthorisation,
    /// The account has as many keys as it may have.
    #[error("the account has as many keys as it may have")]
    TooManyKeys,
    /// The invocation id has been used with another operation or body.
    #[error("the invocation id has been used for another request")]
    InvocationReused,
    /// This region is not the primary of a multi-region key.
    #[error("this region is not the primary of a multi-region key")]
    NotPrimary,
    /// The key is in as many regions as it may be, or the region has as many peers.
    #[error("there are as many regions as there may be")]
    TooManyRegions,
    /// The region is not an admitted peer.
    #[error("the region is not an admitted peer")]
    UnknownPeer,
    /// The peer is in another life than the admitted one.
    #[error("the peer's incarnation is not the admitted one")]
    PeerIncarnation,
    /// The peer may not act for this account.
    #[error("the peer may not act for this account")]
    AccountNotAllowed,
    /// The peer holds as many reservations as it may.
    #[error("the peer holds as many reservations as it may")]
    TooManyReservations,
    /// The reservation's time has passed.
    #[error("the reservation's time has passed")]
    ReservationLapsed,
    /// The node id belongs to another data directory.
    #[error("the node id belongs to another data directory")]
    NodeIdUsed,
    /// A region cannot be its own peer, or a peer's endpoints are none or too many.
    #[error("the peer is not acceptable: {0}")]
    BadPeer(String),
    /// Another ReplicateKey for the same key and region, with other contents, is under way or was given up not long ago.
    #[error("another reservation is held for this key")]
    OtherReservation,
    /// There is no such alias.
    #[error("there is no such alias")]
    AliasNotFound,
    /// The key has as many aliases as it may have.
    #[error("the key has as many aliases as it may have")]
    TooManyAliases,
    /// The alias's present key and the new one differ in class or usage.
    #[error("the alias cannot go to a key of another kind")]
    AliasOfAnotherKind,
    /// The key would have more tags than it may have.
    #[error("the key would have more tags than it may have")]
    TooManyTags,
    /// The region holds a list of this CA that is as new or newer, and another.
    #[error("the region holds a revocation list of this CA that is as new or newer")]
    CrlNotNewer,
    /// The list is too large, or there are lists of too many CAs.
    #[error("the revocation list is not acceptable: {0}")]
    BadCrl(String),
    /// A restore withholds the key until an operator admits it.
    #[error("the key waits for an operator to admit it")]
    NotAdmitted,
    /// The command names more keys than it may.
    #[error("the command names too many keys")]
    TooManyNames,
    /// No node ever had this id.
    #[error("no node of this region ever had this id")]
    UnknownNode,
    /// The node was removed from the region.
    #[error("the node was removed from the region; its id is never used again: join with a new id and an empty data directory")]
    NodeRemoved,
    /// The key policy is too large.
    #[error("the key policy is not acceptable: {0}")]
    BadPolicy(String),
    /// The key has as many grants as it may have.
    #[error("the key has as many grants as it may have")]
    TooManyGrants,
    /// There is no such grant on the key.
    #[error("there is no such grant on the key")]
    GrantNotFound,
    /// A part of the grant is too large or malformed.
    #[error("the grant is not acceptable: {0}")]
    BadGrant(String),
    /// The account's identities are not at the revision that the command expects. Read them again.
    #[error("the identities of the account have changed")]
    IdentitiesChanged,
    /// The identities would not fit together, or would exceed a limit.
    #[error("the identities are not acceptable: {0}")]
    BadIdentities(String),
    /// What an operator says of a change is too long.
    #[error("what is said of the change is too long: {0}")]
    BadText(String),
    /// The materials of the key stay as they are.
    #[error("the materials of the key stay as they are: {0}")]
    Life(LifeRefusal),
    /// A number of days outside its range.
    #[error("{0} days are outside the range")]
    BadDays(u16),
    /// Imported material would have expired already, or not within a year.
    #[error("the time of expiry is not acceptable")]
    BadExpiry,
    /// The key was not imported, or was.
    #[error("keys of this origin or spec do not do this")]
    OtherKind,
    /// What was proposed as due is not, or not any more.
    #[error("it is not due")]
    NotDue,
}

/// [`LifeError`] in a form that is stored and sent. Variants are appended, never reordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum LifeRefusal {
    /// Another region has the key, or this one does not own it.
    #[error("the key is in other regions too")]
    InOtherRegions,
    /// The key's lifetime has seen as many rotations on demand as it may.
    #[error("the key was rotated on demand as often as it may be")]
    TooManyRotations,
    /// The automatic rotation is due within minutes.
    #[error("the automatic rotation is about to happen")]
    RotationDue,
    /// No imported material waits for a rotation.
    #[error("no imported material waits for a rotation")]
    NothingPending,
    /// Another imported material waits for its rotation.
    #[error("material {pending} waits for its rotation")]
    OtherPending {
        /// The one that waits.
        pending: MaterialId,
    },
    /// The material is not the key's, or is, and should not be.
    #[error("the material is not the one that may be imported")]
    IncorrectMaterial,
    /// The key has as many materials as it may.
    #[error("the key has as many materials as it may")]
    TooManyMaterials,
    /// The key has no such material.
    #[error("the key has no such material")]
    NoSuchMaterial,
    /// A rotation has begun, and not every region has its material yet.
    #[error("a rotation is in progress")]
    RotationInProgress,
}

impl From<LifeError> for Refusal {
    fn from(error: LifeError) -> Self {
        Self::Life(match error {
            LifeError::InOtherRegions => LifeRefusal::InOtherRegions,
            LifeError::TooManyRotations => LifeRefusal::TooManyRotations,
            LifeError::RotationDue => LifeRefusal::RotationDue,
            LifeError::InProgress => LifeRefusal::RotationInProgress,
            LifeError::NotPrimary => return Self::NotPrimary,
            LifeError::NotDue => return Self::NotDue,
            LifeError::NothingPending => LifeRefusal::NothingPending,
            LifeError::OtherPending(pending) => LifeRefusal::OtherPending { pending },
            LifeError::IncorrectMaterial => LifeRefusal::IncorrectMaterial,
            LifeError::TooManyMaterials => LifeRefusal::TooManyMaterials,
        })
    }
}

/// What the node must do once the writes are committed, before it shows the new index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Keys whose cached records are void.
    pub keys: Vec<KeyId>,
    /// Aliases of which the same holds.
    pub aliases: Vec<AliasId>,
    /// Accounts whose identities have changed, or in which somebody is denied or no longer: their cached principals are void.
    pub accounts: Vec<AccountId>,
    /// Whether the shipper has new work.
    pub dirty: bool,
    /// Whether a revocation list has changed.
    pub crls: bool,
    /// Keys of which sealed material was destroyed: no file may go on holding it.
    pub destroyed: Vec<KeyId>,
}

impl Effects {
    /// Adds what a later command asks for.
    pub fn extend(&mut self, later: Self) {
        self.keys.extend(later.keys);
        self.aliases.extend(later.aliases);
        self.accounts.extend(later.accounts);
        self.dirty |= later.dirty;
        self.crls |= later.crls;
        self.destroyed.extend(later.destroyed);
    }
}

/// A command applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer.
    pub outcome: Outcome,
    /// What the node must do.
    pub effects: Effects,
}
