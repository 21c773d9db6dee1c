//! Rule 10 at the target (DESIGN.md section 5.2): whether a caller of another region may have a replica here. The other region has
//! authenticated it and says so; everything else is decided by what this region knows.

use claviger_consensus as consensus;
use claviger_policy::{self as policy, Action};
use claviger_shapes::{ApiError, ErrorCode, Operation};
use claviger_state::Authorised;
use claviger_types::RevocationFlag;
use uuid::Uuid;

use crate::access::{Ask, NewKey, Subject};
use crate::{Context, ReservationError, ReservationRequest, Service};

impl<R: consensus::Region> Service<R> {
    /// Decides, as of after the read gate, whether the caller of a ReplicateKey in another region may have the replica here, as if it
    /// had asked for it with CreateKey; and what that rests on, which the reservation's command must carry. Whether the other region
    /// may act for the account is not asked here, nor what the state machine decides.
    ///
    /// # Errors
    /// When it may not, in words for the client; [`ReservationError::Unreachable`] when it cannot be decided now.
    pub async fn authorise_replica(&self, request: &ReservationRequest) -> Result<Authorised, ReservationError> {
        let context = Context {
            principal: request.principal.clone(),
            // The other region has looked at the certificate: it is its connection.
            revoked: RevocationFlag::default(),
            request_id: Uuid::nil(),
            invocation: None,
            source_ip: request.source_ip,
        };
        self.gate(&context, Operation::ReplicateKey).await.map_err(denial)?;
        self.decide_replica(&context, request).map_err(denial)
    }

    fn decide_replica(&self, context: &Context, request: &ReservationRequest) -> Result<Authorised, ApiError> {
        let kind = NewKey { spec: request.spec, usage: request.usage, origin: request.origin, is_multi_region: true, is_replica: true };
        let bypass = request.bypass_policy_lockout_safety_check;
        let arn = self.arn(request.account, request.key_id).to_string();
        let ask = Ask { new_key: Some(kind), bypasses_lockout_check: Some(bypass), ..Ask::new(Action::CreateKey) }.with_tags(&request.tags);
        let authorised = self.allowed_new(context, &arn, &ask)?;
        if !request.tags.is_empty() {
            self.allowed_new(context, &arn, &Ask { action: Action::TagResource, ..ask })?;
        }
        if let Some(text) = &request.policy {
            self.check_new_policy(context, text, None, &arn, bypass, Some((kind, &request.tags)))?;
        }
        // Of all that was read the first: what has changed since makes the command stale.
        Ok(authorised)
    }

    /// As for CreateKey the action is on no key; a refusal names the one that is to be, and with it this region.
    fn allowed_new(&self, context: &Context, arn: &str, ask: &Ask<'_>) -> Result<Authorised, ApiError> {
        let subject = Subject::without_key("*", context.principal.account());
        let (decision, revision) =
            self.weigh(context, &subject, ask, |request, documents, revision| (policy::decide(request, documents), revision))?;
        match decision.denial() {
            Some(denial) => Err(self.denied(context, arn, ask.action, denial)),
            None => Ok(Authorised { account_revision: Some((context.principal.account(), revision)), grant: None }),
        }
    }
}

/// What the other region is told of an error that a client of this one would get.
fn denial(error: ApiError) -> ReservationError {
    match error.code {
        ErrorCode::UnrecognizedClient => ReservationError::UnknownPrincipal,
        ErrorCode::AccessDenied => ReservationError::NotAllowed(error.message),
        ErrorCode::MalformedPolicyDocument => ReservationError::MalformedPolicy(error.message),
        ErrorCode::LimitExceeded => ReservationError::PolicyTooLarge(error.message),
        // Of this node or its region, and logged where it arose.
        _ => ReservationError::Unreachable,
    }
}
