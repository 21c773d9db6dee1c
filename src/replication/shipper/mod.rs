//! The shipper of one peer: sweeps the dirty set from its oldest entry on and keeps several messages in flight.
//!
//! It runs only where the region is led; a leader that does not know of its successor yet sends what is old, which is
//! harmless. Nothing here is durable: what was not confirmed is still dirty.

mod load;
mod quiet;
mod sent;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use claviger_consensus::Region;
use claviger_protocol::Version;
use claviger_state::{CommandBody, DocumentRefusal, read};
use claviger_types::{KeyId, Region as RegionName};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use self::load::{Cursor, Load, Memory, Outgoing, Stop, gather};
use self::quiet::Quiet;
use self::sent::Age;
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

type DocumentResults = Vec<Result<(), DocumentRefusal>>;

/// What became of a message.
enum Shipped {
    Documents { contents: Vec<(Age, Version)>, result: Result<DocumentResults, ReplicationError> },
    Statuses { contents: Vec<(Age, u64)>, result: Result<HashSet<(KeyId, u64)>, ReplicationError> },
}

pub(crate) struct Shipper<R> {
    core: Arc<Core<R>>,
    peer: RegionName,
    /// Changes when there may be new work.
    wake: watch::Receiver<u64>,
    memory: Memory,
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
    pub(crate) fn new(core: Arc<Core<R>>, peer: RegionName, wake: watch::Receiver<u64>) -> Self {
        Self {
            memory: Memory::new(&core.config),
            backoff: Backoff::new(core.config.backoff_min, core.config.backoff_max),
            core,
            peer,
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
        if read::dirty_count(&self.core.region.tables(), &self.peer)? == 0 {
            self.sweep = None;
            self.memory = Memory::new(&self.core.config);
            return Ok(());
        }
        self.core.region.read().await?;
        let started = Instant::now();
        let cursor = self.sweep.unwrap_or_default();
        let mut memory = std::mem::replace(&mut self.memory, Memory::new(&self.core.config));
        self.batches += 1;
        let (peer, number) = (self.peer.clone(), self.batches);
        let (memory, load) = self
            .core
            .blocking(move |core| {
                let load = gather(core, &peer, cursor, &mut memory, number);
                (memory, load)
            })
            .await?;
        self.memory = memory;
        let load = load?;
        let (cursor, stop) = (load.cursor, load.stop);
        self.send(load);
        let now = Instant::now();
        match stop {
            Stop::Full => self.sweep = Some(cursor),
            Stop::Unconfirmed => {
                self.sweep = Some(cursor);
                self.rest_until = now + UNCONFIRMED_PAUSE;
            }
            Stop::End => {
                self.sweep = None;
                self.rest_until = now + LINGER.max((now - started) * REST_PER_WORK).min(self.core.config.backoff_max);
            }
        }
        Ok(())
    }

    fn send(&mut self, load: Load) {
        if let Some(Outgoing { body, contents }) = load.documents {
            let (core, peer, endpoints) = (Arc::clone(&self.core), self.peer.clone(), load.endpoints.clone());
            self.in_flight.spawn(async move {
                let result: Result<DocumentResults, _> = core.caller.call_encoded(&peer, &endpoints, path::DOCUMENTS, body).await;
                Shipped::Documents { contents, result }
            });
        }
        if let Some(Outgoing { body, contents }) = load.statuses {
            let (core, peer, endpoints) = (Arc::clone(&self.core), self.peer.clone(), load.endpoints);
            self.in_flight.spawn(async move {
                let result = deliver_statuses(&core, peer, &endpoints, body, &contents).await;
                Shipped::Statuses { contents, result }
            });
        }
    }

    fn settle(&mut self, done: Result<Shipped, JoinError>) {
        match done {
            Ok(Shipped::Documents { contents, result: Ok(results) }) if results.len() == contents.len() => {
                count_batch_shipped(&self.peer, "documents", "ok");
                self.backoff.reset();
                contents.into_iter().zip(results).for_each(|((age, version), result)| self.settle_document(age, version, result));
            }
            Ok(Shipped::Documents { contents, result }) => {
                contents.iter().for_each(|(age, version)| self.memory.documents.forget(&age.1, version));
                self.settle_failure("documents", result.err());
            }
            Ok(Shipped::Statuses { contents, result: Ok(taken) }) => {
                count_batch_shipped(&self.peer, "statuses", "ok");
                self.backoff.reset();
                let now = Instant::now();
                for (age, revision) in contents {
                    // The peer does not own the key now: its owner will show itself in a document.
                    if !taken.contains(&(age.1, revision)) {
                        self.memory.statuses.refuse(age, revision, now, now + self.core.config.refusal_backoff);
                    }
                }
            }
            Ok(Shipped::Statuses { contents, result: Err(error) }) => {
                contents.iter().for_each(|(age, revision)| self.memory.statuses.forget(&age.1, revision));
                self.settle_failure("statuses", Some(error));
            }
            Err(error) => {
                tracing::error!(peer = %self.peer, %error, "a shipment was cut off");
                self.back_off();
            }
        }
    }

    fn settle_document(&mut self, age: Age, version: Version, result: Result<(), DocumentRefusal>) {
        count_documents_shipped(&self.peer, document_result(result));
        match result {
            // The peer's status is on its way, and says what is to be done.
            Ok(()) | Err(DocumentRefusal::NotNewer | DocumentRefusal::MissingMaterial) => {}
            Err(refusal) => {
                let text = format!("key {} at version {version} is refused: {refusal:?}", age.1);
                self.quiet.warn(&self.peer, &text);
                let now = Instant::now();
                self.memory.documents.refuse(age, version, now, now + self.core.config.refusal_backoff);
            }
        }
    }

    fn settle_failure(&mut self, kind: &'static str, error: Option<ReplicationError>) {
        count_batch_shipped(&self.peer, kind, error.as_ref().map_or("answer", ReplicationError::reason));
        let text = error.map_or_else(|| "the answer does not fit the batch".to_owned(), |error| with_sources(&error));
        self.quiet.warn(&self.peer, &format!("{kind} could not be delivered: {text}"));
        self.back_off();
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

/// Sends statuses and commits which of them the peer has taken.
async fn deliver_statuses<R: Region>(
    core: &Core<R>,
    peer: RegionName,
    endpoints: &[String],
    body: bytes::Bytes,
    contents: &[(Age, u64)],
) -> Result<HashSet<(KeyId, u64)>, ReplicationError> {
    let answered: HashSet<(KeyId, u64)> = core.caller.call_encoded(&peer, endpoints, path::STATUSES, body).await?;
    let sent: HashSet<(KeyId, u64)> = contents.iter().map(|(age, revision)| (age.1, *revision)).collect();
    let taken: HashSet<_> = sent.intersection(&answered).copied().collect();
    if !taken.is_empty() {
        core.propose(CommandBody::StatusesDelivered { to: peer, delivered: taken.iter().copied().collect() }).await?;
    }
    Ok(taken)
}
