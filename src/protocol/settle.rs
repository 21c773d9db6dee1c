//! What a primary makes of all that it was told: rules 2, 3, 4, 5, 8 and 10 at once.
//!
//! One function of everything that is known, not one for each message: called after whatever has changed, as often as one likes, it
//! finds what there is to do, and nothing when there is nothing.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::limits::{MATERIALS_PER_KEY_MAX, REGIONS_MAX};
use claviger_types::{MaterialId, Region};

use crate::known_bugs::bug;
use crate::{
    Change, Here, Holding, Intent, Leaving, MaterialEntry, MaterialState, Member, MemberStatus, Presence, SharedDoc, StatusRecord, Statuses,
};

impl Holding {
    /// What the primary's share becomes with `statuses` known. Of a region that does not own the document, nothing.
    pub fn settle(&self, here: &Here<'_>, statuses: &Statuses) -> Change<Self> {
        let mut next = self.clone();
        let mut intents = Vec::new();
        if !self.document.is_owned_by(here.me) {
            return Change { next, intents };
        }
        let told: Vec<&StatusRecord> = self.credible(here, statuses).collect();
        // Rule 5.
        if let Some(greatest) = told.iter().map(|status| &status.greatest_epoch).max()
            && *greatest > self.greatest_epoch
        {
            next.greatest_epoch = greatest.clone();
            (next.bid, next.consent) = (None, None);
        }
        if next.greatest_epoch != self.document.version.epoch {
            return Change { next, intents };
        }
        let mut document = SharedDoc { version: self.document.version.next(), ..self.document.clone() };
        if self.document.offer.is_some() {
            if self.is_refused(&told) {
                document.offer = None;
            }
        } else {
            document.note_gone(&told);
            document.note_found(&told);
            document.unite(self, here, &told);
            document.detach_other_lives(here);
            let earned: Vec<_> = told.iter().filter(|status| document.is_earned_by(status)).collect();
            earned.into_iter().for_each(|status| document.activate(status));
            document.complete_rotation(self, here, statuses);
            intents.extend(self.wanted(&document, &told));
        }
        if document.differs_from(&self.document) {
            next.document = document;
            intents.push(Intent::Ship);
        }
        next.settle_deletion(here, &mut intents);
        Change { next, intents }
    }

    /// The bytes of `materials` have come. They are named by the document once [`Holding::settle`] has been called.
    pub fn hand_over(&self, materials: &BTreeSet<MaterialId>) -> Self {
        let mut next = self.clone();
        next.materials.extend(materials);
        next
    }

    /// The statuses that count: of peers, in the life in which they were admitted.
    fn credible<'s>(&self, here: &Here<'_>, statuses: &'s Statuses) -> impl Iterator<Item = &'s StatusRecord> {
        let (key_id, me) = (self.document.key_id, here.me.region.clone());
        let lives = here.lives.clone();
        statuses
            .iter()
            .filter(move |(region, status)| {
                let is_alive = bug!(IncarnationIgnored) || lives.get(*region) == Some(&status.incarnation);
                let is_sane = status.greatest_epoch.is_in_range() && status.version.is_in_range();
                status.key_id == key_id && **region == status.region && **region != me && is_alive && is_sane
            })
            .map(|(_, status)| status)
    }

    /// Rule 6: whether the target of the offer will never take it. One that was restored since does not know what it did before.
    fn is_refused(&self, told: &[&StatusRecord]) -> bool {
        let Some((target, member)) = self.document.offer.as_ref().and_then(|target| self.document.members.get_key_value(target)) else {
            return false;
        };
        let born = Some(&member.born);
        told.iter().filter(|status| status.region == *target && Some(status.incarnation) == member.life).any(|status| {
            let refused = status.refused.as_ref().is_some_and(|refused| *refused >= self.document.version);
            refused || (status.presence == Presence::Gone && status.member_since.as_ref() >= born)
        })
    }

    /// The bytes that others have and this region lacks.
    fn wanted(&self, document: &SharedDoc, told: &[&StatusRecord]) -> Vec<Intent> {
        if self.is_external() {
            return Vec::new();
        }
        let mut lacking: BTreeMap<&Region, BTreeSet<MaterialId>> = BTreeMap::new();
        let mut asked = BTreeSet::new();
        for status in told.iter().filter(|status| document.members.contains_key(&status.region)) {
            for id in status.materials.difference(&self.materials).filter(|id| asked.insert(**id)) {
                lacking.entry(&status.region).or_default().insert(*id);
            }
        }
        lacking.into_iter().map(|(from, materials)| Intent::Fetch { from: from.clone(), materials }).collect()
    }

    /// Rule 8: a primary's deletion waits for all others.
    fn settle_deletion(&mut self, here: &Here<'_>, intents: &mut Vec<Intent>) {
        match (self.leaving, self.document.others_are_gone(&here.me.region)) {
            (Leaving::AwaitsReplicas, true) => {
                self.leaving = Leaving::Scheduled { since: self.status_revision, acknowledged: false };
                intents.push(Intent::RestartWindow);
            }
            (Leaving::Scheduled { .. }, false) => {
                self.leaving = Leaving::AwaitsReplicas;
                intents.push(Intent::StopWindow);
            }
            _ => {}
        }
    }

    /// Rule 3: whether every active member has named `id` in the present epoch. Nobody's word from before the epoch, or from before the
    /// material became pending, counts: an import can have been taken away since.
    pub fn is_held_by_all(&self, here: &Here<'_>, statuses: &Statuses, document: &SharedDoc, id: &MaterialId) -> bool {
        let Some(in_progress) = &document.in_progress else { return false };
        let told: BTreeMap<&Region, &StatusRecord> = self.credible(here, statuses).map(|status| (&status.region, status)).collect();
        let has_named = |region: &Region, member: &Member| {
            told.get(region).is_some_and(|status| {
                let in_epoch = if bug!(AcknowledgedAcrossEpochs) {
                    status.version.revision >= in_progress.since.revision
                } else {
                    status.version >= in_progress.since
                };
                in_epoch && status.materials.contains(id) && (bug!(IncarnationIgnored) || member.life == Some(status.incarnation))
            })
        };
        let mut others =
            document.members.iter().filter(|(region, member)| **region != here.me.region && member.status == MemberStatus::Active);
        self.materials.contains(id) && others.all(|(region, member)| has_named(region, member))
    }
}

impl SharedDoc {
    fn differs_from(&self, held: &Self) -> bool {
        Self { version: held.version.clone(), ..self.clone() } != *held
    }

    /// Rule 8: who says that it has destroyed the key, in the life that the document knows of, is gone.
    fn note_gone(&mut self, told: &[&StatusRecord]) {
        for status in told.iter().filter(|status| status.presence == Presence::Gone) {
            let Some(member) = self.members.get_mut(&status.region) else { continue };
            let speaks_of_this = bug!(GoneWithoutSince) || status.member_since.as_ref().is_some_and(|since| *since >= member.born);
            if member.status != MemberStatus::Gone && speaks_of_this {
                (member.status, member.since, member.life) = (MemberStatus::Gone, self.version.clone(), None);
            }
        }
    }

    /// Rule 10: members found that the document lacks, by the word of members that knew them; and one that was released and is there
    /// after all.
    fn note_found(&mut self, told: &[&StatusRecord]) {
        for status in told.iter().filter(|status| status.presence == Presence::Present) {
            let Some(member) = self.members.get_mut(&status.region) else { continue };
            if member.status == MemberStatus::Gone && status.member_since.as_ref().is_some_and(|since| *since >= member.since) {
                (member.status, member.since, member.life) = (MemberStatus::Detached, self.version.clone(), None);
            }
            status.strays.iter().for_each(|stray| self.add_found(stray));
        }
    }

    /// A region that has the key, as far as is known, and is no member becomes one.
    pub(crate) fn add_found(&mut self, region: &Region) {
        if !self.members.contains_key(region) && self.members.len() < REGIONS_MAX {
            let version = self.version.clone();
            self.members
                .insert(region.clone(), Member { status: MemberStatus::Detached, born: version.clone(), since: version, life: None });
        }
    }

    /// Rule 2 at the primary: what others hold, and this region by now too, becomes `Past`.
    fn unite(&mut self, own: &Holding, here: &Here<'_>, told: &[&StatusRecord]) {
        if own.is_external() {
            let kept: BTreeSet<MaterialId> = told.iter().flat_map(|status| status.kept.iter()).chain(&own.kept).copied().collect();
            kept.iter().for_each(|id| self.add_past(*id, None, here));
        } else {
            own.materials.iter().for_each(|id| self.add_past(*id, None, here));
        }
    }

    /// Adds a material that is none of the document's, or revives one that was discarded; `known` is what another document said of it.
    /// An imported key that has none yet, on this line, has it as its current one: some material always is.
    pub(crate) fn add_past(&mut self, id: MaterialId, known: Option<&MaterialEntry>, here: &Here<'_>) {
        let state = if self.current_material().is_some() { MaterialState::Past } else { MaterialState::Current };
        if let Some(entry) = self.materials.iter_mut().find(|entry| entry.id == id) {
            if entry.state == MaterialState::Discarded {
                (entry.state, entry.united) = (state, true);
            }
        } else if self.materials.len() < MATERIALS_PER_KEY_MAX {
            let created_at = known.map_or(here.now, |entry| entry.created_at);
            let rotated = known.and_then(|entry| entry.rotated);
            self.materials.push(MaterialEntry { id, created_at, state, rotated, united: true });
        }
    }

    /// Rule 11: a member that is alive in another life than the one that became active is detached.
    pub(crate) fn detach_other_lives(&mut self, here: &Here<'_>) {
        for (region, member) in &mut self.members {
            let present = here.lives.get(region);
            let is_other = *region != here.me.region && present.is_some() && member.life.as_ref() != present;
            if is_other && member.status == MemberStatus::Active && !bug!(IncarnationIgnored) {
                (member.status, member.since, member.life) = (MemberStatus::Detached, self.version.clone(), None);
            }
        }
    }

    /// Rule 3, the second phase. An imported material waits for RotateKeyOnDemand instead.
    fn complete_rotation(&mut self, own: &Holding, here: &Here<'_>, statuses: &Statuses) {
        let (Some(kind), Some(pending)) = (self.in_progress.as_ref().and_then(|rotation| rotation.kind), self.pending_material()) else {
            return;
        };
        let id = pending.id;
        if own.is_held_by_all(here, statuses, self, &id) {
            // It cannot fail: the material is pending.
            let _ = self.make_current(id, kind, here.now);
        }
    }
}
