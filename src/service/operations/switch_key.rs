//! What EnableKey and DisableKey share: all but the direction.

use claviger_consensus as consensus;
use claviger_shapes::{ApiError, Operation};
use claviger_state::{self as state, CommandBody, Expected, Once, Outcome, Refusal, Response, SetKeyEnabled};
use claviger_types::{KeyRef, KeyState};

use crate::error::{Fault, Subject, unusable};
use crate::write::AUTHORISATIONS_MAX;
use crate::{Context, Service};

/// One of the two operations.
pub(super) struct Switch {
    operation: Operation,
    written: state::Operation,
    action: &'static str,
    enabled: bool,
}

impl Switch {
    pub(super) const ENABLE: Self =
        Self { operation: Operation::EnableKey, written: state::Operation::EnableKey, action: "kms:EnableKey", enabled: true };
    pub(super) const DISABLE: Self =
        Self { operation: Operation::DisableKey, written: state::Operation::DisableKey, action: "kms:DisableKey", enabled: false };
}

impl<R: consensus::Region> Service<R> {
    pub(super) async fn switch_key(&self, context: &Context, key: &KeyRef, switch: &Switch) -> Result<(), ApiError> {
        let once = self.once(context, switch.written);
        let outcome = match self.recall(&once)? {
            Some(outcome) => outcome,
            None => self.try_switch_key(context, key, switch, &once).await?,
        };
        match outcome {
            Ok(Response::Done) => Ok(()),
            Ok(_) => Err(Fault::Answer.into()),
            Err(refusal) => Err(Subject::Key(&self.named_key(context, key)?).refused(refusal)),
        }
    }

    /// Authorises on what is read now, again whenever that has changed before the command was applied.
    async fn try_switch_key(&self, context: &Context, key: &KeyRef, switch: &Switch, once: &Once) -> Result<Outcome, ApiError> {
        for _ in 0..AUTHORISATIONS_MAX {
            let arn = self.authorised(context, key, switch.action)?;
            let record = self.record(&arn)?;
            let state = record.document.state_in(&self.config.region, record.regional.enabled);
            if state == KeyState::Creating {
                return Err(unusable(&arn, state));
            }
            let key = Expected { key_id: arn.key_id, revision: record.revision };
            let command = SetKeyEnabled { once: once.clone(), key, enabled: switch.enabled };
            match self.propose(switch.operation, CommandBody::SetKeyEnabled(command)).await? {
                Err(Refusal::StaleAuthorisation) => self.gate(switch.operation).await?,
                outcome => return Ok(outcome),
            }
        }
        Err(Fault::Contended(AUTHORISATIONS_MAX).into())
    }
}
