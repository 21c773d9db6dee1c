//! The shared document of a key: what all its regions have in common, owned by its primary's region (DESIGN.md section 5.1).
//!
//! It carries no secret bytes: a material's sealed bytes and the id secret live beside it, each region under its own barrier.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::limits::{MATERIALS_PER_KEY_MAX, OPERATOR_TEXT_BYTES_MAX, REGIONS_MAX};
use claviger_types::{AccountId, Incarnation, KeyId, KeySpec, KeyState, KeyUsage, MaterialId, Origin, Region, RotationType, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Author, DocumentError, Version};

/// A region's standing in a multi-region key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MemberStatus {
    /// Added, but has not shown that it holds every material.
    Creating,
    /// Holds every material of the document in which it became active, and counts for later ones.
    Active,
    /// Taken out of the count until it has caught up again.
    Detached,
    /// Has destroyed the key. Entries never vanish.
    Gone,
}

/// Whether a region lets its copy of a key be used. It is the region's own and never crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enablement {
    /// By EnableKey, or from the start.
    Enabled,
    /// By DisableKey.
    Disabled,
    /// By a restore of the region (rule 11): until an operator admits the key, whatever EnableKey and DisableKey have left.
    Withheld,
    /// Imported material is missing here.
    PendingImport,
    /// By ScheduleKeyDeletion.
    PendingDeletion,
    /// By ScheduleKeyDeletion at the primary, while other regions have the key.
    PendingReplicaDeletion,
}

/// A region's entry in a multi-region key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Its standing.
    pub status: MemberStatus,
    /// The document's version at the member's latest creation.
    pub born: Version,
    /// The document's version at its latest change of status, or at the beginning of an epoch that found it neither active nor gone.
    pub since: Version,
    /// The life of the region in which it became active; `None` while it has not, or not again. Another life has to earn it anew.
    pub life: Option<Incarnation>,
}

/// What a material is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MaterialState {
    /// On its way to every member: decrypts, does not encrypt.
    Pending,
    /// Encrypts and decrypts. Exactly one material of a document is current.
    Current,
    /// Decrypts only.
    Past,
    /// An import that was withdrawn before it was ever used (imported keys alone).
    Discarded,
}

/// One version of a key's material, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MaterialEntry {
    /// Its id, which is derived from its bytes.
    pub id: MaterialId,
    /// When it was made, in its maker's log time.
    pub created_at: Timestamp,
    /// Its use.
    pub state: MaterialState,
    /// The rotation that made it current; `None` for a key's first material, and for one that never was current.
    pub rotated: Option<Rotated>,
    /// Whether it came by union (rule 2). Of an imported key such a material does not count for the key's state in a region
    /// before it is imported there (rule 9).
    pub united: bool,
}

/// How and when a material became current in place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rotated {
    /// Why.
    pub kind: RotationType,
    /// When, in log time of the primary.
    pub at: Timestamp,
}

/// The rotation of a key's material: automatic, and what was used of the other kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rotation {
    /// When the material is due to be rotated next; `None` while automatic rotation is off.
    pub next_at: Option<Timestamp>,
    /// The period, days: the one in force, or the last one.
    pub period_days: Option<u16>,
    /// Rotations on demand in the key's life.
    pub on_demand_used: u8,
}

/// A rotation between its two phases (rule 3): from the commit of the pending material until it is current.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InProgress {
    /// A member's word for the pending material counts if it holds this version or a later one. Each epoch counts anew.
    pub since: Version,
    /// Why; `None` for an imported material, which waits for a rotation on demand besides.
    pub kind: Option<RotationType>,
    /// When it began, in log time of the region that began it.
    pub started_at: Timestamp,
}

/// Who replaced a lost primary, and why: what an operator ordered (rule 7).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Order {
    /// The region that was taken for lost.
    pub lost: Region,
    /// The operator.
    pub ordered_by: String,
    /// The reason that was given.
    pub reason: String,
    /// When, in log time of the region that asked.
    pub at: Timestamp,
}

impl Order {
    /// Whether its texts are of bounded length.
    pub fn is_bounded(&self) -> bool {
        self.ordered_by.len() <= OPERATOR_TEXT_BYTES_MAX && self.reason.len() <= OPERATOR_TEXT_BYTES_MAX
    }
}

/// The shared document. A single-region key uses the same structure with no members.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SharedDoc {
    /// Grows with every change.
    pub version: Version,
    /// The key, whose id says whether it is multi-region.
    pub key_id: KeyId,
    /// The owner.
    pub account: AccountId,
    /// What kind of material.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where material comes from.
    pub origin: Origin,
    /// When the key was created in its first region.
    pub created_at: Timestamp,
    /// The regions of a multi-region key, its primary among them; empty for a single-region key.
    pub members: BTreeMap<Region, Member>,
    /// Rotation of the material.
    pub rotation: Rotation,
    /// All versions of the material, oldest first.
    pub materials: Vec<MaterialEntry>,
    /// The rotation that waits for the members; there is one while, and only while, a material is pending.
    pub in_progress: Option<InProgress>,
    /// The member to which the primary has offered the document (rule 6). Nothing changes in the document then.
    pub offer: Option<Region>,
    /// The latest forced promotion.
    pub promoted: Option<Order>,
}

/// What a new document is made of.
#[derive(Clone, Debug)]
pub struct NewDocument {
    /// The region that creates the key, its primary.
    pub author: Author,
    /// The key's id.
    pub key_id: KeyId,
    /// The owner.
    pub account: AccountId,
    /// What kind of material.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where material comes from.
    pub origin: Origin,
    /// Log time of the creation.
    pub created_at: Timestamp,
    /// The id of the first material; `None` for a key that waits for its import.
    pub material: Option<MaterialId>,
}

impl SharedDoc {
    /// The first version of a new key's document.
    pub fn create(new: NewDocument) -> Self {
        let version = Version::first(new.author.clone());
        let mut members = BTreeMap::new();
        if new.key_id.is_multi_region() {
            let primary =
                Member { status: MemberStatus::Active, born: version.clone(), since: version.clone(), life: Some(new.author.incarnation) };
            members.insert(new.author.region, primary);
        }
        Self {
            version,
            key_id: new.key_id,
            account: new.account,
            spec: new.spec,
            usage: new.usage,
            origin: new.origin,
            created_at: new.created_at,
            members,
            rotation: Rotation::default(),
            materials: new
                .material
                .map(|id| MaterialEntry { id, created_at: new.created_at, state: MaterialState::Current, rotated: None, united: false })
                .into_iter()
                .collect(),
            in_progress: None,
            offer: None,
            promoted: None,
        }
    }

    /// The region that owns the document.
    pub const fn primary(&self) -> &Region {
        &self.version.epoch.author.region
    }

    /// Whether `author` may change this document.
    pub fn is_owned_by(&self, author: &Author) -> bool {
        self.version.epoch.author == *author
    }

    /// The material that encrypts. [`SharedDoc::validate`] holds that there is exactly one, but for a key that waits for its first import.
    pub fn current_material(&self) -> Option<&MaterialEntry> {
        self.materials.iter().find(|material| material.state == MaterialState::Current)
    }

    /// Whether `id` is one of the document's materials.
    pub fn names_material(&self, id: &MaterialId) -> bool {
        self.materials.iter().any(|material| material.id == *id)
    }

    /// The entry of `id`.
    pub fn material(&self, id: &MaterialId) -> Option<&MaterialEntry> {
        self.materials.iter().find(|material| material.id == *id)
    }

    /// The materials that are or were current: those that an EXTERNAL key needs to be usable (rules page, section 7).
    pub fn permanent_materials(&self) -> impl Iterator<Item = &MaterialEntry> {
        self.materials.iter().filter(|material| matches!(material.state, MaterialState::Current | MaterialState::Past))
    }

    /// The imported material that waits for its rotation.
    pub fn pending_material(&self) -> Option<&MaterialEntry> {
        self.materials.iter().find(|material| material.state == MaterialState::Pending)
    }

    /// The ids of all materials.
    pub fn material_ids(&self) -> BTreeSet<MaterialId> {
        self.materials.iter().map(|material| material.id).collect()
    }

    /// The state that DescribeKey shows in `region`.
    pub fn state_in(&self, region: &Region, enablement: Enablement) -> KeyState {
        match self.members.get(region).map(|member| member.status) {
            Some(MemberStatus::Creating) => KeyState::Creating,
            Some(MemberStatus::Detached | MemberStatus::Gone) => KeyState::Unavailable,
            Some(MemberStatus::Active) | None => match enablement {
                Enablement::Enabled if self.is_changing_hands_in(region) => KeyState::Updating,
                Enablement::Enabled => KeyState::Enabled,
                Enablement::Disabled | Enablement::Withheld => KeyState::Disabled,
                Enablement::PendingImport => KeyState::PendingImport,
                Enablement::PendingDeletion => KeyState::PendingDeletion,
                Enablement::PendingReplicaDeletion => KeyState::PendingReplicaDeletion,
            },
        }
    }

    /// Whether `region` is one of the two between which the document is being handed over (rule 6).
    pub fn is_changing_hands_in(&self, region: &Region) -> bool {
        self.offer.as_ref().is_some_and(|target| target == region || self.primary() == region)
    }

    /// Whether all members but `region` are gone.
    pub fn others_are_gone(&self, region: &Region) -> bool {
        self.members.iter().all(|(name, member)| name == region || member.status == MemberStatus::Gone)
    }

    /// Checks what must hold of every document, so that one from a peer can be trusted to be well formed.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn validate(&self) -> Result<(), DocumentError> {
        if self.key_id.is_multi_region() != self.members.contains_key(self.primary()) {
            return Err(DocumentError::Membership);
        }
        if !self.key_id.is_multi_region() && !self.members.is_empty() {
            return Err(DocumentError::Membership);
        }
        if self.members.len() > REGIONS_MAX || self.materials.len() > MATERIALS_PER_KEY_MAX || !self.version.is_in_range() {
            return Err(DocumentError::TooLarge);
        }
        let waits_for_import = self.origin == Origin::External && self.permanent_materials().next().is_none();
        let current = self.materials.iter().filter(|material| material.state == MaterialState::Current).count();
        if current != usize::from(!waits_for_import) {
            return Err(DocumentError::CurrentMaterial);
        }
        if self.material_ids().len() != self.materials.len() {
            return Err(DocumentError::RepeatedMaterial);
        }
        if self.origin != Origin::External && self.materials.iter().any(|material| material.state == MaterialState::Discarded) {
            return Err(DocumentError::DiscardedMaterial);
        }
        if self.members.values().any(|member| member.since > self.version || member.born > member.since) {
            return Err(DocumentError::MemberFromTheFuture);
        }
        let pending = self.materials.iter().filter(|material| material.state == MaterialState::Pending).count();
        if pending != usize::from(self.in_progress.is_some())
            || self.in_progress.as_ref().is_some_and(|rotation| rotation.since > self.version)
        {
            return Err(DocumentError::PendingMaterial);
        }
        let is_active = |region: &Region| self.members.get(region).is_some_and(|member| member.status == MemberStatus::Active);
        if self.offer.as_ref().is_some_and(|target| target == self.primary() || !is_active(target)) {
            return Err(DocumentError::Offer);
        }
        if !self.members.is_empty() && !is_active(self.primary()) {
            return Err(DocumentError::Membership);
        }
        if self.promoted.as_ref().is_some_and(|order| !order.is_bounded()) {
            return Err(DocumentError::TooLarge);
        }
        Ok(())
    }
}
