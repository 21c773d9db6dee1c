//! ScheduleKeyDeletion and CancelKeyDeletion. The deletion itself is the scheduler's.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, OneKeyRequest, OneKeyResponse, Operation, ScheduleKeyDeletionRequest, ScheduleKeyDeletionResponse};
use claviger_state::{self as state, CommandBody, Once, Refusal, Response, StateClass};
use claviger_types::KeyState;

use crate::access::{Allowed, Ask, Parameters};
use crate::error::{Fault, Subject, not_pending_deletion};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn schedule_key_deletion(
        &self,
        context: &Context,
        request: ScheduleKeyDeletionRequest,
    ) -> Result<ScheduleKeyDeletionResponse, ApiError> {
        let window_days = request.pending_window_in_days;
        let ask = Ask { parameters: Parameters::Deletion(window_days), ..Ask::new(Action::ScheduleKeyDeletion) };
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, &request.key, &ask)?;
            key.check_state(StateClass::ScheduleDeletion)?;
            let once = Once { authorised, ..once };
            Ok(CommandBody::ScheduleKeyDeletion(state::ScheduleKeyDeletion { once, key: key.expected(), window_days }))
        };
        let outcome = self.write(context, Operation::ScheduleKeyDeletion, state::Operation::ScheduleKeyDeletion, command).await?;
        let key = self.named_key(context, &request.key)?;
        match outcome {
            Ok(Response::Deletion { at }) => Ok(ScheduleKeyDeletionResponse {
                key,
                deletion_date: at,
                key_state: KeyState::PendingDeletion,
                pending_window_in_days: window_days,
            }),
            Ok(_) => Err(Fault::Answer.into()),
            Err(refusal) => Err(Subject::Key(&key).refused(refusal)),
        }
    }

    pub(crate) async fn cancel_key_deletion(&self, context: &Context, request: OneKeyRequest) -> Result<OneKeyResponse, ApiError> {
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, &request.key, &Ask::new(Action::CancelKeyDeletion))?;
            key.check_state(StateClass::CancelDeletion).map_err(|_| not_pending_deletion(&key.arn))?;
            let once = Once { authorised, ..once };
            Ok(CommandBody::CancelKeyDeletion(state::CancelKeyDeletion { once, key: key.expected() }))
        };
        let outcome = self.write(context, Operation::CancelKeyDeletion, state::Operation::CancelKeyDeletion, command).await?;
        let key = self.named_key(context, &request.key)?;
        if matches!(outcome, Err(Refusal::InvalidState(_))) {
            return Err(not_pending_deletion(&key));
        }
        Subject::Key(&key).done(outcome)?;
        Ok(OneKeyResponse { key })
    }
}
