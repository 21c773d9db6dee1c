//! Rule 8: destroy last.
//!
//! When a window is over the driver says; nothing here knows the time. A replica destroys its materials only after the primary of the
//! present epoch has them all and has said so since the deletion was asked for; a primary only after every other member is gone.

use claviger_types::Region;

use crate::known_bugs::bug;
use crate::rotation::ship;
use crate::{Change, Epoch, Here, Holding, Intent, Leaving, MemberStatus, Share, Tombstone};

/// Why a key's deletion does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeletionError {
    /// It is between two primaries, or about to get its primary here.
    #[error("the key is changing hands")]
    ChangingHands,
    /// It is to be deleted already, or it is not.
    #[error("the key is to be deleted already, or is not to be")]
    NoChange,
    /// Another region has the key, and this is its primary.
    #[error("other regions have the key")]
    OthersHaveIt,
    /// The present primary has not said, since the deletion was asked for, that it has all that is here.
    #[error("the primary has not acknowledged what is here")]
    NotAcknowledged,
    /// This region may not change the document, or the region is no other member.
    #[error("this region may not release that one")]
    NotPrimary,
}

impl Holding {
    /// ScheduleKeyDeletion: PendingDeletion, or PendingReplicaDeletion at a primary while other regions have the key.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn schedule_deletion(&self, here: &Here<'_>) -> Result<Change<Self>, DeletionError> {
        if self.leaving != Leaving::Stays {
            return Err(DeletionError::NoChange);
        }
        if self.consent.is_some() || self.bid.is_some() || self.document.is_changing_hands_in(&here.me.region) {
            return Err(DeletionError::ChangingHands);
        }
        let owns = self.document.is_owned_by(here.me);
        let waits = owns && !self.document.others_are_gone(&here.me.region);
        let leaving = Leaving::Scheduled { since: self.status_revision + 1, acknowledged: false };
        let mut change = Self { leaving: if waits { Leaving::AwaitsReplicas } else { leaving }, ..self.clone() }.reported(here.me);
        change.intents.push(if waits { Intent::StopWindow } else { Intent::RestartWindow });
        Ok(change)
    }

    /// CancelKeyDeletion.
    ///
    /// # Errors
    /// When the key is not to be deleted.
    pub fn cancel_deletion(&self) -> Result<Change<Self>, DeletionError> {
        if self.leaving == Leaving::Stays {
            return Err(DeletionError::NoChange);
        }
        Ok(Change { next: Self { leaving: Leaving::Stays, ..self.clone() }, intents: vec![Intent::StopWindow] })
    }

    /// The primary of `epoch`, which owned the document when it said so, has taken this region's status `revision`.
    pub fn delivered(&self, epoch: &Epoch, revision: u64) -> Self {
        let mut next = self.clone();
        if let Leaving::Scheduled { since, acknowledged } = &mut next.leaving
            && *epoch == self.document.version.epoch
            && revision >= *since
        {
            *acknowledged = true;
        }
        next
    }

    /// The key's window here is over: all of it goes but the memory that it was.
    ///
    /// # Errors
    /// Why it has to wait.
    pub fn destroy(&self, here: &Here<'_>) -> Result<Change<Share>, DeletionError> {
        let Leaving::Scheduled { acknowledged, .. } = self.leaving else { return Err(DeletionError::NoChange) };
        if self.document.is_changing_hands_in(&here.me.region) {
            return Err(DeletionError::ChangingHands);
        }
        let knows_primary = self.greatest_epoch == self.document.version.epoch;
        if self.document.is_owned_by(here.me) {
            // One that has yielded is a replica that does not know its primary yet.
            if !knows_primary || !self.document.others_are_gone(&here.me.region) {
                return Err(DeletionError::OthersHaveIt);
            }
        } else {
            let handed_over = self.is_external() || self.materials.is_subset(&self.document.material_ids());
            let told = acknowledged && knows_primary && handed_over && self.kept.is_empty() && self.strays.is_empty();
            if !told && !bug!(DeletionBeforeAcknowledgement) {
                return Err(DeletionError::NotAcknowledged);
            }
        }
        let mut tombstone = Tombstone::of(&self.document, here.me, self.status_revision + 1);
        tombstone.greatest_epoch = self.greatest_epoch.clone();
        let intents = vec![Intent::Report(self.document.primary().clone()), Intent::Erase(self.materials.clone())];
        Ok(Change { next: Share::Destroyed { tombstone: Box::new(tombstone), reserved: None }, intents })
    }

    /// `claviger peer remove`: a replica that will never say so itself counts as gone. The driver refuses it while that peer is primary
    /// of anything.
    ///
    /// # Errors
    /// When this region may not change the document, or `region` is no other member.
    pub fn release(&self, here: &Here<'_>, region: &Region) -> Result<Change<Self>, DeletionError> {
        let mut next = self.next_version(here).map_err(|_| DeletionError::NotPrimary)?;
        let version = next.version.clone();
        let member = next.members.get_mut(region).filter(|_| *region != here.me.region).ok_or(DeletionError::NotPrimary)?;
        if member.status == MemberStatus::Gone {
            return Err(DeletionError::NoChange);
        }
        (member.status, member.since, member.life) = (MemberStatus::Gone, version, None);
        Ok(ship(self.with_own(next)))
    }
}
