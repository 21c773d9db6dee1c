//! How members come and become active: the primary's side of rules 4 and 10.

use claviger_types::limits::REGIONS_MAX;
use claviger_types::{Region, Timestamp, known_bug};

use crate::{AddMemberError, Author, Member, MemberStatus, Presence, SharedDoc, StatusRecord};

impl SharedDoc {
    /// Rule 10, the primary's commit of ReplicateKey: `region`, which holds a reservation, becomes a member that is `Creating`.
    ///
    /// The reservation may lapse once this region's log time is past `deadline`, so a later commit is refused: the
    /// target's promise and this commit can then never miss each other.
    ///
    /// # Errors
    /// When `me` does not own the document or the region cannot be added; nothing has changed then.
    pub fn add_member(&self, me: &Author, region: &Region, deadline: Timestamp, log_time: Timestamp) -> Result<Self, AddMemberError> {
        if !self.key_id.is_multi_region() || !self.is_owned_by(me) {
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
        let member = Member { status, born: next.version.clone(), since: next.version.clone() };
        next.members.insert(region.clone(), member);
        Ok(next)
    }

    /// What the primary `me` makes of a member's status: the changed document, or `None` when nothing changes.
    ///
    /// Rule 4: `Creating` or `Detached` becomes `Active` by a status not older than its `since` that names every material.
    /// A region that the document lacks is not added by its own word: key ids and material ids stand in every ciphertext, so
    /// that would let any peer ask for any key. (Rule 10 adds such a region `Detached`; until there are restores and
    /// promotions no honest region can be one.)
    pub fn receive_status(&self, me: &Author, status: &StatusRecord) -> Option<Self> {
        if !self.key_id.is_multi_region() || !self.is_owned_by(me) || status.key_id != self.key_id || status.region == me.region {
            return None;
        }
        if status.presence == Presence::Gone || status.greatest_epoch > self.version.epoch {
            return None;
        }
        let next_version = self.version.next();
        let member = self.members.get(&status.region)?;
        let waits = matches!(member.status, MemberStatus::Creating | MemberStatus::Detached);
        let recent = status.member_since.as_ref().is_some_and(|since| *since >= member.since);
        if !waits || !recent || !self.material_ids().is_subset(&status.materials) {
            return None;
        }
        let member = Member { status: MemberStatus::Active, born: member.born.clone(), since: next_version.clone() };
        let mut next = self.clone();
        next.version = next_version;
        next.members.insert(status.region.clone(), member);
        Some(next)
    }
}
