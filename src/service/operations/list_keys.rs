//! ListKeys: the keys of the caller's account, in the order of their ids, one page at a time.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, ListKeysRequest, ListKeysResponse, Operation};
use claviger_state::read;
use claviger_types::KeyId;

use crate::access::Ask;
use crate::error::Fault;
use crate::marker::{Listing, invalid_marker};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn list_keys(&self, context: &Context, request: &ListKeysRequest) -> Result<ListKeysResponse, ApiError> {
        self.allowed_here(context, &Ask::new(Action::ListKeys))?;
        let account = context.principal.account();
        let listing = Listing { barrier: &self.barrier, operation: Operation::ListKeys, account, filter: &[] };
        let after = request.paging.marker.as_ref().map(|marker| listing.open(marker)).transpose()?;
        let after = after.map(|row| KeyId::from_row(&row)).transpose().map_err(|_| invalid_marker())?;
        let limit = request.paging.limit;
        // One more than asked for tells whether another page follows; the scan begins at the marker and reads no further.
        let mut keys = read::keys_of(&self.region.tables(), account, after.as_ref(), limit.saturating_add(1)).map_err(Fault::from)?;
        let more = keys.len() > limit;
        keys.truncate(limit);
        let last = keys.last().filter(|_| more);
        let next_marker = last.map(|last| listing.marker(&last.to_row())).transpose()?;
        Ok(ListKeysResponse { keys: keys.into_iter().map(|key_id| self.arn(account, key_id)).collect(), next_marker })
    }
}
