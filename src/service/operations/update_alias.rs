//! UpdateAlias: the same name for another key. Once it has answered, no node of the region follows the alias to the old one.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{AliasTargetRequest, ApiError, Operation};
use claviger_state::{self as state, CommandBody, Once};

use crate::access::{Allowed, Ask};
use crate::error::Subject;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn update_alias(&self, context: &Context, request: AliasTargetRequest) -> Result<(), ApiError> {
        let AliasTargetRequest { alias_name, target_key } = &request;
        let ask = Ask::new(Action::UpdateAlias);
        let command = |once| {
            let Allowed { key: to, authorised } = self.allowed(context, target_key, &ask)?;
            let Allowed { key: from, .. } = self.allowed_holder(context, alias_name, &ask)?;
            let once = Once { authorised, ..once };
            let (from, to) = (from.expected(), to.expected());
            Ok(CommandBody::UpdateAlias(state::UpdateAlias { once, name: alias_name.clone(), from, to }))
        };
        let outcome = self.write(context, Operation::UpdateAlias, state::Operation::UpdateAlias, command).await?;
        let alias = self.alias_arn(context.principal.account(), alias_name);
        Subject::Alias(&alias, Some(&self.named_key(context, target_key)?)).done(outcome)
    }
}
