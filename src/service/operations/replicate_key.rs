//! ReplicateKey, at the primary: the target holds a place, then the document names it a member (DESIGN.md section 5.2,
//! rule 10). From there on replication does the rest; the replica says Creating meanwhile.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, Operation, ReplicateKeyRequest, ReplicateKeyResponse};
use claviger_state::protocol::{Author, MemberStatus, SharedDoc};
use claviger_state::{self as state, CommandBody, KeyRecord, Once, Outcome, Refusal, Regional, Response, StateClass};
use claviger_types::limits::RESERVATION_WINDOW;
use claviger_types::{KeyArn, Origin, Region, Timestamp};

use crate::access::{Allowed, Ask};
use crate::error::{Fault, Subject, not_reserved, other_origin, unusable};
use crate::write::AUTHORISATIONS_MAX;
use crate::{Context, ReservationRequest, Service, key_policy};

const OPERATION: Operation = Operation::ReplicateKey;

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn replicate_key(&self, context: &Context, request: ReplicateKeyRequest) -> Result<ReplicateKeyResponse, ApiError> {
        let once = self.once(context, state::Operation::ReplicateKey);
        let outcome = match self.recall(&once)? {
            Some(outcome) => outcome,
            None => match self.try_replicate_key(context, &request, &once).await {
                Ok(outcome) => outcome,
                // An earlier try of this invocation may have committed meanwhile, and be the reason for the refusal.
                Err(refused) => {
                    self.gate(context, OPERATION).await?;
                    self.recall(&once)?.ok_or(refused)?
                }
            },
        };
        match outcome {
            Ok(Response::Key { document, .. }) => Ok(self.replica(request, &document)?),
            Ok(_) => Err(Fault::Answer.into()),
            Err(refusal) => {
                let arn = self.named_key(context, &request.key)?;
                Err(Subject::Replica(&arn, &request.replica_region).refused(refusal))
            }
        }
    }

    /// Authorises on what is read now, again whenever that has changed before the command was applied. Each round asks for
    /// the reservation anew: the target may have changed as well, and a repeated request replaces the one before.
    async fn try_replicate_key(&self, context: &Context, request: &ReplicateKeyRequest, once: &Once) -> Result<Outcome, ApiError> {
        let region = &request.replica_region;
        for _ in 0..AUTHORISATIONS_MAX {
            let ask = Ask { replica_region: Some(region), ..Ask::new(Action::ReplicateKey) };
            let Allowed { key, authorised } = self.allowed(context, &request.key, &ask)?;
            let arn = key.arn.clone();
            let record = self.record(&arn)?;
            self.check_replicable(&arn, &record, region)?;
            let deadline = self.reservation_deadline()?;
            let reservation = ReservationRequest {
                key_id: arn.key_id,
                account: arn.account,
                description: request.description.clone(),
                tags: request.tags.clone(),
                policy: request.policy.clone(),
                bypass_policy_lockout_safety_check: request.bypass_policy_lockout_safety_check,
                spec: record.document.spec,
                usage: record.document.usage,
                origin: record.document.origin,
                principal: context.principal.clone(),
                source_ip: context.source_ip,
                deadline,
            };
            let reserved = self.reservations.reserve(region, reservation).await;
            reserved.map_err(|error| not_reserved(error, &context.principal, &arn, region))?;
            let (once, key) = (Once { authorised, ..once.clone() }, key.expected());
            let command = state::ReplicateKey { once, key, region: region.clone(), deadline };
            match self.propose(OPERATION, CommandBody::ReplicateKey(command)).await? {
                Err(Refusal::StaleAuthorisation) => self.gate(context, OPERATION).await?,
                outcome => return Ok(outcome),
            }
        }
        Err(Fault::Contended(AUTHORISATIONS_MAX).into())
    }

    /// What the state machine will check again, so that a hopeless request does not trouble the target.
    fn check_replicable(&self, arn: &KeyArn, record: &KeyRecord, region: &Region) -> Result<(), ApiError> {
        let document = &record.document;
        // A restored region is primary of nothing that it authored in another life.
        let me = Author { region: self.config.region.clone(), incarnation: self.config.incarnation };
        if !document.key_id.is_multi_region() || !document.is_owned_by(&me) {
            return Err(ApiError::not_primary(arn));
        }
        let state = record.regional.state(document, &self.config.region, self.config.incarnation);
        if !StateClass::Regions.allows(state) {
            return Err(unusable(arn, state));
        }
        // What is imported would have to be told across regions.
        if document.origin == Origin::External {
            return Err(other_origin(arn, document.origin));
        }
        // The primary itself is a member too.
        if document.members.get(region).is_some_and(|member| member.status != MemberStatus::Gone) {
            return Err(ApiError::replica_exists(&arn.key_id, region));
        }
        Ok(())
    }

    /// In the time with which the commit will be compared: the region's, whatever this node's own clock shows.
    fn reservation_deadline(&self) -> Result<Timestamp, Fault> {
        Ok(self.region.log_time()?.plus(RESERVATION_WINDOW))
    }

    /// The replica as its own region will show it at first. Its creation date is this region's: the target's log has not
    /// given one yet.
    fn replica(&self, request: ReplicateKeyRequest, document: &SharedDoc) -> Result<ReplicateKeyResponse, Fault> {
        let regional = Regional {
            description: request.description,
            tags: request.tags,
            policy: request.policy,
            ..Regional::new(self.region.log_time()?, self.config.incarnation)
        };
        Ok(ReplicateKeyResponse {
            replica_key_metadata: self.metadata_in(&request.replica_region, document, &regional),
            replica_policy: regional.policy.unwrap_or_else(|| key_policy::default_document(&self.config.partition, document.account)),
            replica_tags: regional.tags,
        })
    }
}
