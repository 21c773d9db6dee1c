//! RetireGrant: ends a grant, by whom it names for that, its grantee if it says so, or its issuer (rules page, section 9).

use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_policy::{self as policy, Action, Denial};
use claviger_shapes::{ApiError, Operation, RetireGrantRequest, RetiredGrant};
use claviger_state::{self as state, CommandBody, Once, read};
use claviger_types::{GrantId, KeyArn};

use crate::access::{Ask, Subject as Asked, view};
use crate::cached_key::CachedKey;
use crate::error::{Fault, Subject};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn retire_grant(&self, context: &Context, request: RetireGrantRequest) -> Result<(), ApiError> {
        let ask = Ask::new(Action::RetireGrant);
        let command = |once| {
            let (key, grant_id) = self.retired(context, &request.grant)?;
            let grant = read::grant(&self.region.tables(), &key.arn.key_id, &grant_id).map_err(Fault::from)?;
            let own = key.arn.account == context.principal.account();
            let grant = match grant {
                Some(grant) => grant,
                None if own => return Err(ApiError::grant_not_found(grant_id)),
                None => return Err(self.denied(context, &key.arn, ask.action, Denial::MayNotRetire)),
            };
            let subject = Asked::key(&key);
            let authorised = self.weigh(context, &subject, &ask, |asked, documents, revision| {
                let decision = policy::may_retire(asked, documents, &view(grant_id, &grant));
                self.authorised(context, &subject, ask.action, decision, revision)
            })??;
            if request.dry_run {
                return Err(ApiError::dry_run());
            }
            let once = Once { authorised, ..once };
            Ok(CommandBody::RetireGrant(state::RetireGrant { once, key: key.expected(), grant_id }))
        };
        let outcome = self.write(context, Operation::RetireGrant, state::Operation::RetireGrant, command).await?;
        let (arn, grant_id) = self.named_grant(context, &request.grant)?;
        Subject::Grant(&arn, &grant_id).done(outcome)
    }

    /// The key of the grant that a request names.
    fn retired(&self, context: &Context, named: &RetiredGrant) -> Result<(Arc<CachedKey>, GrantId), ApiError> {
        let (arn, grant_id) = self.named_grant(context, named)?;
        let key = self.opened(&arn.key_id)?.filter(|key| matches!(named, RetiredGrant::Token(_)) || key.arn.account == arn.account);
        match key {
            Some(key) => Ok((key, grant_id)),
            None if matches!(named, RetiredGrant::Token(_)) => Err(ApiError::invalid_grant_token()),
            None if arn.account == context.principal.account() => Err(ApiError::not_found(&arn)),
            None => Err(self.denied(context, &arn, Action::RetireGrant, Denial::MayNotRetire)),
        }
    }

    /// Key and grant that a request names, whether they exist or not. A token does not say whose the key is.
    fn named_grant(&self, context: &Context, named: &RetiredGrant) -> Result<(KeyArn, GrantId), ApiError> {
        match named {
            RetiredGrant::Token(token) => {
                let (key_id, grant_id) = self.open_grant_token(token)?;
                Ok((self.arn(context.principal.account(), key_id), grant_id))
            }
            RetiredGrant::Id { key, grant_id } => Ok((self.named_key(context, key)?, *grant_id)),
        }
    }
}
