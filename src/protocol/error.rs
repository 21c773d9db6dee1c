//! Why a document is malformed, refused or cannot change.

/// A document that no region could have committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Its members do not fit its key id or its primary.
    #[error("the members do not fit the key id or the primary")]
    Membership,
    /// More members or materials than a key may have, or a greater version or longer text than there can be.
    #[error("more than a key may have of something")]
    TooLarge,
    /// Not exactly one material is current.
    #[error("not exactly one material is current")]
    CurrentMaterial,
    /// A material is named twice.
    #[error("a material is named twice")]
    RepeatedMaterial,
    /// Generated material is discarded (rule 2: imported keys alone have such).
    #[error("a material that was not imported is discarded")]
    DiscardedMaterial,
    /// A material is pending without a rotation, or the other way round, or more than one is.
    #[error("the pending materials do not fit the rotation in progress")]
    PendingMaterial,
    /// It is offered to a region that cannot take it.
    #[error("it is offered to a region that cannot take it")]
    Offer,
    /// A member's `since` or `born` is later than it can be.
    #[error("a member is younger than the document")]
    MemberFromTheFuture,
}

/// Why a region does not take a document (rule 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is malformed.
    #[error("the document is malformed: {0}")]
    Malformed(#[from] DocumentError),
    /// It comes from a region that is not the author of its epoch.
    #[error("the document does not come from the author of its epoch")]
    NotItsAuthor,
    /// It does not list the receiver.
    #[error("the document does not list this region as a member")]
    NotAMember,
    /// The receiver does not know the key and holds no reservation from the sender.
    #[error("the key is unknown here and nothing is reserved for it")]
    NoReservation,
    /// The receiver holds this version or a greater one.
    #[error("a version as great or greater is held")]
    NotNewer,
    /// The receiver has seen or promised a greater epoch.
    #[error("a greater epoch was seen or promised")]
    Promised,
    /// The sender is no peer in its admitted life.
    #[error("the sender is not admitted in this life")]
    NotAdmitted,
    /// It differs from the held document in what never changes.
    #[error("the document contradicts what is held of the same key")]
    Contradicts,
    /// A material's bytes are neither in the batch nor held.
    #[error("the bytes of a material are missing")]
    MissingMaterial,
}

/// Why a region cannot be added to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddMemberError {
    /// The key is not multi-region, or this region is not its primary.
    #[error("this region is not the primary of a multi-region key")]
    NotPrimary,
    /// The region is a member already, in whatever standing.
    #[error("the region is a member already")]
    AlreadyExists,
    /// The key is in as many regions as it may be.
    #[error("the key has as many regions as it may have")]
    TooManyRegions,
    /// The target may have let its reservation go.
    #[error("the reservation's time has passed")]
    ReservationLapsed,
}
