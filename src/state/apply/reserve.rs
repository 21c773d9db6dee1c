//! Reservations at the target of a ReplicateKey (DESIGN.md section 5.2, rule 10).

use claviger_types::KeyId;
use claviger_types::limits::{KEYS_PER_ACCOUNT_MAX, RESERVATIONS_PER_PEER_MAX};

use super::names::key_policy;
use super::{Step, granted, once};
use crate::read::{self, counter};
use crate::{Outcome, Refusal, ReservationRecord, Reserve, Response, StateError, Table};

impl Step<'_> {
    /// A repeated request replaces the reservation that it made; one with other contents waits until that has lapsed, since
    /// the primary may still commit what it was made for.
    pub(super) fn reserve(&mut self, reserve: &Reserve) -> Result<Outcome, StateError> {
        granted!(key_policy(reserve.policy.as_ref()));
        let peer = granted!(self.admitted(&reserve.primary)?);
        if !peer.accounts.contains(reserve.account) {
            return Ok(Err(Refusal::AccountNotAllowed));
        }
        // Before anything is told of the key: whoever asks may have lost the right to.
        if once::is_stale(&self.tables, &reserve.authorised)? {
            return Ok(Err(Refusal::StaleAuthorisation));
        }
        if read::key(&self.tables, &reserve.key_id)?.is_some() {
            return Ok(Err(Refusal::AlreadyExists));
        }
        if read::key_count(&self.tables, reserve.account)? >= KEYS_PER_ACCOUNT_MAX {
            return Ok(Err(Refusal::TooManyKeys));
        }
        let held = read::reservation(&self.tables, &reserve.key_id)?;
        if let Some(held) = &held {
            let contents = (&held.primary, held.account, &held.description, &held.tags, &held.policy);
            if contents != (&reserve.primary, reserve.account, &reserve.description, &reserve.tags, &reserve.policy) {
                return Ok(Err(Refusal::OtherReservation));
            }
        }
        if held.is_none() {
            let counter = counter::reservations_of(&reserve.primary.region);
            if read::count(&self.tables, &counter)? >= RESERVATIONS_PER_PEER_MAX as u64 {
                return Ok(Err(Refusal::TooManyReservations));
            }
            self.add_to_counter(&counter, 1)?;
            self.add_to_counter(&counter::reservations_for(reserve.account), 1)?;
        }
        let record = ReservationRecord {
            primary: reserve.primary.clone(),
            account: reserve.account,
            description: reserve.description.clone(),
            tags: reserve.tags.clone(),
            policy: reserve.policy.clone(),
            deadline: held.map_or(reserve.deadline, |held| held.deadline.max(reserve.deadline)),
            reserved_at: self.now,
            revision: self.index,
        };
        self.tables.put(&reserve.key_id.to_row(), &record)?;
        Ok(Ok(Response::Done))
    }

    /// Lets a reservation go, unless it has been replaced or used since.
    pub(super) fn lapse_reservation(&mut self, key_id: &KeyId, revision: u64) -> Result<Outcome, StateError> {
        if let Some(held) = read::reservation(&self.tables, key_id)?
            && held.revision == revision
        {
            self.end_reservation(key_id, &held)?;
        }
        Ok(Ok(Response::Done))
    }

    pub(super) fn end_reservation(&mut self, key_id: &KeyId, held: &ReservationRecord) -> Result<(), StateError> {
        self.tables.delete(Table::Reservations, &key_id.to_row());
        self.add_to_counter(&counter::reservations_for(held.account), -1)?;
        self.add_to_counter(&counter::reservations_of(&held.primary.region), -1)
    }
}
