//! The read gate: many concurrent reads, one round to the leader.
//!
//! A read may be answered from this node's tables once it is known that they hold everything that was acknowledged
//! before the read came. A *round* finds that out for all reads that came **before it was sent**: it asks the leader for
//! its commit index, which the leader confirms with a quorum. A read therefore joins the next round and never one that is
//! already under way, since what was acknowledged in between would not be in its answer. Rounds run back to back while
//! reads wait; an idle gate asks now and then, so that a node that is cut off knows it before a read comes.
//!
//! While there is no leader reads are held, for the time of an election. A node that has heard of no leader for longer
//! than that refuses at once, until it hears from one again. How a round is made is the [`ReadSource`]'s affair; this
//! file decides only who may rely on which round.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use claviger_types::known_bug;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::Unavailable;

/// Rounds that have their index and wait for the node to apply it.
const APPLYING_MAX: usize = 1024;

/// A round failed: the leader could not be asked, or could not confirm that it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoAnswer;

/// How rounds are made, and what is applied.
pub(crate) trait ReadSource: Send + Sync + 'static {
    /// One round: an index at or above everything that was acknowledged before the call.
    fn round(&self) -> impl Future<Output = Result<u64, NoAnswer>> + Send;

    /// Whether this node has applied the log up to `index`.
    fn has_applied(&self, index: u64) -> bool;

    /// Until it has.
    fn applied(&self, index: u64) -> impl Future<Output = ()> + Send;

    /// Until something has changed since the call that may let a failed round succeed.
    fn changed(&self) -> impl Future<Output = ()> + Send;
}

/// The gate's patience.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GateTimes {
    /// How long a read is held without an answer, and after how long a silence the node counts as cut off.
    pub(crate) hold: Duration,
    /// How long one round may take.
    pub(crate) round: Duration,
    /// The pause after a failed round, unless something changes before.
    pub(crate) pause: Duration,
    /// How long an idle gate does not ask.
    pub(crate) idle: Duration,
}

/// See the module.
pub(crate) struct Gate {
    door: Arc<Door>,
    tasks: [JoinHandle<()>; 2],
}

impl Gate {
    /// Starts the two tasks of a gate; they end with it.
    pub(crate) fn open<S: ReadSource>(source: Arc<S>, times: GateTimes) -> Self {
        let door = Arc::<Door>::default();
        let (answered, applying) = mpsc::channel(APPLYING_MAX);
        let tasks = [
            tokio::spawn(ask(Arc::clone(&source), Arc::clone(&door), times, answered)),
            tokio::spawn(wait_until_applied(source, times.hold, applying)),
        ];
        Self { door, tasks }
    }

    /// Until this node's tables show everything that was acknowledged before the call.
    pub(crate) async fn read(&self) -> Result<(), Unavailable> {
        let round = self.door.join()?;
        round.applied.get().await.map(|_| ())
    }

    /// The index that the tables of any node must have reached to show everything acknowledged before the call.
    pub(crate) async fn index(&self) -> Result<u64, Unavailable> {
        let round = self.door.join()?;
        round.index.get().await
    }

    /// Whether reads are refused at once, because no leader has been heard of for longer than they are held.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.door.state.lock().cut_off
    }

    /// Refuses everything from now on.
    pub(crate) fn close(&self) {
        self.door.state.lock().closed = true;
        self.door.refuse();
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where reads arrive.
#[derive(Default)]
struct Door {
    state: Mutex<DoorState>,
    demand: Notify,
}

#[derive(Default)]
struct DoorState {
    /// The round that was not sent yet.
    next: Option<Arc<Round>>,
    /// No leader was heard of for longer than reads are held.
    cut_off: bool,
    closed: bool,
}

impl Door {
    /// Joins the next round. The present one, if any, left the door before it was sent.
    fn join(&self) -> Result<Arc<Round>, Unavailable> {
        let mut state = self.state.lock();
        if state.cut_off || state.closed {
            return Err(Unavailable);
        }
        if let Some(next) = &state.next {
            return Ok(Arc::clone(next));
        }
        let next = Arc::new(Round::new());
        state.next = Some(Arc::clone(&next));
        drop(state);
        self.demand.notify_one();
        Ok(next)
    }

    fn is_wanted(&self) -> bool {
        self.state.lock().next.is_some()
    }

    /// Takes the round away from the door: nobody can join it any more.
    fn take(&self) -> Option<Arc<Round>> {
        self.state.lock().next.take()
    }

    fn refuse(&self) {
        let next = {
            let mut state = self.state.lock();
            state.cut_off = true;
            state.next.take()
        };
        drop(Asked(next.into_iter().collect()));
    }

    fn admit(&self) {
        self.state.lock().cut_off = false;
    }
}

/// What a set of reads waits for.
struct Round {
    created: Instant,
    index: Answer,
    applied: Answer,
}

impl Round {
    fn new() -> Self {
        Self { created: Instant::now(), index: Answer::default(), applied: Answer::default() }
    }
}

/// Set once, awaited by many.
#[derive(Default)]
struct Answer {
    value: OnceLock<Result<u64, Unavailable>>,
    set: Notify,
}

impl Answer {
    /// The first answer stands.
    fn set(&self, value: Result<u64, Unavailable>) {
        if self.value.set(value).is_ok() {
            self.set.notify_waiters();
        }
    }

    async fn get(&self) -> Result<u64, Unavailable> {
        loop {
            // Registered before the look, so that a value that is set in between is not missed.
            let set = self.set.notified();
            if let Some(value) = self.value.get() {
                return *value;
            }
            set.await;
        }
    }
}

/// Rounds that somebody answers for: dropped without an answer, they are refused.
struct Asked(Vec<Arc<Round>>);

impl Asked {
    fn has_index(&self, index: u64) {
        self.0.iter().for_each(|round| round.index.set(Ok(index)));
    }

    fn is_applied(&self, index: u64) {
        self.0.iter().for_each(|round| round.applied.set(Ok(index)));
    }

    /// Refuses those that have waited since `then` or longer.
    fn refuse_older(&mut self, then: Instant) {
        let old: Vec<_> = self.0.extract_if(.., |round| round.created <= then).collect();
        drop(Self(old));
    }

    fn oldest(&self) -> Option<Instant> {
        self.0.first().map(|round| round.created)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        for round in &self.0 {
            round.index.set(Err(Unavailable));
            round.applied.set(Err(Unavailable));
        }
    }
}

/// Makes rounds: at once while reads wait, now and then while none do.
async fn ask<S: ReadSource>(source: Arc<S>, door: Arc<Door>, times: GateTimes, answered: mpsc::Sender<(u64, Asked)>) {
    let rounds = metrics::counter!("claviger_read_gate_rounds_total");
    let mut asked = Asked(Vec::new());
    let mut heard = Instant::now();
    let mut failing = false;
    loop {
        while !failing && !door.is_wanted() {
            tokio::select! {
                () = door.demand.notified() => {}
                () = sleep_until(heard + times.idle) => break,
            }
        }
        asked.0.extend(door.take());
        let patience = asked.oldest().map_or(times.round, |oldest| times.round.min(times.hold.saturating_sub(oldest.elapsed())));
        rounds.increment(1);
        let outcome = timeout_at(Instant::now() + patience, source.round()).await.unwrap_or(Err(NoAnswer));
        failing = outcome.is_err();
        match outcome {
            Ok(index) => {
                heard = Instant::now();
                door.admit();
                if known_bug!(JoinRunningRound) {
                    asked.0.extend(door.take());
                }
                let asked = std::mem::replace(&mut asked, Asked(Vec::new()));
                asked.has_index(index);
                if source.has_applied(index) {
                    asked.is_applied(index);
                } else if !asked.0.is_empty() && answered.send((index, asked)).await.is_err() {
                    return;
                }
            }
            Err(NoAnswer) => {
                if heard.elapsed() >= times.hold {
                    door.refuse();
                    asked = Asked(Vec::new());
                } else if let Some(then) = Instant::now().checked_sub(times.hold) {
                    asked.refuse_older(then);
                }
                tokio::select! {
                    () = source.changed() => {}
                    () = sleep(times.pause) => {}
                }
            }
        }
    }
}

/// Lets reads go once the node has applied what their round named; they come in the order of their rounds.
async fn wait_until_applied<S: ReadSource>(source: Arc<S>, hold: Duration, mut answered: mpsc::Receiver<(u64, Asked)>) {
    while let Some((index, asked)) = answered.recv().await {
        let deadline = asked.oldest().unwrap_or_else(Instant::now) + hold;
        if timeout_at(deadline, source.applied(index)).await.is_ok() {
            asked.is_applied(index);
        }
    }
}

#[cfg(test)]
#[path = "tests_gate.rs"]
mod tests;
