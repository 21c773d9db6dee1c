//! Rule 3 and rule 9: rotation in two phases, and imports, where other regions have the key too.
//!
//! Generated material becomes current by [`Holding::settle`], once all active members have named it. Imported material waits for
//! RotateKeyOnDemand besides, which asks the same question.

use claviger_types::limits::{DAY, MATERIALS_PER_KEY_MAX, ON_DEMAND_ROTATIONS_MAX, ROTATION_DUE_SOON};
use claviger_types::{ImportType, MaterialId, Origin, Region, RotationType};

use crate::{Change, Here, Holding, InProgress, Intent, LifeError, MaterialEntry, MaterialState, MemberStatus, SharedDoc, Statuses};

impl Holding {
    /// The first phase: `id`, whose bytes are committed in the same step, becomes pending. Nobody encrypts with it, everybody who has it
    /// decrypts. [`Holding::settle`] is the second phase, at once if nobody else is active.
    ///
    /// # Errors
    /// See [`LifeError`]. Nothing has changed then.
    pub fn begin_rotation(&self, here: &Here<'_>, id: MaterialId, kind: RotationType) -> Result<Change<Self>, LifeError> {
        let mut next = self.next_version(here)?;
        if self.document.origin != Origin::AwsKms || self.document.names_material(&id) {
            return Err(LifeError::IncorrectMaterial);
        }
        if self.document.in_progress.is_some() {
            return Err(LifeError::InProgress);
        }
        if self.document.materials.len() >= MATERIALS_PER_KEY_MAX {
            return Err(LifeError::TooManyMaterials);
        }
        match kind {
            RotationType::OnDemand => next.use_on_demand(here)?,
            RotationType::Automatic => {
                let (Some(due), Some(days)) = (next.rotation.next_at, next.rotation.period_days) else { return Err(LifeError::NotDue) };
                if due > here.now {
                    return Err(LifeError::NotDue);
                }
                next.rotation.next_at = Some(here.now.plus(DAY * u32::from(days)));
            }
        }
        next.materials.push(MaterialEntry { id, created_at: here.now, state: MaterialState::Pending, rotated: None, united: false });
        next.in_progress = Some(InProgress { since: next.version.clone(), kind: Some(kind), started_at: here.now });
        Ok(ship(self.with_own(next).hand_over(&[id].into())))
    }

    /// EnableKeyRotation with a period, or DisableKeyRotation, at the primary.
    ///
    /// # Errors
    /// When this region may not change the document.
    pub fn set_rotation(&self, here: &Here<'_>, period_days: Option<u16>) -> Result<Change<Self>, LifeError> {
        let next = self.next_version(here)?.with_rotation(period_days, here.now)?;
        Ok(ship(self.with_own(next)))
    }

    /// ImportKeyMaterial. A primary adds new material to the document; every region may import what the document has. The bytes are
    /// committed in the same step.
    ///
    /// # Errors
    /// See [`LifeError`].
    pub fn import(&self, here: &Here<'_>, id: MaterialId, import_type: Option<ImportType>) -> Result<Change<Self>, LifeError> {
        if self.document.origin != Origin::External {
            return Err(LifeError::IncorrectMaterial);
        }
        let is_known = self.document.material(&id).is_some_and(|entry| entry.state != MaterialState::Discarded);
        if is_known && import_type != Some(ImportType::NewKeyMaterial) {
            return Ok(self.hand_over(&[id].into()).reported(here.me));
        }
        let next = self.next_version(here)?;
        let next = self.document.imported(next, id, import_type, here.now)?;
        Ok(ship(self.with_own(next).hand_over(&[id].into())))
    }

    /// DeleteImportedKeyMaterial, and expiry: the bytes go here and nowhere else. The primary of a pending material discards it instead
    /// ([`Holding::withdraw_import`]).
    pub fn lose_import(&self, here: &Here<'_>, id: MaterialId) -> Change<Self> {
        let mut next = self.clone();
        if !self.is_external() || !next.materials.remove(&id) {
            return Change { next, intents: Vec::new() };
        }
        let mut change = next.reported(here.me);
        change.intents.push(Intent::Erase([id].into()));
        change
    }

    /// DeleteImportedKeyMaterial of a pending material, at the primary: it is none of the key's any more, anywhere.
    ///
    /// # Errors
    /// See [`LifeError`].
    pub fn withdraw_import(&self, here: &Here<'_>, id: MaterialId) -> Result<Change<Self>, LifeError> {
        let mut next = self.next_version(here)?;
        if self.document.origin != Origin::External {
            return Err(LifeError::IncorrectMaterial);
        }
        next.discard_pending(id)?;
        let mut holding = self.with_own(next);
        holding.materials.remove(&id);
        let mut change = ship(holding);
        change.intents.push(Intent::Erase([id].into()));
        Ok(change)
    }

    /// RotateKeyOnDemand of an imported key: the pending material becomes current, if every active member has reported its import in the
    /// present epoch.
    ///
    /// # Errors
    /// [`LifeError::NothingPending`] as long as a member has not.
    pub fn rotate_imported(&self, here: &Here<'_>, statuses: &Statuses) -> Result<Change<Self>, LifeError> {
        let mut next = self.next_version(here)?;
        let pending = self.document.pending_material().ok_or(LifeError::NothingPending)?.id;
        if self.document.origin != Origin::External || !self.is_held_by_all(here, statuses, &self.document, &pending) {
            return Err(LifeError::NothingPending);
        }
        next.use_on_demand(here)?;
        next.make_current(pending, RotationType::OnDemand, here.now)?;
        Ok(ship(self.with_own(next)))
    }

    /// `claviger region detach`: `region` is taken out of the count until it has caught up again.
    ///
    /// # Errors
    /// When this region may not change the document, or `region` is no member that counts.
    pub fn detach(&self, here: &Here<'_>, region: &Region) -> Result<Change<Self>, LifeError> {
        let mut next = self.next_version(here)?;
        let version = next.version.clone();
        let member = next.members.get_mut(region).filter(|_| *region != here.me.region);
        let member = member.filter(|member| matches!(member.status, MemberStatus::Active | MemberStatus::Creating));
        let member = member.ok_or(LifeError::NotPrimary)?;
        (member.status, member.since, member.life) = (MemberStatus::Detached, version, None);
        Ok(ship(self.with_own(next)))
    }

    /// The document in its next version, if this region may change it.
    pub(crate) fn next_version(&self, here: &Here<'_>) -> Result<SharedDoc, LifeError> {
        if !self.may_change(here.me) {
            return Err(LifeError::NotPrimary);
        }
        Ok(SharedDoc { version: self.document.version.next(), ..self.document.clone() })
    }
}

/// A change of the document alone.
pub(crate) fn ship(next: Holding) -> Change<Holding> {
    Change { next, intents: vec![Intent::Ship] }
}

impl SharedDoc {
    fn use_on_demand(&mut self, here: &Here<'_>) -> Result<(), LifeError> {
        if self.rotation.on_demand_used >= ON_DEMAND_ROTATIONS_MAX {
            return Err(LifeError::TooManyRotations);
        }
        if self.rotation.next_at.is_some_and(|due| due.since(here.now) < ROTATION_DUE_SOON) {
            return Err(LifeError::RotationDue);
        }
        self.rotation.on_demand_used += 1;
        Ok(())
    }
}
