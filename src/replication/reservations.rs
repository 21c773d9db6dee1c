//! Rule 10 from the caller's side: the primary asks for a reservation, and the target asks after those that are too old.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_consensus::{DuePermit, Region};
use claviger_state::{CommandBody, PeerRecord, ReservationRecord, read};
use claviger_types::limits::{REGIONS_MAX, RESERVATION_WINDOW, RESERVATIONS_PER_PEER_MAX};
use claviger_types::{KeyId, Region as RegionName, Timestamp};
use tokio::time::MissedTickBehavior;

use crate::config::MESSAGE_KEYS_MAX;
use crate::core::{Core, known_peer, own_region};
use crate::message::{Message, RegionLife, ReservationFate, ReservationQuestion, ReservationRefusal, path};
use crate::transport::with_sources;
use crate::{ReplicaReservation, ReplicationError, Replicator};

impl<R: Region> Replicator<R> {
    /// Asks `target` to reserve a replica of a key whose primary is here. The inner result is the target's decision.
    ///
    /// Repeating it is harmless, and so is asking and not committing: the reservation lapses.
    ///
    /// # Errors
    /// When the target is no admitted peer, cannot be reached or does not understand: nothing may be committed then.
    pub async fn reserve(
        &self,
        target: &RegionName,
        reservation: ReplicaReservation,
    ) -> Result<Result<(), ReservationRefusal>, ReplicationError> {
        let tables = self.core.fresh_tables().await?;
        let (me, peer) = (own_region(&tables)?, known_peer(&tables, target)?);
        let message = Message { from: RegionLife::from(&me), to: RegionLife::from(&peer), body: reservation };
        let answer: Result<(), ReservationRefusal> = self.core.caller.call(&peer.region, &peer.endpoints, path::RESERVE, &message).await?;
        Ok(answer.map_err(|refusal| match refusal {
            ReservationRefusal::Denied(denial) => ReservationRefusal::Denied(denial.bounded()),
            refused @ ReservationRefusal::Refused(_) => refused,
        }))
    }
}

/// How many reservations are looked at first; more when none of those can go.
const LOOKED_AT_MIN: usize = 1024;
/// All that there can be.
const LOOKED_AT_MAX: usize = RESERVATIONS_PER_PEER_MAX * REGIONS_MAX;

/// On the leader, for as long as it leads: asks after old reservations.
pub(crate) async fn care<R: Region>(core: Arc<Core<R>>) {
    let mut timer = tokio::time::interval(core.config.reservation_check_interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut most = LOOKED_AT_MIN;
    loop {
        timer.tick().await;
        match lapse_what_can(&core, most).await {
            // Those at the front stay: look behind them.
            Ok((looked_at, 0)) if looked_at == most => most = most.saturating_mul(2).min(LOOKED_AT_MAX),
            Ok(_) => most = LOOKED_AT_MIN,
            Err(error) => tracing::warn!(error = %with_sources(&error), "old reservations cannot be looked after now"),
        }
    }
}

/// Asks the primaries of reservations older than the window; how many there are, and how many have gone. They are not old because
/// of a clock that is wrong: the leader must be allowed due work.
async fn lapse_what_can<R: Region>(core: &Arc<Core<R>>, most: usize) -> Result<(usize, usize), ReplicationError> {
    let tables = core.fresh_tables().await?;
    let permit = match core.region.due_permit() {
        Ok(permit) => permit,
        Err(reason) => {
            tracing::debug!(%reason, "old reservations are left alone");
            return Ok((0, 0));
        }
    };
    let now = core.region.log_time()?;
    let Some(made_by) = now.as_millis().checked_sub(u64::try_from(RESERVATION_WINDOW.as_millis()).unwrap_or(u64::MAX)) else {
        return Ok((0, 0));
    };
    let me = own_region(&tables)?;
    let old = core.blocking(move |_| read::reservations(&tables, Timestamp::from_millis(made_by), most)).await??;
    let looked_at = old.len();
    let mut by_primary: BTreeMap<RegionName, Vec<(KeyId, ReservationRecord)>> = BTreeMap::new();
    for (key_id, reservation) in old {
        by_primary.entry(reservation.primary.region.clone()).or_default().push((key_id, reservation));
    }
    let mut gone = 0;
    for (primary, reservations) in by_primary {
        let tables = core.region.tables();
        let asked = match known_peer(&tables, &primary) {
            Ok(peer) => ask(core, &permit, &RegionLife::from(&me), &peer, &reservations).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(lapsed) => gone += lapsed,
            // One primary that does not answer must not keep the others' reservations alive.
            Err(error) => tracing::debug!(%primary, error = %with_sources(&error), "a primary says nothing of its reservations"),
        }
    }
    Ok((looked_at, gone))
}

async fn ask<R: Region>(
    core: &Core<R>,
    permit: &DuePermit,
    me: &RegionLife,
    primary: &PeerRecord,
    reservations: &[(KeyId, ReservationRecord)],
) -> Result<usize, ReplicationError> {
    let mut gone = 0;
    for some in reservations.chunks(MESSAGE_KEYS_MAX) {
        let questions: Vec<ReservationQuestion> =
            some.iter().map(|(key_id, held)| ReservationQuestion { key_id: *key_id, deadline: held.deadline }).collect();
        let message = Message { from: me.clone(), to: RegionLife::from(primary), body: questions };
        let fates: Vec<ReservationFate> = core.caller.call(&primary.region, &primary.endpoints, path::RESERVATION, &message).await?;
        for ((key_id, held), fate) in some.iter().zip(fates) {
            if fate == ReservationFate::NeverComes {
                // The revision: a reservation that was made anew since is another one.
                let lapse = CommandBody::LapseReservation { key_id: *key_id, revision: held.revision };
                core.region.propose_due(permit, lapse).await?.map_err(ReplicationError::Refused)?;
                gone += 1;
            }
        }
    }
    Ok(gone)
}
