//! Multi-region keys as pure functions: the shared document, its versions, the status records that answer it, and the eleven
//! rules (DESIGN.md section 5.2) by which regions keep one key.
//!
//! Nothing here does I/O, waits, reads a clock or draws a random number: the state machine calls these functions inside `apply`, so
//! every node of a region decides alike. Each takes what a region has of a key ([`Share`], or the [`Holding`] in it) and what has
//! happened, and gives what the region has next and what follows from that ([`Change`], [`Intent`]). A driver commits all of the
//! former in one step; the latter may be lost and is found again.
//!
//! | rule | function | file |
//! |---|---|---|
//! | 1 accept, 2 union, 5 yield at a receiver | [`receive`], [`accept`] | `receive`, `accept` |
//! | 2 union, 3 second phase, 4 active, 5 yield, 10 found members at the primary | [`Holding::settle`] | `settle`, `membership` |
//! | 3 first phase, 9 imports, detach | [`Holding::begin_rotation`], [`Holding::import`], [`Holding::rotate_imported`], [`Holding::detach`] | `rotation` |
//! | 6 handoff | [`Holding::consent`], [`Holding::offer`], [`Holding::take`], [`Holding::refuse`] | `handoff` |
//! | 7 promotion | [`Holding::bid`], [`promise`], [`Holding::outbid`], [`Holding::promote`] | `promotion` |
//! | 8 deletion | [`Holding::schedule_deletion`], [`Holding::delivered`], [`Holding::destroy`], [`Holding::release`] | `deletion` |
//! | 10 reservation, 11 restore | [`Share::reserve`], [`Share::lapse`], [`SharedDoc::add_member`], [`Share::restored`] | `share`, `membership` |
//!
//! What a driver has to see to besides, since these functions cannot:
//!
//! * The bytes of the materials that a [`Change`] adds are committed in the same step, and those of [`Intent::Erase`] are destroyed.
//! * A primary calls [`Holding::settle`] after each change of its share, its statuses or its peers, until nothing changes.
//! * It says which status it has taken in which epoch ([`Holding::delivered`]), and only while it owns the document.
//! * A refusal of a document as not newer, promised or lacking bytes is followed by a fresh status to its sender.
//! * A region that is created again needs the key's id secret again: whoever's status says `Gone`, or nothing, is sent it.
//! * With [`Answer::Promised`] go the bytes that the asker lacks; the answer leaves after the promise is committed.
//!
//! What a key does while one region alone has it is in `life`. `model` runs these same functions in every order that it can
//! reach; `known_bugs` breaks them on purpose, so that the model shows it would notice.

mod accept;
mod deletion;
mod document;
mod error;
mod handoff;
pub mod known_bugs;
mod life;
mod membership;
#[cfg(test)]
mod model;
mod promotion;
mod receive;
mod rotation;
mod settle;
mod share;
mod status;
#[cfg(test)]
mod tests;
mod version;

pub use accept::{Accepted, Held, accept};
pub use deletion::DeletionError;
pub use document::{
    Enablement, InProgress, MaterialEntry, MaterialState, Member, MemberStatus, NewDocument, Order, Rotated, Rotation, SharedDoc,
};
pub use error::{AddMemberError, DocumentError, Refused};
pub use handoff::HandoffError;
pub use life::LifeError;
pub use promotion::{Answer, Answers, Ask, PromotionError, promise};
pub use receive::receive;
pub use share::{Bid, Change, Here, Holding, Intent, Leaving, Lives, Share, Statuses, Tombstone};
pub use status::{Presence, StatusRecord};
pub use version::{Author, Epoch, Version};

/// Schema version of an encoded [`SharedDoc`].
pub const DOCUMENT_SCHEMA: u8 = 3;
/// Schema version of an encoded [`StatusRecord`].
pub const STATUS_SCHEMA: u8 = 2;
