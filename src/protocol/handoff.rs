//! Rule 6: a planned handoff, `UpdatePrimaryRegion`. Consent, offer, take; or refusal and withdrawal.
//!
//! The offer is the last version of its epoch. Its primary changes nothing from then on until the target has taken the document, or
//! has refused for good; if the target is lost, only a forced promotion helps (rule 7).

use crate::known_bugs::bug;
use crate::rotation::ship;
use crate::{Change, Epoch, Here, Holding, Leaving, MemberStatus, SharedDoc, Statuses, Version};
use claviger_types::Region;

/// Why a handoff does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoffError {
    /// This region may not change the document: it does not own it, has yielded, or has offered it already.
    #[error("this region may not change the document now")]
    NotPrimary,
    /// The target is no active member in its admitted life.
    #[error("the target is not active")]
    NotActive,
    /// The target has not said that it is ready to succeed this epoch.
    #[error("the target has not consented")]
    NoConsent,
    /// The key is to be deleted here.
    #[error("the key is to be deleted here")]
    Leaving,
    /// Nothing is offered to this region, or it has seen or promised a greater epoch, or has refused.
    #[error("nothing is offered to this region")]
    NotOffered,
}

impl Holding {
    /// The target is ready to succeed the present primary; the driver has decided by the region's own identities, and the key is
    /// enabled here. Until it is taken or called back, the key cannot be scheduled for deletion here.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn consent(&self, here: &Here<'_>) -> Result<Change<Self>, HandoffError> {
        let entry = self.document.members.get(&here.me.region);
        if self.document.primary() == &here.me.region || self.greatest_epoch != self.document.version.epoch {
            return Err(HandoffError::NotOffered);
        }
        if entry.is_none_or(|member| member.status != MemberStatus::Active || member.life != Some(here.me.incarnation)) {
            return Err(HandoffError::NotActive);
        }
        if self.leaving != Leaving::Stays {
            return Err(HandoffError::Leaving);
        }
        Ok(Self { consent: Some(self.document.version.epoch.clone()), ..self.clone() }.reported(here.me))
    }

    /// The target calls its consent back: an offer that was made meanwhile is refused for good. The driver calls this too when it is
    /// offered what it never consented to.
    pub fn refuse(&self, here: &Here<'_>) -> Change<Self> {
        let mut next = Self { consent: None, ..self.clone() };
        if self.is_offered_to(&here.me.region) {
            next.refused = Some(self.document.version.clone());
        }
        next.reported(here.me)
    }

    /// The primary offers the document to `target`.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn offer(&self, here: &Here<'_>, statuses: &Statuses, target: &Region) -> Result<Change<Self>, HandoffError> {
        if !self.may_change(here.me) {
            return Err(HandoffError::NotPrimary);
        }
        if self.leaving != Leaving::Stays {
            return Err(HandoffError::Leaving);
        }
        let present = here.lives.get(target);
        let member = self.document.members.get(target).filter(|member| member.status == MemberStatus::Active && *target != here.me.region);
        if present.is_none() || member.is_none_or(|member| member.life.as_ref() != present) {
            return Err(HandoffError::NotActive);
        }
        let consents = |status: &crate::StatusRecord| {
            status.consent.as_ref() == Some(&self.document.version.epoch) && Some(&status.incarnation) == present
        };
        if !statuses.get(target).is_some_and(consents) {
            return Err(HandoffError::NoConsent);
        }
        let version = self.document.version.next();
        Ok(ship(self.with_own(SharedDoc { version, offer: Some(target.clone()), ..self.document.clone() })))
    }

    /// The target takes the document that is offered to it, and owns it.
    ///
    /// # Errors
    /// Why it cannot; the driver then lets it [`Holding::refuse`].
    pub fn take(&self, here: &Here<'_>) -> Result<Change<Self>, HandoffError> {
        if !self.is_offered_to(&here.me.region) || self.greatest_epoch != self.document.version.epoch {
            return Err(HandoffError::NotOffered);
        }
        if !bug!(HandoffWithoutConsent) {
            if self.consent.as_ref() != Some(&self.document.version.epoch) {
                return Err(HandoffError::NoConsent);
            }
            if self.refused.as_ref().is_some_and(|refused| *refused >= self.document.version) {
                return Err(HandoffError::NotOffered);
            }
        }
        if self.leaving != Leaving::Stays {
            return Err(HandoffError::Leaving);
        }
        let old = &self.document.version.epoch;
        let epoch = Epoch { handoffs: old.handoffs + 1, author: here.me.clone(), ..old.clone() };
        let mut document = SharedDoc { offer: None, ..self.document.clone() };
        document.begin_epoch(epoch);
        document.detach_other_lives(here);
        let mut next = self.with_own(document);
        (next.consent, next.refused) = (None, None);
        Ok(ship(next))
    }

    /// Whether the held document is offered to `region`.
    pub fn is_offered_to(&self, region: &Region) -> bool {
        self.document.offer.as_ref() == Some(region)
    }
}

impl SharedDoc {
    /// The document becomes the first of `epoch`. What members said counts anew: of the pending material, and of who is to become active.
    pub(crate) fn begin_epoch(&mut self, epoch: Epoch) {
        self.version = Version { epoch, revision: 1 };
        if let Some(rotation) = &mut self.in_progress {
            rotation.since = self.version.clone();
        }
        for member in self.members.values_mut() {
            if matches!(member.status, MemberStatus::Creating | MemberStatus::Detached) {
                member.since = self.version.clone();
            }
        }
    }
}
