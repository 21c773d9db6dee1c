//! RevokeGrant: ends a grant, by whom the key's policy lets. Once it has answered, no node of the region honours it.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, Operation, RevokeGrantRequest};
use claviger_state::{self as state, CommandBody, Once, read};

use crate::access::{Allowed, Ask};
use crate::error::{Fault, Subject};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn revoke_grant(&self, context: &Context, request: RevokeGrantRequest) -> Result<(), ApiError> {
        let RevokeGrantRequest { key, grant_id, dry_run } = &request;
        let ask = Ask::new(Action::RevokeGrant).of_grants();
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, key, &ask)?;
            if read::grant(&self.region.tables(), &key.arn.key_id, grant_id).map_err(Fault::from)?.is_none() {
                return Err(ApiError::grant_not_found(grant_id));
            }
            if *dry_run {
                return Err(ApiError::dry_run());
            }
            let once = Once { authorised, ..once };
            Ok(CommandBody::RevokeGrant(state::RevokeGrant { once, key: key.expected(), grant_id: *grant_id }))
        };
        let outcome = self.write(context, Operation::RevokeGrant, state::Operation::RevokeGrant, command).await?;
        Subject::Grant(&self.named_key(context, key)?, grant_id).done(outcome)
    }
}
