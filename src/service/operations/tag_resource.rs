//! TagResource: adds tags and replaces the values of those that the key has.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, Operation, TagResourceRequest};
use claviger_state::{self as state, CommandBody, Once};

use crate::access::{Allowed, Ask};
use crate::error::Subject;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn tag_resource(&self, context: &Context, request: TagResourceRequest) -> Result<(), ApiError> {
        let ask = Ask::new(Action::TagResource).with_tags(&request.tags);
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, &request.key, &ask)?;
            let (once, key) = (Once { authorised, ..once }, key.expected());
            Ok(CommandBody::TagResource(state::TagResource { once, key, tags: request.tags.clone() }))
        };
        let outcome = self.write(context, Operation::TagResource, state::Operation::TagResource, command).await?;
        Subject::Key(&self.named_key(context, &request.key)?).done(outcome)
    }
}
