//! Rule 11's second half: an operator lets keys be used again that a restore withheld.

use claviger_types::limits::ADMIT_KEYS_MAX;

use super::Step;
use crate::read;
use crate::{AdmitKeys, Outcome, Refusal, RegionRecord, Response, StateError};

impl Step<'_> {
    /// An admitted key has the enablement that the backup had, or what DisableKey has left since. Repeating it changes nothing.
    pub(super) fn admit_keys(&mut self, me: &RegionRecord, admit: &AdmitKeys) -> Result<Outcome, StateError> {
        if admit.keys.len() > ADMIT_KEYS_MAX {
            return Ok(Err(Refusal::TooManyNames));
        }
        for key_id in &admit.keys {
            if let Some(mut record) = read::key(&self.tables, key_id)?
                && record.regional.admitted_in != me.incarnation
            {
                record.regional.admitted_in = me.incarnation;
                self.put_key(record)?;
            }
        }
        Ok(Ok(Response::Done))
    }
}
