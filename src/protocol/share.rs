//! What one region has of one key, durably, and how a change of it looks.
//!
//! A driver loads a [`Share`], calls one function, and commits what comes back in one step: no function may be carried out in part.
//! Bytes are not here. A set of material ids says which bytes lie beside the share.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::{Incarnation, KeyId, MaterialId, Origin, Region, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Author, Epoch, MemberStatus, Order, Presence, SharedDoc, StatusRecord, Version};

/// The peers that operators have admitted, each in the life in which it was.
pub type Lives = BTreeMap<Region, Incarnation>;

/// What a primary was told: the newest status of each region.
pub type Statuses = BTreeMap<Region, StatusRecord>;

/// Where something happens, and when.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// This region in its present life.
    pub me: &'a Author,
    /// Its peers.
    pub lives: &'a Lives,
    /// Its log time.
    pub now: Timestamp,
}

impl Here<'_> {
    /// Whether `author` is a peer in its admitted life.
    pub(crate) fn admits(&self, author: &Author) -> bool {
        self.lives.get(&author.region) == Some(&author.incarnation)
    }
}

/// What a region has of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Share {
    /// Nothing, or a place held for it.
    Absent {
        /// Who asked for the place (rule 10).
        reserved: Option<Author>,
    },
    /// The key.
    Held(Box<Holding>),
    /// The memory of a key that was destroyed.
    Destroyed {
        /// What is remembered.
        tombstone: Box<Tombstone>,
        /// Who asked for a place, so that the key may live again.
        reserved: Option<Author>,
    },
}

/// A key as one region holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holding {
    /// The newest document that the region has committed.
    pub document: SharedDoc,
    /// The materials whose bytes are here: of a generated key never fewer than the document names (rule 2), of an imported one what was
    /// imported here (rule 9).
    pub materials: BTreeSet<MaterialId>,
    /// Of an imported key: ids that were current or past in a document held before, and in this one are not.
    pub kept: BTreeSet<MaterialId>,
    /// Members of documents held before that this one lacks.
    pub strays: BTreeSet<Region>,
    /// The greatest epoch seen or promised. While it is not the document's, the region changes nothing in the document.
    pub greatest_epoch: Epoch,
    /// Counts the region's status records for the key.
    pub status_revision: u64,
    /// The epoch whose author the region is ready to succeed.
    pub consent: Option<Epoch>,
    /// The latest offer that it will never take.
    pub refused: Option<Version>,
    /// The promotion for which it is asking the others.
    pub bid: Option<Bid>,
    /// Whether the key is to be destroyed here.
    pub leaving: Leaving,
}

/// A forced promotion that is being prepared (rule 7).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bid {
    /// The epoch that others are asked to promise.
    pub epoch: Epoch,
    /// What the document will say of it.
    pub order: Order,
}

/// A key's way out of a region (rule 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Leaving {
    /// It stays.
    Stays,
    /// PendingDeletion.
    Scheduled {
        /// The first status that the region made since; what the primary took before says nothing of its present life.
        since: u64,
        /// Whether the primary of the present epoch has taken that status or a later one.
        acknowledged: bool,
    },
    /// PendingReplicaDeletion: at a primary, while other regions have the key.
    AwaitsReplicas,
}

/// What is left of a key that was destroyed: it follows the versions and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tombstone {
    /// The key.
    pub key_id: KeyId,
    /// The `born` of the member that was destroyed.
    pub born: Version,
    /// Its `since` in the last document that was held.
    pub since: Version,
    /// The greatest version seen.
    pub version: Version,
    /// The greatest epoch seen or promised.
    pub greatest_epoch: Epoch,
    /// Goes on counting the region's status records.
    pub status_revision: u64,
}

/// What comes of an event: all of `next` is committed, then the intents are seen to. One that is lost is found again, since each
/// follows from what was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// What the region has now.
    pub next: T,
    /// What is to be done.
    pub intents: Vec<Intent>,
}

/// Something that follows from a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intent {
    /// The document has changed: note which members are owed it ([`SharedDoc::is_owed_to`]).
    Ship,
    /// The region's status has changed: this primary is owed it.
    Report(Region),
    /// A region holds materials that the document lacks, or should: get their bytes, then [`Holding::hand_over`].
    Fetch {
        /// Who has them.
        from: Region,
        /// Which.
        materials: BTreeSet<MaterialId>,
    },
    /// The bytes of these are not to be here any more.
    Erase(BTreeSet<MaterialId>),
    /// The window of the key's deletion begins now, whatever it was before.
    RestartWindow,
    /// The key's deletion waits for other regions (again): it has no window.
    StopWindow,
}

impl Share {
    /// A region that has heard nothing of a key.
    pub const NOTHING: Self = Self::Absent { reserved: None };

    /// The key, if it is here.
    pub fn holding(&self) -> Option<&Holding> {
        match self {
            Self::Held(holding) => Some(holding),
            Self::Absent { .. } | Self::Destroyed { .. } => None,
        }
    }

    /// What the region says of the key; `None` when it has nothing to say.
    pub fn status(&self, me: &Author) -> Option<StatusRecord> {
        match self {
            Self::Absent { .. } => None,
            Self::Held(holding) => Some(holding.status(me)),
            Self::Destroyed { tombstone, .. } => Some(tombstone.status(me)),
        }
    }

    /// Rule 10: holds a place for a replica that `primary` is about to create. The driver has decided by the region's own identities;
    /// one that has the key gets no second one.
    pub fn reserve(&self, primary: &Author) -> Option<Self> {
        match self {
            Self::Absent { .. } => Some(Self::Absent { reserved: Some(primary.clone()) }),
            Self::Destroyed { tombstone, .. } => Some(Self::Destroyed { tombstone: tombstone.clone(), reserved: Some(primary.clone()) }),
            Self::Held(_) => None,
        }
    }

    /// Rule 10: lets a place go. The driver has heard from the primary, after the deadline, that its document does not show this
    /// region `Creating`.
    pub fn lapse(&self) -> Self {
        match self {
            Self::Absent { .. } => Self::NOTHING,
            Self::Destroyed { tombstone, .. } => Self::Destroyed { tombstone: tombstone.clone(), reserved: None },
            Self::Held(_) => self.clone(),
        }
    }

    /// Rule 11: what a backup held of the key, at the beginning of another life. What was promised, agreed or asked in the old one
    /// binds nobody; whatever the region authored is another author's now.
    pub fn restored(&self) -> Self {
        match self {
            Self::Absent { .. } => Self::NOTHING,
            Self::Destroyed { tombstone, .. } => Self::Destroyed { tombstone: tombstone.clone(), reserved: None },
            Self::Held(holding) => {
                let mut next = Holding { consent: None, bid: None, ..(**holding).clone() };
                next.status_revision += 1;
                if let Leaving::Scheduled { .. } = next.leaving {
                    next.leaving = Leaving::Scheduled { since: next.status_revision, acknowledged: false };
                }
                Self::Held(Box::new(next))
            }
        }
    }
}

impl Holding {
    /// A key that this region has just created.
    pub fn created(document: SharedDoc) -> Self {
        Self {
            materials: document.material_ids(),
            kept: BTreeSet::new(),
            strays: BTreeSet::new(),
            greatest_epoch: document.version.epoch.clone(),
            status_revision: 0,
            consent: None,
            refused: None,
            bid: None,
            leaving: Leaving::Stays,
            document,
        }
    }

    /// Whether `me` owns the document, and nothing stands in the way of changing it: no greater epoch (rule 5), no offer (rule 6).
    pub fn may_change(&self, me: &Author) -> bool {
        self.document.is_owned_by(me) && self.greatest_epoch == self.document.version.epoch && self.document.offer.is_none()
    }

    /// Whether only ids of this key's materials cross regions (rule 9).
    pub(crate) fn is_external(&self) -> bool {
        self.document.origin == Origin::External
    }

    /// What the region says of the key.
    pub fn status(&self, me: &Author) -> StatusRecord {
        StatusRecord {
            key_id: self.document.key_id,
            region: me.region.clone(),
            incarnation: me.incarnation,
            revision: self.status_revision,
            member_since: self.document.members.get(&me.region).map(|member| member.since.clone()),
            greatest_epoch: self.greatest_epoch.clone(),
            version: self.document.version.clone(),
            materials: self.materials.clone(),
            presence: Presence::Present,
            kept: self.kept.clone(),
            strays: self.strays.clone(),
            consent: self.consent.clone(),
            refused: self.refused.clone(),
        }
    }

    /// The present state with one status more, owed to the primary unless that is this region.
    pub(crate) fn reported(mut self, me: &Author) -> Change<Self> {
        self.status_revision += 1;
        let intents = if self.document.is_owned_by(me) { Vec::new() } else { vec![Intent::Report(self.document.primary().clone())] };
        Change { next: self, intents }
    }

    /// The document becomes `document`, which this region has made of it.
    pub(crate) fn with_own(&self, document: SharedDoc) -> Self {
        Self { greatest_epoch: document.version.epoch.clone(), document, ..self.clone() }
    }

    /// Notes what `next`, which is about to take the place of the held document, lacks of it.
    pub(crate) fn remember(&mut self, next: &SharedDoc) {
        let is_permanent = |id: &MaterialId| next.permanent_materials().any(|material| material.id == *id);
        if self.is_external() {
            self.kept.extend(self.document.permanent_materials().map(|material| material.id));
            self.kept.retain(|id| !is_permanent(id));
        }
        let members = self.document.members.iter().filter(|(_, member)| member.status != MemberStatus::Gone);
        self.strays.extend(members.map(|(region, _)| region.clone()));
        self.strays.retain(|region| !next.members.contains_key(region));
    }
}

impl Tombstone {
    /// What the region says of the key: that it is gone.
    pub fn status(&self, me: &Author) -> StatusRecord {
        StatusRecord {
            key_id: self.key_id,
            region: me.region.clone(),
            incarnation: me.incarnation,
            revision: self.status_revision,
            member_since: Some(self.since.clone()),
            greatest_epoch: self.greatest_epoch.clone(),
            version: self.version.clone(),
            materials: BTreeSet::new(),
            presence: Presence::Gone,
            kept: BTreeSet::new(),
            strays: BTreeSet::new(),
            consent: None,
            refused: None,
        }
    }
}
