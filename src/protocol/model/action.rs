//! What can happen in the model. Each action is one commit in one region (`step`).

use super::world::{World, number, region};
use crate::{Epoch, Version};

/// One step. Regions are numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A document reaches a region, with the bytes of its materials.
    Deliver {
        version: Version,
        to: usize,
    },
    /// A status, by its place in the network, reaches the primary to which it was sent.
    Report {
        index: usize,
    },
    /// A region learns that its status was taken.
    Taken {
        to: usize,
        epoch: Epoch,
        revision: u64,
    },
    /// A primary gets the bytes that another has and it lacks.
    Fetch {
        primary: usize,
        from: usize,
    },
    /// Rule 3: new material. The second phase comes by itself.
    Rotate {
        primary: usize,
    },
    /// An operator takes a member out of the count.
    Detach {
        primary: usize,
        member: usize,
    },
    /// Rule 10: the target holds a place, then the primary adds the member.
    Reserve {
        at: usize,
        primary: usize,
    },
    Replicate {
        primary: usize,
        target: usize,
    },
    /// An operator finds a region that has the key and is no member.
    Adopt {
        primary: usize,
        found: usize,
    },
    /// Rule 6.
    Consent {
        at: usize,
    },
    Refuse {
        at: usize,
    },
    Offer {
        primary: usize,
        target: usize,
    },
    Take {
        at: usize,
    },
    /// Rule 7. `heard` is whether the answer arrives.
    Bid {
        at: usize,
        lost: usize,
    },
    Promise {
        at: usize,
        epoch: Epoch,
        heard: bool,
    },
    Outbid {
        at: usize,
    },
    Promote {
        at: usize,
    },
    /// An asker forgets what it was answered.
    Crash {
        at: usize,
    },
    /// Rule 8.
    Schedule {
        at: usize,
    },
    Cancel {
        at: usize,
    },
    Destroy {
        at: usize,
    },
    /// Rule 11: a region is taken back to its backup, in another life; another region's operators admit that life.
    Restore {
        at: usize,
    },
    Readmit {
        at: usize,
        restored: usize,
    },
    /// Rule 9: a region imports what it lacks, or a primary something new; takes it away again; or a primary takes it from the key.
    Import {
        at: usize,
    },
    WithdrawImport {
        primary: usize,
    },
    LoseImport {
        at: usize,
    },
    RotateImported {
        primary: usize,
    },
}

impl World {
    /// All that can happen now. What turns out to change nothing is left out by [`World::step`].
    pub(super) fn actions(&self, actions: &mut Vec<Action>) {
        let count = self.sites.len();
        for (version, document) in &self.documents {
            let others = document.members.keys().map(number).filter(|to| self.sites[*to].me != version.epoch.author);
            actions.extend(others.map(|to| Action::Deliver { version: version.clone(), to }));
        }
        actions.extend((0..self.statuses.len()).map(|index| Action::Report { index }));
        actions.extend(self.taken.iter().map(|(to, epoch, revision)| Action::Taken { to: *to, epoch: epoch.clone(), revision: *revision }));
        let budget = &self.budget;
        for at in 0..count {
            let others = (0..count).filter(|other| *other != at);
            if self.sites[at].owned().is_some() {
                actions.extend(others.clone().map(|from| Action::Fetch { primary: at, from }));
                self.actions_of_primary(at, actions);
            }
            for ask in self.asks.iter().filter(|ask| ask.epoch.author != self.sites[at].me) {
                actions.push(Action::Promise { at, epoch: ask.epoch.clone(), heard: true });
                if budget.unheard > 0 {
                    actions.push(Action::Promise { at, epoch: ask.epoch.clone(), heard: false });
                }
            }
            if self.sites[at].holding().is_some() {
                self.actions_of_holder(at, actions);
            }
            if budget.restores > 0 && budget.restorable.contains(&at) {
                actions.push(Action::Restore { at });
            }
            let admitted = |other: usize| self.sites[at].lives.get(region(other)) == Some(&self.sites[other].me.incarnation);
            actions.extend(others.filter(|other| !admitted(*other)).map(|restored| Action::Readmit { at, restored }));
        }
    }

    fn actions_of_primary(&self, at: usize, actions: &mut Vec<Action>) {
        let (count, budget) = (self.sites.len(), &self.budget);
        let others = (0..count).filter(|other| *other != at);
        let external = self.sites[at].holding().is_some_and(|holding| holding.is_external());
        if budget.rotations > 0 {
            actions.push(if external { Action::RotateImported { primary: at } } else { Action::Rotate { primary: at } });
        }
        if budget.detaches > 0 {
            actions.extend(others.clone().map(|member| Action::Detach { primary: at, member }));
        }
        if budget.replications > 0 {
            actions.extend(others.clone().map(|target| Action::Reserve { at: target, primary: at }));
        }
        actions.extend(others.clone().map(|target| Action::Replicate { primary: at, target }));
        actions.extend(others.clone().map(|found| Action::Adopt { primary: at, found }));
        actions.extend(others.map(|target| Action::Offer { primary: at, target }));
    }

    fn actions_of_holder(&self, at: usize, actions: &mut Vec<Action>) {
        let (count, budget) = (self.sites.len(), &self.budget);
        if budget.handoffs > 0 {
            actions.push(Action::Consent { at });
        }
        if budget.refusals > 0 {
            actions.push(Action::Refuse { at });
        }
        actions.push(Action::Take { at });
        if budget.bids > 0 && budget.bidders.contains(&at) {
            actions.extend((0..count).map(|lost| Action::Bid { at, lost }));
        }
        if self.sites[at].holding().is_some_and(|holding| holding.bid.is_some()) {
            actions.extend([Action::Promote { at }, Action::Outbid { at }]);
            if budget.crashes > 0 {
                actions.push(Action::Crash { at });
            }
        }
        if budget.deletions > 0 && budget.leavers.contains(&at) {
            actions.push(Action::Schedule { at });
        }
        if budget.cancels > 0 {
            actions.push(Action::Cancel { at });
        }
        actions.push(Action::Destroy { at });
        if budget.losses > 0 {
            actions.extend([Action::LoseImport { at }, Action::WithdrawImport { primary: at }]);
        }
        if budget.imports > 0 {
            actions.push(Action::Import { at });
        }
    }
}
