//! What the tests of this crate share: a region in memory with any number of nodes, faults and interleavings on order,
//! and calls that go through the decoder and the encoder as a client's would.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_barrier::{Barrier, Keyring};
use claviger_consensus::{DuePermit, MemoryRegion, NoDueWork, Observer, ObserverError, ProposeError, Region, Unavailable};
use claviger_shapes::{ApiError, ErrorCode, Operation, Request};
use claviger_state::protocol::Author;
use claviger_state::{
    AccountScope, AddPeer, ApplyIdentities, CommandBody, CrlRecord, FoundRegion, IdentityChange, IdentityRecord, MemoryTables, Outcome,
    Refusal, RegionKeysRecord, RegionPublicKeys, StateError, UserRecord, read,
};
use claviger_types::{AccountId, AliasId, Clock, ClusterId, Incarnation, KeyId, Partition, Principal, RevocationFlag, Sealed, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    CacheLimits, Context, Invocation, KeyCache, ReplicaReservations, ReservationError, ReservationFuture, ReservationRequest, Service,
    ServiceConfig,
};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const OTHER_ACCOUNT: &str = "444455556666";
pub(crate) const HERE: &str = "eu-west-1";
pub(crate) const PEER: &str = "dc-north-2";

/// The result of a future that never waits, as nothing on a region in memory does.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut std::task::Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future waits for what will not come"),
    }
}

pub(crate) fn account(digits: &str) -> AccountId {
    digits.parse().unwrap()
}

pub(crate) fn alice() -> Principal {
    Principal::User { account: account(ACCOUNT), name: "alice".to_owned() }
}

pub(crate) fn carol() -> Principal {
    Principal::User { account: account(OTHER_ACCOUNT), name: "carol".to_owned() }
}

/// A policy that allows everything.
pub(crate) const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

/// A key policy that lets everybody of the key's account do everything.
pub(crate) const EVERYBODY: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}"#;

pub(crate) fn arn_of(principal: &Principal) -> String {
    principal.arn(&Partition::default())
}

/// A user with these policies of its own.
pub(crate) fn user<const N: usize>(name: &'static str, policies: [(&str, &str); N]) -> (&'static str, IdentityRecord) {
    let inline = policies.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    (name, IdentityRecord::User(UserRecord { inline, ..UserRecord::default() }))
}

pub(crate) fn peer_author() -> Author {
    Author { region: PEER.parse().unwrap(), incarnation: Incarnation::from_bytes([9; 16]) }
}

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Tells every node's cache, as each node's own state machine does.
#[derive(Default)]
struct FanOut(Mutex<Vec<Arc<KeyCache>>>);

impl Observer for FanOut {
    fn keys_changed(&self, keys: &[KeyId]) {
        self.0.lock().iter().for_each(|cache| cache.keys_changed(keys));
    }

    fn aliases_changed(&self, aliases: &[AliasId]) {
        self.0.lock().iter().for_each(|cache| cache.aliases_changed(aliases));
    }

    fn accounts_changed(&self, accounts: &[AccountId]) {
        self.0.lock().iter().for_each(|cache| cache.accounts_changed(accounts));
    }

    fn everything_changed(&self) {
        self.0.lock().iter().for_each(|cache| cache.everything_changed());
    }

    fn dirty_grew(&self) {}

    fn crls_changed(&self, _crls: &[CrlRecord]) -> Result<(), ObserverError> {
        Ok(())
    }
}

/// A region with one peer, and the means to give it nodes.
pub(crate) struct Deployment {
    pub(crate) memory: Arc<MemoryRegion>,
    pub(crate) barrier: Arc<Barrier>,
    /// What log time is made of.
    pub(crate) clock: Arc<TestClock>,
    pub(crate) reservations: Arc<FakeReservations>,
    observers: Arc<FanOut>,
}

impl Deployment {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(TestClock(AtomicU64::new(1_700_000_000_000)));
        let observers = Arc::new(FanOut::default());
        let deployment = Self {
            memory: Arc::new(MemoryRegion::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&observers) as Arc<dyn Observer>)),
            barrier: Arc::new(Barrier::new(Keyring::generate().unwrap())),
            clock,
            reservations: Arc::default(),
            observers,
        };
        let keys = RegionPublicKeys { version: 1, kem: vec![1], ed25519: vec![1], ml_dsa_65: vec![1] };
        deployment.apply(CommandBody::FoundRegion(Box::new(FoundRegion {
            region: HERE.parse().unwrap(),
            partition: Partition::default(),
            trust_domain: "claviger.test".parse().unwrap(),
            cluster_id: ClusterId::from_bytes([1; 16]),
            incarnation: Incarnation::from_bytes([1; 16]),
            keyring: Sealed::from_bytes(vec![1]),
            region_keys: RegionKeysRecord { public: keys.clone(), private: Sealed::from_bytes(vec![1]) },
        })));
        deployment.set_identities(ACCOUNT, [user("alice", [("admin", EVERYTHING)])]);
        deployment.set_identities(OTHER_ACCOUNT, [user("carol", [("admin", EVERYTHING)])]);
        deployment.apply(CommandBody::AddPeer(Box::new(AddPeer {
            region: PEER.parse().unwrap(),
            cluster_id: ClusterId::from_bytes([9; 16]),
            incarnation: peer_author().incarnation,
            endpoints: vec!["https://peer.test:1".to_owned()],
            keys,
            accounts: AccountScope::All,
        })));
        deployment
    }

    /// Puts identities into an account, which is made if it is not there.
    pub(crate) fn set_identities(&self, digits: &str, identities: impl IntoIterator<Item = (&'static str, IdentityRecord)>) {
        let account = account(digits);
        let expected_revision = read::account(&*self.memory.tables(), account).unwrap().map(|held| held.revision);
        let put = |(name, record): (&str, IdentityRecord)| IdentityChange::Put { name: name.to_owned(), record: Box::new(record) };
        let changes = identities.into_iter().map(put).collect();
        self.apply(CommandBody::ApplyIdentities(Box::new(ApplyIdentities { account, expected_revision, changes })));
    }

    /// Applies a command that must not be refused.
    pub(crate) fn apply(&self, body: CommandBody) -> claviger_state::Response {
        ready(self.memory.propose(body)).unwrap().unwrap()
    }

    pub(crate) fn node(&self) -> Node {
        self.node_in_life(Incarnation::from_bytes([1; 16]))
    }

    /// A node that takes the region to be in this life.
    pub(crate) fn node_in_life(&self, incarnation: Incarnation) -> Node {
        let cache = Arc::new(KeyCache::new(CacheLimits { materials_max: 1 << 12, aliases_max: 1 << 12 }));
        self.observers.0.lock().push(Arc::clone(&cache));
        let region = Arc::new(Scripted::new(Arc::clone(&self.memory)));
        let config = ServiceConfig { region: HERE.parse().unwrap(), incarnation, partition: Partition::default() };
        let reservations = Arc::clone(&self.reservations) as Arc<dyn ReplicaReservations>;
        let service = Service::new(config, Arc::clone(&region), Arc::clone(&self.barrier), cache, reservations);
        Node { service, region, revoked: RevocationFlag::default() }
    }
}

/// One node's service.
pub(crate) struct Node {
    pub(crate) service: Service<Scripted>,
    pub(crate) region: Arc<Scripted>,
    /// Of the certificate of all callers.
    pub(crate) revoked: RevocationFlag,
}

impl Node {
    /// Asks as `principal`, without an invocation id. An empty body is null.
    pub(crate) fn ask(&self, principal: Principal, operation: Operation, body: &Value) -> Result<Value, ApiError> {
        self.ask_once(principal, operation, body, None)
    }

    /// Asks as `principal` in the invocation of this id, with the hash that stands for the body.
    pub(crate) fn ask_once(
        &self,
        principal: Principal,
        operation: Operation,
        body: &Value,
        invocation: Option<(&str, u8)>,
    ) -> Result<Value, ApiError> {
        let invocation = invocation.map(|(id, hash)| Invocation { id: id.to_owned(), body_sha256: [hash; 32] });
        let revoked = self.revoked.clone();
        let context = Context { principal, revoked, request_id: Uuid::new_v4(), invocation, source_ip: None };
        let request = Request::parse(operation, body.to_string().as_bytes())?;
        let response = ready(self.service.call(context, request))?;
        assert_eq!(response.operation(), operation);
        let body = response.to_body()?;
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
    }

    /// Asks as alice and gets an answer.
    pub(crate) fn get(&self, operation: Operation, body: &Value) -> Value {
        self.ask(alice(), operation, body).unwrap()
    }

    /// Asks as alice and gets an error.
    pub(crate) fn error(&self, operation: Operation, body: &Value) -> (ErrorCode, String) {
        match self.ask(alice(), operation, body) {
            Ok(answer) => panic!("{operation} answered {answer}"),
            Err(error) => (error.code, error.message),
        }
    }

    /// A new key of alice's account: its id.
    pub(crate) fn create_key(&self, multi_region: bool) -> String {
        let answer = self.get(Operation::CreateKey, &json!({"MultiRegion": multi_region}));
        answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }

    /// A name for a key of alice's account.
    pub(crate) fn create_alias(&self, name: &str, key: &str) {
        self.get(Operation::CreateAlias, &json!({"AliasName": name, "TargetKeyId": key}));
    }

    /// `plaintext` under `key`, in base64.
    pub(crate) fn encrypt(&self, key: &str, plaintext: &[u8]) -> String {
        let answer = self.get(Operation::Encrypt, &json!({"KeyId": key, "Plaintext": base64(plaintext)}));
        answer["CiphertextBlob"].as_str().unwrap().to_owned()
    }
}

/// The ARN of a key of alice's account.
pub(crate) fn arn(key_id: &str) -> String {
    format!("arn:aws:kms:{HERE}:{ACCOUNT}:key/{key_id}")
}

/// The ARN of an alias of alice's account.
pub(crate) fn alias_arn(name: &str) -> String {
    format!("arn:aws:kms:{HERE}:{ACCOUNT}:{name}")
}

type Hook = Box<dyn FnOnce() + Send>;

/// A node's view of the region, which does what a test orders: once each, first ordered first.
pub(crate) struct Scripted {
    pub(crate) memory: Arc<MemoryRegion>,
    /// The gate finds no leader.
    pub(crate) cut_off: AtomicBool,
    /// How often the gate was asked.
    pub(crate) gates: AtomicUsize,
    /// How often the tables were looked at.
    pub(crate) reads: AtomicUsize,
    during_read: Mutex<VecDeque<Hook>>,
    before_propose: Mutex<VecDeque<Hook>>,
    after_tables: Mutex<VecDeque<Hook>>,
    /// What the next proposal fails with, and whether it is applied nevertheless.
    pub(crate) fail_propose: Mutex<Option<(ProposeError, bool)>>,
    /// What the next proposal is refused with.
    pub(crate) refuse_propose: Mutex<Option<Refusal>>,
    /// Why the node may not propose due work, if so.
    pub(crate) no_due_work: Mutex<Option<NoDueWork>>,
    /// Due work that was proposed.
    pub(crate) due_work: AtomicUsize,
}

impl Scripted {
    fn new(memory: Arc<MemoryRegion>) -> Self {
        Self {
            memory,
            cut_off: AtomicBool::default(),
            gates: AtomicUsize::default(),
            reads: AtomicUsize::default(),
            during_read: Mutex::default(),
            before_propose: Mutex::default(),
            after_tables: Mutex::default(),
            fail_propose: Mutex::default(),
            refuse_propose: Mutex::default(),
            no_due_work: Mutex::default(),
            due_work: AtomicUsize::default(),
        }
    }

    /// Runs `hook` while the next request waits at the gate.
    pub(crate) fn during_read(&self, hook: impl FnOnce() + Send + 'static) {
        self.during_read.lock().push_back(Box::new(hook));
    }

    /// Runs `hook` after the next look at the tables, before anything is done with what was seen.
    pub(crate) fn after_tables(&self, hook: impl FnOnce() + Send + 'static) {
        self.after_tables.lock().push_back(Box::new(hook));
    }

    /// Runs `hook` after the next proposal was made, before it is applied.
    pub(crate) fn before_propose(&self, hook: impl FnOnce() + Send + 'static) {
        self.before_propose.lock().push_back(Box::new(hook));
    }
}

impl Region for Scripted {
    type Tables = Arc<MemoryTables>;

    async fn read(&self) -> Result<(), Unavailable> {
        self.gates.fetch_add(1, Ordering::SeqCst);
        let hook = self.during_read.lock().pop_front();
        if let Some(hook) = hook {
            hook();
        }
        if self.cut_off.load(Ordering::SeqCst) { Err(Unavailable) } else { Ok(()) }
    }

    async fn propose(&self, body: CommandBody) -> Result<Outcome, ProposeError> {
        let hook = self.before_propose.lock().pop_front();
        if let Some(hook) = hook {
            hook();
        }
        let failure = self.fail_propose.lock().take();
        if let Some((error, applied)) = failure {
            if applied {
                self.memory.propose(body).await?.unwrap();
            }
            return Err(error);
        }
        let refusal = self.refuse_propose.lock().take();
        match refusal {
            Some(refusal) => Ok(Err(refusal)),
            None => self.memory.propose(body).await,
        }
    }

    fn tables(&self) -> Self::Tables {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let tables = self.memory.tables();
        let hook = self.after_tables.lock().pop_front();
        if let Some(hook) = hook {
            hook();
        }
        tables
    }

    fn log_time(&self) -> Result<Timestamp, StateError> {
        self.memory.log_time()
    }

    fn due_permit(&self) -> Result<DuePermit, NoDueWork> {
        self.no_due_work.lock().map_or_else(|| self.memory.due_permit(), Err)
    }

    async fn propose_due(&self, permit: &DuePermit, body: CommandBody) -> Result<Outcome, ProposeError> {
        self.due_work.fetch_add(1, Ordering::SeqCst);
        self.memory.propose_due(permit, body).await
    }
}

/// A target that holds a place for all that ask, or refuses the next request as ordered.
#[derive(Default)]
pub(crate) struct FakeReservations {
    pub(crate) asked: Mutex<Vec<(String, ReservationRequest)>>,
    pub(crate) refuse: Mutex<Option<ReservationError>>,
    pub(crate) hook: Mutex<Option<Hook>>,
}

impl ReplicaReservations for FakeReservations {
    fn reserve<'a>(&'a self, target: &'a claviger_types::Region, request: ReservationRequest) -> ReservationFuture<'a> {
        Box::pin(async move {
            self.asked.lock().push((target.to_string(), request));
            let hook = self.hook.lock().take();
            if let Some(hook) = hook {
                hook();
            }
            self.refuse.lock().take().map_or(Ok(()), Err)
        })
    }
}
