//! What all writes share: the invocation table and the proposal (DESIGN.md section 4, "Exactly once").

use claviger_consensus as consensus;
use claviger_shapes::ApiError;
use claviger_state::{Authorised, CommandBody, Once, Operation, Outcome, Refusal, read};

use crate::error::{Fault, not_proposed};
use crate::{Context, Service};

/// How often one request authorises again because what it had read has changed. Each time somebody else's change was
/// committed, so running out means that the key changes faster than this node can read it.
pub(crate) const AUTHORISATIONS_MAX: usize = 8;

impl<R: consensus::Region> Service<R> {
    /// Carries out one invocation: gives what it was answered before, or else what the state machine answers to the command
    /// that `command` makes. It authorises on what it reads then, and is asked again whenever that has changed before the
    /// command was applied.
    pub(crate) async fn write(
        &self,
        context: &Context,
        operation: claviger_shapes::Operation,
        written: Operation,
        command: impl Fn(Once) -> Result<CommandBody, ApiError>,
    ) -> Result<Outcome, ApiError> {
        let once = self.once(context, written);
        for _ in 0..AUTHORISATIONS_MAX {
            if let Some(outcome) = self.recall(&once)? {
                return Ok(outcome);
            }
            let body = match command(once.clone()) {
                Ok(body) => body,
                // An earlier try of this invocation may have committed meanwhile, and be the reason for the refusal.
                Err(refused) => return self.recall(&once)?.ok_or(refused),
            };
            match self.propose(operation, body).await? {
                Err(Refusal::StaleAuthorisation) => self.gate(context, operation).await?,
                outcome => return Ok(outcome),
            }
        }
        Err(Fault::Contended(AUTHORISATIONS_MAX).into())
    }

    /// Names the invocation: by the SDK's id, or, when the client sent none, by one that is this request's alone.
    pub(crate) fn once(&self, context: &Context, operation: Operation) -> Once {
        let principal = context.principal.arn(&self.config.partition);
        // Nothing but keys is read to authorise yet.
        let authorised = Authorised::default();
        match &context.invocation {
            Some(invocation) => {
                Once { principal, invocation_id: invocation.id.clone(), operation, body_sha256: invocation.body_sha256, authorised }
            }
            None => Once { principal, invocation_id: context.request_id.to_string(), operation, body_sha256: [0; 32], authorised },
        }
    }

    /// What this invocation was answered before. Call after the gate, and before anything is resolved or authorised: a
    /// retry gets its answer even if the first try took away the right to ask again.
    pub(crate) fn recall(&self, once: &Once) -> Result<Option<Outcome>, Fault> {
        let record = read::invocation(&self.region.tables(), &once.principal, &once.invocation_id)?;
        Ok(record.map(|record| record.answer_to(once)))
    }

    /// Proposes `body` and waits for the state machine's word.
    pub(crate) async fn propose(&self, operation: claviger_shapes::Operation, body: CommandBody) -> Result<Outcome, ApiError> {
        self.region.propose(body).await.map_err(|error| not_proposed(operation, error))
    }
}
