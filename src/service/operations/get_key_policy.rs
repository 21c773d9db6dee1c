//! GetKeyPolicy: the text of a key's policy, as it was given.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, GetKeyPolicyRequest, GetKeyPolicyResponse};

use crate::access::Ask;
use crate::{Context, Service, key_policy};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn get_key_policy(&self, context: &Context, request: &GetKeyPolicyRequest) -> Result<GetKeyPolicyResponse, ApiError> {
        let allowed = self.allowed(context, &request.key, &Ask::new(Action::GetKeyPolicy))?;
        Ok(GetKeyPolicyResponse { policy: key_policy::text(&self.record(&allowed.key.arn)?, &self.config.partition) })
    }
}
