//! UpdateKeyDescription.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, Operation, UpdateKeyDescriptionRequest};
use claviger_state::{self as state, CommandBody, Once};

use crate::access::{Allowed, Ask};
use crate::error::Subject;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn update_key_description(&self, context: &Context, request: UpdateKeyDescriptionRequest) -> Result<(), ApiError> {
        let ask = Ask::new(Action::UpdateKeyDescription);
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, &request.key, &ask)?;
            let (once, key) = (Once { authorised, ..once }, key.expected());
            let update = state::UpdateKeyDescription { once, key, description: request.description.clone() };
            Ok(CommandBody::UpdateKeyDescription(update))
        };
        let outcome = self.write(context, Operation::UpdateKeyDescription, state::Operation::UpdateKeyDescription, command).await?;
        Subject::Key(&self.named_key(context, &request.key)?).done(outcome)
    }
}
