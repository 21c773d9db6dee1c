//! A node's part in its region's Raft group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use claviger_state::{CommandBody, FoundRegion, Outcome, Refusal, RegisterNode, StateError, read};
use claviger_storage::{LocalIdentity, LocalStore, StateStore, Storage};
use claviger_tls::PeerClient;
use claviger_types::{Clock, ClusterId, Timestamp};
use openraft::errors::{InitializeError, RaftError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::applied::AppliedIndex;
use crate::callers::Room;
use crate::clocks::{self, Clocks};
use crate::config::ConsensusConfig;
use crate::erasure::{Erasure, Files};
use crate::gate::{Gate, GateTimes};
use crate::leadership::{self, Leadership, Status};
use crate::log::Log;
use crate::machine::{StateMachine, applied_in};
use crate::network::Network;
use crate::peers::Peers;
use crate::propose::Proposer;
use crate::raft_types::{Member, Raft};
use crate::read_rounds::ReadRounds;
use crate::tend::Group;
use crate::touch::{follow_endpoints, stay_in_touch};
use crate::{ConsensusError, DuePermit, NoDueWork, Observer, ProposeError, Region, Unavailable, server};

/// How long a new region's only node may take to lead it.
const FOUND_WITHIN: Duration = Duration::from_secs(30);

/// A node's part in its region's Raft group. Cheap to clone; [`Consensus::shutdown`] ends it for all clones.
#[derive(Clone)]
pub struct Consensus(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: ConsensusConfig,
    pub(crate) raft: Raft,
    pub(crate) peers: Arc<Peers>,
    pub(crate) state: Arc<StateStore>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) proposer: Proposer,
    pub(crate) gate: Gate,
    pub(crate) clocks: Arc<Clocks>,
    /// One snapshot is taken at a time.
    pub(crate) receiving: Semaphore,
    pub(crate) room: Room,
    pub(crate) group: Group,
    /// One operator's request is carried out at a time.
    pub(crate) operating: tokio::sync::Mutex<()>,
    pub(crate) local: Arc<LocalStore>,
    pub(crate) identity: LocalIdentity,
    pub(crate) started: Instant,
    /// The layers above serve clients.
    pub(crate) has_opened: AtomicBool,
    applied: AppliedIndex,
    stopped: watch::Receiver<Option<String>>,
    recovered: watch::Receiver<bool>,
    tasks: Mutex<JoinSet<()>>,
}

/// Whether a node can serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Readiness {
    /// It serves.
    Ready,
    /// It has not yet caught up with what it held before it was started, or belongs to no region yet.
    Recovering,
    /// It knows of no leader, or of one that no majority answers.
    NoLeader,
    /// It has stopped, for this reason; only a restart helps, if that.
    Stopped(String),
    /// It was removed from its region: it will never serve again.
    Removed,
}

impl Consensus {
    /// Starts this node's part in the group of its region; `clock` is the node's wall clock. Nothing is served before the group has confirmed what this
    /// node held ([`Consensus::readiness`]); [`Consensus::router`] must be served for that. A new data directory waits for
    /// [`Consensus::found`], or for the leader once `claviger join` has let the node in.
    ///
    /// # Errors
    /// When the data directory is not this node's or is damaged, or the timings do not fit together.
    pub async fn start(
        config: ConsensusConfig,
        storage: &Storage,
        client: Arc<PeerClient>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ConsensusError> {
        let identity = storage.local().identity()?.ok_or(ConsensusError::NoIdentity)?;
        if identity.node_id != config.node_id || identity.region != config.region {
            return Err(ConsensusError::OtherNode {
                found: format!("{} of {}", identity.node_id, identity.region),
                expected: format!("{} of {}", config.node_id, config.region),
            });
        }
        let state = storage.state();
        let applied_id = applied_in(&state).map_err(|e| ConsensusError::Raft(e.to_string()))?;
        let applied = AppliedIndex::new(applied_id.map(|id| id.index()));
        let peers = Arc::new(Peers::new(client, config.region.clone(), identity.cluster_id));
        let durable = Arc::clone(&state);
        let erasure = Erasure::new(storage.local(), applied.get())?;
        let raft = Raft::new(
            config.node_id,
            Arc::new(config.raft()?),
            Network::new(config.node_id, Arc::clone(&peers), config.timings.append),
            Log::new(storage.log(), durable),
            StateMachine::new(Arc::clone(&state), observer, applied.clone(), Arc::clone(&erasure)),
        )
        .await
        .map_err(|e| ConsensusError::Raft(e.to_string()))?;

        let mut tasks = JoinSet::new();
        let (leadership_sender, leadership) = watch::channel(Leadership::default());
        let (stopped_sender, stopped) = watch::channel(None);
        tasks.spawn(leadership::follow(raft.clone(), applied.clone(), leadership_sender, stopped_sender));
        let (recovered_sender, recovered) = watch::channel(false);
        tasks.spawn(recover(raft.clone(), recovered_sender));
        let group = Group {
            raft: raft.clone(),
            state: Arc::clone(&state),
            applied: applied.clone(),
            leadership: leadership.clone(),
            silence_max: config.timings.election_max,
            hurry: Arc::default(),
        };
        tasks.spawn(group.clone().tend());
        let files = Files { raft: raft.clone(), state: Arc::clone(&state), log: storage.log(), applied: applied.clone() };
        tasks.spawn(Arc::clone(&erasure).tend(files, config.timings.erase_after));
        tasks.spawn(follow_endpoints(raft.clone(), Arc::clone(&peers)));
        let clocks = Arc::new(Clocks::new(config.node_id, clock, Arc::clone(&state))?);
        tasks.spawn(clocks::tend(Arc::clone(&clocks), raft.clone(), Arc::clone(&peers), leadership.clone(), recovered.clone()));

        let rounds = ReadRounds {
            raft: raft.clone(),
            peers: Arc::clone(&peers),
            leadership: leadership.clone(),
            recovered: recovered.clone(),
            applied: applied.clone(),
            within: config.timings.election_max,
        };
        let gate = Gate::open(Arc::new(rounds), gate_times(&config));
        let proposer = Proposer::new(raft.clone(), Arc::clone(&peers), Arc::clone(&clocks), leadership.clone(), &config);
        let inner = Inner {
            config,
            raft,
            peers,
            state,
            leadership,
            proposer,
            gate,
            clocks,
            receiving: Semaphore::new(1),
            room: Room::default(),
            group,
            operating: tokio::sync::Mutex::default(),
            local: storage.local(),
            identity,
            started: Instant::now(),
            has_opened: AtomicBool::new(false),
            applied,
            stopped,
            recovered,
            tasks: Mutex::new(tasks),
        };
        let inner = Arc::new(inner);
        inner.tasks.lock().spawn(stay_in_touch(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }

    /// What the peer listener serves for consensus: `/raft/*` and `/cluster/*`. Requests must carry a
    /// [`claviger_tls::Peer`].
    pub fn router(&self) -> Router {
        server::router(Arc::clone(&self.0))
    }

    /// Founds the region with this node as its only voter: `claviger init`. Once it has returned the region takes
    /// commands. Repeating it with the same cluster id is harmless.
    ///
    /// # Errors
    /// When the region has been founded otherwise, or this node cannot lead it.
    pub async fn found(&self, found: FoundRegion) -> Result<(), ConsensusError> {
        let inner = &*self.0;
        let cluster = found.cluster_id;
        self.enter(cluster)?;
        let member = Member { endpoint: inner.config.endpoint.clone(), instance: inner.identity.instance };
        match inner.raft.initialize(BTreeMap::from([(inner.config.node_id, member)])).await {
            // It was initialised before.
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(error) => return Err(ConsensusError::Raft(error.to_string())),
        }
        let mut leadership = self.leadership();
        if !matches!(timeout(FOUND_WITHIN, leadership.wait_for(|now| now.is_leader)).await, Ok(Ok(_))) {
            return Err(ConsensusError::NoLeadership);
        }
        self.read().await.map_err(ProposeError::from)?;
        if read::region(&*inner.state)?.is_none() {
            match self.propose(CommandBody::FoundRegion(Box::new(found))).await? {
                Ok(_) | Err(Refusal::AlreadyFounded) => {}
                Err(refusal) => return Err(ConsensusError::Refused(refusal)),
            }
        }
        if let Some(founded) = read::region(&*inner.state)?.filter(|founded| founded.cluster_id != cluster) {
            return Err(ConsensusError::AlreadyFounded(founded.cluster_id));
        }
        let register = RegisterNode { id: inner.config.node_id, instance: inner.identity.instance };
        self.propose(CommandBody::RegisterNode(register)).await?.map_err(ConsensusError::Refused)?;
        info!(region = %inner.config.region, %cluster, "region founded");
        Ok(())
    }

    fn enter(&self, cluster: ClusterId) -> Result<(), ConsensusError> {
        let inner = &*self.0;
        if let Some(held) = inner.peers.cluster().filter(|held| *held != cluster) {
            return Err(ConsensusError::OtherCluster(held));
        }
        inner.local.write_identity(&LocalIdentity { cluster_id: Some(cluster), ..inner.identity.clone() })?;
        inner.peers.set_cluster(cluster);
        Ok(())
    }

    /// Who leads, as it changes.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.clone()
    }

    /// The node's view of its group.
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// The cluster that the node belongs to; `None` until it has founded or joined one.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.0.peers.cluster()
    }

    /// Whether the node can serve.
    pub fn readiness(&self) -> Readiness {
        self.0.readiness()
    }

    /// Until a member has told this node that it was removed. It should serve nobody from then on.
    pub async fn removed(&self) {
        if self.0.peers.removed().wait_for(|removed| *removed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Until the node holds at least what it held before it was started, by the group's word. Reads are held until then.
    pub async fn recovered(&self) {
        let mut recovered = self.0.recovered.clone();
        if recovered.wait_for(|recovered| *recovered).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Until consensus has stopped, by [`Consensus::shutdown`] or by a fault of the disk or the state; says why. The
    /// process should end then.
    pub async fn stopped(&self) -> String {
        let mut stopped = self.0.stopped.clone();
        let reason = stopped.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| "consensus has been shut down".to_owned())
    }

    /// Hands the lead over if this node has it and another voter can take it.
    pub async fn hand_over(&self) {
        let inner = &*self.0;
        if !inner.leadership.borrow().is_leader {
            return;
        }
        if let Some(next) = inner.group.look().ok().and_then(|seen| seen.successor().ok()) {
            inner.group.hand_over(next).await;
        }
    }

    /// Hands the lead over, refuses reads, stops the engine and makes the state durable. The router answers nobody any
    /// more.
    pub async fn shutdown(&self) {
        self.hand_over().await;
        let inner = &*self.0;
        inner.gate.close();
        if let Err(error) = inner.raft.shutdown().await {
            warn!(%error, "the consensus engine did not end well");
        }
        // Until everybody who watches has been told.
        self.stopped().await;
        drop(std::mem::take(&mut *inner.tasks.lock()));
        let state = Arc::clone(&inner.state);
        match crate::blocking(move || state.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the state was not flushed; the log makes it again"),
            Err(error) => warn!(%error, "the state was not flushed; the log makes it again"),
        }
    }
}

#[cfg(test)]
impl Consensus {
    /// Ends without a word to the others and without a flush.
    pub(crate) async fn halt(&self) {
        self.0.gate.close();
        self.0.raft.shutdown().await.unwrap();
        drop(std::mem::take(&mut *self.0.tasks.lock()));
    }
}

impl Inner {
    pub(crate) fn status(&self) -> Status {
        leadership::status(&self.raft, &self.applied)
    }

    pub(crate) fn readiness(&self) -> Readiness {
        if let Some(reason) = self.stopped.borrow().clone() {
            Readiness::Stopped(reason)
        } else if self.peers.is_removed() {
            Readiness::Removed
        } else if !*self.recovered.borrow() {
            Readiness::Recovering
        } else if self.leadership.borrow().leader.is_none() || self.gate.is_cut_off() {
            Readiness::NoLeader
        } else {
            Readiness::Ready
        }
    }

    fn still_a_member(&self) -> Result<(), Unavailable> {
        if self.peers.is_removed() { Err(Unavailable) } else { Ok(()) }
    }
}

impl Region for Consensus {
    type Tables = Arc<StateStore>;

    async fn read(&self) -> Result<(), Unavailable> {
        self.0.still_a_member()?;
        self.0.gate.read().await
    }

    async fn propose(&self, body: CommandBody) -> Result<Outcome, ProposeError> {
        self.0.still_a_member()?;
        self.0.proposer.propose(body).await
    }

    fn tables(&self) -> Arc<StateStore> {
        Arc::clone(&self.0.state)
    }

    fn log_time(&self) -> Result<Timestamp, StateError> {
        self.0.clocks.log_time()
    }

    fn due_permit(&self) -> Result<DuePermit, NoDueWork> {
        self.0.clocks.due_permit()
    }

    async fn propose_due(&self, permit: &DuePermit, body: CommandBody) -> Result<Outcome, ProposeError> {
        self.0.proposer.propose_due(permit, &body).await
    }
}

fn gate_times(config: &ConsensusConfig) -> GateTimes {
    let timings = &config.timings;
    GateTimes { hold: timings.hold, round: timings.election_max, pause: timings.heartbeat / 2, idle: timings.hold / 4 }
}

async fn recover(raft: Raft, recovered: watch::Sender<bool>) {
    match raft.wait_for_recovery(None).await {
        Ok(metrics) => {
            info!(applied = ?metrics.last_applied.map(|id| id.index()), "the state is recovered");
            recovered.send_replace(true);
            // The senders live as long as somebody may ask.
            recovered.closed().await;
        }
        // The engine has stopped; `follow` says why.
        Err(error) => warn!(%error, "the state is not recovered"),
    }
}
