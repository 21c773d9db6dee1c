//! DeleteAlias. The key stays as it is.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, DeleteAliasRequest, Operation};
use claviger_state::{self as state, CommandBody, Once};

use crate::access::{Allowed, Ask};
use crate::error::Subject;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn delete_alias(&self, context: &Context, request: DeleteAliasRequest) -> Result<(), ApiError> {
        let name = &request.alias_name;
        let command = |once| {
            let Allowed { key, authorised } = self.allowed_holder(context, name, &Ask::new(Action::DeleteAlias))?;
            let once = Once { authorised, ..once };
            Ok(CommandBody::DeleteAlias(state::DeleteAlias { once, name: name.clone(), key: key.expected() }))
        };
        let outcome = self.write(context, Operation::DeleteAlias, state::Operation::DeleteAlias, command).await?;
        Subject::Alias(&self.alias_arn(context.principal.account(), name), None).done(outcome)
    }
}
