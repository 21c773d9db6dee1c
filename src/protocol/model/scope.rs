//! Scopes: from where the model starts, and how often each kind of thing may happen. A scope begins where something interesting can go
//! wrong within few steps; how it came to that was done by the same actions.

use super::action::Action;
use super::world::{World, region};
use claviger_types::Origin;

/// How often what is not a message may still happen. Part of the state, so that the model is finite.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    pub(super) rotations: u8,
    pub(super) detaches: u8,
    pub(super) replications: u8,
    pub(super) handoffs: u8,
    pub(super) refusals: u8,
    pub(super) bids: u8,
    /// Promises whose answer does not arrive.
    pub(super) unheard: u8,
    pub(super) crashes: u8,
    pub(super) deletions: u8,
    pub(super) cancels: u8,
    pub(super) restores: u8,
    /// Imports, and imports that are taken away again.
    pub(super) imports: u8,
    pub(super) losses: u8,
    /// Regions that may ask for a promotion.
    pub(super) bidders: Vec<usize>,
    /// Regions that may be restored.
    pub(super) restorable: Vec<usize>,
    /// Regions whose key may be scheduled for deletion.
    pub(super) leavers: Vec<usize>,
}

/// A scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) name: &'static str,
    /// The budget for `make test` and the one for `make model`.
    pub(super) start: fn(bool) -> World,
}

pub(super) const SCOPES: &[Scope] = &[
    Scope { name: "rotation", start: rotation },
    Scope { name: "handoff", start: handoff },
    Scope { name: "promotion", start: promotion },
    Scope { name: "two-sides", start: two_sides },
    Scope { name: "return", start: returning },
    Scope { name: "deletion", start: deletion },
    Scope { name: "last-copy", start: last_copy },
    Scope { name: "re-creation", start: re_creation },
    Scope { name: "late-word", start: late_word },
    Scope { name: "restore", start: restore },
    Scope { name: "imports", start: imports },
    Scope { name: "everything", start: everything },
];

impl World {
    /// Actions of a prelude: each has to be possible.
    fn act(mut self, actions: &[Action]) -> Self {
        for action in actions {
            self = self.step(action).unwrap_or_else(|| panic!("a prelude cannot {action:?}"));
        }
        self
    }

    /// Everything arrives, twice.
    fn quiet(mut self) -> Self {
        (0..4).for_each(|_| self.exchange());
        self.forget_the_dead();
        self
    }

    /// Two regions do not hear from the others for the time of `then`.
    fn cut_off(mut self, absent: usize, then: impl FnOnce(Self) -> Self) -> Self {
        let before = self.sites[absent].share.clone();
        self = then(self);
        assert_eq!(self.sites[absent].share, before, "it was to hear nothing");
        self
    }

    fn replicated(count: usize, origin: Origin) -> Self {
        Self::replicated_to(count, count, origin)
    }

    /// The first `having` of `count` regions have the key.
    fn replicated_to(count: usize, having: usize, origin: Origin) -> Self {
        let mut world = Self::founded(count, origin);
        for target in 1..having {
            world.budget.replications = 1;
            world = world.act(&[Action::Reserve { at: target, primary: 0 }, Action::Replicate { primary: 0, target }]).quiet();
        }
        assert!(world.converges());
        world
    }

    /// The primary's documents and the statuses of `to` arrive, nobody else's.
    fn exchange_with(mut self, primary: usize, to: usize) -> Self {
        for _ in 0..3 {
            let version = self.sites[primary].owned().unwrap().document.version.clone();
            self.try_step(&Action::Deliver { version, to });
            let index = self.statuses.iter().position(|(at, status)| *at == primary && status.region == *region(to));
            if let Some(index) = index {
                self.try_step(&Action::Report { index });
            }
        }
        self.forget_the_dead();
        self
    }

    /// A planned handoff of which the others do not hear.
    fn handed_over(self, from: usize, to: usize) -> Self {
        let world = self.act(&[Action::Consent { at: to }]).exchange_with(from, to);
        let world = world.act(&[Action::Offer { primary: from, target: to }]).exchange_with(from, to);
        world.act(&[Action::Take { at: to }])
    }

    /// Region `at` destroys its key, acknowledged by the primary, which does not hear that it has.
    fn destroyed(self, primary: usize, at: usize) -> Self {
        let world = self.act(&[Action::Schedule { at }]).exchange_with(primary, at);
        let (to, epoch, revision) = world.taken.iter().find(|(to, _, _)| *to == at).cloned().unwrap();
        world.act(&[Action::Taken { to, epoch, revision }, Action::Destroy { at }])
    }

    fn with(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self.forget_the_dead();
        self
    }

    fn allowing(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}

/// A region joins while the key is rotated, twice, and members are detached.
fn rotation(deep: bool) -> World {
    let world = World::replicated_to(3, 2, Origin::AwsKms);
    let budget = Budget { rotations: if deep { 3 } else { 2 }, detaches: 1 + u8::from(deep), replications: 1, ..Budget::default() };
    world.with(budget)
}

/// Handoffs back and forth, refusals, rotation meanwhile.
fn handoff(deep: bool) -> World {
    let budget = Budget { rotations: 1, handoffs: 2, refusals: 1, detaches: u8::from(deep), ..Budget::default() };
    World::replicated(3, Origin::AwsKms).with(budget)
}

/// Two survivors replace the primary at the same time, which is alive; answers are lost, askers crash.
fn promotion(deep: bool) -> World {
    let budget =
        Budget { rotations: 1, bids: 2, unheard: 1, crashes: 1, detaches: u8::from(deep), bidders: vec![1, 2], ..Budget::default() };
    World::replicated(3, Origin::AwsKms).with(budget)
}

/// A is cut off from B; C has heard A last. A has detached B and rotated: B and C are asked to replace A.
fn detached_and_rotated() -> World {
    let world = World::replicated(3, Origin::AwsKms).allowing(Budget { rotations: 1, detaches: 1, ..Budget::default() });
    world.cut_off(1, |world| {
        let world = world.act(&[Action::Detach { primary: 0, member: 1 }, Action::Rotate { primary: 0 }]);
        world.exchange_with(0, 2)
    })
}

/// Operators on both sides of a cut: A has detached B, and B replaces A.
fn two_sides(deep: bool) -> World {
    let budget = Budget { rotations: 1, detaches: 1, bids: 1 + u8::from(deep), unheard: 1, bidders: vec![1], ..Budget::default() };
    detached_and_rotated().with(budget)
}

/// B has replaced A without having heard from anybody; A and C, which know more, return.
fn returning(deep: bool) -> World {
    let world = detached_and_rotated().allowing(Budget { bids: 1, bidders: vec![1], ..Budget::default() });
    let world = world.act(&[Action::Bid { at: 1, lost: 0 }, Action::Promote { at: 1 }]);
    world.with(Budget { rotations: 1, detaches: 1, handoffs: u8::from(deep), ..Budget::default() })
}

/// Replicas and the primary are deleted in every order, while the key is rotated.
fn deletion(deep: bool) -> World {
    let budget = Budget { rotations: 1, deletions: 3, cancels: u8::from(deep), leavers: vec![0, 1, 2], ..Budget::default() };
    World::replicated(3, Origin::AwsKms).with(budget)
}

/// A and C alone have the current material, for B was detached; A is restored to a backup from before, C is deleted.
fn last_copy(deep: bool) -> World {
    let mut world = detached_and_rotated();
    world.sites[0].backup = World::replicated(3, Origin::AwsKms).sites[0].share.clone();
    let budget = Budget {
        restores: 1,
        deletions: 1,
        bids: 1,
        rotations: u8::from(deep),
        bidders: vec![1],
        restorable: vec![0],
        leavers: vec![2],
        ..Budget::default()
    };
    world.allowing(budget)
}

/// B was primary and heard from C, but not that C has destroyed its key. A took over, and is creating C again. B is about to be
/// primary again.
fn re_creation(deep: bool) -> World {
    let world = created_again();
    world.with(Budget { rotations: 1, handoffs: 1, deletions: u8::from(deep), leavers: vec![0], ..Budget::default() })
}

fn created_again() -> World {
    let plenty = Budget { handoffs: 9, deletions: 9, replications: 9, leavers: vec![0, 1, 2], ..Budget::default() };
    let world = World::replicated(3, Origin::AwsKms).allowing(plenty).handed_over(0, 1).quiet();
    let world = world.destroyed(1, 2).handed_over(1, 0).quiet();
    world.act(&[Action::Reserve { at: 2, primary: 0 }, Action::Replicate { primary: 0, target: 2 }])
}

/// The same a little later: B is primary again, A has destroyed its key, and the new C has not heard of anything yet. What the old C said
/// of its end is still on its way to B, whose key may be deleted.
fn late_word(deep: bool) -> World {
    let mut world = created_again().handed_over(0, 1).exchange_with(1, 0).destroyed(1, 0).exchange_with(1, 0);
    world.try_step(&Action::Report { index: 0 });
    world.with(Budget { rotations: 1 + u8::from(deep), deletions: 1 + u8::from(deep), leavers: vec![1, 2], ..Budget::default() })
}

/// C is restored to a backup from before the rotation.
fn restore(deep: bool) -> World {
    let mut world = World::replicated(3, Origin::AwsKms).allowing(Budget { rotations: 1, ..Budget::default() });
    world.sites[2].backup = world.sites[2].share.clone();
    let world = world.act(&[Action::Rotate { primary: 0 }]).quiet();
    let budget = Budget { rotations: 1, restores: 1, handoffs: u8::from(deep), restorable: vec![2], ..Budget::default() };
    world.allowing(budget)
}

/// Of an imported key a second material waits in all regions for its rotation. B was primary when it heard so; A is now. C takes
/// its import away.
fn imports(deep: bool) -> World {
    let world = World::imported();
    world.with(Budget { rotations: 1, handoffs: 1, losses: 1, imports: u8::from(deep), detaches: u8::from(deep), ..Budget::default() })
}

/// A little of everything.
fn everything(deep: bool) -> World {
    let budget = Budget {
        rotations: 1,
        detaches: 1,
        handoffs: u8::from(deep),
        refusals: u8::from(deep),
        bids: 1,
        deletions: 1,
        replications: u8::from(deep),
        bidders: vec![1],
        leavers: vec![2],
        ..Budget::default()
    };
    World::replicated(3, Origin::AwsKms).with(budget)
}

impl World {
    /// Three regions have the key, one has not; each region's backup is what it has now.
    pub(super) fn spread(origin: Origin, budget: Budget) -> Self {
        let mut world = Self::replicated_to(4, 3, origin);
        world.sites.iter_mut().for_each(|site| site.backup = site.share.clone());
        world.allowing(budget)
    }

    /// See [`imports`].
    fn imported() -> Self {
        let mut world = Self::replicated(3, Origin::External);
        world.budget.handoffs = 9;
        let mut world = world.handed_over(0, 1).quiet();
        world.budget.imports = 6;
        // The first material, then another that waits for its rotation: first at the primary, then everywhere.
        for at in [1, 0, 2, 1, 0, 2] {
            world = world.act(&[Action::Import { at }]).quiet();
        }
        world.handed_over(1, 0).quiet()
    }
}
