//! Three regions in one process: each with its own barrier, keys and clock, joined by a network that can fail.

mod authority;
mod network;

mod converge;
mod refuse;
mod reserve;
mod ship;
mod sockets;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use claviger_barrier::{Barrier, Keyring, RecordPlace};
use claviger_consensus::{DuePermit, MemoryRegion, NoDueWork, Observer, ObserverError, ProposeError, Region, Unavailable};
use claviger_crypto::wrap::RegionPrivateKeys;
use claviger_crypto::{Secret32, material_id, random};
use claviger_protocol::{MemberStatus, SharedDoc, Version};
use claviger_state::{
    AccountScope, Authorised, CommandBody, CreateKey, CrlRecord, Expected, FoundRegion, KeyRecord, MemoryTables, Once, Operation, Outcome,
    RegionKeysRecord, ReplicateKey, SealedMaterial, SetKeyEnabled, StateError, read,
};
use claviger_types::limits::RESERVATION_WINDOW;
use claviger_types::{
    AccountId, AliasId, Clock, ClusterId, Identity, Incarnation, KeyId, KeySpec, KeyUsage, Origin, Region as RegionName, Sealed, Timestamp,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

pub(super) use self::authority::{FakeAuthority, reservation};
use self::network::Network;
use crate::{NewPeer, ReplicaReservation, ReplicationConfig, Replicator, Transport, stored_keys};

pub(super) const A: &str = "eu-west-1";
pub(super) const B: &str = "dc-north-2";
pub(super) const C: &str = "on-prem-berlin-1";

pub(super) fn name(text: &str) -> RegionName {
    text.parse().unwrap()
}

pub(super) fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

pub(super) fn config() -> ReplicationConfig {
    ReplicationConfig {
        request_timeout: Duration::from_secs(2),
        rescan_interval: Duration::from_millis(20),
        resend_after: Duration::from_millis(50),
        refusal_backoff: Duration::from_millis(100),
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(50),
        reservation_check_interval: Duration::from_millis(20),
        ..ReplicationConfig::default()
    }
}

/// Waits for a condition, and gives up when it has long been hopeless.
pub(super) async fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(comes_true(condition).await, "never: {what}");
}

async fn comes_true(mut condition: impl FnMut() -> bool) -> bool {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(60);
    while !condition() {
        if tokio::time::Instant::now() > give_up {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    true
}

#[derive(Debug, Default)]
pub(super) struct TestClock(AtomicU64);

impl TestClock {
    pub(super) fn set(&self, time: Timestamp) {
        self.0.store(time.as_millis(), Ordering::SeqCst);
    }

    pub(super) fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct WakeShipper(Arc<Notify>);

impl Observer for WakeShipper {
    fn keys_changed(&self, _keys: &[KeyId]) {}
    fn aliases_changed(&self, _aliases: &[AliasId]) {}
    fn accounts_changed(&self, _accounts: &[AccountId]) {}
    fn everything_changed(&self) {}
    fn dirty_grew(&self) {
        self.0.notify_one();
    }
    fn crls_changed(&self, _crls: &[CrlRecord]) -> Result<(), ObserverError> {
        Ok(())
    }
}

/// A memory region that holds `version_never_regresses` against everything that is applied to it.
pub(super) struct CheckedRegion {
    inner: MemoryRegion,
    versions: Mutex<HashMap<KeyId, Version>>,
    /// Why this region's leader may not propose due work, if so.
    pub(super) no_due_work: Mutex<Option<NoDueWork>>,
}

impl Region for CheckedRegion {
    type Tables = Arc<MemoryTables>;

    async fn read(&self) -> Result<(), Unavailable> {
        self.inner.read().await
    }

    async fn propose(&self, body: CommandBody) -> Result<Outcome, ProposeError> {
        let outcome = self.inner.propose(body).await;
        // Taken under the lock, so that what is seen here is seen in the order in which it was applied.
        let mut versions = self.versions.lock();
        let tables = self.inner.tables();
        for key in keys(&tables) {
            let version = key.document.version;
            if let Some(before) = versions.insert(key.document.key_id, version.clone()) {
                assert!(version >= before, "{before} regressed to {version}");
            }
        }
        outcome
    }

    fn tables(&self) -> Arc<MemoryTables> {
        self.inner.tables()
    }

    fn log_time(&self) -> Result<Timestamp, StateError> {
        self.inner.log_time()
    }

    fn due_permit(&self) -> Result<DuePermit, NoDueWork> {
        match *self.no_due_work.lock() {
            Some(reason) => Err(reason),
            None => self.inner.due_permit(),
        }
    }

    async fn propose_due(&self, permit: &DuePermit, body: CommandBody) -> Result<Outcome, ProposeError> {
        self.due_permit().map_err(|_| Unavailable)?;
        self.inner.propose_due(permit, body).await
    }
}

fn keys(tables: &MemoryTables) -> Vec<KeyRecord> {
    let ids = read::keys_of(tables, account(), None, usize::MAX).unwrap();
    ids.iter().map(|id| read::key(tables, id).unwrap().unwrap()).collect()
}

/// One region with its replicator, which leads unless told otherwise.
pub(super) struct Site {
    pub(super) name: RegionName,
    pub(super) region: Arc<CheckedRegion>,
    pub(super) barrier: Arc<Barrier>,
    pub(super) private_keys: RegionPrivateKeys,
    pub(super) clock: Arc<TestClock>,
    pub(super) replicator: Arc<Replicator<CheckedRegion>>,
    pub(super) authority: Arc<FakeAuthority>,
    pub(super) leads: watch::Sender<bool>,
    stop: watch::Sender<bool>,
}

impl Site {
    pub(super) async fn found(region: &str, config: ReplicationConfig, transport: Arc<dyn Transport>) -> Self {
        let (clock, wake) = (Arc::new(TestClock::default()), Arc::new(Notify::new()));
        clock.set(Timestamp::from_millis(1_700_000_000_000));
        let inner = MemoryRegion::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(WakeShipper(Arc::clone(&wake))));
        let memory = Arc::new(CheckedRegion { inner, versions: Mutex::default(), no_due_work: Mutex::default() });
        let barrier = Arc::new(Barrier::new(Keyring::generate().unwrap()));
        let private_keys = RegionPrivateKeys::generate().unwrap();
        let found = FoundRegion {
            region: name(region),
            partition: claviger_types::Partition::default(),
            trust_domain: "test.example".parse().unwrap(),
            cluster_id: ClusterId::from_bytes(random::bytes().unwrap()),
            incarnation: Incarnation::from_bytes(random::bytes().unwrap()),
            keyring: Sealed::from_bytes(Vec::new()),
            region_keys: RegionKeysRecord {
                public: stored_keys(1, &private_keys.public()),
                private: barrier.seal(RecordPlace::region_keys().context(), &private_keys.to_secret_bytes()).unwrap(),
            },
        };
        memory.propose(CommandBody::FoundRegion(Box::new(found))).await.unwrap().unwrap();
        let (leads, leadership) = watch::channel(true);
        let (stop, stopped) = watch::channel(false);
        let replicator = Replicator::new(config, Arc::clone(&memory), Arc::clone(&barrier), transport, leadership, wake);
        let replicator = Arc::new(replicator);
        let running = Arc::clone(&replicator);
        tokio::spawn(async move { running.run(stopped).await });
        Self { name: name(region), region: memory, barrier, private_keys, clock, replicator, authority: Arc::default(), leads, stop }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("https://{}:1", self.name)
    }

    pub(super) fn router(&self) -> axum::Router {
        self.replicator.router(Arc::clone(&self.authority) as Arc<_>)
    }

    pub(super) fn node(&self) -> Identity {
        Identity::Node { region: self.name.clone(), id: 1 }
    }

    pub(super) fn tables(&self) -> Arc<MemoryTables> {
        self.region.tables()
    }

    pub(super) async fn propose(&self, body: CommandBody) -> Outcome {
        self.region.propose(body).await.unwrap()
    }

    pub(super) fn key(&self, id: &KeyId) -> Option<KeyRecord> {
        read::key(&*self.tables(), id).unwrap()
    }

    pub(super) fn document(&self, id: &KeyId) -> Option<SharedDoc> {
        self.key(id).map(|key| key.document)
    }

    pub(super) async fn admit(&self, other: &Site, accounts: AccountScope) {
        let fingerprint = other.replicator.own_identity().await.unwrap().fingerprint().unwrap();
        let new = NewPeer { region: other.name.clone(), endpoints: vec![other.endpoint()], accounts, fingerprint };
        self.replicator.add_peer(new).await.unwrap();
    }

    /// A new multi-region key whose primary is here.
    pub(super) async fn create(&self) -> KeyId {
        self.create_of(KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt).await
    }

    /// A new multi-region key of this kind.
    pub(super) async fn create_of(&self, spec: KeySpec, usage: KeyUsage) -> KeyId {
        let key_id = KeyId::multi_region(random::bytes().unwrap());
        let (id_secret, material) = (Secret32::random().unwrap(), claviger_crypto::material::generate(spec).unwrap());
        let id = material_id::of_canonical(&id_secret, key_id, &material).unwrap();
        let create = CreateKey {
            once: once(Operation::CreateKey),
            key_id,
            account: account(),
            spec,
            usage,
            origin: Origin::AwsKms,
            description: format!("made in {}", self.name),
            tags: BTreeMap::from([("where".to_owned(), self.name.to_string())]),
            policy: None,
            id_secret: self.barrier.seal(RecordPlace::id_secret(&key_id).context(), id_secret.expose()).unwrap(),
            material: Some(SealedMaterial {
                id,
                sealed: self.barrier.seal(RecordPlace::material(&key_id, &id).context(), material.expose()).unwrap(),
            }),
        };
        self.propose(CommandBody::CreateKey(Box::new(create))).await.unwrap();
        key_id
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.clock.now().plus(RESERVATION_WINDOW)
    }

    pub(super) async fn reserve_at(&self, target: &Site, key_id: KeyId, deadline: Timestamp) {
        let description = format!("replica in {}", target.name);
        let reservation = ReplicaReservation { description, ..reservation(key_id, deadline) };
        self.replicator.reserve(&target.name, reservation).await.unwrap().unwrap();
    }

    /// The primary's commit of ReplicateKey.
    pub(super) async fn commit_replica(&self, target: &Site, key_id: KeyId, deadline: Timestamp) -> Outcome {
        loop {
            let revision = self.key(&key_id).unwrap().revision;
            let key = Expected { key_id, revision };
            let replicate = ReplicateKey { once: once(Operation::ReplicateKey), key, region: target.name.clone(), deadline };
            match self.propose(CommandBody::ReplicateKey(replicate)).await {
                Err(claviger_state::Refusal::StaleAuthorisation) => {}
                outcome => return outcome,
            }
        }
    }

    pub(super) async fn replicate(&self, target: &Site, key_id: KeyId) {
        let deadline = self.deadline();
        self.reserve_at(target, key_id, deadline).await;
        self.commit_replica(target, key_id, deadline).await.unwrap();
    }

    pub(super) async fn set_enabled(&self, key_id: KeyId, enabled: bool) {
        let key = Expected { key_id, revision: self.key(&key_id).unwrap().revision };
        let set = SetKeyEnabled { once: once(Operation::DisableKey), key, enabled };
        self.propose(CommandBody::SetKeyEnabled(set)).await.unwrap();
    }

    /// The bytes of every material that the document names, as this region's own barrier opens them.
    pub(super) fn materials(&self, id: &KeyId) -> Vec<Vec<u8>> {
        let (tables, key) = (self.tables(), self.key(id).unwrap());
        let id_secret = self.barrier.unseal32(RecordPlace::id_secret(id).context(), &key.id_secret).unwrap();
        let open = |material: &claviger_protocol::MaterialEntry| {
            let record = read::material(&*tables, id, &material.id).unwrap().unwrap();
            let opened = self.barrier.unseal_secret(RecordPlace::material(id, &material.id).context(), &record.sealed).unwrap();
            assert_eq!(material_id::of_canonical(&id_secret, *id, &opened).unwrap(), material.id);
            opened.expose().to_vec()
        };
        key.document.materials.iter().map(open).collect()
    }

    pub(super) fn dirty(&self) -> u64 {
        let tables = self.tables();
        read::peers(&*tables).unwrap().iter().map(|peer| read::dirty_count(&*tables, &peer.region).unwrap()).sum()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn once(operation: Operation) -> Once {
    let invocation_id = hex(&random::bytes::<16>().unwrap());
    let principal = "arn:aws:iam::111122223333:root".to_owned();
    Once { principal, invocation_id, operation, body_sha256: [0; 32], authorised: Authorised::default() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Regions that know each other.
pub(super) struct World {
    network: Network,
    sites: Vec<Site>,
}

impl World {
    pub(super) async fn of(names: &[&str], config: ReplicationConfig) -> Self {
        let network = Network::default();
        let mut sites = Vec::new();
        for region in names {
            let site = Site::found(region, config, network.link(name(region))).await;
            network.attach(&site.endpoint(), site.name.clone(), site.router());
            sites.push(site);
        }
        for site in &sites {
            for other in sites.iter().filter(|other| other.name != site.name) {
                site.admit(other, AccountScope::All).await;
            }
        }
        Self { network, sites }
    }

    pub(super) async fn three() -> Self {
        Self::of(&[A, B, C], config()).await
    }

    pub(super) fn site(&self, region: &str) -> &Site {
        self.sites.iter().find(|site| site.name.as_str() == region).unwrap()
    }

    /// Nothing is dirty anywhere, no key is `Creating`, all members hold the primary's document and the same bytes.
    pub(super) fn is_settled(&self) -> bool {
        self.sites.iter().all(|site| {
            site.dirty() == 0
                && keys(&site.tables()).iter().filter(|key| *key.document.primary() == site.name).all(|key| {
                    key.document.members.iter().all(|(region, member)| {
                        let replica = self.site(region.as_str()).document(&key.document.key_id);
                        member.status == MemberStatus::Active && replica.as_ref() == Some(&key.document)
                    })
                })
        })
    }

    /// What is dirty where, and what the two sides hold of it.
    fn unsettled(&self) -> Vec<String> {
        let mut found = Vec::new();
        for site in &self.sites {
            let tables = site.tables();
            for peer in read::peers(&*tables).unwrap() {
                for (id, entry) in read::dirty(&*tables, &peer.region, usize::MAX).unwrap() {
                    let version = |site: &Site| site.key(&id).map(|key| (key.document.version.to_string(), key.status_revision));
                    let (here, there) = (version(site), version(self.site(peer.region.as_str())));
                    found.push(format!("{} owes {} {id} {entry:?}: {here:?}, {there:?}", site.name, peer.region));
                }
            }
        }
        found
    }

    pub(super) async fn settle(&self) {
        assert!(comes_true(|| self.is_settled()).await, "the regions do not converge: {:#?}", self.unsettled());
        for site in &self.sites {
            for key in keys(&site.tables()) {
                let id = key.document.key_id;
                assert_eq!(site.materials(&id), self.site(key.document.primary().as_str()).materials(&id));
            }
        }
    }
}

/// Runs on several threads, so that regions truly overlap.
pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}
