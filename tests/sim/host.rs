//! One node, wired together as `claviger serve` does it, on a simulated machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use claviger_consensus::{Consensus, ConsensusConfig, Limits, Observer, ObserverError, Region as _, Timings, join_request};
use claviger_replication::{NewPeer, ReplicationConfig, Replicator};
use claviger_service::{CacheLimits, KeyCache, Service, ServiceConfig};
use claviger_state::{AccountScope, ApplyIdentities, CommandBody, CrlRecord, IdentityChange, IdentityRecord, Refusal, UserRecord, read};
use claviger_storage::{LocalIdentity, StateStore, Storage, StorageOptions};
use claviger_tls::{AcceptLimits, Admission, PeerClient, serve_known};
use claviger_types::{AccountId, AliasId, Clock, KeyId, NodeInstance, Timestamp};
use tokio::sync::{Notify, watch};

use crate::edge;
use crate::invariants::Violation;
use crate::late_router::LateRouter;
use crate::network::{SimulatedListener, SimulatedNetwork, caller};
use crate::plan::{API_PORT, Node, PEER_PORT, account, client_host};
use crate::reservations::{Authority, Reservations};
use crate::rng::Rng;
use crate::run::STOPPED;
use crate::world::{Running, World};

/// When the simulated world began, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_700_000_000_000;
const JOIN_WITHIN: Duration = Duration::from_secs(30);
/// At so many of a hundred writes of the log the state is flushed as well.
const FLUSHED_PERCENT: u64 = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// Runs a node until its host crashes.
pub(crate) async fn run(world: Arc<World>, node: Node) -> turmoil::Result {
    let life = world.begin_life(&node);
    let storage = open_storage(&world, &node, life)?;
    let founding = &world.regions[&node.region];
    let is_founder = node.id == 1;
    let is_new = own_identity(&storage, &node)?.cluster_id.is_none();

    let peer_client = Arc::new(PeerClient::over(SimulatedNetwork));
    if is_new && !is_founder {
        let via = [Node { id: 1, ..node.clone() }.endpoint()];
        while join_request(&peer_client, &storage, &via, &node.endpoint(), JOIN_WITHIN).await.is_err() {}
    }
    let cache = Arc::new(KeyCache::new(CacheLimits { materials_max: 1 << 12, aliases_max: 1 << 10 }));
    let shipper = Arc::new(Notify::new());
    let observer = Watched {
        world: Arc::clone(&world),
        node: node.clone(),
        life,
        state: storage.state(),
        cache: Arc::clone(&cache),
        shipper: Arc::clone(&shipper),
    };
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::of(&world, &node));
    let config = consensus_config(&world, &node);
    let consensus = Arc::new(Consensus::start(config, &storage, Arc::clone(&peer_client), clock, Arc::new(observer)).await?);
    let state = storage.state();
    drop(storage);

    // Nothing ends in order here: a host that crashes takes everything with it.
    let (_stop, stopped) = watch::channel(false);
    let late = LateRouter::default();
    let router = consensus.router().fallback_service(late.router());
    let listener = SimulatedListener::bind(PEER_PORT).await?;
    tokio::spawn(serve_known(listener, Admission::Peer, caller, AcceptLimits::default(), router, stopped.clone()));
    if is_new && is_founder {
        consensus.found(founding.found.clone()).await?;
    }
    while read::region(&*state)?.is_none() {
        tokio::time::sleep(PAUSE).await;
    }

    let (leads, leadership) = watch::channel(false);
    let replicator = Arc::new(Replicator::new(
        ReplicationConfig::default(),
        Arc::clone(&consensus),
        Arc::clone(&founding.barrier),
        peer_client,
        leadership,
        shipper,
    ));
    let reservations = Arc::new(Reservations { replicator: Arc::clone(&replicator) });
    let config =
        ServiceConfig { region: node.region.clone(), incarnation: founding.found.incarnation, partition: founding.found.partition.clone() };
    let service = Service::new(config, Arc::clone(&consensus), Arc::clone(&founding.barrier), cache, reservations);
    let service = Arc::new(service);
    late.set(replicator.router(Arc::new(Authority { service: Arc::clone(&service) })));
    let router = edge::router(service);
    let listener = SimulatedListener::bind(API_PORT).await?;
    tokio::spawn(serve_known(listener, Admission::Api, caller, AcceptLimits::default(), router, stopped.clone()));
    if is_founder {
        make_clients_known(&world, &consensus).await;
        admit_peers(&world, &node, &replicator).await;
    }
    world.is_up(&node, Running { consensus: Arc::clone(&consensus), state });

    tokio::select! {
        reason = consensus.stopped() => {
            world.violate(Violation::new(STOPPED, format!("{node}: {reason}")));
        }
        () = replicator.run(stopped) => {}
        () = follow_leadership(&consensus, leads) => {}
    }
    Ok(())
}

fn open_storage(world: &Arc<World>, node: &Node, life: u64) -> Result<Storage, claviger_storage::StorageError> {
    let machine = &world.machines[node];
    let work = Arc::new(Notify::new());
    let wake = Arc::clone(&work);
    let options = StorageOptions::default();
    let (storage, mut writer) = Storage::simulated(&machine.dir, options, Arc::clone(&machine.disk), move || wake.notify_one())?;
    let mut rng = Rng::new(world.plan.seed ^ life, &format!("disk of {node}"));
    let (world, node, state) = (Arc::clone(world), node.clone(), storage.state());
    tokio::spawn(async move {
        loop {
            while let Some(batch) = writer.take() {
                // A database flushes its tables whenever it likes.
                if rng.percent(FLUSHED_PERCENT) {
                    state.flush().unwrap();
                }
                let most = if world.is_slow(&node) { 50 * world.plan.disk_ms_max } else { world.plan.disk_ms_max };
                tokio::time::sleep(rng.millis(0, most)).await;
                writer.carry_out(batch);
            }
            work.notified().await;
        }
    });
    Ok(storage)
}

fn own_identity(storage: &Storage, node: &Node) -> Result<LocalIdentity, claviger_storage::StorageError> {
    if let Some(identity) = storage.local().identity()? {
        return Ok(identity);
    }
    let instance = NodeInstance::from_bytes([u8::try_from(node.id).unwrap(); 16]);
    let identity = LocalIdentity { region: node.region.clone(), cluster_id: None, node_id: node.id, instance };
    storage.local().write_identity(&identity)?;
    Ok(identity)
}

fn consensus_config(world: &World, node: &Node) -> ConsensusConfig {
    let snapshot_every_entries = world.plan.snapshot_every;
    ConsensusConfig {
        node_id: node.id,
        region: node.region.clone(),
        endpoint: node.endpoint(),
        timings: Timings::default(),
        limits: Limits { snapshot_every_entries, keep_entries: snapshot_every_entries / 4, ..Limits::default() },
    }
}

/// Every client is a user that may do everything, in every region.
async fn make_clients_known(world: &World, consensus: &Consensus) {
    const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let user = UserRecord { inline: BTreeMap::from([("all".to_owned(), EVERYTHING.to_owned())]), ..UserRecord::default() };
    let known = |number| IdentityChange::Put { name: client_host(number), record: Box::new(IdentityRecord::User(user.clone())) };
    let changes = (1..=world.plan.clients).map(known).collect();
    let apply = CommandBody::ApplyIdentities(Box::new(ApplyIdentities { account: account(), expected_revision: None, changes }));
    // A founder that was killed in between finds them known.
    while !matches!(consensus.propose(apply.clone()).await, Ok(Ok(_) | Err(Refusal::IdentitiesChanged))) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// The founders of the regions introduce them to each other.
async fn admit_peers(world: &World, node: &Node, replicator: &Replicator<Consensus>) {
    for (region, founding) in world.regions.iter().filter(|(region, _)| **region != node.region) {
        let peer = || NewPeer {
            region: region.clone(),
            endpoints: Node::all_of(region).iter().map(Node::endpoint).collect(),
            accounts: AccountScope::All,
            fingerprint: founding.fingerprint.clone(),
        };
        while replicator.add_peer(peer()).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Tells the replicator whether this node leads.
async fn follow_leadership(consensus: &Consensus, leads: watch::Sender<bool>) {
    let mut leadership = consensus.leadership();
    loop {
        let is_leader = leadership.borrow_and_update().is_leader;
        leads.send_if_modified(|held| std::mem::replace(held, is_leader) != is_leader);
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

/// Tells the watchers what the node applies, then whom a real node tells. There are no certificates here to revoke.
struct Watched {
    world: Arc<World>,
    node: Node,
    life: u64,
    state: Arc<StateStore>,
    cache: Arc<KeyCache>,
    shipper: Arc<Notify>,
}

impl Observer for Watched {
    fn keys_changed(&self, keys: &[KeyId]) {
        self.world.committed(&self.node, self.life, &self.state, keys);
        self.cache.keys_changed(keys);
    }

    fn aliases_changed(&self, aliases: &[AliasId]) {
        self.world.note(format_args!("{} moves {} alias(es)", self.node, aliases.len()));
        self.cache.aliases_changed(aliases);
    }

    fn accounts_changed(&self, accounts: &[AccountId]) {
        self.cache.accounts_changed(accounts);
    }

    fn everything_changed(&self) {
        self.world.note(format_args!("{} takes a snapshot", self.node));
        let keys = read::keys_of(&*self.state, account(), None, usize::MAX).unwrap();
        self.world.committed(&self.node, self.life, &self.state, &keys);
        self.cache.everything_changed();
        self.shipper.notify_one();
    }

    fn dirty_grew(&self) {
        self.shipper.notify_one();
    }

    fn crls_changed(&self, _crls: &[CrlRecord]) -> Result<(), ObserverError> {
        Ok(())
    }
}

/// A machine's clock, which is off by as much as the plan allows.
struct SimulatedClock {
    begin_ms: u64,
}

impl SimulatedClock {
    fn of(world: &World, node: &Node) -> Self {
        let most = world.plan.skew_ms_max;
        let off = Rng::new(world.plan.seed, &format!("clock of {node}")).between(0, 2 * most);
        Self { begin_ms: EPOCH_MS + off - most }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let since = turmoil::sim_elapsed().unwrap_or_default();
        Timestamp::from_millis(self.begin_ms + u64::try_from(since.as_millis()).unwrap())
    }
}
