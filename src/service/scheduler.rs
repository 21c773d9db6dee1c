//! What the leader does by time (DESIGN.md section 4, "Time"): automatic rotation, deletion of keys, expiry of imported material.
//!
//! Every node looks once a second; only one that leads, and whose clock can be believed, has the permit. Rotation happens at once when
//! it is due; what destroys waits an hour of the monotonic clock besides (`consensus/due.rs`), and `apply` has the last word on what
//! is due at all.

use std::time::Duration;

use claviger_consensus::{self as consensus, DuePermit, DueWatch};
use claviger_state::{CarryOutDue, CommandBody, Due, DueWork, Expected, Outcome, Refusal, Response, StateClass, StateError, read};
use claviger_types::Origin;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Service;
use crate::error::Fault;

/// How often a node looks.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// Entries read at a time.
const PAGE: usize = 1000;
/// Things to destroy that are watched at a time; the others wait until these are done.
pub(crate) const WATCHED_MAX: usize = 100_000;

impl<R: consensus::Region> Service<R> {
    /// Does what falls due, until it is told to stop.
    pub async fn schedule(&self, mut stop: watch::Receiver<bool>) {
        let mut watch = DueWatch::new(WATCHED_MAX);
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOKED_EVERY) => self.do_what_is_due(&mut watch, Instant::now()).await,
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// One look. `now` is the monotonic clock's.
    pub(crate) async fn do_what_is_due(&self, watch: &mut DueWatch<Due>, now: Instant) {
        // Why a leader has none is shown by `claviger clock status`.
        let Ok(permit) = self.region.due_permit() else { return };
        match self.due(&permit) {
            Ok((rotations, destructions)) => {
                for due in rotations {
                    self.rotate(&permit, &due).await;
                }
                for due in watch.ripe(&permit, now, destructions) {
                    self.destroy(&permit, &due).await;
                }
            }
            Err(fault) => tracing::error!(error = &fault as &dyn std::error::Error, "what is due cannot be read"),
        }
    }

    /// What is due: rotations of keys that may be rotated, and what destroys, the oldest first.
    fn due(&self, permit: &DuePermit) -> Result<(Vec<Due>, Vec<Due>), StateError> {
        let tables = self.region.tables();
        let (mut rotations, mut destructions) = (Vec::new(), Vec::new());
        let mut after: Option<Due> = None;
        loop {
            let page = read::due(&tables, permit.time(), after.as_ref(), PAGE)?;
            after = page.last().copied();
            let is_last = page.len() < PAGE;
            for due in page {
                match due.what {
                    DueWork::Rotate => rotations.push(due),
                    DueWork::Destroy | DueWork::Expire(_) => destructions.push(due),
                }
            }
            if is_last || destructions.len() >= WATCHED_MAX {
                return Ok((rotations, destructions));
            }
        }
    }

    async fn rotate(&self, permit: &DuePermit, due: &Due) {
        let work = match self.due_rotation(due) {
            Ok(Some(work)) => work,
            // It is disabled or withheld: at once when it is not any more.
            Ok(None) => return,
            Err(fault) => {
                tracing::error!(key = %due.key_id, error = &fault as &dyn std::error::Error, "a key cannot be rotated");
                return;
            }
        };
        if let Some(Ok(_)) = self.carried_out(permit, due, work).await {
            tracing::info!(key = %due.key_id, "rotated");
        }
    }

    fn due_rotation(&self, due: &Due) -> Result<Option<CarryOutDue>, Fault> {
        let Some(record) = read::key(&self.region.tables(), &due.key_id)? else { return Ok(None) };
        let state = record.regional.state(&record.document, &self.config.region, self.config.incarnation);
        if !StateClass::RotateOnDemand.allows(state) || record.document.origin != Origin::AwsKms {
            return Ok(None);
        }
        let material = self.new_material(&record)?;
        Ok(Some(CarryOutDue::Rotate { key: Expected { key_id: due.key_id, revision: record.revision }, material }))
    }

    async fn destroy(&self, permit: &DuePermit, due: &Due) {
        let (key_id, work) = match due.what {
            DueWork::Destroy => (due.key_id, CarryOutDue::Destroy { key_id: due.key_id }),
            DueWork::Expire(material_id) => (due.key_id, CarryOutDue::Expire { key_id: due.key_id, material_id }),
            DueWork::Rotate => return,
        };
        loop {
            match self.carried_out(permit, due, work.clone()).await {
                // A step of many: a key with many grants.
                Some(Ok(Response::Unfinished)) => {}
                Some(Ok(_)) => return tracing::info!(key = %key_id, what = ?due.what, due = %due.at, "destroyed"),
                _ => return,
            }
        }
    }

    async fn carried_out(&self, permit: &DuePermit, due: &Due, work: CarryOutDue) -> Option<Outcome> {
        match self.region.propose_due(permit, CommandBody::CarryOutDue(Box::new(work))).await {
            Ok(outcome) => {
                if let Err(refusal) = &outcome
                    && !matches!(refusal, Refusal::NotDue | Refusal::StaleAuthorisation)
                {
                    tracing::error!(key = %due.key_id, what = ?due.what, %refusal, "what was due was refused");
                }
                Some(outcome)
            }
            // Another look follows, here or at the next leader.
            Err(error) => {
                tracing::debug!(key = %due.key_id, error = &error as &dyn std::error::Error, "what was due was not carried out");
                None
            }
        }
    }
}
