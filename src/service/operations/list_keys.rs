//! ListKeys: the keys of the caller's account, in the order of their ids, one page at a time.

use claviger_consensus as consensus;
use claviger_shapes::{ApiError, ListKeysRequest, ListKeysResponse};
use claviger_state::read;

use crate::error::Fault;
use crate::{Context, Service, marker};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn list_keys(&self, context: &Context, request: &ListKeysRequest) -> Result<ListKeysResponse, ApiError> {
        // Every principal may list the keys of its own account.
        let account = context.principal.account();
        let after = request.marker.as_ref().map(|marker| marker::open(&self.barrier, account, marker)).transpose()?;
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        // One more than asked for tells whether another page follows; the scan begins at the marker and reads no further.
        let mut keys = read::keys_of(&self.region.tables(), account, after.as_ref(), limit.saturating_add(1)).map_err(Fault::from)?;
        let more = keys.len() > limit;
        keys.truncate(limit);
        let last = keys.last().filter(|_| more);
        let next_marker = last.map(|last| marker::make(&self.barrier, account, last)).transpose()?;
        Ok(ListKeysResponse { keys: keys.into_iter().map(|key_id| self.arn(account, key_id)).collect(), next_marker })
    }
}
