//! CreateAlias: a name for a key of the caller's account, in this region.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{AliasTargetRequest, ApiError, Operation};
use claviger_state::{self as state, CommandBody, Once};

use crate::access::{Allowed, Ask};
use crate::error::Subject;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn create_alias(&self, context: &Context, request: AliasTargetRequest) -> Result<(), ApiError> {
        let AliasTargetRequest { alias_name, target_key } = &request;
        let ask = Ask::new(Action::CreateAlias);
        // Whether the name is free is for the state machine to say, which alone can know.
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, target_key, &ask)?;
            self.allowed_alias(context, alias_name, &ask)?;
            let once = Once { authorised, ..once };
            Ok(CommandBody::CreateAlias(state::CreateAlias { once, name: alias_name.clone(), key: key.expected() }))
        };
        let outcome = self.write(context, Operation::CreateAlias, state::Operation::CreateAlias, command).await?;
        let alias = self.alias_arn(context.principal.account(), alias_name);
        Subject::Alias(&alias, Some(&self.named_key(context, target_key)?)).done(outcome)
    }
}
