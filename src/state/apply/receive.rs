//! What comes from peer regions: documents from primaries, statuses from members, and a primary's word that it has ours.

use claviger_protocol::{Accepted, Held, Refused, SharedDoc, accept};
use claviger_types::{KeyId, Origin, Region};

use super::{Step, granted};
use crate::read::{self, status_row};
use crate::{
    DocumentRefusal, KeyRecord, Outcome, PeerRecord, ReceiveDocuments, ReceiveStatuses, ReceivedDocument, RegionRecord, Regional, Response,
    StateError,
};

impl Step<'_> {
    /// Each document is taken or refused alone.
    pub(super) fn receive_documents(&mut self, me: &RegionRecord, receive: &ReceiveDocuments) -> Result<Outcome, StateError> {
        let peer = granted!(self.admitted(&receive.from)?);
        let mut taken = Vec::with_capacity(receive.documents.len());
        for received in &receive.documents {
            taken.push(self.receive_document(me, &peer, receive, received)?);
        }
        Ok(Ok(Response::Documents(taken)))
    }

    fn receive_document(
        &mut self,
        me: &RegionRecord,
        peer: &PeerRecord,
        batch: &ReceiveDocuments,
        received: &ReceivedDocument,
    ) -> Result<Result<(), DocumentRefusal>, StateError> {
        let document = &received.document;
        let key_id = document.key_id;
        if !peer.accounts.contains(document.account) {
            return Ok(Err(DocumentRefusal::AccountNotAllowed));
        }
        let held = read::key(&self.tables, &key_id)?;
        let reservation = read::reservation(&self.tables, &key_id)?.filter(|reservation| reservation.account == document.account);
        let view = match (&held, &reservation) {
            (Some(held), _) => Held::Document { document: &held.document, greatest_epoch: &held.greatest_epoch },
            (None, Some(reservation)) => Held::Reservation { primary: &reservation.primary.region },
            (None, None) => Held::Nothing,
        };
        let accepted = match accept(&me.region, view, document, &batch.from) {
            Ok(accepted) => accepted,
            Err(refused) => {
                // The sender acts on an old status: tell it afresh.
                if matches!(refused, Refused::NotNewer | Refused::Promised) {
                    self.set_status_dirty(&batch.from.region, &key_id, true)?;
                }
                return Ok(Err(refused.into()));
            }
        };
        if !self.has_all_materials(received)? {
            if held.is_some() {
                self.set_status_dirty(&batch.from.region, &key_id, true)?;
            }
            return Ok(Err(DocumentRefusal::MissingMaterial));
        }
        let record = match (accepted, held, reservation) {
            (Accepted::Updated, Some(held), _) => {
                self.end_old_debts(me, &held.document, document)?;
                KeyRecord { document: document.clone(), status_revision: held.status_revision + 1, ..held }
            }
            (Accepted::Created, None, Some(reservation)) => {
                let Some(id_secret) = received.id_secret.clone() else { return Ok(Err(DocumentRefusal::MissingMaterial)) };
                self.end_reservation(&key_id, &reservation)?;
                KeyRecord {
                    revision: self.index,
                    document: document.clone(),
                    regional: Regional {
                        description: reservation.description,
                        tags: reservation.tags,
                        policy: reservation.policy,
                        ..Regional::new(self.now, me.incarnation)
                    },
                    id_secret,
                    status_revision: 1,
                    greatest_epoch: document.version.epoch.clone(),
                }
            }
            // `accept` was shown exactly what is held, so it decides on nothing else.
            _ => return Ok(Err(DocumentRefusal::Invalid)),
        };
        self.take_document(record, received, accepted)
    }

    /// Under a new primary nobody waits for our documents of the key any more, nor does the old one for our statuses.
    fn end_old_debts(&mut self, me: &RegionRecord, held: &SharedDoc, document: &SharedDoc) -> Result<(), StateError> {
        if held.primary() == document.primary() {
            return Ok(());
        }
        if !held.is_owned_by(&me.author()) {
            return self.set_status_dirty(held.primary(), &held.key_id, false);
        }
        held.members.keys().try_for_each(|region| self.set_document_dirty(region, &held.key_id, false))
    }

    fn take_document(
        &mut self,
        mut record: KeyRecord,
        received: &ReceivedDocument,
        accepted: Accepted,
    ) -> Result<Result<(), DocumentRefusal>, StateError> {
        let document = &received.document;
        // Imported bytes never cross (rule 9).
        let shipped =
            received.materials.iter().filter(|material| document.origin == Origin::AwsKms && document.names_material(&material.id));
        for material in shipped {
            self.put_material(document, material)?;
        }
        record.greatest_epoch = record.greatest_epoch.max(document.version.epoch.clone());
        if accepted == Accepted::Created {
            self.add_key(&record)?;
        } else {
            self.put_key(record)?;
        }
        self.set_status_dirty(document.primary(), &document.key_id, true)?;
        Ok(Ok(()))
    }

    fn has_all_materials(&self, received: &ReceivedDocument) -> Result<bool, StateError> {
        if received.document.origin == Origin::External {
            return Ok(true);
        }
        for material in &received.document.materials {
            let given = received.materials.iter().any(|given| given.id == material.id);
            if !given && read::material(&self.tables, &received.document.key_id, &material.id)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Answers with the statuses that were taken or were known already; one for a key that this region does not own is
    /// left to its sender, which learns the owner from a document. A region that is no member is not listened to.
    pub(super) fn receive_statuses(&mut self, me: &RegionRecord, receive: &ReceiveStatuses) -> Result<Outcome, StateError> {
        granted!(self.admitted(&receive.from)?);
        let lived = self.lived(me)?;
        let mut taken = Vec::with_capacity(receive.statuses.len());
        for status in &receive.statuses {
            let from_itself = status.region == receive.from.region && status.incarnation == receive.from.incarnation;
            let Some(record) = read::key(&self.tables, &status.key_id)? else { continue };
            let is_member = record.document.members.contains_key(&status.region);
            if !from_itself || !is_member || !record.document.is_owned_by(lived.author()) {
                continue;
            }
            taken.push((status.key_id, status.revision));
            let held = read::status(&self.tables, &status.key_id, &status.region)?;
            if !status.supersedes(held.as_ref()) {
                continue;
            }
            self.tables.put(&status_row(&status.key_id, &status.region), status)?;
            let owed = record.document.is_owed_to(&status.region, Some(status));
            let holding = self.holding(&record)?;
            if !self.settle(&lived, record, &holding)? {
                self.set_document_dirty(&status.region, &status.key_id, owed)?;
            }
        }
        Ok(Ok(Response::Statuses(taken)))
    }

    pub(super) fn statuses_delivered(&mut self, to: &Region, delivered: &[(KeyId, u64)]) -> Result<Outcome, StateError> {
        for (key_id, revision) in delivered {
            let current = read::key(&self.tables, key_id)?.map(|record| record.status_revision);
            if current.is_none_or(|current| current <= *revision) {
                self.set_status_dirty(to, key_id, false)?;
            }
        }
        Ok(Ok(Response::Done))
    }
}
