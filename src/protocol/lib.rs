//! Multi-region keys as pure functions: the shared document, its versions, the status records that answer it, and the
//! rules (DESIGN.md section 5.2) by which a region accepts, activates and adds.
//!
//! Nothing here does I/O, waits or reads a clock: the state machine calls these functions inside `apply`, so every node of
//! a region decides alike. Rules 1 (accept), 4 (active is earned) and 10 (create by reservation) are here, and what a key does
//! while one region alone has it (`life`); rotation and imports across regions, handoff, promotion and deletion are absent.

mod accept;
mod document;
mod error;
mod life;
mod membership;
mod status;
#[cfg(test)]
mod tests;
mod version;

pub use accept::{Accepted, Held, accept};
pub use document::{Enablement, MaterialEntry, MaterialState, Member, MemberStatus, NewDocument, Rotated, Rotation, SharedDoc};
pub use error::{AddMemberError, DocumentError, Refused};
pub use life::LifeError;
pub use status::{Presence, StatusRecord};
pub use version::{Author, Epoch, Version};

/// Schema version of an encoded [`SharedDoc`].
pub const DOCUMENT_SCHEMA: u8 = 2;
/// Schema version of an encoded [`StatusRecord`].
pub const STATUS_SCHEMA: u8 = 1;
