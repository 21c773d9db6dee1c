//! What ReplicateKey needs of the target region: the service's trait, by replication.

use std::sync::Arc;

use claviger_consensus::Consensus;
use claviger_replication::{ReplicaReservation, ReplicationError, Replicator};
use claviger_service::{ReplicaReservations, ReservationError, ReservationFuture, ReservationRequest};
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
            let ReservationRequest { key_id, account, description, tags, deadline, .. } = request;
            let reservation = ReplicaReservation { key_id, account, description, tags, deadline };
            match self.replicator.reserve(target, reservation).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(refusal)) => Err(reservation_refused(&refusal)),
                Err(ReplicationError::UnknownPeer(_)) => Err(ReservationError::UnknownRegion),
                Err(error) => {
                    warn!(%target, error = format!("{:#}", anyhow::Error::new(error)), "a reservation could not be made");
                    Err(ReservationError::Unreachable)
                }
            }
        })
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
