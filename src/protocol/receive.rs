//! Rules 1, 2 and 5 at a region that is sent a document: take it, lose nothing by it, and follow.

use std::collections::BTreeSet;

use claviger_types::{MaterialId, Origin};

use crate::known_bugs::bug;
use crate::{
    Accepted, Author, Change, Held, Here, Holding, Intent, Leaving, MaterialState, MemberStatus, Refused, Share, SharedDoc, Tombstone,
    accept,
};

/// What becomes of `share` when `sender` sends `document` with the bytes of `bytes`.
///
/// A region that is listed and has neither the key nor a place for it says for good that it has not, so that nobody waits for it:
/// a place is asked for before a document can list the region, and stays until it is used or can never be.
///
/// # Errors
/// Why the document is not taken; nothing has changed then. The sender acts on an old status if it is [`Refused::NotNewer`],
/// [`Refused::Promised`] or [`Refused::MissingMaterial`], and is owed a fresh one.
pub fn receive(
    here: &Here<'_>,
    share: &Share,
    document: &SharedDoc,
    bytes: &BTreeSet<MaterialId>,
    sender: &Author,
) -> Result<Change<Share>, Refused> {
    if !here.admits(sender) {
        return Err(Refused::NotAdmitted);
    }
    let me = &here.me.region;
    let accepted = match accept(me, view(share), document, sender) {
        Err(Refused::NoReservation) if matches!(share, Share::Absent { .. }) && document.members[me].status != MemberStatus::Gone => {
            let next = Share::Destroyed { tombstone: Box::new(Tombstone::of(document, here.me, 1)), reserved: None };
            return Ok(Change { next, intents: vec![Intent::Report(sender.region.clone())] });
        }
        accepted => accepted?,
    };
    let named = document.material_ids();
    let is_external = document.origin == Origin::External;
    // Imported bytes never cross (rule 9).
    let taken: BTreeSet<MaterialId> = if is_external { BTreeSet::new() } else { bytes.intersection(&named).copied().collect() };
    match (accepted, share) {
        (Accepted::Updated, Share::Held(held)) => held.follow(here, document, taken),
        (Accepted::TombstoneFollows, Share::Destroyed { tombstone, reserved }) => {
            let mut next = Tombstone::of(document, here.me, tombstone.status_revision + 1);
            // With a place held, a later document may still bring a newer birth; without, this one is disowned like the one before.
            if reserved.is_some() || next.born < tombstone.born {
                (next.born, next.since) = (tombstone.born.clone(), tombstone.since.clone());
            }
            let unknown = document.members[me].status != MemberStatus::Gone;
            let intents = unknown.then(|| Intent::Report(sender.region.clone())).into_iter().collect();
            Ok(Change { next: Share::Destroyed { tombstone: Box::new(next), reserved: reserved.clone() }, intents })
        }
        (Accepted::Created, Share::Absent { .. } | Share::Destroyed { .. }) => {
            if !is_external && taken != named {
                return Err(Refused::MissingMaterial);
            }
            let status_revision = match share {
                Share::Destroyed { tombstone, .. } => tombstone.status_revision + 1,
                Share::Absent { .. } | Share::Held(_) => 1,
            };
            let next = Holding { materials: taken, status_revision, ..Holding::created(document.clone()) };
            Ok(Change { next: Share::Held(Box::new(next)), intents: vec![Intent::Report(sender.region.clone())] })
        }
        // `accept` was shown exactly what is held.
        _ => Err(Refused::NoReservation),
    }
}

fn view(share: &Share) -> Held<'_> {
    match share {
        Share::Absent { reserved: None } => Held::Nothing,
        Share::Absent { reserved: Some(primary) } => Held::Reservation { primary: &primary.region },
        Share::Held(held) => Held::Document { document: &held.document, greatest_epoch: &held.greatest_epoch },
        Share::Destroyed { tombstone, reserved } => Held::Tombstone {
            born: &tombstone.born,
            version: &tombstone.version,
            greatest_epoch: &tombstone.greatest_epoch,
            reserved: reserved.is_some(),
        },
    }
}

impl Holding {
    fn follow(&self, here: &Here<'_>, document: &SharedDoc, taken: BTreeSet<MaterialId>) -> Result<Change<Share>, Refused> {
        let mut next = self.clone();
        next.remember(document);
        next.materials.extend(taken);
        let mut erased = BTreeSet::new();
        if self.is_external() {
            let discarded = document.materials.iter().filter(|material| material.state == MaterialState::Discarded);
            erased = discarded.map(|material| material.id).filter(|id| !next.kept.contains(id) && next.materials.contains(id)).collect();
            next.materials.retain(|id| !erased.contains(id));
        } else if !document.material_ids().is_subset(&next.materials) {
            return Err(Refused::MissingMaterial);
        }
        if bug!(DocumentsReplaced) {
            next.materials.retain(|id| document.names_material(id));
            next.kept.clear();
        }
        next.greatest_epoch = document.version.epoch.clone();
        next.status_revision += 1;
        let mut intents = vec![Intent::Report(document.primary().clone())];
        if document.version.epoch != self.document.version.epoch {
            (next.consent, next.refused) = (None, None);
            // What an earlier primary acknowledged says nothing of this one; one that was primary has no window yet.
            if self.leaving != Leaving::Stays {
                next.leaving = Leaving::Scheduled { since: next.status_revision, acknowledged: false };
            }
            if self.document.primary() == &here.me.region && self.leaving != Leaving::Stays {
                intents.push(Intent::RestartWindow);
            }
        }
        // An asker that is overtaken has nothing left to ask.
        next.bid = None;
        next.document = document.clone();
        if !erased.is_empty() {
            intents.push(Intent::Erase(erased));
        }
        Ok(Change { next: Share::Held(Box::new(next)), intents })
    }
}

impl Tombstone {
    /// The memory of `me`'s entry in `document`.
    pub(crate) fn of(document: &SharedDoc, me: &Author, status_revision: u64) -> Self {
        let entry = document.members.get(&me.region);
        let or_now = |version: Option<&crate::Version>| version.unwrap_or(&document.version).clone();
        Self {
            key_id: document.key_id,
            born: or_now(entry.map(|member| &member.born)),
            since: or_now(entry.map(|member| &member.since)),
            version: document.version.clone(),
            greatest_epoch: document.version.epoch.clone(),
            status_revision,
        }
    }
}
