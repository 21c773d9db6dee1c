//! The shipper of one peer: sweeps the dirty set from its oldest entry on and keeps several messages in flight.
//!
//! Documents and statuses have a shipper each, so that documents which wait for the peer's statuses never hold up the
//! statuses that the peer waits for. It runs only where the region is led; a leader that does not know of its successor
//! yet sends what is old, which is harmless. Nothing here is durable: what was not confirmed is still dirty.

mod load;
mod quiet;
mod sent;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claviger_consensus::Region;
use claviger_protocol::Version;
use claviger_state::{CommandBody, DocumentRefusal, read};
use claviger_types::{KeyId, Region as RegionName};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use self::load::{Cursor, Stop, gather};
use self::quiet::Quiet;
use self::sent::{Age, Sent};
use crate::ReplicationError;
use crate::backoff::Backoff;
use crate::core::Core;
use crate::message::path;
use crate::numbers::{count_batch_shipped, count_documents_shipped, document_result};
use crate::transport::with_sources;

/// After a sweep, so that changes that come together travel together.
const LINGER: Duration = Duration::from_millis(5);
/// While too much is unconfirmed: nobody tells when a confirmation has come.
const UNCONFIRMED_PAUSE: Duration = Duration::from_millis(25);
/// Of one core, sweeping takes at most a fifth.
const REST_PER_WORK: u32 = 4;

/// What a shipper carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Documents of keys whose primary is here.
    Documents,
    /// Statuses of keys whose primary is the peer.
    Statuses,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Statuses => "statuses",
        }
    }
}

/// Of a key: what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Document(Version),
    Status(u64),
}

/// What the peer made of one of them.
enum Verdict {
    /// It is taken, and we know it.
    Done,
    /// The peer's status says what it has, and is on its way.
    Awaited,
    /// It is not wanted; why.
    Refused(&'static str),
}

struct Shipped {
    contents: Vec<(Age, What)>,
    /// One for each of the contents.
    verdicts: Result<Vec<Verdict>, ReplicationError>,
}

pub(crate) struct Shipper<R> {
    core: Arc<Core<R>>,
    peer: RegionName,
    kind: Kind,
    /// Changes when there may be new work.
    wake: watch::Receiver<u64>,
    sent: Sent<What>,
    in_flight: JoinSet<Shipped>,
    /// A sweep that has not seen every entry yet.
    sweep: Option<Cursor>,
    /// Another sweep is due.
    again: bool,
    /// After a sweep.
    rest_until: Instant,
    /// After a failure.
    pause_until: Instant,
    backoff: Backoff,
    batches: u64,
    quiet: Quiet,
}

impl<R: Region> Shipper<R> {
    pub(crate) fn new(core: Arc<Core<R>>, peer: RegionName, kind: Kind, wake: watch::Receiver<u64>) -> Self {
        Self {
            sent: Sent::new(core.config.unconfirmed_max),
            backoff: Backoff::new(core.config.backoff_min, core.config.backoff_max),
            core,
            peer,
            kind,
            wake,
            in_flight: JoinSet::new(),
            sweep: None,
            again: true,
            rest_until: Instant::now(),
            pause_until: Instant::now(),
            batches: 0,
            quiet: Quiet::default(),
        }
    }

    /// Ships until the leader drops the other end of `wake`, or this future.
    pub(crate) async fn run(mut self) {
        loop {
            let resume_at = self.advance().await;
            tokio::select! {
                Some(done) = self.in_flight.join_next(), if !self.in_flight.is_empty() => self.settle(done),
                changed = self.wake.changed() => match changed {
                    Ok(()) => self.again = true,
                    Err(_) => return,
                },
                () = tokio::time::sleep_until(resume_at.unwrap_or(self.rest_until)), if resume_at.is_some() => {}
            }
        }
    }

    /// Sends all that may be sent now; `Some` when there may be more at that time.
    async fn advance(&mut self) -> Option<Instant> {
        loop {
            if self.sweep.is_none() && !self.again {
                return None;
            }
            let resume_at = self.rest_until.max(self.pause_until);
            if Instant::now() < resume_at {
                return Some(resume_at);
            }
            if self.in_flight.len() >= self.core.config.batches_in_flight_max {
                return None;
            }
            if self.sweep.is_none() {
                self.again = false;
            }
            if let Err(error) = self.step().await {
                self.quiet.warn(&self.peer, &format!("nothing can be shipped now: {}", with_sources(&error)));
                self.back_off();
            }
        }
    }

    /// One stretch of a sweep.
    async fn step(&mut self) -> Result<(), ReplicationError> {
        let unconfirmed_max = self.core.config.unconfirmed_max;
        if read::dirty_count(&self.core.region.tables(), &self.peer)? == 0 {
            (self.sweep, self.sent) = (None, Sent::new(unconfirmed_max));
            return Ok(());
        }
        self.core.region.read().await?;
        let started = Instant::now();
        self.batches += 1;
        let cursor = self.sweep.unwrap_or(Cursor::start(self.core.config.batch_keys_max));
        let (peer, kind, number) = (self.peer.clone(), self.kind, self.batches);
        let mut sent = std::mem::replace(&mut self.sent, Sent::new(unconfirmed_max));
        let work = move |core: &Core<R>| {
            let load = gather(core, &peer, kind, cursor, &mut sent, number);
            (sent, load)
        };
        let (sent, load) = self.core.blocking(work).await?;
        self.sent = sent;
        let load = load?;
        if let Some((body, contents)) = load.message {
            self.send(body, contents, load.endpoints);
        }
        match load.stop {
            Stop::More => self.sweep = Some(load.cursor),
            // From the oldest entry again: a newer version of what waits there may be what the peer waits for.
            Stop::Unconfirmed => {
                self.again = true;
                self.end_sweep(started, UNCONFIRMED_PAUSE);
            }
            Stop::End => self.end_sweep(started, LINGER),
        }
        Ok(())
    }

    fn end_sweep(&mut self, started: Instant, rest_min: Duration) {
        self.sweep = None;
        let rest = rest_min.max(started.elapsed() * REST_PER_WORK).min(self.core.config.backoff_max);
        self.rest_until = Instant::now() + rest;
    }

    fn send(&mut self, body: Bytes, contents: Vec<(Age, What)>, endpoints: Vec<String>) {
        let (core, peer, kind) = (Arc::clone(&self.core), self.peer.clone(), self.kind);
        self.in_flight.spawn(async move {
            let verdicts = match kind {
                Kind::Documents => deliver_documents(&core, &peer, &endpoints, body).await,
                Kind::Statuses => deliver_statuses(&core, &peer, &endpoints, body, &contents).await,
            };
            Shipped { contents, verdicts }
        });
    }

    fn settle(&mut self, done: Result<Shipped, JoinError>) {
        let failure = match done {
            Ok(Shipped { contents, verdicts: Ok(verdicts) }) if verdicts.len() == contents.len() => {
                count_batch_shipped(&self.peer, self.kind.name(), "ok");
                self.backoff.reset();
                contents.into_iter().zip(verdicts).for_each(|((age, what), verdict)| self.settle_one(age, what, &verdict));
                return;
            }
            Ok(Shipped { contents, verdicts }) => {
                contents.iter().for_each(|(age, what)| self.sent.forget(&age.1, what));
                let reason = verdicts.as_ref().err().map_or("answer", ReplicationError::reason);
                count_batch_shipped(&self.peer, self.kind.name(), reason);
                verdicts.err().map_or_else(|| "the answer does not fit the batch".to_owned(), |error| with_sources(&error))
            }
            Err(error) => with_sources(&error),
        };
        self.quiet.warn(&self.peer, &format!("{} could not be delivered: {failure}", self.kind.name()));
        self.back_off();
    }

    fn settle_one(&mut self, age: Age, what: What, verdict: &Verdict) {
        match verdict {
            Verdict::Done => self.sent.forget(&age.1, &what),
            Verdict::Awaited => {}
            Verdict::Refused(why) => {
                self.quiet.warn(&self.peer, &format!("key {}: {what:?} is refused: {why}", age.1));
                let now = Instant::now();
                self.sent.refuse(age, what, now, now + self.core.config.refusal_backoff);
            }
        }
    }

    /// Starts again from the oldest entry, after a pause. Messages that fail together make one pause.
    fn back_off(&mut self) {
        self.sweep = None;
        self.again = true;
        let now = Instant::now();
        if now >= self.pause_until {
            self.pause_until = now + self.backoff.next();
        }
    }
}

async fn deliver_documents<R: Region>(
    core: &Core<R>,
    peer: &RegionName,
    endpoints: &[String],
    body: Bytes,
) -> Result<Vec<Verdict>, ReplicationError> {
    let results: Vec<Result<(), DocumentRefusal>> = core.caller.call_encoded(peer, endpoints, path::DOCUMENTS, body).await?;
    let verdict = |result| {
        count_documents_shipped(peer, document_result(result));
        match result {
            Ok(()) | Err(DocumentRefusal::NotNewer | DocumentRefusal::MissingMaterial) => Verdict::Awaited,
            Err(_) => Verdict::Refused(document_result(result)),
        }
    };
    Ok(results.into_iter().map(verdict).collect())
}

/// Sends statuses and commits which of them the peer has taken.
async fn deliver_statuses<R: Region>(
    core: &Core<R>,
    peer: &RegionName,
    endpoints: &[String],
    body: Bytes,
    contents: &[(Age, What)],
) -> Result<Vec<Verdict>, ReplicationError> {
    let taken: HashSet<(KeyId, u64)> = core.caller.call_encoded(peer, endpoints, path::STATUSES, body).await?;
    let mut delivered = Vec::with_capacity(contents.len());
    let verdicts = contents
        .iter()
        .map(|(age, what)| match what {
            What::Status(revision) if taken.contains(&(age.1, *revision)) => {
                delivered.push((age.1, *revision));
                Verdict::Done
            }
            // Its owner, whoever that is, will show itself in a document.
            _ => Verdict::Refused("the peer does not own the key"),
        })
        .collect();
    if !delivered.is_empty() {
        core.propose(CommandBody::StatusesDelivered { to: peer.clone(), delivered }).await?;
    }
    Ok(verdicts)
}
