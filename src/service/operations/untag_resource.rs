//! UntagResource: takes tags away. Those that the key has not are no error.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, Operation, UntagResourceRequest};
use claviger_state::{self as state, CommandBody, Once};

use crate::access::{Allowed, Ask};
use crate::error::Subject;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn untag_resource(&self, context: &Context, request: UntagResourceRequest) -> Result<(), ApiError> {
        let ask = Ask { tag_keys: Some(&request.tag_keys), ..Ask::new(Action::UntagResource) };
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, &request.key, &ask)?;
            let (once, key) = (Once { authorised, ..once }, key.expected());
            Ok(CommandBody::UntagResource(state::UntagResource { once, key, tag_keys: request.tag_keys.clone() }))
        };
        let outcome = self.write(context, Operation::UntagResource, state::Operation::UntagResource, command).await?;
        Subject::Key(&self.named_key(context, &request.key)?).done(outcome)
    }
}
