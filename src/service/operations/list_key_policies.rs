//! ListKeyPolicies: a key has one policy, named `default`.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, ErrorCode, ListKeyPoliciesRequest, ListKeyPoliciesResponse};

use crate::access::Ask;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn list_key_policies(
        &self,
        context: &Context,
        request: &ListKeyPoliciesRequest,
    ) -> Result<ListKeyPoliciesResponse, ApiError> {
        self.allowed(context, &request.key, &Ask::new(Action::ListKeyPolicies))?;
        // There is never a second page, so no marker was ever given.
        match request.paging.marker {
            Some(_) => {
                Err(ApiError::new(ErrorCode::InvalidMarker, "The marker is not one that this operation returned for these parameters."))
            }
            None => Ok(ListKeyPoliciesResponse),
        }
    }
}
