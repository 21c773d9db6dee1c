//! `claviger serve`: one node, wired together. Listeners come up in the order in which they can be honest: metrics and
//! peers first, since consensus needs them; clients once the barrier is open.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use claviger_barrier::provider::FileProvider;
use claviger_barrier::{Barrier, Keyring};
use claviger_consensus::{Consensus, ConsensusConfig, Limits, Readiness, Region as _, Timings};
use claviger_replication::{ReplicationConfig, Replicator};
use claviger_service::{CacheLimits, KeyCache, Service, ServiceConfig};
use claviger_state::{RegionRecord, read};
use claviger_storage::{Storage, StorageOptions};
use claviger_tls::{AcceptLimits, ClientTls, IdentityFiles, PeerClient, bind_unix, serve as serve_tls, serve_plain};
use claviger_types::{Identity, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::admin::NodeAdmin;
use crate::certificates::NodeTls;
use crate::config::{Config, SealConfig};
use crate::founding::check_restored;
use crate::hardening::{LOCAL_CONNECTIONS, PEER_CONNECTIONS, harden, make_room};
use crate::late_router::LateRouter;
use crate::observer::NodeObserver;
use crate::reservations::{Authority, Reservations};
use crate::restoring::Backups;
use crate::{logging, shutdown, telemetry};

/// How often a node that waits for its region's first command looks for it.
const FOUNDING_POLL: Duration = Duration::from_millis(50);

/// How often a sealed node looks at its root key again.
const UNSEAL_RETRY: Duration = Duration::from_secs(5);

/// Runs a node until it is asked to stop.
///
/// # Errors
/// What keeps the node from starting, or made it stop.
pub(crate) async fn serve(config: &Config) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    harden(config)?;
    make_room(config)?;
    let metrics = telemetry::start()?;
    // Before anything that takes long: until then the signal would end the process.
    let hangups = shutdown::hangups();
    let node = Node::start(config).await?;
    let stopping = Stopping::new();
    let mut tasks = JoinSet::new();

    let readiness = Readable { consensus: Arc::clone(&node.consensus), open: Arc::default() };
    let obstacle = readiness.clone();
    let metrics_router = telemetry::router(metrics.clone(), move || obstacle.obstacle());
    let listener = bind(config.listen.metrics, "metrics").await?;
    tasks.spawn(serve_plain(listener, "metrics", None, at_most(LOCAL_CONNECTIONS), metrics_router, stopping.last()));
    tasks.spawn(telemetry::upkeep(metrics, stopping.last()));
    let (tls, stop) = (Arc::clone(&node.tls), stopping.last());
    tasks.spawn(async move { tls.keep(hangups, stop).await });

    let late = LateRouter::default();
    let peer_router = node.consensus.router().fallback_service(late.router());
    let listener = bind(config.listen.peer, "peer").await?;
    tasks.spawn(serve_tls(listener, Arc::clone(&node.tls.peer), at_most(PEER_CONNECTIONS), peer_router, stopping.last()));

    let mut serving = std::pin::pin!(node.open_and_serve(config, &late, &readiness, &stopping));
    let stopped_early = tokio::select! {
        outcome = &mut serving => Some(outcome),
        reason = node.consensus.stopped() => Some(Err(anyhow::anyhow!("consensus has stopped: {reason}"))),
        () = shutdown::signal() => None,
    };
    info!("stopping");
    stopping.begin();
    let outcome = match stopped_early {
        Some(outcome) => outcome,
        // Requests in flight are finished while consensus still runs.
        None => serving.await,
    };
    node.consensus.shutdown().await;
    stopping.finish();
    while tasks.join_next().await.is_some() {}
    outcome
}

/// What a node has before its barrier is open.
struct Node {
    consensus: Arc<Consensus>,
    tls: Arc<NodeTls>,
    peer_client: Arc<PeerClient>,
    cache: Arc<KeyCache>,
    shipper: Arc<Notify>,
}

impl Node {
    async fn start(config: &Config) -> anyhow::Result<Self> {
        let tls = Arc::new(NodeTls::load(config)?);
        let storage = Storage::open(&config.data_dir, StorageOptions::default())?;
        check_restored(config, &storage)?;
        // Before consensus applies anything more, and before anybody can connect.
        tls.enforce(&read::crls(&*storage.state())?).context("a revocation list of the region cannot be enforced")?;
        let cached = config.limits.cached_keys;
        let cache = Arc::new(KeyCache::new(CacheLimits { materials_max: cached, aliases_max: cached }));
        let shipper = Arc::new(Notify::new());
        let observer = Arc::new(NodeObserver { cache: Arc::clone(&cache), shipper: Arc::clone(&shipper), tls: Arc::clone(&tls) });
        let peer_client = Arc::new(PeerClient::new(tls.peer_client.clone())?);
        let consensus =
            Consensus::start(consensus_config(config), &storage, Arc::clone(&peer_client), Arc::new(SystemClock), observer).await?;
        Ok(Self { consensus: Arc::new(consensus), tls, peer_client, cache, shipper })
    }

    /// Opens the barrier as soon as the region's keyring is here, then serves clients, operators and peer regions until it is
    /// told to stop.
    async fn open_and_serve(&self, config: &Config, late: &LateRouter, readiness: &Readable, stopping: &Stopping) -> anyhow::Result<()> {
        let mut stop = stopping.first();
        let record = tokio::select! {
            record = self.region_record() => record?,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let barrier = tokio::select! {
            barrier = open_barrier_at_last(config, &record) => Arc::new(barrier?),
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let (leads, leadership) = watch::channel(false);
        let replicator = Arc::new(Replicator::new(
            ReplicationConfig::default(),
            Arc::clone(&self.consensus),
            Arc::clone(&barrier),
            Arc::clone(&self.peer_client) as Arc<_>,
            leadership,
            Arc::clone(&self.shipper),
        ));

        let reservations = Arc::new(Reservations { replicator: Arc::clone(&replicator) });
        let service_config =
            ServiceConfig { region: config.region.clone(), incarnation: record.incarnation, partition: record.partition.clone() };
        let backups = Backups::new(Arc::clone(&barrier));
        let service = Service::new(service_config, Arc::clone(&self.consensus), barrier, Arc::clone(&self.cache), reservations);
        let service = Arc::new(service.with_attestation_roots(config.attestation_roots.clone()));
        late.set(replicator.router(Arc::new(Authority { service: Arc::clone(&service) })));
        let admin = NodeAdmin {
            region: config.region.clone(),
            trust_domain: config.trust_domain.clone(),
            partition: record.partition.clone(),
            consensus: Arc::clone(&self.consensus),
            replicator: Arc::clone(&replicator),
            tls: Arc::clone(&self.tls),
            backups,
            service: Arc::clone(&service),
        };
        let scheduled = Arc::clone(&service);
        let in_flight = config.limits.requests_in_flight;
        let api_limits = claviger_api::Limits { running_max: in_flight, waiting_max: in_flight, ..claviger_api::Limits::default() };
        let router = claviger_api::router(service, Arc::new(admin), &api_limits);

        let api_listener = bind(config.listen.api, "api").await?;
        let socket = config.admin_socket();
        let admin_listener = bind_unix(&socket).with_context(|| format!("the admin socket {} cannot be bound", socket.display()))?;
        let local_operator = Identity::Operator { name: "local".to_owned() };

        readiness.set_open();
        self.consensus.set_opened();
        info!(region = %config.region, node = config.node.id, api = %config.listen.api, peer = %config.listen.peer, "serving");
        tokio::join!(
            serve_tls(
                api_listener,
                Arc::clone(&self.tls.api),
                at_most(config.limits.connections),
                router.clone(),
                stopping.clients(&self.consensus),
            ),
            serve_plain(admin_listener, "admin", Some(local_operator), at_most(LOCAL_CONNECTIONS), router, stopping.first()),
            replicator.run(stopping.first()),
            scheduled.schedule(stopping.first()),
            scheduled.write_usages(stopping.first()),
            follow_leadership(&self.consensus, leads, stopping.first()),
        );
        Ok(())
    }

    /// Who the region is: at once on a node that was a member before, with the first entries of the log on a new one.
    async fn region_record(&self) -> anyhow::Result<RegionRecord> {
        if read::region(&self.consensus.tables())?.is_none() {
            info!("waiting for the region's keyring, which comes with the first entries of its log");
        }
        loop {
            if let Some(record) = read::region(&self.consensus.tables())? {
                return Ok(record);
            }
            tokio::time::sleep(FOUNDING_POLL).await;
        }
    }
}

/// Opens the barrier, trying again for as long as the root key does not open it: the node stays a member of its group
/// meanwhile, sealed and not ready. Were it to leave, a mistake with a root key could take the region's quorum with it.
async fn open_barrier_at_last(config: &Config, record: &RegionRecord) -> anyhow::Result<Barrier> {
    check_region(config, record)?;
    loop {
        match open_barrier(config, record) {
            Ok(barrier) => return Ok(barrier),
            Err(sealed) => error!(error = format!("{sealed:#}"), "the node is sealed and serves no client; it tries again every 5 s"),
        }
        tokio::time::sleep(UNSEAL_RETRY).await;
    }
}

fn check_region(config: &Config, record: &RegionRecord) -> anyhow::Result<()> {
    if record.region != config.region || record.trust_domain != config.trust_domain || record.partition != config.partition {
        bail!(
            "the region was made as {} of {} in partition {}, the configuration says {} of {} in partition {}",
            record.region,
            record.trust_domain,
            record.partition,
            config.region,
            config.trust_domain,
            config.partition
        );
    }
    Ok(())
}

fn open_barrier(config: &Config, record: &RegionRecord) -> anyhow::Result<Barrier> {
    let SealConfig::File { path } = &config.seal;
    let root_key = FileProvider::load(path)?;
    let keyring = Keyring::unseal(&record.keyring, &root_key)
        .with_context(|| format!("{} does not open this region's keyring: is it another region's root key?", path.display()))?;
    Ok(Barrier::new(keyring))
}

/// Tells the replicator whether this node leads.
async fn follow_leadership(consensus: &Consensus, leads: watch::Sender<bool>, mut stop: watch::Receiver<bool>) {
    let mut leadership = consensus.leadership();
    loop {
        let is_leader = leadership.borrow_and_update().is_leader;
        leads.send_if_modified(|held| std::mem::replace(held, is_leader) != is_leader);
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

pub(crate) fn consensus_config(config: &Config) -> ConsensusConfig {
    let millis = Duration::from_millis;
    ConsensusConfig {
        node_id: config.node.id,
        region: config.region.clone(),
        endpoint: config.node.advertise.clone(),
        timings: Timings {
            heartbeat: millis(config.raft.heartbeat_ms),
            election_min: millis(config.raft.election_timeout_min_ms),
            election_max: millis(config.raft.election_timeout_max_ms),
            ..Timings::default()
        },
        limits: Limits { snapshot_every_entries: config.raft.snapshot_every_entries, ..Limits::default() },
    }
}

pub(crate) fn peer_client(config: &Config) -> anyhow::Result<Arc<PeerClient>> {
    let files = IdentityFiles::new(&config.tls.peer_certificate, &config.tls.peer_key);
    Ok(Arc::new(PeerClient::new(ClientTls::peer(&files, &config.tls.peer_ca, &config.trust_domain)?)?))
}

pub(crate) fn at_most(connections_max: usize) -> AcceptLimits {
    AcceptLimits { connections_max, ..AcceptLimits::default() }
}

async fn bind(address: std::net::SocketAddr, listener: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listen.{listener} = {address} cannot be bound"))
}

/// Whether the node serves clients.
#[derive(Clone)]
struct Readable {
    consensus: Arc<Consensus>,
    open: Arc<OnceLock<()>>,
}

impl Readable {
    fn set_open(&self) {
        // It is opened once.
        let _ = self.open.set(());
    }

    /// Why it does not, if it does not.
    fn obstacle(&self) -> Option<&'static str> {
        match self.consensus.readiness() {
            Readiness::Removed => Some("removed from the region"),
            Readiness::Stopped(_) => Some("stopped"),
            Readiness::Recovering => Some("recovering"),
            Readiness::NoLeader => Some("no leader"),
            Readiness::Ready => self.open.get().is_none().then_some("sealed"),
        }
    }
}

/// Two steps of stopping: clients and shippers first, then, once consensus has ended, what it needed.
struct Stopping {
    first: watch::Sender<bool>,
    last: watch::Sender<bool>,
}

impl Stopping {
    fn new() -> Self {
        Self { first: watch::channel(false).0, last: watch::channel(false).0 }
    }

    fn first(&self) -> watch::Receiver<bool> {
        self.first.subscribe()
    }

    fn last(&self) -> watch::Receiver<bool> {
        self.last.subscribe()
    }

    /// Clients are served no more by a node that was removed from its region: they find another at once. Operators are.
    fn clients(&self, consensus: &Arc<Consensus>) -> watch::Receiver<bool> {
        let (stop, stopped) = watch::channel(false);
        let (consensus, mut first) = (Arc::clone(consensus), self.first());
        tokio::spawn(async move {
            tokio::select! {
                () = consensus.removed() => {}
                _ = first.wait_for(|stop| *stop) => {}
            }
            stop.send_replace(true);
        });
        stopped
    }

    fn begin(&self) {
        self.first.send_replace(true);
    }

    fn finish(&self) {
        self.last.send_replace(true);
    }
}
