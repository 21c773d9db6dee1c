//! How an action happens: by the functions that the product runs.

use std::collections::BTreeSet;

use claviger_types::{ImportType, Origin, RotationType};

use super::action::Action;
use super::world::{Hashed, NOW, World, next_life, number, region};
use crate::{
    Answer, Answers, Change, Epoch, Intent, Leaving, MaterialState, Order, Refused, Share, SharedDoc, Statuses, Version, promise, receive,
};

impl World {
    /// The world after `action`; `None` when it is refused, or changes nothing.
    pub(super) fn step(&self, action: &Action) -> Option<Self> {
        let mut next = self.clone();
        next.carry_out(action)?;
        if next == *self {
            return None;
        }
        next.judge();
        next.forget_the_dead();
        Some(next)
    }

    fn carry_out(&mut self, action: &Action) -> Option<()> {
        let changed = match action {
            Action::Deliver { version, to } => return self.deliver(version, *to),
            Action::Report { index } => return self.take_report(*index),
            Action::Taken { to, epoch, revision } => {
                let next = self.sites[*to].holding()?.delivered(epoch, *revision);
                (*to, Change { next, intents: Vec::new() })
            }
            Action::Fetch { primary, from } => {
                let wanted = self.wanted(*primary, *from)?;
                let next = self.sites[*primary].owned()?.hand_over(&wanted);
                (*primary, Change { next, intents: Vec::new() })
            }
            Action::Rotate { primary } => {
                take_one(&mut self.budget.rotations)?;
                let id = self.mint();
                let site = &self.sites[*primary];
                (*primary, site.owned()?.begin_rotation(&site.here(), id, RotationType::OnDemand).ok()?)
            }
            Action::Detach { primary, member } => {
                take_one(&mut self.budget.detaches)?;
                let site = &self.sites[*primary];
                (*primary, site.owned()?.detach(&site.here(), region(*member)).ok()?)
            }
            Action::Reserve { at, primary } => {
                take_one(&mut self.budget.replications)?;
                let next = self.sites[*at].share.reserve(&self.sites[*primary].me)?;
                self.commit(*at, Change { next, intents: Vec::new() });
                return Some(());
            }
            Action::Replicate { primary, target } => (*primary, self.replicate(*primary, *target)?),
            Action::Adopt { primary, found } => {
                let site = &self.sites[*primary];
                let has_it = self.sites[*found].holding().is_some();
                (*primary, site.owned().filter(|_| has_it)?.adopt(&site.here(), region(*found)).ok()?)
            }
            Action::Consent { at } => {
                take_one(&mut self.budget.handoffs)?;
                let site = &self.sites[*at];
                (*at, site.holding().filter(|holding| holding.consent.is_none())?.consent(&site.here()).ok()?)
            }
            Action::Refuse { at } => {
                take_one(&mut self.budget.refusals)?;
                let site = &self.sites[*at];
                let asked = site.holding().filter(|holding| holding.consent.is_some() || holding.is_offered_to(region(*at)));
                (*at, asked?.refuse(&site.here()))
            }
            Action::Offer { primary, target } => {
                let site = &self.sites[*primary];
                (*primary, site.owned()?.offer(&site.here(), &site.statuses, region(*target)).ok()?)
            }
            Action::Take { at } => {
                let site = &self.sites[*at];
                (*at, site.holding()?.take(&site.here()).ok()?)
            }
            Action::Bid { at, lost } => return self.bid(*at, *lost),
            Action::Promise { at, epoch, heard } => return self.promise(*at, epoch, *heard),
            Action::Outbid { at } => return self.outbid(*at),
            Action::Promote { at } => (*at, self.promotion(*at)?),
            Action::Crash { at } => {
                take_one(&mut self.budget.crashes)?;
                self.sites[*at].answers = Hashed::new(Answers::new());
                return Some(());
            }
            Action::Schedule { at } => {
                take_one(&mut self.budget.deletions)?;
                let site = &self.sites[*at];
                (*at, site.holding()?.schedule_deletion(&site.here()).ok()?)
            }
            Action::Cancel { at } => {
                take_one(&mut self.budget.cancels)?;
                (*at, self.sites[*at].holding()?.cancel_deletion().ok()?)
            }
            Action::Destroy { at } => {
                let site = &self.sites[*at];
                let change = site.holding()?.destroy(&site.here()).ok()?;
                self.excuse_end(*at);
                self.commit(*at, change);
                return Some(());
            }
            Action::Restore { at } => return self.restore(*at),
            Action::Readmit { at, restored } => return self.readmit(*at, *restored),
            Action::LoseImport { at } => {
                take_one(&mut self.budget.losses)?;
                let site = &self.sites[*at];
                let held = site.holding()?;
                let pending = held.document.pending_material().or(held.document.current_material())?.id;
                (*at, held.lose_import(&site.here(), pending))
            }
            Action::WithdrawImport { primary } => {
                take_one(&mut self.budget.losses)?;
                let site = &self.sites[*primary];
                let pending = site.owned()?.document.pending_material()?.id;
                (*primary, site.owned()?.withdraw_import(&site.here(), pending).ok()?)
            }
            Action::Import { at } => {
                take_one(&mut self.budget.imports)?;
                (*at, self.import(*at)?)
            }
            Action::RotateImported { primary } => {
                take_one(&mut self.budget.rotations)?;
                let site = &self.sites[*primary];
                (*primary, site.owned()?.rotate_imported(&site.here(), &site.statuses).ok()?)
            }
        };
        self.commit_and_settle(changed.0, changed.1);
        Some(())
    }

    fn deliver(&mut self, version: &Version, to: usize) -> Option<()> {
        let document = self.documents.get(version)?.clone();
        let sender = version.epoch.author.clone();
        let bytes = self.shipped(&document, to);
        let site = &self.sites[to];
        match receive(&site.here(), &site.share, &document, &bytes, &sender) {
            Ok(change) => self.commit(to, change),
            // The sender has missed a status.
            Err(Refused::NotNewer | Refused::Promised | Refused::MissingMaterial) => self.report(to, number(&sender.region)),
            Err(_) => return None,
        }
        Some(())
    }

    /// As the shipper does: the bytes that the target has not named, in the life that the author admits. Of a message from another life of
    /// the author nobody knows any more what it had; all, then.
    fn shipped(&self, document: &SharedDoc, to: usize) -> BTreeSet<claviger_types::MaterialId> {
        if document.origin != Origin::AwsKms {
            return BTreeSet::new();
        }
        let author = &self.sites[number(document.primary())];
        let status = author.statuses.get(region(to)).filter(|status| author.lives.get(region(to)) == Some(&status.incarnation));
        let named = status.filter(|_| document.version.epoch.author == author.me).map(|status| &status.materials);
        document.material_ids().into_iter().filter(|id| !named.is_some_and(|named| named.contains(id))).collect()
    }

    fn take_report(&mut self, index: usize) -> Option<()> {
        let (to, status) = self.statuses.iter().nth(index)?.clone();
        let from = number(&status.region);
        let site = &mut self.sites[to];
        if !crate::known_bugs::bug!(IncarnationIgnored) && site.lives.get(region(from)) != Some(&status.incarnation) {
            return None;
        }
        let epoch = site.owned()?.document.version.epoch.clone();
        if !site.owned()?.document.members.contains_key(region(from)) {
            return None;
        }
        if status.supersedes(site.statuses.get(region(from))) {
            let mut statuses: Statuses = (*site.statuses).clone();
            statuses.insert(region(from).clone(), (*status).clone());
            site.statuses = Hashed::new(statuses);
        }
        self.settle(to);
        // Only the primary of the present epoch acknowledges, and only those who are leaving need to hear it.
        let is_leaving = matches!(self.sites[from].holding().map(|holding| holding.leaving), Some(Leaving::Scheduled { .. }));
        if is_leaving && self.sites[to].owned()?.greatest_epoch == epoch {
            self.taken.insert((from, epoch, status.revision));
        }
        Some(())
    }

    /// What the primary would fetch from `from`, of which `from` still has the bytes.
    fn wanted(&self, primary: usize, from: usize) -> Option<BTreeSet<claviger_types::MaterialId>> {
        let site = &self.sites[primary];
        let change = site.owned()?.settle(&site.here(), &site.statuses);
        let wanted = change.intents.into_iter().find_map(|intent| match intent {
            Intent::Fetch { from: source, materials } if number(&source) == from => Some(materials),
            _ => None,
        })?;
        let held = &self.sites[from].holding()?.materials;
        let found: BTreeSet<_> = wanted.intersection(held).copied().collect();
        (!found.is_empty()).then_some(found)
    }

    fn replicate(&self, primary: usize, target: usize) -> Option<Change<crate::Holding>> {
        let (site, me) = (&self.sites[primary], &self.sites[primary].me);
        let reserved = match &*self.sites[target].share {
            Share::Absent { reserved } | Share::Destroyed { reserved, .. } => reserved.as_ref() == Some(me),
            Share::Held(_) => false,
        };
        let owned = site.owned().filter(|owned| reserved && owned.may_change(me))?;
        let document = owned.document.add_member(me, region(target), NOW, NOW).ok()?;
        Some(Change { next: owned.with_own(document), intents: vec![Intent::Ship] })
    }

    /// What the key has and the region lacks, or at the primary, when there is nothing of that kind, something new.
    pub(super) fn import(&mut self, at: usize) -> Option<Change<crate::Holding>> {
        let held = self.sites[at].holding().filter(|held| held.is_external())?.clone();
        let lacking = held.document.materials.iter().filter(|entry| entry.state != MaterialState::Discarded);
        let (id, kind) = match lacking.map(|entry| entry.id).find(|id| !held.materials.contains(id)) {
            Some(id) => (id, ImportType::ExistingKeyMaterial),
            None => (self.mint(), ImportType::NewKeyMaterial),
        };
        held.import(&self.sites[at].here(), id, Some(kind)).ok()
    }

    fn bid(&mut self, at: usize, lost: usize) -> Option<()> {
        take_one(&mut self.budget.bids)?;
        let site = &self.sites[at];
        let order = Order { lost: region(lost).clone(), ordered_by: String::new(), reason: String::new(), at: NOW };
        let change = site.holding().filter(|holding| holding.bid.is_none())?.bid(&site.here(), &order).ok()?;
        self.commit_bid(at, change)
    }

    fn commit_bid(&mut self, at: usize, change: Change<crate::Holding>) -> Option<()> {
        let bid = change.next.bid.clone();
        let key_id = change.next.document.key_id;
        self.note_promise(at, &change.next.greatest_epoch);
        self.sites[at].answers = Hashed::new(Answers::new());
        self.commit_holding(at, change);
        if let Some(bid) = bid {
            self.asks.insert(crate::Ask { key_id, epoch: bid.epoch });
        }
        Some(())
    }

    fn promise(&mut self, at: usize, epoch: &Epoch, heard: bool) -> Option<()> {
        if !heard {
            take_one(&mut self.budget.unheard)?;
        }
        let ask = self.asks.iter().find(|ask| ask.epoch == *epoch)?.clone();
        let asker = number(&epoch.author.region);
        let site = &self.sites[at];
        let (change, answer) = promise(&site.here(), &site.share, &ask).ok()?;
        if matches!(answer, Answer::Promised { .. }) {
            self.note_promise(at, epoch);
        }
        self.commit(at, change);
        let is_open = self.sites[asker].me == epoch.author
            && self.sites[asker].holding().and_then(|holding| holding.bid.as_ref()).is_some_and(|bid| bid.epoch == *epoch);
        if heard && is_open {
            let mut answers: Answers = (*self.sites[asker].answers).clone();
            answers.insert(region(at).clone(), answer);
            self.sites[asker].answers = Hashed::new(answers);
        }
        Some(())
    }

    fn outbid(&mut self, at: usize) -> Option<()> {
        let site = &self.sites[at];
        let greater = site.answers.values().filter_map(|answer| match answer {
            Answer::Greater(epoch) => Some(epoch),
            _ => None,
        });
        let change = site.holding()?.outbid(&site.here(), greater.max()?);
        if change.next == *site.holding()? {
            return None;
        }
        self.commit_bid(at, change)
    }

    fn promotion(&self, at: usize) -> Option<Change<crate::Holding>> {
        let site = &self.sites[at];
        let bytes = site.answers.values().filter_map(|answer| match answer {
            Answer::Promised { status, .. } => Some(status.materials.iter().copied()),
            _ => None,
        });
        site.holding()?.promote(&site.here(), &site.answers, &bytes.flatten().collect()).ok()
    }

    fn restore(&mut self, at: usize) -> Option<()> {
        take_one(&mut self.budget.restores)?;
        let after = self.sites[at].backup.restored();
        self.excuse_disaster(at, &after);
        let site = &mut self.sites[at];
        site.me.incarnation = next_life(site.me.incarnation);
        site.share = Hashed::new(after);
        site.statuses = Hashed::new(Statuses::new());
        site.answers = Hashed::new(Answers::new());
        let epoch = site.holding().map(|holding| holding.document.version.epoch.clone());
        self.ghost.promised[at] = epoch.unwrap_or_else(|| self.ghost.first.clone());
        // In its new life it tells whoever it takes for the primary.
        if let Some(primary) = self.sites[at].holding().map(|holding| number(holding.document.primary())).filter(|primary| *primary != at) {
            self.report(at, primary);
        }
        Some(())
    }

    fn readmit(&mut self, at: usize, restored: usize) -> Option<()> {
        let incarnation = self.sites[restored].me.incarnation;
        let mut lives = (*self.sites[at].lives).clone();
        lives.insert(region(restored).clone(), incarnation);
        self.sites[at].lives = Hashed::new(lives);
        self.settle(at);
        Some(())
    }
}

fn take_one(budget: &mut u8) -> Option<()> {
    *budget = budget.checked_sub(1)?;
    Some(())
}
