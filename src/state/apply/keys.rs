//! What the API's writes do to keys.

use claviger_protocol::{AddMemberError, NewDocument, SharedDoc};
use claviger_types::limits::KEYS_PER_ACCOUNT_MAX;
use claviger_types::{Origin, Region};

use super::names::key_policy;
use super::{Step, granted};
use crate::read::{self, account_row, counter, material_row};
use crate::{
    CreateKey, Expected, KeyRecord, MaterialRecord, Outcome, Refusal, RegionRecord, Regional, ReplicateKey, Response, SealedMaterial,
    SetKeyEnabled, StateClass, StateError, Table,
};

impl Step<'_> {
    pub(super) fn create_key(&mut self, me: &RegionRecord, create: &CreateKey) -> Result<Outcome, StateError> {
        granted!(key_policy(create.policy.as_ref()));
        if !create.spec.usages().contains(&create.usage) || create.material.is_some() != (create.origin == Origin::AwsKms) {
            return Ok(Err(Refusal::OtherKind));
        }
        if read::key(&self.tables, &create.key_id)?.is_some() {
            return Ok(Err(Refusal::AlreadyExists));
        }
        if read::key_count(&self.tables, create.account)? >= KEYS_PER_ACCOUNT_MAX {
            return Ok(Err(Refusal::TooManyKeys));
        }
        let document = SharedDoc::create(NewDocument {
            author: me.author(),
            key_id: create.key_id,
            account: create.account,
            spec: create.spec,
            usage: create.usage,
            origin: create.origin,
            created_at: self.now,
            material: create.material.as_ref().map(|material| material.id),
        });
        let record = KeyRecord {
            revision: self.index,
            greatest_epoch: document.version.epoch.clone(),
            document,
            regional: Regional {
                description: create.description.clone(),
                tags: create.tags.clone(),
                policy: create.policy.clone(),
                ..Regional::new(self.now, me.incarnation)
            },
            id_secret: create.id_secret.clone(),
            status_revision: 0,
        };
        if let Some(material) = &create.material {
            self.put_material(&record.document, material)?;
        }
        self.add_key(&record)?;
        Ok(Ok(answer(record)))
    }

    pub(super) fn set_key_enabled(&mut self, me: &RegionRecord, set: &SetKeyEnabled) -> Result<Outcome, StateError> {
        let mut record = granted!(self.in_state(me, &set.key, StateClass::Switch)?);
        // The account may be the one whose revocation the restore has undone. What it disables stays so when admitted.
        if set.enabled && record.regional.is_withheld(me.incarnation) {
            return Ok(Err(Refusal::NotAdmitted));
        }
        if record.regional.enabled != set.enabled {
            record.regional.enabled = set.enabled;
            self.put_key(record)?;
        }
        Ok(Ok(Response::Done))
    }

    pub(super) fn replicate_key(&mut self, me: &RegionRecord, replicate: &ReplicateKey) -> Result<Outcome, StateError> {
        let mut record = granted!(self.in_state(me, &replicate.key, StateClass::Regions)?);
        // Its imports would have to be told across regions (rule 9).
        if record.document.origin == Origin::External {
            return Ok(Err(Refusal::OtherKind));
        }
        if read::peer(&self.tables, &replicate.region)?.is_none() {
            return Ok(Err(Refusal::UnknownPeer));
        }
        record.document = granted!(record.document.add_member(&me.author(), &replicate.region, replicate.deadline, self.now));
        record.greatest_epoch = record.document.version.epoch.clone();
        self.put_key(record.clone())?;
        self.mark_owed_members(&record.document)?;
        Ok(Ok(answer(record)))
    }

    /// The record that an authorisation read, unless it has changed since.
    pub(super) fn authorised(&self, expected: &Expected) -> Result<Result<KeyRecord, Refusal>, StateError> {
        let Some(record) = read::key(&self.tables, &expected.key_id)? else { return Ok(Err(Refusal::NotFound)) };
        if record.revision != expected.revision {
            return Ok(Err(Refusal::StaleAuthorisation));
        }
        Ok(Ok(record))
    }

    /// Writes a changed key under a new revision.
    pub(super) fn put_key(&mut self, mut record: KeyRecord) -> Result<(), StateError> {
        self.index_due(&record)?;
        record.revision = self.index;
        self.effects.keys.push(record.document.key_id);
        self.tables.put(&record.document.key_id.to_row(), &record)
    }

    /// Writes a key that is new in this region.
    pub(super) fn add_key(&mut self, record: &KeyRecord) -> Result<(), StateError> {
        let SharedDoc { account, key_id, .. } = record.document;
        self.tables.put_bytes(Table::KeysByAccount, &account_row(account, &key_id), Vec::new());
        self.add_to_counter(&counter::keys_of(account), 1)?;
        self.put_key(record.clone())
    }

    /// Writes a material unless it is held: the same id has the same bytes for ever.
    pub(super) fn put_material(&mut self, document: &SharedDoc, material: &SealedMaterial) -> Result<(), StateError> {
        if read::material(&self.tables, &document.key_id, &material.id)?.is_some() {
            return Ok(());
        }
        let record = MaterialRecord { sealed: material.sealed.clone() };
        self.tables.put(&material_row(&document.key_id, &material.id), &record)
    }

    /// Notes every member that has not got this document yet.
    pub(super) fn mark_owed_members(&mut self, document: &SharedDoc) -> Result<(), StateError> {
        let members: Vec<Region> = document.members.keys().cloned().collect();
        for region in members {
            let status = read::status(&self.tables, &document.key_id, &region)?;
            self.set_document_dirty(&region, &document.key_id, document.is_owed_to(&region, status.as_ref()))?;
        }
        Ok(())
    }
}

fn answer(record: KeyRecord) -> Response {
    let regional = Regional { policy: None, ..record.regional };
    Response::Key { document: Box::new(record.document), regional: Box::new(regional) }
}

impl From<AddMemberError> for Refusal {
    fn from(error: AddMemberError) -> Self {
        match error {
            AddMemberError::NotPrimary => Self::NotPrimary,
            AddMemberError::AlreadyExists => Self::AlreadyExists,
            AddMemberError::TooManyRegions => Self::TooManyRegions,
            AddMemberError::ReservationLapsed => Self::ReservationLapsed,
        }
    }
}
