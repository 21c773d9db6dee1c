//! The clocks of a region's nodes: the leader reads the other voters', makes log time of them all ([`LogClock`]), and tells
//! the others what it is, so that each of them knows it between commands too.
//!
//! What to believe is decided in `log_clock`; this file carries readings there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use claviger_state::{CommandBody, StateError, read};
use claviger_storage::StateStore;
use claviger_types::{Clock, NodeId, Timestamp};
use futures::future::join_all;
use openraft::async_runtime::watch::WatchReceiver;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, warn};

use crate::clock_status::{ClockStatus, VoterClock};
use crate::clock_watch::ClockWatch;
use crate::leadership::Leadership;
use crate::log_clock::{LogClock, Reading, Voters};
use crate::peers::{Peers, Target};
use crate::raft_types::Raft;
use crate::wire::{ClockAnswer, ClockRequest, lane, path};
use crate::{DuePermit, NoDueWork};

/// How often a leader looks at the clocks; an answer that takes longer does not count.
const ROUND: Duration = Duration::from_secs(1);

/// What a node knows of time.
pub(crate) struct Clocks {
    id: NodeId,
    wall: Arc<dyn Clock>,
    state: Arc<StateStore>,
    known: Mutex<Known>,
}

struct Known {
    log: LogClock,
    lead: Option<Lead>,
}

/// What a leader knows besides.
struct Lead {
    term: u64,
    /// The last reading of each voter's clock; of its own none is kept.
    voters: BTreeMap<NodeId, Option<Reading>>,
    /// How often it has looked at them. Once it has, its log time is better than what the others had from its predecessor.
    looks: u64,
}

impl Clocks {
    /// # Errors
    /// When the log time cannot be read.
    pub(crate) fn new(id: NodeId, wall: Arc<dyn Clock>, state: Arc<StateStore>) -> Result<Self, StateError> {
        let clocks = Self { id, wall, state, known: Mutex::new(Known { log: LogClock::default(), lead: None }) };
        clocks.raise()?;
        Ok(clocks)
    }

    /// This node's own clock.
    pub(crate) fn wall(&self) -> Timestamp {
        self.wall.now()
    }

    /// The time of a command that this node proposes as the leader.
    pub(crate) fn stamp(&self, body: &CommandBody) -> Timestamp {
        let time = || self.known.lock().log.time(Instant::now());
        if let Some(time) = time() {
            return time;
        }
        if matches!(body, CommandBody::FoundRegion(_)) {
            return self.wall();
        }
        // It was founded a moment ago, or this node has applied nothing of its log yet: then log time stands where it is.
        match self.raise() {
            Ok(()) => time().unwrap_or_default(),
            Err(error) => {
                warn!(%error, "the log time cannot be read");
                Timestamp::default()
            }
        }
    }

    /// The region's log time as far as this node can tell; not less than what it has applied.
    pub(crate) fn log_time(&self) -> Result<Timestamp, StateError> {
        let applied = read::log_time(&*self.state)?;
        Ok(self.known.lock().log.time(Instant::now()).unwrap_or_default().max(applied))
    }

    /// The leader of `term` says what log time is.
    pub(crate) fn hear(&self, term: u64, time: Timestamp) {
        let mut known = self.known.lock();
        // Its own word is newer than that of whom it took over from.
        if known.lead.as_ref().is_none_or(|lead| lead.term < term) {
            known.log.hear(Instant::now(), time);
        }
    }

    /// Whether this node may propose due work now.
    pub(crate) fn due_permit(&self) -> Result<DuePermit, NoDueWork> {
        let (known, now) = (self.known.lock(), Instant::now());
        let lead = known.lead.as_ref().ok_or(NoDueWork::NotLeader)?;
        Ok(DuePermit { term: lead.term, time: known.log.due(now, &self.voters(lead, now))? })
    }

    /// What the only voter's clock shows, and log time at that instant, if the two do not go together; `None` for the first if
    /// they do, or if there are several voters.
    pub(crate) fn jump(&self) -> Result<Jump, NoDueWork> {
        let (known, at) = (self.known.lock(), Instant::now());
        let lead = known.lead.as_ref().ok_or(NoDueWork::NotLeader)?;
        let log_time = known.log.time(at).ok_or(NoDueWork::NotFounded)?;
        let clock = self.wall();
        let is_alone = lead.voters.len() == 1 && lead.voters.contains_key(&self.id);
        Ok(Jump { at, log_time, clock, has_jumped: is_alone && known.log.has_jumped(at, clock) })
    }

    /// An operator has accepted it, in the log.
    pub(crate) fn accept(&self, jump: &Jump) {
        self.known.lock().log.accept(jump.at, jump.clock);
    }

    /// What an operator is shown; the leader knows it.
    pub(crate) fn status(&self) -> Option<ClockStatus> {
        let (known, now) = (self.known.lock(), Instant::now());
        let lead = known.lead.as_ref()?;
        let voters = self.voters(lead, now);
        let log_time = known.log.time(now).unwrap_or_default();
        let shown =
            |(id, reading): (&NodeId, &Option<Reading>)| VoterClock { id: *id, clock: self.shows(*id, reading.as_ref(), voters.own, now) };
        Some(ClockStatus {
            leader: self.id,
            log_time,
            median: voters.agreed(),
            voters: lead.voters.iter().map(shown).collect(),
            due_work: known.log.due(now, &voters).map(|_| ()),
        })
    }

    fn shows(&self, id: NodeId, reading: Option<&Reading>, own: Timestamp, now: Instant) -> Option<Timestamp> {
        if id == self.id { Some(own) } else { reading?.shows(now) }
    }

    fn voters(&self, lead: &Lead, now: Instant) -> Voters {
        let own = self.wall();
        let known = lead.voters.iter().filter_map(|(id, reading)| self.shows(*id, reading.as_ref(), own, now));
        Voters { own, count: lead.voters.len(), known: known.collect() }
    }

    /// Log time is at least what has been applied.
    fn raise(&self) -> Result<(), StateError> {
        let applied = read::log_time(&*self.state)?;
        self.known.lock().log.raise(Instant::now(), applied);
        Ok(())
    }

    fn begin(&self, term: u64, voters: BTreeSet<NodeId>) {
        let voters = voters.into_iter().map(|id| (id, None)).collect();
        self.known.lock().lead = Some(Lead { term, voters, looks: 0 });
    }

    fn end(&self) {
        self.known.lock().lead = None;
    }

    /// What the leader tells the others.
    fn request(&self) -> Option<ClockRequest> {
        let known = self.known.lock();
        let lead = known.lead.as_ref()?;
        Some(ClockRequest { term: lead.term, log_time: known.log.time(Instant::now()).filter(|_| lead.looks > 0) })
    }

    /// Takes the readings of a round, and follows the clocks.
    fn take(&self, voters: &BTreeSet<NodeId>, readings: &BTreeMap<NodeId, Reading>) -> Result<(), StateError> {
        self.raise()?;
        let mut known = self.known.lock();
        let Known { log, lead: Some(lead) } = &mut *known else { return Ok(()) };
        // A voter that did not answer keeps its last reading, for as long as that counts.
        let reading = |id: &NodeId| readings.get(id).or(lead.voters.get(id)?.as_ref()).copied();
        lead.voters = voters.iter().map(|id| (*id, reading(id))).collect();
        lead.looks += 1;
        let now = Instant::now();
        log.steer(now, &self.voters(lead, now));
        Ok(())
    }
}

#[cfg(test)]
impl Clocks {
    /// How often this leader has looked at the clocks.
    pub(crate) fn looks(&self) -> Option<u64> {
        self.known.lock().lead.as_ref().map(|lead| lead.looks)
    }
}

/// The only voter's clock beside log time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jump {
    at: Instant,
    pub(crate) log_time: Timestamp,
    pub(crate) clock: Timestamp,
    /// Whether the clock is not followed; never with several voters.
    pub(crate) has_jumped: bool,
}

/// On the leader, for as long as it leads: looks at the clocks.
pub(crate) async fn tend(
    clocks: Arc<Clocks>,
    raft: Raft,
    peers: Arc<Peers>,
    mut leadership: watch::Receiver<Leadership>,
    mut recovered: watch::Receiver<bool>,
) {
    // What log time is, is known only then.
    if recovered.wait_for(|recovered| *recovered).await.is_err() {
        return;
    }
    loop {
        let Ok(term) = leadership.wait_for(|now| now.is_leader).await.map(|now| now.term) else { return };
        clocks.begin(term, members(&raft).0);
        tokio::select! {
            _ = leadership.wait_for(|now| !now.is_leader || now.term != term) => {}
            () = lead(&clocks, &raft, &peers) => {}
        }
        clocks.end();
    }
}

async fn lead(clocks: &Clocks, raft: &Raft, peers: &Peers) {
    let mut watch = ClockWatch::default();
    let mut timer = interval(ROUND);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let (voters, others) = members(raft);
        let Some(request) = clocks.request() else { return };
        let readings = ask_all(peers, &request, others).await;
        match clocks.take(&voters, &readings) {
            Ok(()) => watch.look(clocks.status()),
            Err(error) => warn!(%error, "the log time cannot be read"),
        }
    }
}

/// Those who vote, and all members but this node.
fn members(raft: &Raft) -> (BTreeSet<NodeId>, Vec<Target>) {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    let others = membership.nodes().filter(|(id, _)| **id != metrics.id);
    let others = others.map(|(id, node)| Target { id: *id, endpoint: node.endpoint.clone() }).collect();
    (membership.voter_ids().collect(), others)
}

async fn ask_all(peers: &Peers, request: &ClockRequest, others: Vec<Target>) -> BTreeMap<NodeId, Reading> {
    let Ok(sealed) = peers.seal(request) else { return BTreeMap::new() };
    let ask = |target: Target| {
        let sealed = sealed.clone();
        async move {
            let asked = Instant::now();
            match peers.post::<ClockAnswer>(&target, lane::CONTROL, path::CLOCK, sealed, ROUND).await {
                Ok(answer) => Some((target.id, Reading::between(asked, Instant::now(), answer.clock))),
                Err(error) => {
                    debug!(node = target.id, %error, "a node does not say what its clock shows");
                    None
                }
            }
        }
    };
    join_all(others.into_iter().map(ask)).await.into_iter().flatten().collect()
}
