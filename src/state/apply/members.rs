//! Members of multi-region keys, as the operators of the primary's region treat them.

use claviger_types::limits::ADMIT_KEYS_MAX;

use super::Step;
use crate::read;
use crate::{DetachMember, Outcome, Refusal, RegionRecord, Response, StateError};

impl Step<'_> {
    /// `claviger region detach`: what waits for the region waits no more. It becomes active again by itself, once it shows that it has
    /// all. A key of which this region is not the primary, or that the other does not count in, is passed over.
    pub(super) fn detach_member(&mut self, me: &RegionRecord, detach: &DetachMember) -> Result<Outcome, StateError> {
        if detach.keys.len() > ADMIT_KEYS_MAX {
            return Ok(Err(Refusal::TooManyNames));
        }
        let lived = self.lived(me)?;
        for key_id in &detach.keys {
            let Some(record) = read::key(&self.tables, key_id)? else { continue };
            let holding = self.holding(&record)?;
            if let Ok(detached) = holding.detach(&self.here(&lived), &detach.region) {
                self.settle(&lived, record, &detached.next)?;
            }
        }
        Ok(Ok(Response::Done))
    }
}
