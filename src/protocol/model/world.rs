//! The model's world: regions with what each has durably, what it only remembers, and everything that was ever sent.
//!
//! The network is a set of what was sent: any of it may arrive at any time, any number of times, or never. So a lost message is one that
//! is not delivered (yet), and nothing has an order. Of a region only the answers to its bid are volatile; a crash takes them.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use claviger_types::{AccountId, Incarnation, KeyId, KeySpec, KeyUsage, MaterialId, Origin, Region, Timestamp};

use super::ghost::Ghost;
use super::scope::Budget;
use crate::{
    Answers, Ask, Author, Change, Here, Holding, Intent, Lives, MemberStatus, NewDocument, Share, SharedDoc, StatusRecord, Statuses,
    Version,
};

/// Time stands still: nothing in the rules compares instants but the schedule of automatic rotation, which is not modelled.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1000);

static NAMES: LazyLock<[Region; 4]> = LazyLock::new(|| ["dc-a-1", "dc-b-1", "dc-c-1", "dc-d-1"].map(|name| name.parse().unwrap()));

/// A region by its number.
pub(super) fn region(number: usize) -> &'static Region {
    &NAMES[number]
}

/// The number of a region.
pub(super) fn number(region: &Region) -> usize {
    NAMES.iter().position(|name| name == region).unwrap()
}

/// A value that is hashed once, when it is made, and shared between the states that have it.
pub(super) struct Hashed<T>(Arc<(u64, T)>);

impl<T: Hash> Hashed<T> {
    pub(super) fn new(value: T) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self(Arc::new((hasher.finish(), value)))
    }
}

impl<T> Clone for Hashed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Hashed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T: fmt::Debug> fmt::Debug for Hashed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.1.fmt(f)
    }
}

impl<T> PartialEq for Hashed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.0 == other.0.0
    }
}

impl<T> Eq for Hashed<T> {}

impl<T> PartialOrd for Hashed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Hashed<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.0.cmp(&other.0.0)
    }
}

impl<T> Hash for Hashed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.0.hash(state);
    }
}

/// One region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Site {
    /// Itself, in its present life.
    pub(super) me: Author,
    /// Its share of the key. Durable, as all but `answers`.
    pub(super) share: Hashed<Share>,
    /// Its peers in the lives that its operators have admitted.
    pub(super) lives: Hashed<Lives>,
    /// What it was told as a primary.
    pub(super) statuses: Hashed<Statuses>,
    /// What a restore brings back.
    pub(super) backup: Hashed<Share>,
    /// The answers to its bid so far. Volatile.
    pub(super) answers: Hashed<Answers>,
}

impl Site {
    pub(super) fn here(&self) -> Here<'_> {
        Here { me: &self.me, lives: &self.lives, now: NOW }
    }

    pub(super) fn holding(&self) -> Option<&Holding> {
        self.share.holding()
    }

    /// The key's document, if this region owns it.
    pub(super) fn owned(&self) -> Option<&Holding> {
        self.holding().filter(|holding| holding.document.is_owned_by(&self.me))
    }
}

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) sites: Vec<Site>,
    /// Documents that their authors have committed: each may reach each region, with the bytes of its materials.
    pub(super) documents: BTreeMap<Version, Hashed<SharedDoc>>,
    /// Statuses, and the primary to which each was sent.
    pub(super) statuses: BTreeSet<(usize, Hashed<StatusRecord>)>,
    /// That a primary has taken a status: to whom, in which epoch, which revision.
    pub(super) taken: BTreeSet<(usize, crate::Epoch, u64)>,
    /// What askers want to be promised.
    pub(super) asks: BTreeSet<Ask>,
    /// Materials made so far.
    pub(super) minted: u8,
    /// What may still happen.
    pub(super) budget: Budget,
    /// What no region knows: for the properties alone.
    pub(super) ghost: Ghost,
}

impl World {
    /// `count` regions that are each other's peers; the first has created a key.
    pub(super) fn founded(count: usize, origin: Origin) -> Self {
        let author = |number: usize| Author { region: region(number).clone(), incarnation: first_life(number) };
        let sites: Vec<Site> = (0..count)
            .map(|number| {
                let peers = (0..count).filter(|peer| *peer != number).map(|peer| (region(peer).clone(), first_life(peer)));
                Site {
                    me: author(number),
                    share: Hashed::new(Share::NOTHING),
                    lives: Hashed::new(peers.collect()),
                    statuses: Hashed::new(Statuses::new()),
                    backup: Hashed::new(Share::NOTHING),
                    answers: Hashed::new(Answers::new()),
                }
            })
            .collect();
        let document = SharedDoc::create(NewDocument {
            author: author(0),
            key_id: KeyId::multi_region([1; 16]),
            account: AccountId::try_from(1).unwrap(),
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin,
            created_at: NOW,
            // An imported key waits for its first material.
            material: (origin == Origin::AwsKms).then(|| material(0)),
        });
        let mut world = Self {
            ghost: Ghost::new(count, &document.version.epoch),
            sites,
            documents: BTreeMap::new(),
            statuses: BTreeSet::new(),
            taken: BTreeSet::new(),
            asks: BTreeSet::new(),
            minted: 1,
            budget: Budget::default(),
        };
        world.commit(0, Change { next: Share::Held(Box::new(Holding::created(document))), intents: vec![Intent::Ship] });
        world
    }

    /// A new material's id.
    pub(super) fn mint(&mut self) -> MaterialId {
        self.minted += 1;
        material(self.minted - 1)
    }

    /// Region `at` commits a change, and sends what follows from it.
    pub(super) fn commit(&mut self, at: usize, change: Change<Share>) {
        let before = self.sites[at].share.clone();
        self.sites[at].share = Hashed::new(change.next);
        if self.sites[at].holding().is_none_or(|holding| holding.bid.is_none()) && !self.sites[at].answers.is_empty() {
            self.sites[at].answers = Hashed::new(Answers::new());
        }
        for intent in &change.intents {
            match intent {
                Intent::Report(to) if number(to) != at => self.report(at, number(to)),
                // Bytes are fetched by an action of their own; windows are over when the model says so.
                _ => {}
            }
        }
        self.note_commit(at, &before);
        if let Some(owned) = self.sites[at].owned() {
            let document = owned.document.clone();
            self.note_published(at, &before, &document);
            self.documents.insert(document.version.clone(), Hashed::new(document));
        }
    }

    /// Region `at` sends its status to `to`.
    pub(super) fn report(&mut self, at: usize, to: usize) {
        if let Some(status) = self.sites[at].share.status(&self.sites[at].me) {
            self.statuses.insert((to, Hashed::new(status)));
        }
    }

    /// A change of a key that is held.
    pub(super) fn commit_holding(&mut self, at: usize, change: Change<Holding>) {
        self.commit(at, Change { next: Share::Held(Box::new(change.next)), intents: change.intents });
    }

    /// The primary looks at all that it knows until there is nothing left to do.
    pub(super) fn settle(&mut self, at: usize) {
        for _ in 0..4 {
            let site = &self.sites[at];
            let Some(owned) = site.owned() else { return };
            let change = owned.settle(&site.here(), &site.statuses);
            if change.next == *owned {
                return;
            }
            self.commit_holding(at, change);
        }
    }

    /// Commits a change of the document, then settles.
    pub(super) fn commit_and_settle(&mut self, at: usize, change: Change<Holding>) {
        self.commit_holding(at, change);
        self.settle(at);
    }

    /// What can never change anything any more is forgotten, so that states that differ in it alone are one.
    pub(super) fn forget_the_dead(&mut self) {
        if self.budget.restores > 0 {
            return;
        }
        let sites = &self.sites;
        let is_new_to = |document: &SharedDoc, site: &Site| {
            document.version.epoch.author != site.me
                && document.members.contains_key(&site.me.region)
                && match &*site.share {
                    Share::Absent { .. } => true,
                    Share::Held(held) => document.version > held.document.version && document.version.epoch >= held.greatest_epoch,
                    Share::Destroyed { tombstone, .. } => document.version > tombstone.version,
                }
        };
        self.documents.retain(|_, document| sites.iter().any(|site| is_new_to(document, site)));
        self.statuses.retain(|(to, status)| {
            let held = sites[*to].statuses.get(&status.region);
            held.is_none_or(|held| held.incarnation == status.incarnation && held.revision < status.revision)
        });
        self.asks.retain(|ask| {
            sites
                .iter()
                .any(|site| site.holding().is_some_and(|holding| holding.greatest_epoch <= ask.epoch && ask.epoch.author != site.me))
        });
        self.taken.retain(|(to, epoch, _)| {
            let leaving = sites[*to].holding().filter(|holding| holding.document.version.epoch == *epoch);
            leaving.is_some_and(|holding| holding.document.members.get(region(*to)).is_some_and(|m| m.status != MemberStatus::Gone))
        });
    }
}

/// A region's first life.
pub(super) fn first_life(number: usize) -> Incarnation {
    Incarnation::from_bytes([u8::try_from(number).unwrap() * 16; 16])
}

/// The life after a restore.
pub(super) fn next_life(life: Incarnation) -> Incarnation {
    Incarnation::from_bytes(life.as_bytes().map(|byte| byte + 1))
}

pub(super) fn material(number: u8) -> MaterialId {
    MaterialId::from_bytes([number; 32])
}
