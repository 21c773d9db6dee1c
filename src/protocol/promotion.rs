//! Rule 7: a forced promotion. Bid, promise, promote.
//!
//! The asker first binds itself (its bid), then asks every member that it can reach, then commits on the greatest document with
//! whatever anybody has. A bid is durable and answers are not: after a crash the same question is asked again and answered again.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::{KeyId, MaterialId, Region};
use serde::{Deserialize, Serialize};

use crate::known_bugs::bug;
use crate::rotation::ship;
use crate::{
    Bid, Change, DocumentError, Epoch, Here, Holding, Leaving, MemberStatus, Order, Presence, Refused, Share, SharedDoc, StatusRecord,
};

/// What an asker wants of every member: to refuse whatever is below `epoch`, whose author it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// The key.
    pub key_id: KeyId,
    /// The epoch that it wants to begin.
    pub epoch: Epoch,
}

/// What a member says to that.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// It has promised, durably, and this is what it has. The bytes of what the asker lacks come with it.
    Promised {
        /// The epoch that it has promised.
        epoch: Epoch,
        /// Its document.
        document: Box<SharedDoc>,
        /// Its materials, and what else it knows.
        status: Box<StatusRecord>,
    },
    /// It has destroyed the key.
    Gone(Box<StatusRecord>),
    /// It has seen or promised a greater epoch.
    Greater(Epoch),
    /// It has heard nothing of the key.
    Unknown,
}

/// The answers that an asker has got, each from the region itself.
pub type Answers = BTreeMap<Region, Answer>;

/// Why a promotion does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromotionError {
    /// The key is to be deleted here.
    #[error("the key is to be deleted here")]
    Leaving,
    /// The document has no place for this region.
    #[error("this region is no member")]
    NotAMember,
    /// The primary, or who is about to become it, is another region than the one taken for lost.
    #[error("the epoch's author is {0}, which is not taken for lost")]
    NotLost(Region),
    /// This region owns the document and nothing is in its way.
    #[error("this region is the primary")]
    AlreadyPrimary,
    /// The order's texts are too long.
    #[error("the operator's name or the reason is too long")]
    BadOrder,
    /// Nothing was bid, or it was overtaken.
    #[error("nothing was bid here, or a greater epoch was seen since")]
    NoBid,
    /// The bytes of these have to come first.
    #[error("materials that others hold are missing")]
    Missing(BTreeSet<MaterialId>),
}

/// A member's side: promises `ask` and says what it has, or says why not. The change is committed before the answer leaves.
///
/// # Errors
/// [`Refused::NotAdmitted`]: the asker is no peer in its admitted life. [`Refused::Malformed`]: there is no such epoch.
pub fn promise(here: &Here<'_>, share: &Share, ask: &Ask) -> Result<(Change<Share>, Answer), Refused> {
    if !here.admits(&ask.epoch.author) {
        return Err(Refused::NotAdmitted);
    }
    if !ask.epoch.is_in_range() {
        return Err(Refused::Malformed(DocumentError::TooLarge));
    }
    let unchanged = Change { next: share.clone(), intents: Vec::new() };
    Ok(match share {
        Share::Absent { .. } => (unchanged, Answer::Unknown),
        Share::Destroyed { tombstone, reserved } => {
            let mut tombstone = tombstone.clone();
            if ask.epoch > tombstone.greatest_epoch {
                tombstone.greatest_epoch = ask.epoch.clone();
                tombstone.status_revision += 1;
            }
            let answer = Answer::Gone(Box::new(tombstone.status(here.me)));
            (Change { next: Share::Destroyed { tombstone, reserved: reserved.clone() }, intents: Vec::new() }, answer)
        }
        Share::Held(held) if ask.epoch < held.greatest_epoch => (unchanged, Answer::Greater(held.greatest_epoch.clone())),
        Share::Held(held) => {
            let change = held.promised(here, &ask.epoch);
            let status = Box::new(change.next.status(here.me));
            let answer = Answer::Promised { epoch: ask.epoch.clone(), document: Box::new(held.document.clone()), status };
            (Change { next: Share::Held(Box::new(change.next)), intents: change.intents }, answer)
        }
    })
}

impl Holding {
    fn promised(&self, here: &Here<'_>, epoch: &Epoch) -> Change<Self> {
        if *epoch == self.greatest_epoch || bug!(NoPromise) {
            return Change { next: self.clone(), intents: Vec::new() };
        }
        Self { greatest_epoch: epoch.clone(), bid: None, consent: None, ..self.clone() }.reported(here.me)
    }

    /// `claviger region failover`, first step: this region binds itself to an epoch above all that it knows, and will ask the others
    /// to do so too. Done again with a bid open, it goes on with that.
    ///
    /// # Errors
    /// Why the key cannot be promoted here.
    pub fn bid(&self, here: &Here<'_>, order: &Order) -> Result<Change<Self>, PromotionError> {
        let me = &here.me.region;
        if self.leaving != Leaving::Stays {
            return Err(PromotionError::Leaving);
        }
        if !order.is_bounded() {
            return Err(PromotionError::BadOrder);
        }
        if !self.document.members.contains_key(me) {
            return Err(PromotionError::NotAMember);
        }
        if let Some(bid) = &self.bid
            && bid.epoch == self.greatest_epoch
            && bid.order.lost == order.lost
        {
            return Ok(Change { next: self.clone(), intents: Vec::new() });
        }
        if self.may_change(here.me) {
            return Err(PromotionError::AlreadyPrimary);
        }
        // Who owns the document, or is to own it next; of an offer both are in question.
        let author = &self.greatest_epoch.author.region;
        let is_lost = |region: &Region| *region == order.lost || region == me;
        let in_question = if author == me { self.document.offer.as_ref().unwrap_or(self.document.primary()) } else { author };
        if !is_lost(in_question) {
            return Err(PromotionError::NotLost(in_question.clone()));
        }
        Ok(self.bid_above(here, &self.greatest_epoch, order))
    }

    fn bid_above(&self, here: &Here<'_>, greatest: &Epoch, order: &Order) -> Change<Self> {
        let epoch = Epoch { promotions: greatest.promotions + 1, handoffs: greatest.handoffs, author: here.me.clone() };
        let bid = Some(Bid { epoch: epoch.clone(), order: order.clone() });
        Self { greatest_epoch: epoch, bid, consent: None, ..self.clone() }.reported(here.me)
    }

    /// The asker has met a greater epoch: it starts again above it if that one's author is the region taken for lost, and gives up
    /// otherwise.
    pub fn outbid(&self, here: &Here<'_>, greater: &Epoch) -> Change<Self> {
        let unchanged = Change { next: self.clone(), intents: Vec::new() };
        let is_news = *greater > self.greatest_epoch && greater.is_in_range();
        let Some(bid) = self.bid.as_ref().filter(|_| is_news) else { return unchanged };
        if greater.author.region == bid.order.lost || greater.author.region == here.me.region {
            return self.bid_above(here, greater, &bid.order);
        }
        Self { greatest_epoch: greater.clone(), bid: None, consent: None, ..self.clone() }.reported(here.me)
    }

    /// An operator takes the order back. What was promised stays promised: only a greater epoch moves on from here.
    pub fn give_up(&self) -> Self {
        Self { bid: None, ..self.clone() }
    }

    /// Whether the answer of a member is to this region's bid, from a life that was admitted.
    fn counts(&self, here: &Here<'_>, bid: &Bid, from: &Region, answer: &Answer) -> bool {
        let is_alive = |status: &StatusRecord| status.region == *from && here.lives.get(from) == Some(&status.incarnation);
        match answer {
            Answer::Promised { epoch, status, .. } => *epoch == bid.epoch && is_alive(status),
            Answer::Gone(status) => is_alive(status),
            Answer::Greater(_) | Answer::Unknown => false,
        }
    }

    /// The last step: the greatest document, with all that anybody who answered has, begins the epoch that was bid. Whoever has not
    /// answered is `Detached`. `fetched` are the materials whose bytes came with the answers; they are committed in the same step.
    ///
    /// # Errors
    /// Why not yet, or not at all.
    pub fn promote(&self, here: &Here<'_>, answers: &Answers, fetched: &BTreeSet<MaterialId>) -> Result<Change<Self>, PromotionError> {
        let bid = self.bid.as_ref().filter(|bid| bid.epoch == self.greatest_epoch).ok_or(PromotionError::NoBid)?;
        if self.leaving != Leaving::Stays {
            return Err(PromotionError::Leaving);
        }
        let counted: Answers = answers
            .iter()
            .filter(|(from, answer)| self.counts(here, bid, from, answer))
            .map(|(from, answer)| (from.clone(), answer.clone()))
            .collect();
        let promised = counted.values().filter_map(|answer| match answer {
            Answer::Promised { document, status, .. } => Some((&**document, &**status)),
            _ => None,
        });
        let (documents, told): (Vec<&SharedDoc>, Vec<&StatusRecord>) = promised.unzip();
        let documents: Vec<&SharedDoc> = documents.into_iter().chain([&self.document]).collect();
        let base = documents.iter().max_by(|a, b| a.version.cmp(&b.version)).map_or(&self.document, |document| *document);

        let mut document = SharedDoc { offer: None, promoted: Some(bid.order.clone()), ..base.clone() };
        document.begin_epoch(bid.epoch.clone());
        let all = self.union(&documents, &told);
        let held: BTreeSet<MaterialId> = self.materials.union(fetched).copied().collect();
        if !self.is_external() {
            let missing: BTreeSet<MaterialId> = all.union(&document.material_ids()).filter(|id| !held.contains(id)).copied().collect();
            if !missing.is_empty() {
                return Err(PromotionError::Missing(missing));
            }
        }
        for id in all {
            let known = documents.iter().find_map(|other| other.material(&id));
            document.add_past(id, known, here);
        }
        let others = documents.iter().flat_map(|other| other.members.iter().filter(|(_, member)| member.status != MemberStatus::Gone));
        let found: BTreeSet<&Region> = others.map(|(region, _)| region).chain(told.iter().flat_map(|status| &status.strays)).collect();
        found.into_iter().chain(&self.strays).chain([&here.me.region]).for_each(|region| document.add_found(region));
        document.place_members(here, &counted);

        let mut next = self.clone();
        next.remember(&document);
        next.materials = held;
        next.bid = None;
        Ok(ship(next.with_own(document)))
    }

    /// The materials that a promotion keeps, whatever the greatest document says of them.
    fn union(&self, documents: &[&SharedDoc], told: &[&StatusRecord]) -> BTreeSet<MaterialId> {
        if self.is_external() {
            let permanent = documents.iter().flat_map(|document| document.permanent_materials().map(|material| material.id));
            permanent.chain(told.iter().flat_map(|status| status.kept.iter().copied())).chain(self.kept.iter().copied()).collect()
        } else {
            told.iter().flat_map(|status| &status.materials).chain(&self.materials).copied().collect()
        }
    }
}

impl SharedDoc {
    /// Who stands where in the epoch that begins here: its author is active, who has answered keeps its place, who says that it is gone is,
    /// and everybody else is detached.
    fn place_members(&mut self, here: &Here<'_>, counted: &Answers) {
        let version = self.version.clone();
        let lost = self.promoted.as_ref().map(|order| order.lost.clone());
        for (region, member) in &mut self.members {
            let place = if *region == here.me.region {
                MemberStatus::Active
            } else {
                match counted.get(region) {
                    Some(Answer::Gone(status))
                        if status.presence == Presence::Gone && status.member_since.as_ref() >= Some(&member.born) =>
                    {
                        MemberStatus::Gone
                    }
                    Some(Answer::Promised { .. }) => member.status,
                    _ if member.status == MemberStatus::Gone => MemberStatus::Gone,
                    _ if bug!(PromotionWithoutAsking) && lost.as_ref() != Some(region) => member.status,
                    _ => MemberStatus::Detached,
                }
            };
            if place != member.status {
                (member.status, member.since) = (place, version.clone());
            }
            match place {
                MemberStatus::Active if *region == here.me.region => member.life = Some(here.me.incarnation),
                MemberStatus::Active => {}
                MemberStatus::Creating | MemberStatus::Detached | MemberStatus::Gone => member.life = None,
            }
        }
        self.detach_other_lives(here);
    }
}
