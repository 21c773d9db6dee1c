//! Revocation lists: the newest of each CA. Which certificates a list revokes is not looked at here.

use claviger_types::limits::{CRL_BYTES_MAX, CRLS_MAX};

use super::Step;
use crate::{CrlRecord, Outcome, PublishCrl, Refusal, Response, StateError, read};

impl Step<'_> {
    /// The same list again changes nothing. Anything else must be newer by number, and not older by date: were an older
    /// list taken, what was revoked since would be honoured again.
    pub(super) fn publish_crl(&mut self, publish: &PublishCrl) -> Result<Outcome, StateError> {
        let refuse = |reason: &str| Ok(Err(Refusal::BadCrl(reason.to_owned())));
        if publish.der.len() > CRL_BYTES_MAX {
            return refuse("it is larger than a list may be");
        }
        let crls = read::crls(&self.tables)?;
        match crls.iter().find(|held| held.ca == publish.ca) {
            Some(held) if held.der == publish.der => return Ok(Ok(Response::Done)),
            Some(held) if publish.number <= held.number || publish.this_update < held.this_update => {
                return Ok(Err(Refusal::CrlNotNewer));
            }
            None if crls.len() >= CRLS_MAX => return refuse("the region holds lists of as many CAs as it may"),
            Some(_) | None => {}
        }
        let PublishCrl { ca, number, this_update, next_update, der } = publish.clone();
        self.tables.put(&ca, &CrlRecord { ca, number, this_update, next_update, published_at: self.now, der })?;
        self.effects.crls = true;
        Ok(Ok(Response::Done))
    }
}
