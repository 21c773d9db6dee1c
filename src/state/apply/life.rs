//! The life of a key in this region: deletion, rotation, import, last use, and what falls due.
//!
//! `Due` is an index of what the key records say ([`KeyRecord::due`]), written in the same batch.

use claviger_protocol::MaterialState;
use claviger_types::limits::{
    ALIASES_PER_KEY_MAX, DAY, DELETION_WINDOW_DAYS, GRANTS_PER_STEP_MAX, IMPORT_DESCRIPTION_CHARS_MAX, IMPORT_VALIDITY_MAX,
    ROTATION_PERIOD_DAYS, USAGES_PER_COMMAND_MAX,
};
use claviger_types::{AliasId, AliasRow, KeyId, KeySpec, MaterialId, Origin, RotationType};

use super::{Step, granted};
use crate::read::{self, account_row, alias_by_key_row, counter, due_row, material_row};
use crate::{
    CancelKeyDeletion, CarryOutDue, DeleteImportedKeyMaterial, Deletion, Expected, Import, ImportKeyMaterial, KeyRecord, LifeRefusal,
    Outcome, RecordUsages, Refusal, RegionRecord, Response, RotateKeyOnDemand, ScheduleKeyDeletion, SealedMaterial, SetKeyRotation,
    StateClass, StateError, Table,
};

impl Step<'_> {
    pub(super) fn schedule_key_deletion(&mut self, me: &RegionRecord, schedule: &ScheduleKeyDeletion) -> Result<Outcome, StateError> {
        if !DELETION_WINDOW_DAYS.contains(&schedule.window_days) {
            return Ok(Err(Refusal::BadDays(schedule.window_days)));
        }
        let mut record = granted!(self.in_state(me, &schedule.key, StateClass::ScheduleDeletion)?);
        if !is_alone(&record, me) {
            return Ok(Err(Refusal::Life(LifeRefusal::InOtherRegions)));
        }
        let at = self.now.plus(DAY * u32::from(schedule.window_days));
        record.regional.deletion = Some(Deletion { at });
        self.put_key(record)?;
        Ok(Ok(Response::Deletion { at }))
    }

    /// The key is disabled afterwards, whatever it was before.
    pub(super) fn cancel_key_deletion(&mut self, me: &RegionRecord, cancel: &CancelKeyDeletion) -> Result<Outcome, StateError> {
        let mut record = granted!(self.in_state(me, &cancel.key, StateClass::CancelDeletion)?);
        record.regional.deletion = None;
        record.regional.enabled = false;
        self.put_key(record)?;
        Ok(Ok(Response::Done))
    }

    pub(super) fn set_key_rotation(&mut self, me: &RegionRecord, set: &SetKeyRotation) -> Result<Outcome, StateError> {
        if let Some(days) = set.period_days.filter(|days| !ROTATION_PERIOD_DAYS.contains(days)) {
            return Ok(Err(Refusal::BadDays(days)));
        }
        let record = granted!(self.in_state(me, &set.key, StateClass::SetRotation)?);
        if record.document.spec != KeySpec::SymmetricDefault || record.document.origin != Origin::AwsKms {
            return Ok(Err(Refusal::OtherKind));
        }
        let (lived, holding) = (self.lived(me)?, self.holding(&record)?);
        let changed = granted!(holding.set_rotation(&self.here(&lived), set.period_days)).next;
        if changed.document.rotation != record.document.rotation {
            self.settle(&lived, record, &changed)?;
        }
        Ok(Ok(Response::Done))
    }

    pub(super) fn rotate_key_on_demand(&mut self, me: &RegionRecord, rotate: &RotateKeyOnDemand) -> Result<Outcome, StateError> {
        let record = granted!(self.in_state(me, &rotate.key, StateClass::RotateOnDemand)?);
        if record.document.spec != KeySpec::SymmetricDefault {
            return Ok(Err(Refusal::OtherKind));
        }
        if let (Origin::AwsKms, Some(material)) = (record.document.origin, &rotate.material) {
            return self.rotate(me, record, material, RotationType::OnDemand);
        }
        if let (Origin::External, Some(pending)) = (record.document.origin, record.document.pending_material())
            && !record.regional.imports.get(&pending.id).is_some_and(|import| import.is_present)
        {
            return Ok(Err(Refusal::Life(LifeRefusal::NothingPending)));
        }
        let document = granted!(record.document.rotate_on_demand(&me.author(), self.now));
        self.put_document(record, document)?;
        Ok(Ok(Response::Done))
    }

    /// Rule 3: the new material is on its way to every member, and current once all have it; at once if there are none.
    fn rotate(
        &mut self,
        me: &RegionRecord,
        record: KeyRecord,
        material: &SealedMaterial,
        kind: RotationType,
    ) -> Result<Outcome, StateError> {
        let (lived, holding) = (self.lived(me)?, self.holding(&record)?);
        let begun = granted!(holding.begin_rotation(&self.here(&lived), material.id, kind)).next;
        self.put_material(&begun.document, material)?;
        self.settle(&lived, record, &begun)?;
        Ok(Ok(Response::Done))
    }

    pub(super) fn import_key_material(&mut self, me: &RegionRecord, import: &ImportKeyMaterial) -> Result<Outcome, StateError> {
        let mut record = granted!(self.in_state(me, &import.key, StateClass::Import)?);
        if record.document.origin != Origin::External {
            return Ok(Err(Refusal::OtherKind));
        }
        if import.expires_at.is_some_and(|at| at <= self.now || at.since(self.now) > IMPORT_VALIDITY_MAX) {
            return Ok(Err(Refusal::BadExpiry));
        }
        if import.description.as_ref().is_some_and(|text| text.chars().count() > IMPORT_DESCRIPTION_CHARS_MAX) {
            return Ok(Err(Refusal::BadText(format!("a description has at most {IMPORT_DESCRIPTION_CHARS_MAX} characters"))));
        }
        let id = import.material.id;
        let document = granted!(record.document.import(&me.author(), id, import.import_type, self.now));
        self.put_material(&document, &import.material)?;
        let held = record.regional.imports.remove(&id);
        let description = import.description.clone().or(held.and_then(|held| held.description));
        record.regional.imports.insert(id, Import { is_present: true, expires_at: import.expires_at, description });
        self.put_document(record, document)?;
        Ok(Ok(Response::Material { id: Some(id) }))
    }

    /// What waits for its rotation is forgotten; what is or was current waits to be imported again. Of what is not there nothing is changed.
    pub(super) fn delete_imported_key_material(
        &mut self,
        me: &RegionRecord,
        delete: &DeleteImportedKeyMaterial,
    ) -> Result<Outcome, StateError> {
        let record = granted!(self.in_state(me, &delete.key, StateClass::DeleteImport)?);
        if record.document.origin != Origin::External {
            return Ok(Err(Refusal::OtherKind));
        }
        if !is_alone(&record, me) {
            return Ok(Err(Refusal::Life(LifeRefusal::InOtherRegions)));
        }
        let current = record.document.current_material().map(|material| material.id);
        let Some(id) = delete.material_id.or(current) else { return Ok(Ok(Response::Material { id: None })) };
        let entry = record.document.materials.iter().find(|material| material.id == id && material.state != MaterialState::Discarded);
        let Some(entry) = entry else { return Ok(Err(Refusal::Life(LifeRefusal::NoSuchMaterial))) };
        if entry.state == MaterialState::Pending {
            let document = granted!(record.document.discard(&me.author(), id));
            let mut record = record;
            record.regional.imports.remove(&id);
            self.destroy_material(&record.document.key_id, &id);
            self.put_document(record, document)?;
        } else {
            self.end_import(record, &id)?;
        }
        Ok(Ok(Response::Material { id: Some(id) }))
    }

    pub(super) fn carry_out_due(&mut self, me: &RegionRecord, due: &CarryOutDue) -> Result<Outcome, StateError> {
        match due {
            CarryOutDue::Rotate { key, material } => self.rotate_when_due(me, key, material),
            CarryOutDue::Destroy { key_id } => self.destroy_key(me, key_id),
            CarryOutDue::Expire { key_id, material_id } => self.expire(key_id, material_id),
        }
    }

    fn rotate_when_due(&mut self, me: &RegionRecord, key: &Expected, material: &SealedMaterial) -> Result<Outcome, StateError> {
        let record = granted!(self.in_state(me, key, StateClass::RotateOnDemand)?);
        self.rotate(me, record, material, RotationType::Automatic)
    }

    fn expire(&mut self, key_id: &KeyId, material_id: &MaterialId) -> Result<Outcome, StateError> {
        let Some(record) = read::key(&self.tables, key_id)? else { return Ok(Err(Refusal::NotDue)) };
        let expires_at = record.regional.imports.get(material_id).filter(|import| import.is_present).and_then(|import| import.expires_at);
        if expires_at.is_none_or(|at| at > self.now) {
            return Ok(Err(Refusal::NotDue));
        }
        self.end_import(record, material_id)?;
        Ok(Ok(Response::Done))
    }

    /// The material's bytes go; that it is the key's does not.
    fn end_import(&mut self, mut record: KeyRecord, id: &MaterialId) -> Result<(), StateError> {
        let Some(import) = record.regional.imports.get_mut(id).filter(|import| import.is_present) else { return Ok(()) };
        import.is_present = false;
        self.destroy_material(&record.document.key_id, id);
        self.put_key(record)
    }

    /// One step of a key's end: some of its grants, or, once there are none left, all the rest.
    fn destroy_key(&mut self, me: &RegionRecord, key_id: &KeyId) -> Result<Outcome, StateError> {
        let Some(record) = read::key(&self.tables, key_id)? else { return Ok(Err(Refusal::NotDue)) };
        let is_due = record.regional.deletion.is_some_and(|deletion| deletion.at <= self.now);
        if !is_due || !is_alone(&record, me) {
            return Ok(Err(Refusal::NotDue));
        }
        let grants = read::grants_of(&self.tables, key_id, None, GRANTS_PER_STEP_MAX)?;
        for (grant_id, grant) in &grants {
            self.delete_grant(key_id, grant_id, grant)?;
        }
        if grants.len() == GRANTS_PER_STEP_MAX {
            return Ok(Ok(Response::Unfinished));
        }
        let account = record.document.account;
        for name in read::alias_names_of(&self.tables, key_id, None, ALIASES_PER_KEY_MAX)? {
            let alias = AliasId { account, name };
            self.tables.delete(Table::Aliases, AliasRow::of(&alias).as_bytes());
            self.tables.delete(Table::AliasesByKey, &alias_by_key_row(key_id, &alias.name));
            self.effects.aliases.push(alias);
        }
        for id in read::material_ids(&self.tables, key_id)? {
            self.tables.delete(Table::Materials, &material_row(key_id, &id));
        }
        for region in read::status_regions(&self.tables, key_id)? {
            self.tables.delete(Table::Statuses, &read::status_row(key_id, &region));
            self.set_document_dirty(&region, key_id, false)?;
            self.set_status_dirty(&region, key_id, false)?;
        }
        for due in record.due() {
            self.tables.delete(Table::Due, &due_row(&due));
        }
        self.tables.delete(Table::LastUsages, &key_id.to_row());
        self.tables.delete(Table::KeysByAccount, &account_row(account, key_id));
        self.add_to_counter(&counter::keys_of(account), -1)?;
        self.tables.delete(Table::Keys, &key_id.to_row());
        self.effects.keys.push(*key_id);
        self.effects.destroyed.push(*key_id);
        Ok(Ok(Response::Done))
    }

    fn destroy_material(&mut self, key_id: &KeyId, id: &MaterialId) {
        self.tables.delete(Table::Materials, &material_row(key_id, id));
        self.effects.destroyed.push(*key_id);
    }

    /// What is older than what is known, or of a key that is gone, is passed over.
    pub(super) fn record_usages(&mut self, record: &RecordUsages) -> Result<Outcome, StateError> {
        if record.usages.len() > USAGES_PER_COMMAND_MAX {
            return Ok(Err(Refusal::TooManyNames));
        }
        for (key_id, usage) in &record.usages {
            let is_news = read::last_usage(&self.tables, key_id)?.is_none_or(|held| held.at < usage.at);
            if is_news && read::key(&self.tables, key_id)?.is_some() {
                self.tables.put(&key_id.to_row(), usage)?;
            }
        }
        Ok(Ok(Response::Done))
    }

    /// The key that an authorisation read, if its state allows operations of this class.
    pub(super) fn in_state(
        &self,
        me: &RegionRecord,
        expected: &Expected,
        class: StateClass,
    ) -> Result<Result<KeyRecord, Refusal>, StateError> {
        let record = match self.authorised(expected)? {
            Ok(record) => record,
            refused => return Ok(refused),
        };
        let state = record.state(me);
        Ok(if class.allows(state) { Ok(record) } else { Err(Refusal::InvalidState(state)) })
    }

    /// Writes a key whose document its owner has changed.
    fn put_document(&mut self, mut record: KeyRecord, document: claviger_protocol::SharedDoc) -> Result<(), StateError> {
        record.document = document;
        record.greatest_epoch = record.document.version.epoch.clone();
        self.put_key(record)
    }

    /// Keeps the index of what falls due in step with the record that is about to be written.
    pub(super) fn index_due(&mut self, record: &KeyRecord) -> Result<(), StateError> {
        let held = read::key(&self.tables, &record.document.key_id)?.map(|held| held.due()).unwrap_or_default();
        let wanted = record.due();
        for gone in held.iter().filter(|due| !wanted.contains(due)) {
            self.tables.delete(Table::Due, &due_row(gone));
        }
        for new in wanted.iter().filter(|due| !held.contains(due)) {
            self.tables.put_bytes(Table::Due, &due_row(new), Vec::new());
        }
        Ok(())
    }
}

fn is_alone(record: &KeyRecord, me: &RegionRecord) -> bool {
    record.document.is_alone(&me.author())
}
