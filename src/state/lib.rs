//! The replicated state machine of a region: pure and synchronous, over a [`Tables`] trait.
//!
//! A [`Command`] goes in, writes and a [`Response`] come out ([`apply`]). Time, ids, random bytes and sealed material
//! arrive inside commands, so every node of a region computes the same. Business rules are checked here and nowhere
//! else, so concurrent requests cannot race them. This crate does no I/O, reads no clock and holds no secret in clear.

// The generator of random commands is shared with the tests of storage, so it names this crate from outside.
#[cfg(test)]
extern crate self as claviger_state;

mod apply;
mod command;
mod error;
#[cfg(test)]
mod golden;
mod memory;
mod outcome;
mod overlay;
#[cfg(test)]
mod random_commands;
pub mod read;
mod record;
mod restore;
mod state_matrix;
mod tables;

pub use apply::apply;
pub use claviger_protocol as protocol;
pub use command::{
    AddPeer, AdmitKeys, ApplyIdentities, Authorised, CancelKeyDeletion, CarryOutDue, Command, CommandBody, CreateAlias, CreateGrant,
    CreateKey, DeleteAlias, DeleteImportedKeyMaterial, DetachMember, Expected, FoundRegion, IdentityChange, ImportKeyMaterial, Once,
    PublishCrl, PutKeyPolicy, ReceiveDocuments, ReceiveStatuses, ReceivedDocument, RecordUsages, RegisterNode, ReplicateKey, Reserve,
    ResetKeyPolicy, RetireGrant, RevokeGrant, RotateKeyOnDemand, ScheduleKeyDeletion, SealedMaterial, SetKeyEnabled, SetKeyRotation,
    SetPrincipalDenied, TagResource, UntagResource, UpdateAlias, UpdateKeyDescription,
};
pub use error::StateError;
pub use memory::MemoryTables;
pub use outcome::{Applied, DocumentRefusal, Effects, LifeRefusal, Operation, Outcome, Refusal, Response};
pub use overlay::{Overlay, WriteSet};
pub use record::{
    AccountRecord, AccountScope, AliasRecord, CrlRecord, Deletion, DenialRecord, DirtyRecord, Due, DueWork, GrantRecord, GroupRecord,
    IdentityKind, IdentityRecord, Import, InvocationRecord, KeyRecord, LastUsageRecord, ManagedPolicyRecord, MaterialRecord, NodeRecord,
    NodeRole, PeerRecord, Record, RegionKeysRecord, RegionPublicKeys, RegionRecord, Regional, ReservationRecord, RestoredFrom, RoleRecord,
    UsageOperation, UserRecord,
};
pub use restore::{RestoreRegion, check_row, is_carried_over, restore_region};
pub use state_matrix::StateClass;
pub use tables::{Table, Tables, Visit};
