//! What a key's owner does with its materials: rotation and import, while no other region has the key.
//!
//! A key that is in several regions goes the ways of `rotation` (rules 3 and 9: two phases, regional imports); every change here is
//! refused for it.

use claviger_types::limits::{DAY, MATERIALS_PER_KEY_MAX, ON_DEMAND_ROTATIONS_MAX, ROTATION_DUE_SOON};
use claviger_types::{ImportType, KeyClass, MaterialId, Origin, RotationType, Timestamp};

use crate::{Author, InProgress, MaterialEntry, MaterialState, MemberStatus, Rotated, Rotation, SharedDoc};

/// Why a key's materials stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifeError {
    /// Another region has the key, or this one does not own it.
    #[error("the key is in other regions too")]
    InOtherRegions,
    /// The key's lifetime has seen as many rotations on demand as it may.
    #[error("the key was rotated on demand as often as it may be")]
    TooManyRotations,
    /// The automatic rotation is due within minutes.
    #[error("the automatic rotation is about to happen")]
    RotationDue,
    /// This region does not own the document, or nothing may change in it now.
    #[error("this region may not change the document now")]
    NotPrimary,
    /// A rotation has begun and waits for the members.
    #[error("a rotation is in progress")]
    InProgress,
    /// The automatic rotation is off, or not due yet.
    #[error("the automatic rotation is not due")]
    NotDue,
    /// No imported material waits for a rotation.
    #[error("no imported material waits for a rotation")]
    NothingPending,
    /// Another imported material waits for its rotation.
    #[error("material {0} waits for its rotation")]
    OtherPending(MaterialId),
    /// The material is not the key's, or is, and should not be.
    #[error("the material is not the one that may be imported")]
    IncorrectMaterial,
    /// The key has as many materials as it may.
    #[error("the key has as many materials as it may")]
    TooManyMaterials,
}

impl SharedDoc {
    /// Whether `me` owns the key and no other region has it.
    pub fn is_alone(&self, me: &Author) -> bool {
        let others = self.members.iter().filter(|(region, _)| **region != me.region);
        self.is_owned_by(me) && others.into_iter().all(|(_, member)| member.status == MemberStatus::Gone)
    }

    /// EnableKeyRotation with a period, or DisableKeyRotation. Enabled again with the same period, the schedule stays.
    pub(crate) fn with_rotation(self, period_days: Option<u16>, now: Timestamp) -> Result<Self, LifeError> {
        let mut next = self.clone();
        next.rotation = match period_days {
            None => Rotation { next_at: None, ..self.rotation },
            Some(days) if self.rotation.next_at.is_some() && self.rotation.period_days == Some(days) => self.rotation,
            Some(days) => Rotation { next_at: Some(now.plus(DAY * u32::from(days))), period_days: Some(days), ..self.rotation },
        };
        Ok(next)
    }

    /// RotateKeyOnDemand of an imported key: the material that waits for it becomes current.
    ///
    /// # Errors
    /// See [`LifeError`].
    pub fn rotate_on_demand(&self, me: &Author, now: Timestamp) -> Result<Self, LifeError> {
        let mut next = self.next_alone(me)?;
        if self.rotation.on_demand_used >= ON_DEMAND_ROTATIONS_MAX {
            return Err(LifeError::TooManyRotations);
        }
        if self.rotation.next_at.is_some_and(|due| due.since(now) < ROTATION_DUE_SOON) {
            return Err(LifeError::RotationDue);
        }
        let new = self.pending_material().filter(|_| self.origin == Origin::External).ok_or(LifeError::NothingPending)?.id;
        next.rotation.on_demand_used += 1;
        next.make_current(new, RotationType::OnDemand, now)?;
        Ok(next)
    }

    /// ImportKeyMaterial of `id` (rules page, section 7): a key's first material becomes current at once, a further one waits for its
    /// rotation, one that the key has stays what it is. Gives the document, changed or not.
    ///
    /// # Errors
    /// See [`LifeError`].
    pub fn import(&self, me: &Author, id: MaterialId, import_type: Option<ImportType>, now: Timestamp) -> Result<Self, LifeError> {
        let next = self.next_alone(me)?;
        self.imported(next, id, import_type, now)
    }

    /// The same, to the new version `next` of this document.
    pub(crate) fn imported(
        &self,
        mut next: Self,
        id: MaterialId,
        import_type: Option<ImportType>,
        now: Timestamp,
    ) -> Result<Self, LifeError> {
        let held = self.materials.iter().position(|material| material.id == id);
        let is_known = held.is_some_and(|at| self.materials[at].state != MaterialState::Discarded);
        let has_materials = self.materials.iter().any(|material| material.state != MaterialState::Discarded);
        let is_new = match (import_type, self.spec.class()) {
            (Some(import_type), KeyClass::Symmetric) => import_type == ImportType::NewKeyMaterial,
            _ => !has_materials,
        };
        if is_new == is_known {
            return Err(LifeError::IncorrectMaterial);
        }
        if is_known {
            return Ok(self.clone());
        }
        if let Some(pending) = self.pending_material() {
            return Err(LifeError::OtherPending(pending.id));
        }
        let state = if has_materials { MaterialState::Pending } else { MaterialState::Current };
        match held {
            // It was withdrawn before: now it is the youngest.
            Some(at) => drop(next.materials.remove(at)),
            None if self.materials.len() >= MATERIALS_PER_KEY_MAX => return Err(LifeError::TooManyMaterials),
            None => {}
        }
        next.materials.push(MaterialEntry { id, created_at: now, state, rotated: None, united: false });
        next.in_progress =
            (state == MaterialState::Pending).then(|| InProgress { since: next.version.clone(), kind: None, started_at: now });
        Ok(next)
    }

    /// DeleteImportedKeyMaterial of a material that waits for its rotation: it is none of the key's any more.
    ///
    /// # Errors
    /// See [`LifeError`].
    pub fn discard(&self, me: &Author, id: MaterialId) -> Result<Self, LifeError> {
        let mut next = self.next_alone(me)?;
        next.discard_pending(id)?;
        Ok(next)
    }

    fn next_alone(&self, me: &Author) -> Result<Self, LifeError> {
        if !self.is_alone(me) {
            return Err(LifeError::InOtherRegions);
        }
        Ok(Self { version: self.version.next(), ..self.clone() })
    }

    pub(crate) fn discard_pending(&mut self, id: MaterialId) -> Result<(), LifeError> {
        let pending = self.materials.iter_mut().find(|material| material.id == id && material.state == MaterialState::Pending);
        pending.ok_or(LifeError::NothingPending)?.state = MaterialState::Discarded;
        self.in_progress = None;
        Ok(())
    }

    pub(crate) fn make_current(&mut self, id: MaterialId, kind: RotationType, at: Timestamp) -> Result<(), LifeError> {
        let known = self.materials.iter().position(|material| material.id == id);
        match known {
            Some(at) if self.materials[at].state != MaterialState::Pending => return Err(LifeError::IncorrectMaterial),
            None if self.materials.len() >= MATERIALS_PER_KEY_MAX => return Err(LifeError::TooManyMaterials),
            _ => {}
        }
        self.in_progress = None;
        for material in &mut self.materials {
            if material.state == MaterialState::Current {
                material.state = MaterialState::Past;
            }
        }
        let entry = MaterialEntry { id, created_at: at, state: MaterialState::Current, rotated: Some(Rotated { kind, at }), united: false };
        match known {
            Some(index) => self.materials[index] = MaterialEntry { created_at: self.materials[index].created_at, ..entry },
            None => self.materials.push(entry),
        }
        Ok(())
    }
}
