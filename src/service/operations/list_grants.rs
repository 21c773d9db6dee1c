//! ListGrants: the grants of a key in the order of their ids, one page at a time; all, or those of one grantee, or one.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, GrantListEntry, ListGrantsRequest, ListGrantsResponse, Operation};
use claviger_state::{GrantRecord, read};
use claviger_types::{GrantId, KeyArn, NamedPrincipal};

use crate::access::Ask;
use crate::error::Fault;
use crate::marker::{Listing, invalid_marker};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn list_grants(&self, context: &Context, request: ListGrantsRequest) -> Result<ListGrantsResponse, ApiError> {
        let arn = self.allowed(context, &request.key, &Ask::new(Action::ListGrants).of_grants())?.key.arn.clone();
        let grantee = request.grantee_principal.map(|named| named.within(&self.config.partition)).transpose()?;
        let filter = filter(&arn, grantee.as_ref(), request.grant_id.as_ref());
        let listing = Listing { barrier: &self.barrier, operation: Operation::ListGrants, account: arn.account, filter: &filter };
        let after = request.paging.marker.as_ref().map(|marker| listing.open(marker)).transpose()?;
        let after = after.map(|id| <[u8; 32]>::try_from(id).map(GrantId::from_bytes)).transpose().map_err(|_| invalid_marker())?;
        let (tables, limit) = (self.region.tables(), request.paging.limit);
        let most = limit.saturating_add(1);
        // One more than asked for tells whether another page follows.
        let mut found: Vec<(GrantId, GrantRecord)> = match (&request.grant_id, &grantee) {
            (Some(id), _) => {
                let grant = read::grant(&tables, &arn.key_id, id).map_err(Fault::from)?;
                let grant = grant.filter(|grant| grantee.as_ref().is_none_or(|grantee| *grantee == grant.grantee));
                grant.map(|grant| (*id, grant)).into_iter().collect()
            }
            (None, Some(grantee)) => read::grants_for(&tables, &arn.key_id, grantee, after.as_ref(), most).map_err(Fault::from)?,
            (None, None) => read::grants_of(&tables, &arn.key_id, after.as_ref(), most).map_err(Fault::from)?,
        };
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next_marker = last.map(|(id, _)| listing.marker(id.as_bytes())).transpose()?;
        Ok(ListGrantsResponse { grants: found.into_iter().map(|(id, grant)| entry(arn.clone(), id, grant)).collect(), next_marker })
    }
}

/// What a page is one of: no marker of one filter is good for another.
fn filter(arn: &KeyArn, grantee: Option<&NamedPrincipal>, grant_id: Option<&GrantId>) -> Vec<u8> {
    let grantee = grantee.map(ToString::to_string).unwrap_or_default();
    let grant_id = grant_id.map_or(&[][..], |id| id.as_bytes());
    [arn.key_id.to_row().as_slice(), grantee.as_bytes(), &[0], grant_id].concat()
}

/// A grant as it is listed.
pub(super) fn entry(key: KeyArn, grant_id: GrantId, grant: GrantRecord) -> GrantListEntry {
    GrantListEntry {
        key,
        grant_id,
        name: grant.name,
        creation_date: grant.created_at,
        grantee_principal: grant.grantee,
        retiring_principal: grant.retiring,
        issuing_account: grant.issuing_account,
        operations: grant.operations,
        constraint: grant.constraint,
    }
}
