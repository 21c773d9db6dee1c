//! What EnableKey and DisableKey share: all but the direction.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, Operation};
use claviger_state::{self as state, CommandBody, Once, SetKeyEnabled, StateClass};
use claviger_types::KeyRef;

use crate::access::{Allowed, Ask};
use crate::error::{Subject, not_admitted};
use crate::{Context, Service};

/// One of the two operations.
pub(super) struct Switch {
    operation: Operation,
    written: state::Operation,
    action: Action,
    enabled: bool,
}

impl Switch {
    pub(super) const ENABLE: Self =
        Self { operation: Operation::EnableKey, written: state::Operation::EnableKey, action: Action::EnableKey, enabled: true };
    pub(super) const DISABLE: Self =
        Self { operation: Operation::DisableKey, written: state::Operation::DisableKey, action: Action::DisableKey, enabled: false };
}

impl<R: consensus::Region> Service<R> {
    pub(super) async fn switch_key(&self, context: &Context, key: &KeyRef, switch: &Switch) -> Result<(), ApiError> {
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, key, &Ask::new(switch.action))?;
            key.check_state(StateClass::Switch)?;
            if switch.enabled && self.record(&key.arn)?.regional.is_withheld(self.config.incarnation) {
                return Err(not_admitted(&key.arn));
            }
            let once = Once { authorised, ..once };
            Ok(CommandBody::SetKeyEnabled(SetKeyEnabled { once, key: key.expected(), enabled: switch.enabled }))
        };
        let outcome = self.write(context, switch.operation, switch.written, command).await?;
        Subject::Key(&self.named_key(context, key)?).done(outcome)
    }
}
