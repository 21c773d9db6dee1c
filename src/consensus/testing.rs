//! Regions of real nodes for this crate's tests: RocksDB in temporary directories, mutual TLS on ports that the system
//! chooses, all in one process.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use claviger_state::{
    Authorised, CommandBody, CreateKey, CrlRecord, FoundRegion, Once, Operation, Outcome, RegionKeysRecord, RegionPublicKeys,
    SealedMaterial, Tables, read,
};
use claviger_storage::{LocalIdentity, Storage, StorageOptions};
use claviger_tls::{AcceptLimits, Admission, ClientTls, IdentityFiles, PeerClient, ServerTls, serve};
use claviger_types::{
    AccountId, AliasId, Clock, ClusterId, Incarnation, KeyId, KeySpec, KeyUsage, MaterialId, NodeId, NodeInstance, Origin, Sealed,
    SystemClock, Timestamp, TrustDomain,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::{Consensus, ConsensusConfig, JoinError, Limits, Observer, ObserverError, Region, Timings, join_request};

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const CLUSTER: ClusterId = ClusterId::from_bytes([7; 16]);
const DOMAIN: &str = "test.example";
const ACCOUNT: &str = "111122223333";

/// A throw-away CA of the peer listeners.
pub(crate) struct Pki {
    dir: PathBuf,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new(dir: PathBuf) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "peer ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
        Self { dir, ca }
    }

    fn domain() -> TrustDomain {
        DOMAIN.parse().unwrap()
    }

    fn node(&self, region: &str, id: NodeId) -> IdentityFiles {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "node");
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{DOMAIN}/region/{region}/node/{id}").try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let path = |ending: &str| self.dir.join(format!("{region}-{id}.{ending}"));
        let files = IdentityFiles::new(path("pem"), path("key"));
        fs::write(path("pem"), params.signed_by(&key, &self.ca).unwrap().pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        fs::set_permissions(path("key"), fs::Permissions::from_mode(0o600)).unwrap();
        files
    }

    pub(crate) fn client(&self, region: &str, id: NodeId) -> PeerClient {
        PeerClient::new(ClientTls::peer(&self.node(region, id), &self.dir.join("ca.pem"), &Self::domain()).unwrap()).unwrap()
    }

    fn server(&self, region: &str, id: NodeId) -> ServerTls {
        ServerTls::load(&self.node(region, id), &self.dir.join("ca.pem"), &Self::domain(), Admission::Peer).unwrap()
    }
}

/// Counts what it is told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) keys: AtomicU64,
    pub(crate) everything: AtomicU64,
}

impl Observer for Told {
    fn keys_changed(&self, keys: &[KeyId]) {
        self.keys.fetch_add(keys.len() as u64, Ordering::SeqCst);
    }

    fn aliases_changed(&self, _aliases: &[AliasId]) {}

    fn accounts_changed(&self, _accounts: &[AccountId]) {}
    fn everything_changed(&self) {
        self.everything.fetch_add(1, Ordering::SeqCst);
    }

    fn dirty_grew(&self) {}

    fn crls_changed(&self, _crls: &[CrlRecord]) -> Result<(), ObserverError> {
        Ok(())
    }
}

/// The machine's clock, set wrong by so many milliseconds.
#[derive(Default)]
pub(crate) struct WrongClock(AtomicI64);

impl WrongClock {
    pub(crate) fn set(&self, ahead_millis: i64) {
        self.0.store(ahead_millis, Ordering::SeqCst);
    }
}

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis().saturating_add_signed(self.0.load(Ordering::SeqCst)))
    }
}

/// A running node.
pub(crate) struct Node {
    pub(crate) consensus: Consensus,
    pub(crate) told: Arc<Told>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

/// A region on one machine.
pub(crate) struct Cluster {
    pub(crate) pki: Pki,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    addresses: BTreeMap<NodeId, SocketAddr>,
    clocks: BTreeMap<NodeId, Arc<WrongClock>>,
    pub(crate) timings: Timings,
    pub(crate) limits: Limits,
    dir: tempfile::TempDir,
}

impl Cluster {
    pub(crate) fn new(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let timings = Timings { hold: Duration::from_secs(6), ..Timings::default() };
        let pki = Pki::new(dir.path().join("pki"));
        Self { pki, nodes: BTreeMap::new(), addresses: BTreeMap::new(), clocks: BTreeMap::new(), timings, limits, dir }
    }

    /// A founded region of one node.
    pub(crate) async fn founded(limits: Limits) -> Self {
        let mut cluster = Self::new(limits);
        cluster.found().await;
        cluster
    }

    pub(crate) async fn found(&mut self) {
        self.start(1).await;
        self.node(1).found(found_region()).await.unwrap();
    }

    /// A region of three voters.
    pub(crate) async fn of_three(limits: Limits) -> Self {
        let mut cluster = Self::founded(limits).await;
        cluster.grow(3).await;
        cluster
    }

    /// Starts further nodes and waits until all nodes vote.
    pub(crate) async fn grow_to(&mut self, size: usize) {
        while self.nodes.len() < size {
            let id = 1 + *self.addresses.keys().last().unwrap();
            let via = self.leader().await;
            self.join(id, via).await.unwrap();
        }
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        self.until("all nodes vote", |cluster| all.iter().all(|id| cluster.voters_at(*id) == all)).await;
    }

    /// Who votes, as a node sees it.
    pub(crate) fn voters_at(&self, id: NodeId) -> Vec<NodeId> {
        self.node(id).status().voters.iter().map(|member| member.id).collect()
    }

    /// Has a stopped node start elsewhere.
    pub(crate) fn forget_address(&mut self, id: NodeId) {
        self.addresses.remove(&id).unwrap();
    }

    /// Makes a founded region one of so many voters.
    pub(crate) async fn grow(&mut self, nodes: NodeId) {
        for id in 2..=nodes {
            self.join(id, id - 1).await.unwrap();
        }
        let all_vote = |cluster: &Self| cluster.nodes.values().all(|node| node.consensus.status().voters.len() as u64 == nodes);
        self.until("all nodes vote", all_vote).await;
    }

    /// A node's clock, which it keeps when it is started again.
    pub(crate) fn clock(&mut self, id: NodeId) -> Arc<WrongClock> {
        Arc::clone(self.clocks.entry(id).or_default())
    }

    pub(crate) fn node(&self, id: NodeId) -> &Consensus {
        &self.nodes[&id].consensus
    }

    /// Opens a node's storage.
    pub(crate) async fn storage(&self, id: NodeId) -> Storage {
        self.storage_of(id, NodeInstance::from_bytes([u8::try_from(id).unwrap(); 16])).await
    }

    /// Opens a node's storage, waiting for its last user in this process to let go; a new one gets this instance.
    pub(crate) async fn storage_of(&self, id: NodeId, instance: NodeInstance) -> Storage {
        let path = self.path_of(id);
        let storage = within("the data directory is free", async {
            loop {
                match Storage::open(&path, StorageOptions::default()) {
                    Ok(storage) => return storage,
                    Err(claviger_storage::StorageError::Locked(_)) => sleep(Duration::from_millis(20)).await,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        if storage.local().identity().unwrap().is_none() {
            let identity = LocalIdentity { region: REGION.parse().unwrap(), cluster_id: None, node_id: id, instance };
            storage.local().write_identity(&identity).unwrap();
        }
        storage
    }

    /// Wipes a stopped node's directory.
    pub(crate) async fn wipe(&self, id: NodeId) {
        drop(self.storage(id).await);
        fs::remove_dir_all(self.path_of(id)).unwrap();
    }

    /// Where a node was before, or anywhere. While it was down somebody else may have taken its port for a moment.
    async fn listen(&mut self, id: NodeId) -> TcpListener {
        let address = self.addresses.get(&id).copied().unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        let listener = within("the node's port is free", async {
            loop {
                match TcpListener::bind(address).await {
                    Ok(listener) => return listener,
                    Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => sleep(Duration::from_millis(20)).await,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        self.addresses.insert(id, listener.local_addr().unwrap());
        listener
    }

    /// Chooses where a node will listen.
    pub(crate) async fn reserve(&mut self, id: NodeId) {
        drop(self.listen(id).await);
    }

    pub(crate) fn path_of(&self, id: NodeId) -> PathBuf {
        self.dir.path().join(format!("node-{id}"))
    }

    pub(crate) fn endpoint(&self, id: NodeId) -> String {
        format!("https://{}", self.addresses[&id])
    }

    /// Starts a node, or starts it again where it was.
    pub(crate) async fn start(&mut self, id: NodeId) {
        let listener = self.listen(id).await;
        self.start_on(id, listener).await;
    }

    async fn start_on(&mut self, id: NodeId, listener: TcpListener) {
        let storage = self.storage(id).await;
        let told = Arc::new(Told::default());
        let config = ConsensusConfig {
            node_id: id,
            region: REGION.parse().unwrap(),
            endpoint: self.endpoint(id),
            timings: self.timings,
            limits: self.limits,
        };
        let client = Arc::new(self.pki.client(REGION, id));
        let consensus = Consensus::start(config, &storage, client, self.clock(id), told.clone()).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let limits = AcceptLimits { drain_timeout: Duration::from_millis(100), ..AcceptLimits::default() };
        let tls = Arc::new(self.pki.server(REGION, id));
        let server = tokio::spawn(serve(listener, tls, limits, consensus.router(), stopped));
        self.nodes.insert(id, Node { consensus, told, stop, server });
    }

    /// Has a new node ask `via` to be let in, and starts it.
    pub(crate) async fn join(&mut self, id: NodeId, via: NodeId) -> Result<ClusterId, JoinError> {
        let listener = self.listen(id).await;
        let storage = self.storage(id).await;
        let client = self.pki.client(REGION, id);
        let joined = join_request(&client, &storage, &[self.endpoint(via)], &self.endpoint(id), Duration::from_secs(20)).await;
        drop(storage);
        if joined.is_ok() {
            self.start_on(id, listener).await;
        }
        joined
    }

    /// Stops a node without a word to the others.
    pub(crate) async fn kill(&mut self, id: NodeId) {
        let node = self.nodes.remove(&id).unwrap();
        node.server.abort();
        let _ = node.server.await;
        node.consensus.halt().await;
        drop(node.stop);
    }

    /// Stops a node as an operator does.
    pub(crate) async fn stop(&mut self, id: NodeId) {
        let node = self.nodes.remove(&id).unwrap();
        node.consensus.shutdown().await;
        node.stop.send_replace(true);
        node.server.await.unwrap();
    }

    pub(crate) async fn leader(&self) -> NodeId {
        self.leader_among(|_| true).await
    }

    /// The leader, which is one of these nodes.
    pub(crate) async fn leader_among(&self, is_one: impl Fn(NodeId) -> bool) -> NodeId {
        let mut found = 0;
        self.until("a leader", |cluster| {
            let mut nodes = cluster.nodes.iter().filter(|(id, _)| is_one(**id));
            let leader = nodes.find(|(_, node)| node.consensus.leadership().borrow().is_leader);
            leader.is_some_and(|(id, _)| {
                found = *id;
                true
            })
        })
        .await;
        found
    }

    pub(crate) async fn follower(&self) -> NodeId {
        let leader = self.leader().await;
        *self.nodes.keys().find(|id| **id != leader).unwrap()
    }

    /// Waits for a condition.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            if begun.elapsed() > Duration::from_secs(60) {
                let statuses: Vec<_> = self.nodes.values().map(|node| node.consensus.status()).collect();
                panic!("not within a minute: {what}; {statuses:#?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Keys that a node shows after a linearizable read.
    pub(crate) async fn keys_at(&self, id: NodeId) -> u64 {
        within("a read", async { while self.node(id).read().await.is_err() {} }).await;
        key_count(&*self.node(id).tables())
    }

    /// A raw message to a node's peer listener, from any identity.
    pub(crate) async fn post(&self, client: &PeerClient, to: NodeId, path: &str, body: Bytes) -> http::StatusCode {
        let expect = claviger_tls::Expect::AnyNode;
        client.post(&self.endpoint(to), &expect, 0, path, body, Duration::from_secs(10)).await.unwrap().status
    }
}

/// Fails a test that hangs.
pub(crate) async fn within<F: Future>(what: &str, work: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), work).await.unwrap_or_else(|_| panic!("not within a minute: {what}"))
}

pub(crate) fn key_count(tables: &impl Tables) -> u64 {
    read::key_count(tables, ACCOUNT.parse::<AccountId>().unwrap()).unwrap()
}

pub(crate) fn found_region() -> FoundRegion {
    FoundRegion {
        region: REGION.parse().unwrap(),
        partition: "aws".parse().unwrap(),
        trust_domain: Pki::domain(),
        cluster_id: CLUSTER,
        incarnation: Incarnation::from_bytes([8; 16]),
        keyring: Sealed::from_bytes(vec![1]),
        region_keys: RegionKeysRecord {
            public: RegionPublicKeys { version: 1, kem: vec![1], ed25519: vec![2], ml_dsa_65: vec![3] },
            private: Sealed::from_bytes(vec![4]),
        },
    }
}

/// The `number`th key; its invocation too.
pub(crate) fn create_key(number: u64) -> CommandBody {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    CommandBody::CreateKey(Box::new(CreateKey {
        once: Once {
            principal: "arn:aws:iam::111122223333:root".to_owned(),
            invocation_id: number.to_string(),
            operation: Operation::CreateKey,
            body_sha256: [0; 32],
            authorised: Authorised::default(),
        },
        key_id: KeyId::multi_region(id),
        account: ACCOUNT.parse().unwrap(),
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        description: String::new(),
        tags: BTreeMap::new(),
        policy: None,
        id_secret: Sealed::from_bytes(vec![5]),
        material: Some(SealedMaterial { id: MaterialId::from_bytes([6; 32]), sealed: Sealed::from_bytes(vec![7; 100]) }),
    }))
}

/// Creates a key and insists on it.
pub(crate) async fn create(consensus: &Consensus, number: u64) {
    let outcome: Outcome = within("a write", async {
        loop {
            match consensus.propose(create_key(number)).await {
                Ok(outcome) => return outcome,
                Err(error) => eprintln!("key {number}: {error}"),
            }
        }
    })
    .await;
    outcome.unwrap();
}
