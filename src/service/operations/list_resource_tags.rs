//! ListResourceTags: a key's tags, by their keys, one page at a time.

use std::ops::Bound;

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, ListResourceTagsRequest, ListResourceTagsResponse, Operation, Tags};

use crate::access::Ask;
use crate::marker::{Listing, invalid_marker};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn list_resource_tags(
        &self,
        context: &Context,
        request: &ListResourceTagsRequest,
    ) -> Result<ListResourceTagsResponse, ApiError> {
        let arn = self.allowed(context, &request.key, &Ask::new(Action::ListResourceTags))?.key.arn.clone();
        let tags = self.record(&arn)?.regional.tags;
        let filter = arn.key_id.to_row();
        let listing = Listing { barrier: &self.barrier, operation: Operation::ListResourceTags, account: arn.account, filter: &filter };
        let after = request.paging.marker.as_ref().map(|marker| listing.open(marker)).transpose()?;
        let after = after.map(String::from_utf8).transpose().map_err(|_| invalid_marker())?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = tags.range((from, Bound::Unbounded));
        let page: Tags = rest.by_ref().take(request.paging.limit).map(|(key, value)| (key.clone(), value.clone())).collect();
        let last = page.last_key_value().filter(|_| rest.next().is_some());
        let next_marker = last.map(|(key, _)| listing.marker(key.as_bytes())).transpose()?;
        Ok(ListResourceTagsResponse { tags: page, next_marker })
    }
}
