//! What ReplicateKey needs of the target region: the service's trait by replication, and replication's trait by the service.

use std::sync::Arc;

use claviger_consensus::Consensus;
use claviger_replication::{
    AuthorityFuture, NotAuthorised, ReplicaAuthority, ReplicaDenial, ReplicaReservation, ReplicationError, Replicator, ReservationRefusal,
};
use claviger_service::{ReplicaReservations, ReservationError, ReservationFuture, ReservationRequest, Service};
use claviger_state::Refusal;
use claviger_types::Region;
use tracing::warn;

/// Asks target regions by replication.
pub(crate) struct Reservations {
    pub(crate) replicator: Arc<Replicator<Consensus>>,
}

impl ReplicaReservations for Reservations {
    fn reserve<'a>(&'a self, target: &'a Region, request: ReservationRequest) -> ReservationFuture<'a> {
        Box::pin(async move {
            match self.replicator.reserve(target, asked_of_target(request)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(ReservationRefusal::Refused(refusal))) => Err(reservation_refused(&refusal)),
                Ok(Err(ReservationRefusal::Denied(denial))) => Err(replica_denied(denial)),
                Err(ReplicationError::UnknownPeer(_)) => Err(ReservationError::UnknownRegion),
                Err(error) => {
                    warn!(%target, error = format!("{:#}", anyhow::Error::new(error)), "a reservation could not be made");
                    Err(ReservationError::Unreachable)
                }
            }
        })
    }
}

/// Answers source regions by this region's identities.
pub(crate) struct Authority {
    pub(crate) service: Arc<Service<Consensus>>,
}

impl ReplicaAuthority for Authority {
    fn authorise<'a>(&'a self, replica: &'a ReplicaReservation) -> AuthorityFuture<'a> {
        Box::pin(async move {
            let request = asked_by_source(replica.clone());
            self.service.authorise_replica(&request).await.map_err(not_authorised)
        })
    }
}

/// The two crates do not know each other: what one calls a request is the other's message.
fn asked_of_target(request: ReservationRequest) -> ReplicaReservation {
    let ReservationRequest {
        key_id,
        account,
        description,
        tags,
        policy,
        bypass_policy_lockout_safety_check,
        spec,
        usage,
        origin,
        principal,
        source_ip,
        deadline,
    } = request;
    ReplicaReservation {
        key_id,
        account,
        description,
        tags,
        policy,
        bypass_policy_lockout_safety_check,
        spec,
        usage,
        origin,
        principal,
        source_ip,
        deadline,
    }
}

fn asked_by_source(replica: ReplicaReservation) -> ReservationRequest {
    let ReplicaReservation {
        key_id,
        account,
        description,
        tags,
        policy,
        bypass_policy_lockout_safety_check,
        spec,
        usage,
        origin,
        principal,
        source_ip,
        deadline,
    } = replica;
    ReservationRequest {
        key_id,
        account,
        description,
        tags,
        policy,
        bypass_policy_lockout_safety_check,
        spec,
        usage,
        origin,
        principal,
        source_ip,
        deadline,
    }
}

fn reservation_refused(refusal: &Refusal) -> ReservationError {
    match refusal {
        Refusal::AlreadyExists => ReservationError::AlreadyExists,
        Refusal::OtherReservation => ReservationError::Busy,
        Refusal::TooManyKeys | Refusal::TooManyReservations => ReservationError::LimitExceeded,
        other => ReservationError::NotAllowed(other.to_string()),
    }
}

fn replica_denied(denial: ReplicaDenial) -> ReservationError {
    match denial {
        ReplicaDenial::UnknownPrincipal => ReservationError::UnknownPrincipal,
        ReplicaDenial::AccessDenied(message) => ReservationError::NotAllowed(message),
        ReplicaDenial::MalformedPolicy(message) => ReservationError::MalformedPolicy(message),
        ReplicaDenial::LimitExceeded(message) => ReservationError::PolicyTooLarge(message),
    }
}

fn not_authorised(error: ReservationError) -> NotAuthorised {
    NotAuthorised::Denied(match error {
        ReservationError::UnknownPrincipal => ReplicaDenial::UnknownPrincipal,
        ReservationError::NotAllowed(message) => ReplicaDenial::AccessDenied(message),
        ReservationError::MalformedPolicy(message) => ReplicaDenial::MalformedPolicy(message),
        ReservationError::PolicyTooLarge(message) => ReplicaDenial::LimitExceeded(message),
        ReservationError::AlreadyExists
        | ReservationError::LimitExceeded
        | ReservationError::UnknownRegion
        | ReservationError::Busy
        | ReservationError::Unreachable => return NotAuthorised::Unavailable,
    })
}
