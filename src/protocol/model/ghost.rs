//! What the properties remember and no region knows, and the properties of DESIGN.md section 5.3 that are judged at each step.
//!
//! Each is found broken under its name. `convergence` is in `drain`.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::{MaterialId, Origin};

use super::world::{Hashed, Site, World, first_life, number};
use crate::{Epoch, MaterialState, MemberStatus, Share, SharedDoc, Version};

pub(super) const DECRYPTABLE: &str = "decryptable_everywhere";
pub(super) const ONE_LINE: &str = "one_line_of_succession";
pub(super) const NO_REGRESS: &str = "version_never_regresses";
pub(super) const IMMUTABLE: &str = "material_is_immutable";
pub(super) const NOT_LOST: &str = "no_material_lost";
pub(super) const CONVERGENCE: &str = "convergence";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ghost {
    /// The key's first epoch.
    pub(super) first: Epoch,
    /// The greatest epoch that each region has committed or said that it promises, in its present life.
    pub(super) promised: Vec<Epoch>,
    /// Materials that ever were current, with the line of that document.
    pub(super) ever_current: BTreeSet<(Epoch, MaterialId)>,
    /// The line of each epoch: the epoch of the creation or forced promotion from which handoffs alone led to it.
    lines: BTreeMap<Epoch, Epoch>,
    /// Materials that a disaster took: nobody who was to keep the key had them.
    pub(super) excused: BTreeSet<MaterialId>,
    /// Epochs that were handed over, and the offer with which each ended.
    ended: BTreeMap<Epoch, Version>,
    /// The newest document of each line.
    newest: BTreeMap<Epoch, Hashed<SharedDoc>>,
    /// Of an imported key: what each region has had here under the epoch that it holds.
    had: BTreeSet<(usize, Epoch, MaterialId)>,
    /// Properties that were broken.
    pub(super) broken: BTreeSet<&'static str>,
}

impl Ghost {
    pub(super) fn new(count: usize, epoch: &Epoch) -> Self {
        Self {
            first: epoch.clone(),
            promised: vec![epoch.clone(); count],
            ever_current: BTreeSet::new(),
            lines: BTreeMap::new(),
            excused: BTreeSet::new(),
            ended: BTreeMap::new(),
            newest: BTreeMap::new(),
            had: BTreeSet::new(),
            broken: BTreeSet::new(),
        }
    }
}

fn version_of(share: &Share) -> Option<&Version> {
    match share {
        Share::Absent { .. } => None,
        Share::Held(held) => Some(&held.document.version),
        Share::Destroyed { tombstone, .. } => Some(&tombstone.version),
    }
}

impl World {
    fn breaks(&mut self, property: &'static str) {
        self.ghost.broken.insert(property);
    }

    /// Region `at` has said that it promises `epoch`.
    pub(super) fn note_promise(&mut self, at: usize, epoch: &Epoch) {
        let promised = &mut self.ghost.promised[at];
        *promised = promised.clone().max(epoch.clone());
    }

    /// Region `at` has committed something in place of `before`, in the same life.
    pub(super) fn note_commit(&mut self, at: usize, before: &Share) {
        let now = self.sites[at].share.clone();
        let (was, is) = (version_of(before).cloned(), version_of(&now).cloned());
        if was > is {
            self.breaks(NO_REGRESS);
        }
        if let Some(version) = is
            && was.as_ref() != Some(&version)
        {
            // Of what it has seen or promised, it commits nothing smaller.
            if version.epoch < self.ghost.promised[at] {
                self.breaks(ONE_LINE);
            }
            self.note_promise(at, &version.epoch);
        }
        if let Share::Held(held) = &*now
            && held.document.origin == Origin::External
        {
            let epoch = &held.document.version.epoch;
            let had: Vec<_> = held.materials.iter().map(|id| (at, epoch.clone(), *id)).collect();
            self.ghost.had.retain(|(site, old, _)| *site != at || old == epoch);
            self.ghost.had.extend(had);
        }
    }

    /// Region `at`, which had `before`, has committed a document of its own.
    pub(super) fn note_published(&mut self, at: usize, before: &Share, document: &SharedDoc) {
        let version = &document.version;
        let held = before.holding().map(|holding| &holding.document).filter(|held| held.version != *version);
        // One author an epoch, one document a version.
        let other = self.documents.get(version).is_some_and(|known| **known != *document);
        if other || version.epoch.author != self.sites[at].me {
            self.breaks(ONE_LINE);
        }
        let line_of = |epoch: &Epoch| self.ghost.lines.get(epoch).cloned();
        let line = match held {
            Some(held) if held.version.epoch.promotions == version.epoch.promotions => line_of(&held.version.epoch),
            _ => line_of(&version.epoch),
        };
        let line = line.unwrap_or_else(|| version.epoch.clone());
        self.ghost.lines.insert(version.epoch.clone(), line.clone());
        if let Some(held) = held {
            if held.version.epoch == version.epoch {
                if !keeps_materials(held, document) {
                    self.breaks(IMMUTABLE);
                }
                self.note_activation(at, held, document);
            } else if held.version.epoch.promotions == version.epoch.promotions {
                // A handoff: the old epoch has ended with the offer.
                let beyond = self.ghost.newest.get(&line).is_some_and(|newest| newest.version > held.version);
                let again = self.ghost.ended.insert(held.version.epoch.clone(), held.version.clone()).is_some();
                if beyond || again {
                    self.breaks(ONE_LINE);
                }
            }
        }
        if self.ghost.ended.get(&version.epoch).is_some_and(|end| version > end) {
            self.breaks(ONE_LINE);
        }
        if let Some(current) = document.current_material() {
            self.ghost.ever_current.insert((line.clone(), current.id));
        }
        let newest = self.ghost.newest.get(&line);
        if newest.is_none_or(|newest| newest.version < *version) {
            self.ghost.newest.insert(line.clone(), Hashed::new(document.clone()));
        }
        // Without a promotion in between, all active regions open all that was ever encrypted.
        let newest = &self.ghost.newest[&line];
        if self.ghost.ever_current.iter().any(|(of, id)| *of == line && !newest.names_material(id)) {
            self.breaks(DECRYPTABLE);
        }
    }

    /// Of an imported key: every active member has had the material under the epoch that makes it current. It may have lost it since,
    /// with its report on the way, and is PendingImport then, by its own choice.
    fn note_activation(&mut self, at: usize, held: &SharedDoc, document: &SharedDoc) {
        let current = document.current_material().map(|material| material.id);
        let Some(id) = current.filter(|id| held.current_material().map(|material| material.id) != Some(*id)) else { return };
        // The first material of a key is current at once (rules page, section 7): who lacks it is PendingImport.
        if document.origin != Origin::External || held.current_material().is_none() {
            return;
        }
        let active = document.members.iter().filter(|(_, member)| member.status == MemberStatus::Active).map(|(region, _)| number(region));
        let lacks = |member: usize| member != at && !self.ghost.had.contains(&(member, document.version.epoch.clone(), id));
        if active.into_iter().any(lacks) {
            self.breaks(DECRYPTABLE);
        }
    }

    /// The properties of a state, after each step.
    pub(super) fn judge(&mut self) {
        if !(0..self.sites.len()).all(|at| self.opens_everywhere(at) && self.has_what_was_handed_over(at)) {
            self.breaks(DECRYPTABLE);
        }
        let live: Vec<&Site> = self.sites.iter().filter(|site| site.holding().is_some()).collect();
        let exists = |id: &MaterialId| live.iter().any(|site| site.holding().is_some_and(|holding| holding.materials.contains(id)));
        let generated = live.first().and_then(|site| site.holding()).is_some_and(|holding| holding.document.origin == Origin::AwsKms);
        let lost = |(_, id): &(Epoch, MaterialId)| !self.ghost.excused.contains(id) && !exists(id);
        if generated && self.ghost.ever_current.iter().any(lost) {
            self.breaks(NOT_LOST);
        }
    }

    /// What region `at` encrypts opens in every region that its document shows as active: in the life that the document speaks of, or
    /// that the document's owner has admitted; unless that region has destroyed its key since.
    fn opens_everywhere(&self, at: usize) -> bool {
        let site = &self.sites[at];
        let Some(holding) = site.holding() else { return true };
        let document = &holding.document;
        let Some(current) = document.current_material().filter(|_| document.origin == Origin::AwsKms) else { return true };
        // While it is offered, its owner cannot say otherwise (rule 6).
        let owns = holding.may_change(&site.me);
        document.members.iter().filter(|(_, member)| member.status == MemberStatus::Active).all(|(region, member)| {
            let other = &self.sites[number(region)];
            let is_meant = member.life == Some(other.me.incarnation) || (owns && site.lives.get(region) == Some(&other.me.incarnation));
            !is_meant
                || match &*other.share {
                    Share::Absent { .. } => false,
                    Share::Held(held) => held.materials.contains(&current.id),
                    Share::Destroyed { tombstone, .. } => tombstone.born >= member.born,
                }
        })
    }

    /// What an active member, in an epoch not greater than its primary's, ever encrypted with, its primary knows: it was handed over
    /// before the member was active there.
    fn has_what_was_handed_over(&self, at: usize) -> bool {
        let site = &self.sites[at];
        let Some(owned) = site.owned().filter(|owned| owned.greatest_epoch == owned.document.version.epoch) else { return true };
        let document = &owned.document;
        let active = document.members.iter().filter(|(_, member)| member.status == MemberStatus::Active);
        active.filter(|(region, _)| site.lives.get(*region) == Some(&self.sites[number(region)].me.incarnation)).all(|(region, _)| {
            let holding = self.sites[number(region)].holding().filter(|held| held.greatest_epoch <= document.version.epoch);
            let materials = holding.filter(|held| held.document.origin == Origin::AwsKms).map(|held| &held.materials);
            let was_current = |id: &MaterialId| self.ghost.ever_current.iter().any(|(_, current)| current == id);
            materials.is_none_or(|ids| ids.iter().all(|id| !was_current(id) || document.names_material(id)))
        })
    }

    /// Region `at`, a primary all of whose members are gone, is about to destroy the last copy. A region that a restore has brought back
    /// to life since, or that became a member on a line that a restore cut off, does not keep it from that.
    pub(super) fn excuse_end(&mut self, at: usize) {
        let Some(owned) = self.sites[at].owned() else { return };
        let others = self.sites.iter().enumerate().filter(|(number, site)| *number != at && site.holding().is_some());
        let mut in_the_way = others
            .filter(|(number, site)| site.me.incarnation == first_life(*number) && owned.document.members.contains_key(&site.me.region));
        if in_the_way.next().is_none() {
            let all: Vec<_> = self.ghost.ever_current.iter().map(|(_, id)| *id).collect();
            self.ghost.excused.extend(all);
        }
    }

    /// Region `at` is about to be taken back to its backup. What only it had, and those who are leaving anyway, is lost to the disaster.
    pub(super) fn excuse_disaster(&mut self, at: usize, after: &Share) {
        let stays = |site: &Site| site.holding().filter(|holding| holding.leaving == crate::Leaving::Stays).cloned();
        let others = self.sites.iter().enumerate().filter(|(number, _)| *number != at).filter_map(|(_, site)| stays(site));
        let kept: BTreeSet<MaterialId> = others.chain(after.holding().cloned()).flat_map(|holding| holding.materials).collect();
        let lost: Vec<_> = self.ghost.ever_current.iter().map(|(_, id)| *id).filter(|id| !kept.contains(id)).collect();
        self.ghost.excused.extend(lost);
    }
}

/// Within an epoch no material vanishes, and none that was used is pending or discarded again.
fn keeps_materials(held: &SharedDoc, next: &SharedDoc) -> bool {
    use MaterialState::{Current, Discarded, Past, Pending};
    held.materials.iter().all(|old| {
        next.material(&old.id).is_some_and(|new| match (old.state, new.state) {
            (Past, state) => state == Past,
            (Current, state) => matches!(state, Current | Past),
            (Pending, state) => matches!(state, Pending | Current | Past | Discarded),
            (Discarded, state) => state != Current,
        })
    })
}
