//! ListRetirableGrants: the grants, on keys of any account, that name a principal of the caller's account as who may retire them.

use claviger_consensus as consensus;
use claviger_policy::{Action, Denial};
use claviger_shapes::{ApiError, ListGrantsResponse, ListRetirableGrantsRequest, Operation};
use claviger_state::{StateError, read};
use claviger_types::{GrantId, KeyId};

use super::list_grants::entry;
use crate::access::Ask;
use crate::error::Fault;
use crate::marker::{Listing, invalid_marker};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn list_retirable_grants(
        &self,
        context: &Context,
        request: ListRetirableGrantsRequest,
    ) -> Result<ListGrantsResponse, ApiError> {
        self.allowed_here(context, &Ask::new(Action::ListRetirableGrants))?;
        let account = context.principal.account();
        let retiring = request.retiring_principal.within(&self.config.partition)?;
        if retiring.account() != account {
            return Err(self.denied(context, retiring.arn(&self.config.partition), Action::ListRetirableGrants, Denial::OtherAccount));
        }
        let filter = retiring.to_string();
        let listing = Listing { barrier: &self.barrier, operation: Operation::ListRetirableGrants, account, filter: filter.as_bytes() };
        let after = request.paging.marker.as_ref().map(|marker| listing.open(marker)).transpose()?;
        let after = after.map(|row| position(&row).ok_or_else(invalid_marker)).transpose()?;
        let after = after.as_ref().map(|(key_id, grant_id)| (key_id, grant_id));
        let (tables, limit) = (self.region.tables(), request.paging.limit);
        let mut found = read::retirable_by(&tables, &retiring, after, limit.saturating_add(1)).map_err(Fault::from)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next_marker = last.map(|(key_id, grant_id, _)| listing.marker(&row(key_id, grant_id))).transpose()?;
        let mut grants = Vec::with_capacity(found.len());
        for (key_id, grant_id, grant) in found {
            // A key that has gone meanwhile took its grants along.
            if let Some(owner) =
                read::key(&tables, &key_id).map_err(|error: StateError| Fault::from(error))?.map(|key| key.document.account)
            {
                grants.push(entry(self.arn(owner, key_id), grant_id, grant));
            }
        }
        Ok(ListGrantsResponse { grants, next_marker })
    }
}

fn row(key_id: &KeyId, grant_id: &GrantId) -> Vec<u8> {
    [key_id.to_row().as_slice(), grant_id.as_bytes()].concat()
}

fn position(row: &[u8]) -> Option<(KeyId, GrantId)> {
    let (key, grant) = row.split_at_checked(KeyId::ROW_BYTES)?;
    Some((KeyId::from_row(key).ok()?, GrantId::from_bytes(grant.try_into().ok()?)))
}
