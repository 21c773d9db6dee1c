//! How members come and become active: the primary's side of rules 4 and 10.

use claviger_types::limits::REGIONS_MAX;
use claviger_types::{Origin, Region, Timestamp, known_bug};

use crate::known_bugs::bug;
use crate::rotation::ship;
use crate::{AddMemberError, Author, Change, Here, Holding, Member, MemberStatus, Presence, SharedDoc, StatusRecord};

impl SharedDoc {
    /// Rule 10, the primary's commit of ReplicateKey: `region`, which holds a reservation, becomes a member that is `Creating`.
    ///
    /// The reservation may lapse once this region's log time is past `deadline`, so a later commit is refused: the
    /// target's promise and this commit can then never miss each other.
    ///
    /// # Errors
    /// When `me` does not own the document or the region cannot be added; nothing has changed then.
    pub fn add_member(&self, me: &Author, region: &Region, deadline: Timestamp, log_time: Timestamp) -> Result<Self, AddMemberError> {
        if !self.key_id.is_multi_region() || !self.is_owned_by(me) || self.offer.is_some() {
            return Err(AddMemberError::NotPrimary);
        }
        let known = self.members.get(region);
        if known.is_some_and(|member| member.status != MemberStatus::Gone) {
            return Err(AddMemberError::AlreadyExists);
        }
        if known.is_none() && self.members.len() >= REGIONS_MAX {
            return Err(AddMemberError::TooManyRegions);
        }
        if log_time > deadline {
            return Err(AddMemberError::ReservationLapsed);
        }
        let mut next = self.clone();
        next.version = self.version.next();
        let status = if known_bug!(ActiveWithoutMaterials) { MemberStatus::Active } else { MemberStatus::Creating };
        let member = Member { status, born: next.version.clone(), since: next.version.clone(), life: None };
        next.members.insert(region.clone(), member);
        Ok(next)
    }

    /// Rule 4 by itself, for a primary that has one status at hand: the changed document, or `None` when nothing changes.
    /// [`crate::Holding::settle`] has all the rules.
    pub fn receive_status(&self, me: &Author, status: &StatusRecord) -> Option<Self> {
        if !self.key_id.is_multi_region() || !self.is_owned_by(me) || status.key_id != self.key_id || status.region == me.region {
            return None;
        }
        if self.offer.is_some() || status.greatest_epoch > self.version.epoch || !self.is_earned_by(status) {
            return None;
        }
        let mut next = self.clone();
        next.version = self.version.next();
        next.activate(status);
        Some(next)
    }

    /// Rule 4: `Creating` or `Detached` becomes `Active` by a status not older than its `since` that names every material. Before that
    /// a region hands over what it alone has: its materials and the members that it knows of.
    ///
    /// A region that the document lacks is not added by its own word: key ids and material ids stand in every ciphertext, so
    /// that would let any peer ask for any key.
    pub(crate) fn is_earned_by(&self, status: &StatusRecord) -> bool {
        let Some(member) = self.members.get(&status.region) else { return false };
        let waits = matches!(member.status, MemberStatus::Creating | MemberStatus::Detached);
        let recent = bug!(ActiveWithoutSince) || status.member_since.as_ref().is_some_and(|since| *since >= member.since);
        let is_external = self.origin == Origin::External;
        let whole = is_external || self.material_ids() == status.materials;
        let strays_known = status.strays.iter().all(|stray| self.members.contains_key(stray));
        waits && recent && status.presence == Presence::Present && whole && strays_known
    }

    /// The member that sent `status` becomes active, in the version that this document has already.
    pub(crate) fn activate(&mut self, status: &StatusRecord) {
        if let Some(member) = self.members.get_mut(&status.region) {
            member.status = MemberStatus::Active;
            member.since = self.version.clone();
            member.life = Some(status.incarnation);
        }
    }
}

impl Holding {
    /// Rule 10 for a region that has the key and that no member knows: an operator, who has seen that it has, lets it be a member again. It is
    /// `Detached`, hands over what it has and earns the rest.
    ///
    /// # Errors
    /// When this region may not change the document, or the region is a member already, or there are too many.
    pub fn adopt(&self, here: &Here<'_>, region: &Region) -> Result<Change<Self>, AddMemberError> {
        let mut next = self.next_version(here).map_err(|_| AddMemberError::NotPrimary)?;
        if next.members.contains_key(region) {
            return Err(AddMemberError::AlreadyExists);
        }
        if next.members.len() >= REGIONS_MAX {
            return Err(AddMemberError::TooManyRegions);
        }
        next.add_found(region);
        Ok(ship(self.with_own(next)))
    }
}
