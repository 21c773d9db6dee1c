//! Rule 1: when a region takes a document that a peer sends.

use claviger_types::Region;

use crate::{Author, Epoch, MemberStatus, Refused, SharedDoc, Version};

/// What the receiver has of the key.
#[derive(Clone, Copy, Debug)]
pub enum Held<'a> {
    /// Nothing, and no reservation.
    Nothing,
    /// Nothing but a reservation that `primary` asked for (rule 10).
    Reservation {
        /// The region that asked.
        primary: &'a Region,
    },
    /// The key.
    Document {
        /// The document.
        document: &'a SharedDoc,
        /// The greatest epoch seen or promised.
        greatest_epoch: &'a Epoch,
    },
    /// The memory of a key that this region has destroyed.
    Tombstone {
        /// The `born` of the member that was destroyed.
        born: &'a Version,
        /// The greatest version seen since.
        version: &'a Version,
        /// The greatest epoch seen or promised.
        greatest_epoch: &'a Epoch,
        /// Whether a reservation allows it to live again.
        reserved: bool,
    },
}

/// What taking the document does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The key begins here, by its reservation.
    Created,
    /// The held document is replaced.
    Updated,
    /// Only the tombstone's version moves.
    TombstoneFollows,
}

/// Decides whether region `me`, which holds `held`, takes `document` from `sender`.
///
/// # Errors
/// Why not. [`Refused::NotNewer`] asks for a fresh status: the sender has missed one.
pub fn accept(me: &Region, held: Held<'_>, document: &SharedDoc, sender: &Author) -> Result<Accepted, Refused> {
    document.validate()?;
    if document.version.epoch.author != *sender {
        return Err(Refused::NotItsAuthor);
    }
    let member = document.members.get(me).ok_or(Refused::NotAMember)?;
    match held {
        Held::Nothing => Err(Refused::NoReservation),
        // The key may have changed hands since it asked.
        Held::Reservation { primary } if !document.members.contains_key(primary) => Err(Refused::NoReservation),
        Held::Reservation { .. } if member.status == MemberStatus::Gone => Err(Refused::NotAMember),
        Held::Reservation { .. } => Ok(Accepted::Created),
        Held::Document { document: held, greatest_epoch } => {
            if !held.is_same_key(document) {
                return Err(Refused::Contradicts);
            }
            if document.version <= held.version {
                return Err(Refused::NotNewer);
            }
            if document.version.epoch < *greatest_epoch {
                return Err(Refused::Promised);
            }
            Ok(Accepted::Updated)
        }
        Held::Tombstone { born, version, greatest_epoch, reserved } => {
            if document.version <= *version {
                return Err(Refused::NotNewer);
            }
            if document.version.epoch < *greatest_epoch {
                return Err(Refused::Promised);
            }
            if reserved && member.born > *born && member.status != MemberStatus::Gone {
                return Ok(Accepted::Created);
            }
            Ok(Accepted::TombstoneFollows)
        }
    }
}

impl SharedDoc {
    /// Whether all that never changes in a key is equal.
    fn is_same_key(&self, other: &Self) -> bool {
        let fixed = |doc: &Self| (doc.key_id, doc.account, doc.spec, doc.usage, doc.origin, doc.created_at);
        fixed(self) == fixed(other)
    }
}
