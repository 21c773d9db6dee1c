//! What the leader does by time (DESIGN.md section 4, "Time"): automatic rotation, deletion of keys, expiry of imported material.
//!
//! Every node looks once a second; only one that leads, and whose clock can be believed, has the permit. Rotation happens at once when
//! it is due; what destroys waits an hour of the monotonic clock besides (`consensus/due.rs`), and `apply` has the last word on what
//! is due at all.

use std::collections::BTreeMap;
use std::time::Duration;

use claviger_consensus::{self as consensus, DuePermit, DueWatch, NoDueWork};
use claviger_state::protocol::Author;
use claviger_state::{CarryOutDue, CommandBody, Due, DueWork, Expected, Outcome, Refusal, Response, StateClass, StateError, read};
use claviger_types::{KeyId, Origin};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Service;
use crate::error::Fault;

/// How often a node looks, if looking takes it no time.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// Between two looks are this many times as long as the last one took.
const PAUSE_LOOKS: u32 = 4;
/// Entries read at a time.
const PAGE: usize = 1000;
/// Things to destroy that are watched at a time; the others wait until these are done.
const WATCHED_MAX: usize = 100_000;
/// How long a key is left alone whose rotation went wrong in a way that time does not mend.
const RETRIED_AFTER: Duration = Duration::from_secs(10 * 60);
/// Such keys remembered at a time; the others are tried at every look.
const HELD_BACK_MAX: usize = 10_000;

/// What one node remembers from look to look.
pub(crate) struct Schedule {
    /// The monotonic clock.
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    watch: DueWatch<Due>,
    /// Keys whose rotation went wrong, until they are tried again.
    held_back: BTreeMap<KeyId, Instant>,
}

impl Schedule {
    pub(crate) fn new(clock: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), watch: DueWatch::new(WATCHED_MAX), held_back: BTreeMap::new() }
    }

    fn now(&self) -> Instant {
        (self.clock)()
    }

    fn hold_back(&mut self, key_id: KeyId) {
        if self.held_back.len() < HELD_BACK_MAX {
            self.held_back.insert(key_id, self.now() + RETRIED_AFTER);
        }
    }
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
enum NoLook {
    /// Why a leader has no permit is shown by `claviger clock status`.
    #[error(transparent)]
    NoPermit(#[from] NoDueWork),
    #[error("what is due cannot be read")]
    Unreadable(#[from] StateError),
}

impl<R: consensus::Region> Service<R> {
    /// Does what falls due, until it is told to stop.
    pub async fn schedule(&self, mut stop: watch::Receiver<bool>) {
        let mut schedule = Schedule::new(Instant::now);
        let mut pause = LOOKED_EVERY;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            let began = Instant::now();
            self.do_what_is_due(&mut schedule).await;
            pause = LOOKED_EVERY.max(PAUSE_LOOKS * began.elapsed());
        }
    }

    /// One look.
    pub(crate) async fn do_what_is_due(&self, schedule: &mut Schedule) {
        let now = schedule.now();
        schedule.held_back.retain(|_, until| *until > now);
        match self.look(schedule).await {
            Ok((permit, destructions)) => {
                let now = schedule.now();
                for due in schedule.watch.ripe(&permit, now, destructions) {
                    self.destroy(&permit, &due).await;
                }
            }
            Err(NoLook::NoPermit(_)) => {}
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "nothing that is due can be done"),
        }
    }

    /// Carries out the rotations that are due, and gives what is due to be destroyed, the oldest first.
    async fn look(&self, schedule: &mut Schedule) -> Result<(DuePermit, Vec<Due>), NoLook> {
        let mut destructions = Vec::new();
        let mut after: Option<Due> = None;
        loop {
            let permit = self.region.due_permit()?;
            let page = read::due(&self.region.tables(), permit.time(), after.as_ref(), PAGE)?;
            let is_last = page.len() < PAGE;
            after = page.last().copied().or(after);
            for due in page {
                match due.what {
                    DueWork::Rotate => self.rotate(schedule, &permit, &due).await,
                    DueWork::Destroy | DueWork::Expire(_) if destructions.len() < WATCHED_MAX => destructions.push(due),
                    DueWork::Destroy | DueWork::Expire(_) => {}
                }
            }
            if is_last {
                return Ok((permit, destructions));
            }
            // Many entries must not keep the thread from requests.
            tokio::task::yield_now().await;
        }
    }

    async fn rotate(&self, schedule: &mut Schedule, permit: &DuePermit, due: &Due) {
        if schedule.held_back.contains_key(&due.key_id) {
            return;
        }
        let work = match self.due_rotation(due) {
            Ok(Some(work)) => work,
            Ok(None) => return,
            Err(fault) => {
                tracing::error!(key = %due.key_id, error = &fault as &dyn std::error::Error, "a key cannot be rotated");
                schedule.hold_back(due.key_id);
                return;
            }
        };
        match self.carried_out(permit, due, work).await {
            Some(Ok(_)) => tracing::info!(key = %due.key_id, due = %due.at, "rotated"),
            Some(Err(refusal)) if !is_overtaken(&refusal) => schedule.hold_back(due.key_id),
            _ => {}
        }
    }

    /// `None` for a key that is not rotated now: what is disabled or withheld will be once it is not any more, and a key that another
    /// region owns is rotated there.
    fn due_rotation(&self, due: &Due) -> Result<Option<CarryOutDue>, Fault> {
        let Some(record) = read::key(&self.region.tables(), &due.key_id)? else { return Ok(None) };
        let state = record.regional.state(&record.document, &self.config.region, self.config.incarnation);
        let me = Author { region: self.config.region.clone(), incarnation: self.config.incarnation };
        let is_ours = record.document.origin == Origin::AwsKms && record.document.is_owned_by(&me) && record.document.in_progress.is_none();
        if !is_ours || !StateClass::RotateOnDemand.allows(state) {
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

    /// `None` when it is not known whether it was done, or was not: another look follows, here or at the next leader.
    async fn carried_out(&self, permit: &DuePermit, due: &Due, work: CarryOutDue) -> Option<Outcome> {
        match self.region.propose_due(permit, CommandBody::CarryOutDue(Box::new(work))).await {
            Ok(outcome) => {
                if let Err(refusal) = &outcome
                    && !is_overtaken(refusal)
                {
                    tracing::error!(key = %due.key_id, what = ?due.what, %refusal, "what was due was refused");
                }
                Some(outcome)
            }
            Err(error) => {
                tracing::debug!(key = %due.key_id, error = &error as &dyn std::error::Error, "what was due was not carried out");
                None
            }
        }
    }
}

/// Whether something else was done to the key between the look and the commit.
const fn is_overtaken(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NotDue | Refusal::StaleAuthorisation | Refusal::InvalidState(_) | Refusal::NotFound)
}
