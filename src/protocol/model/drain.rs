//! `convergence`: from a state, the faults stop and operators finish what they began; then everything that is owed arrives, in a fixed order.
//!
//! A state machine with lossy messages has infinite runs in which nothing ever arrives, so "eventually" holds of no such model without
//! fairness, which the checker does not know. Instead this is judged of every state: one fair run from it, the same each time, has to end
//! with equal documents. A state from which none could ends up in a counterexample all the same, since some state lies on it.

use super::action::Action;
use super::scope::Budget;
use super::world::{World, number, region};
use claviger_types::Origin;

use crate::{Holding, Leaving, MemberStatus, Share};

const ROUNDS: usize = 24;

impl World {
    /// Whether the fair run from here ends as it has to.
    pub(super) fn converges(&self) -> bool {
        let mut world = self.clone();
        world.drain();
        world.agrees()
    }

    /// How the fair run from here ends, for whoever reads a counterexample.
    pub(super) fn after_drain(&self) -> String {
        let mut world = self.clone();
        world.drain();
        let describe = |site: &super::world::Site| match &*site.share {
            Share::Held(held) => {
                let members: Vec<_> = held.document.members.iter().map(|(name, member)| format!("{name} {:?}", member.status)).collect();
                let Holding { greatest_epoch: greatest, consent, leaving, strays, .. } = &**held;
                let epoch = (greatest.promotions, greatest.handoffs, &greatest.author.region);
                let (version, offer, bid) = (&held.document.version, &held.document.offer, held.bid.is_some());
                format!(
                    "{version} of {members:?}, greatest {epoch:?}, offer {offer:?}, {consent:?}, {leaving:?}, bid {bid}, strays {strays:?}"
                )
            }
            other => format!("{other:?}"),
        };
        world.sites.iter().map(|site| format!("{}: {}", site.me.region, describe(site))).collect::<Vec<_>>().join("\n  ")
    }

    /// The fair run.
    pub(super) fn drain(&mut self) {
        self.budget = Budget { bids: u8::MAX, refusals: u8::MAX, cancels: u8::MAX, bidders: vec![0, 1, 2, 3], ..Budget::default() };
        for at in 0..self.sites.len() {
            (0..self.sites.len()).filter(|other| *other != at).for_each(|restored| self.try_step(&Action::Readmit { at, restored }));
        }
        for _ in 0..ROUNDS {
            let before = self.clone();
            self.finish_handoffs();
            self.finish_promotions();
            self.exchange();
            self.adopt_orphans();
            if *self == before {
                break;
            }
        }
    }

    pub(super) fn try_step(&mut self, action: &Action) {
        if let Some(next) = self.step(action) {
            *self = next;
        }
    }

    /// Documents and statuses arrive, bytes are fetched.
    pub(super) fn exchange(&mut self) {
        let count = self.sites.len();
        for primary in 0..count {
            let Some(owned) = self.sites[primary].owned() else { continue };
            let version = owned.document.version.clone();
            let document = owned.document.clone();
            // What was forgotten as dead, or is owed anew since another life is admitted.
            self.documents.insert(version.clone(), super::world::Hashed::new(document));
            for to in (0..count).filter(|to| *to != primary) {
                self.try_step(&Action::Deliver { version: version.clone(), to });
                self.report(to, primary);
                self.deliver_reports(primary, to);
                self.try_step(&Action::Fetch { primary, from: to });
            }
        }
    }

    fn deliver_reports(&mut self, primary: usize, from: usize) {
        let me = self.sites[from].me.incarnation;
        let places = self.statuses.iter().enumerate();
        let newest = places
            .filter(|(_, (to, status))| *to == primary && number(&status.region) == from && status.incarnation == me)
            .max_by_key(|(_, (_, status))| status.revision)
            .map(|(index, _)| index);
        if let Some(index) = newest {
            self.try_step(&Action::Report { index });
        }
    }

    /// Who has the key and is no member is found by operators.
    fn adopt_orphans(&mut self) {
        let count = self.sites.len();
        (0..count * count).for_each(|pair| self.try_step(&Action::Adopt { primary: pair / count, found: pair % count }));
    }

    /// An offer is taken or refused; consent to which no offer came is called back.
    fn finish_handoffs(&mut self) {
        for at in 0..self.sites.len() {
            self.try_step(&Action::Take { at });
            self.try_step(&Action::Refuse { at });
        }
    }

    /// The greatest bid goes on; where the greatest epoch has no author that owns a document or asks for one, an operator orders another.
    fn finish_promotions(&mut self) {
        let live = |world: &Self| (0..world.sites.len()).filter(|at| world.sites[*at].holding().is_some()).collect::<Vec<_>>();
        let holders = live(self);
        let Some(greatest) = holders.iter().filter_map(|at| self.sites[*at].holding()).map(|holding| holding.greatest_epoch.clone()).max()
        else {
            return;
        };
        let author = number(&greatest.author.region);
        let asker = match self.sites[author].owned().filter(|owned| owned.document.version.epoch == greatest) {
            Some(owned) => {
                // Only an offer to a region that has begun another life is never answered.
                let Some(target) = owned.document.offer.as_ref().filter(|target| !self.is_as_offered(author, target)) else { return };
                let lost = number(target);
                self.try_step(&Action::Bid { at: author, lost });
                author
            }
            None => {
                let asks = |at: usize| self.sites[at].holding().and_then(|held| held.bid.as_ref()).is_some_and(|bid| bid.epoch == greatest);
                if self.sites[author].me == greatest.author && asks(author) { author } else { self.order_another(&holders) }
            }
        };
        for _ in 0..2 {
            let Some(epoch) = self.sites[asker].holding().and_then(|held| held.bid.as_ref()).map(|bid| bid.epoch.clone()) else { return };
            (0..self.sites.len()).filter(|at| *at != asker).for_each(|at| {
                self.try_step(&Action::Promise { at, epoch: epoch.clone(), heard: true });
            });
            self.try_step(&Action::Outbid { at: asker });
        }
        self.try_step(&Action::Promote { at: asker });
    }

    /// Whether the target of an offer still lives the life in which it was active.
    fn is_as_offered(&self, primary: usize, target: &claviger_types::Region) -> bool {
        let member = self.sites[primary].owned().and_then(|owned| owned.document.members.get(target));
        member.is_some_and(|member| member.life == Some(self.sites[number(target)].me.incarnation))
    }

    /// An operator has the region with the newest document ask, and takes the author of the greatest epoch that it knows for lost.
    fn order_another(&mut self, holders: &[usize]) -> usize {
        let rank = |at: &&usize| {
            let held = self.sites[**at].holding();
            (held.is_some_and(|held| held.leaving == Leaving::Stays), held.map(|held| held.document.version.clone()))
        };
        let asker = holders.iter().max_by_key(rank).copied().unwrap_or_default();
        self.try_step(&Action::Cancel { at: asker });
        let lost = self.sites[asker].holding().map(|held| {
            let author = number(&held.greatest_epoch.author.region);
            if author == asker { number(held.document.primary()) } else { author }
        });
        if let Some(lost) = lost {
            self.try_step(&Action::Bid { at: asker, lost });
        }
        asker
    }

    /// All regions that have the key hold one document, whose owner is among them; in it they are active and the others gone; nothing is
    /// under way.
    fn agrees(&self) -> bool {
        let holders: Vec<usize> = (0..self.sites.len()).filter(|at| self.sites[*at].holding().is_some()).collect();
        if holders.is_empty() {
            return true;
        }
        let Some(primary) = holders.iter().find(|at| self.sites[**at].owned().is_some()) else { return false };
        let Some(owned) = self.sites[*primary].owned() else { return false };
        let document = &owned.document;
        let generated = document.origin == Origin::AwsKms;
        let rests = owned.may_change(&self.sites[*primary].me) && !(generated && document.in_progress.is_some());
        rests
            && (0..self.sites.len()).all(|at| {
                let standing = document.members.get(region(at)).map(|member| member.status);
                match &*self.sites[at].share {
                    Share::Held(held) => {
                        let is_whole = !generated || held.materials == document.material_ids();
                        held.document == *document && standing == Some(MemberStatus::Active) && is_whole && held.consent.is_none()
                    }
                    Share::Absent { .. } | Share::Destroyed { .. } => standing.is_none_or(|standing| standing == MemberStatus::Gone),
                }
            })
    }
}
