//! openraft's own conformance suite over this crate's log and state machine on RocksDB, and what it does not cover.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_state::{Command, CommandBody, CreateAlias, CrlRecord, Expected, Once, Operation, PublishCrl, read};
use claviger_storage::{SnapshotDir, SnapshotReceiver, StateStore, Storage, StorageOptions};
use claviger_types::{AccountId, AliasId, KeyId, Timestamp};
use futures::Stream;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageError};
use parking_lot::Mutex;

use crate::applied::AppliedIndex;
use crate::erasure::Erasure;
use crate::log::{DurableState, Log};
use crate::machine::{Builder, StateMachine, applied_in};
use crate::raft_types::{Entry, LogId, Proposed, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};
use crate::testing::{create_key, found_region};
use crate::{NoObserver, Observer, ObserverError};

/// The suite purges what was never applied, which our own state does not allow.
struct AnythingGoes;

impl DurableState for AnythingGoes {
    fn make_durable(&self, _index: u64) -> io::Result<()> {
        Ok(())
    }
}

/// The suite hands one node's snapshot to another without a network between them: this is the network.
struct Connected {
    machine: StateMachine,
    state: Arc<StateStore>,
}

impl RaftStateMachine<TypeConfig> for Connected {
    type SnapshotData = SnapshotDir;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        self.machine.applied_state().await
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        self.machine.apply(entries).await
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.machine.get_snapshot_builder().await
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotDir) -> io::Result<()> {
        let mut receiver = SnapshotReceiver::begin(&self.state, snapshot.name(), snapshot.manifest()).unwrap();
        for file in snapshot.files() {
            let mut offset = 0;
            while offset < file.size {
                let chunk = snapshot.open_chunk(&file.name, offset, 1000).unwrap();
                receiver.write_chunk(&file.name, offset, &chunk).unwrap();
                offset += chunk.len() as u64;
            }
        }
        self.machine.install_snapshot(meta, receiver.finish().unwrap()).await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        self.machine.get_current_snapshot().await
    }
}

struct OnDisk;

impl StoreBuilder<TypeConfig, Log, Connected, tempfile::TempDir> for OnDisk {
    async fn build(&self) -> Result<(tempfile::TempDir, Log, Connected), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path(), StorageOptions::default()).unwrap();
        let mut machine =
            StateMachine::new(storage.state(), Arc::new(NoObserver), AppliedIndex::new(None), Erasure::new(storage.local(), None).unwrap());
        machine.holes_allowed = true;
        let log = Log::new(storage.log(), Arc::new(AnythingGoes));
        Ok((dir, log, Connected { machine, state: storage.state() }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openrafts_suite_passes() {
    Suite::test_all(OnDisk).await.unwrap();
}

fn entry(index: u64, payload: Vec<u8>) -> Entry {
    Entry { log_id: log_id(index), payload: EntryPayload::Normal(Proposed(payload.into())) }
}

fn log_id(index: u64) -> LogId {
    LogId::new(openraft::impls::leader_id_adv::LeaderId { term: 1, node_id: 1 }, index)
}

fn encoded(body: CommandBody) -> Vec<u8> {
    Command { time: Timestamp::from_millis(1), body }.encode().unwrap()
}

fn tick() -> Vec<u8> {
    encoded(CommandBody::Tick)
}

async fn apply(machine: &mut StateMachine, entries: Vec<Entry>) -> io::Result<()> {
    machine.apply(futures::stream::iter(entries.into_iter().map(|entry| Ok((entry, None))))).await
}

#[tokio::test]
async fn an_entry_that_does_not_decode_stops_the_node_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), StorageOptions::default()).unwrap();
    let applied = AppliedIndex::new(None);
    let mut machine =
        StateMachine::new(storage.state(), Arc::new(NoObserver), applied.clone(), Erasure::new(storage.local(), None).unwrap());
    apply(&mut machine, vec![entry(0, tick())]).await.unwrap();
    assert_eq!(applied.get(), Some(0));
    // The good entry is of the same run: it is not applied either.
    apply(&mut machine, vec![entry(1, tick()), entry(2, vec![250, 1, 2])]).await.unwrap_err();
    assert_eq!(applied.get(), Some(0));
    assert_eq!(machine.applied_state().await.unwrap().0, Some(log_id(0)));
    // Nor is anything passed over, or applied twice.
    apply(&mut machine, vec![entry(2, tick())]).await.unwrap_err();
    apply(&mut machine, vec![entry(0, tick())]).await.unwrap_err();
    apply(&mut machine, vec![entry(1, tick())]).await.unwrap();
}

#[tokio::test]
async fn the_log_is_purged_only_below_what_the_state_has_on_the_disk() {
    use openraft::storage::{IOFlushed, RaftLogStorage};
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), StorageOptions::default()).unwrap();
    let mut machine =
        StateMachine::new(storage.state(), Arc::new(NoObserver), AppliedIndex::new(None), Erasure::new(storage.local(), None).unwrap());
    let mut log = Log::new(storage.log(), storage.state());
    let entries: Vec<Entry> = (0..10).map(|index| entry(index, tick())).collect();
    log.append(entries.clone(), IOFlushed::noop()).await.unwrap();
    apply(&mut machine, entries[..6].to_vec()).await.unwrap();
    log.purge(log_id(9)).await.unwrap_err();
    assert_eq!(log.get_log_state().await.unwrap().last_purged_log_id, None);
    assert_eq!(storage.state().durable_meta("applied").map(|_| ()), Some(()), "the attempt flushed");
    log.purge(log_id(5)).await.unwrap();
    assert_eq!(log.get_log_state().await.unwrap().last_purged_log_id, Some(log_id(5)));
}

/// What the observer was told, and the last entry that was published and that the state held when it was.
type Call = (&'static str, Option<u64>, Option<u64>);

struct Recorder {
    state: Arc<StateStore>,
    applied: AppliedIndex,
    calls: Mutex<Vec<Call>>,
    /// CRLs that cannot be enforced.
    crls_fail: AtomicBool,
}

impl Recorder {
    fn new(state: Arc<StateStore>, applied: AppliedIndex) -> Arc<Self> {
        Arc::new(Self { state, applied, calls: Mutex::default(), crls_fail: AtomicBool::default() })
    }

    fn record(&self, call: &'static str) {
        let held = applied_in(&self.state).unwrap().map(|id| id.index());
        self.calls.lock().push((call, self.applied.get(), held));
    }
}

impl Observer for Recorder {
    fn keys_changed(&self, _keys: &[KeyId]) {
        self.record("keys_changed");
    }

    fn aliases_changed(&self, _aliases: &[AliasId]) {
        self.record("aliases_changed");
    }

    fn accounts_changed(&self, _accounts: &[AccountId]) {
        self.record("accounts_changed");
    }

    fn everything_changed(&self) {
        self.record("everything_changed");
    }

    fn dirty_grew(&self) {
        self.record("dirty_grew");
    }

    fn crls_changed(&self, crls: &[CrlRecord]) -> Result<(), ObserverError> {
        assert_eq!(crls, read::crls(&*self.state).unwrap());
        self.record("crls_changed");
        if self.crls_fail.load(Ordering::SeqCst) { Err("not these".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn what_changed_is_told_once_it_is_committed_and_before_its_index_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), StorageOptions::default()).unwrap();
    let applied = AppliedIndex::new(None);
    let recorder = Recorder::new(storage.state(), applied.clone());
    let mut machine =
        StateMachine::new(storage.state(), Arc::clone(&recorder) as Arc<_>, applied.clone(), Erasure::new(storage.local(), None).unwrap());
    let found = CommandBody::FoundRegion(Box::new(found_region()));
    let create = create_key(7);
    let CommandBody::CreateKey(key) = &create else { unreachable!() };
    let alias = CommandBody::CreateAlias(CreateAlias {
        once: Once { invocation_id: "alias".to_owned(), operation: Operation::CreateAlias, ..key.once.clone() },
        name: "alias/a".parse().unwrap(),
        key: Expected { key_id: key.key_id, revision: 1 },
    });
    apply(&mut machine, vec![entry(0, encoded(found)), entry(1, encoded(create.clone()))]).await.unwrap();
    apply(&mut machine, vec![entry(2, encoded(alias)), entry(3, tick())]).await.unwrap();
    let expected = [("keys_changed", None, Some(1)), ("keys_changed", Some(1), Some(3)), ("aliases_changed", Some(1), Some(3))];
    assert_eq!(*recorder.calls.lock(), expected);
    assert_eq!(applied.get(), Some(3));
}

#[tokio::test]
async fn a_snapshot_is_told_of_before_and_after_its_tables_are_there_and_its_index_is_published_last() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [from, to] = dirs.each_ref().map(|dir| Storage::open(dir.path(), StorageOptions::default()).unwrap());
    let mut source =
        StateMachine::new(from.state(), Arc::new(NoObserver), AppliedIndex::new(None), Erasure::new(from.local(), None).unwrap());
    apply(&mut source, (0..8).map(|index| entry(index, tick())).collect()).await.unwrap();
    let snapshot = source.get_snapshot_builder().await.build_snapshot().await.unwrap();

    let applied = AppliedIndex::new(None);
    let recorder = Recorder::new(to.state(), applied.clone());
    let machine = StateMachine::new(to.state(), Arc::clone(&recorder) as Arc<_>, applied.clone(), Erasure::new(to.local(), None).unwrap());
    let mut machine = Connected { machine, state: to.state() };
    apply(&mut machine.machine, (0..3).map(|index| entry(index, tick())).collect()).await.unwrap();
    recorder.calls.lock().clear();
    machine.install_snapshot(&snapshot.meta, snapshot.snapshot).await.unwrap();
    let expected = [
        ("everything_changed", Some(2), Some(2)),
        ("everything_changed", Some(2), Some(7)),
        ("dirty_grew", Some(2), Some(7)),
        ("crls_changed", Some(2), Some(7)),
    ];
    assert_eq!(*recorder.calls.lock(), expected);
    assert_eq!(applied.get(), Some(7));
}

/// Whoever passes the read gate must be judged by the new lists: they are told of between the commit and the index.
#[tokio::test]
async fn revocation_lists_are_told_of_before_their_index_and_a_node_that_cannot_enforce_them_stops() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), StorageOptions::default()).unwrap();
    let applied = AppliedIndex::new(None);
    let recorder = Recorder::new(storage.state(), applied.clone());
    let mut machine =
        StateMachine::new(storage.state(), Arc::clone(&recorder) as Arc<_>, applied.clone(), Erasure::new(storage.local(), None).unwrap());
    let found = CommandBody::FoundRegion(Box::new(found_region()));
    let publish = |number: u8| {
        let [this_update, next_update] = [1, 2].map(Timestamp::from_millis);
        let crl = PublishCrl { ca: [1; 32], number: [number; 20], this_update, next_update, der: vec![number] };
        encoded(CommandBody::PublishCrl(Box::new(crl)))
    };
    apply(&mut machine, vec![entry(0, encoded(found)), entry(1, publish(1)), entry(2, tick())]).await.unwrap();
    assert_eq!(*recorder.calls.lock(), [("crls_changed", None, Some(2))]);
    apply(&mut machine, vec![entry(3, publish(1))]).await.unwrap();
    assert_eq!(recorder.calls.lock().len(), 1, "the same list is nothing new");
    recorder.crls_fail.store(true, Ordering::SeqCst);
    apply(&mut machine, vec![entry(4, publish(2))]).await.unwrap_err();
    assert_eq!(applied.get(), Some(3), "nobody may rely on what is not enforced");
}

/// What the log and the state hold beside commands; a change is a new schema version.
#[test]
fn encodings_are_held_fast() {
    use crate::raft_types::{Member, Vote};
    let member = Member { endpoint: "https://a:1".to_owned(), instance: claviger_types::NodeInstance::from_bytes([9; 16]) };
    let membership = openraft::Membership::new(vec![[1].into()], [(1, member)].into_iter().collect::<std::collections::BTreeMap<_, _>>());
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let encode = |bytes: Result<Vec<u8>, _>| hex(bytes.map_err(|e: claviger_types::encoding::EncodingError| e).unwrap());
    assert_eq!(encode(claviger_types::encoding::encode(1, &entry(300, vec![1, 2]))), GOLDEN_ENTRY);
    assert_eq!(encode(claviger_types::encoding::encode(1, &Vote::new_committed(5, 2))), GOLDEN_VOTE);
    let stored = StoredMembership::new(Some(log_id(4)), membership.unwrap());
    assert_eq!(encode(claviger_types::encoding::encode(1, &stored)), GOLDEN_MEMBERSHIP);
}

const GOLDEN_ENTRY: &str = "010101fb2c0101020102";
const GOLDEN_VOTE: &str = "01050201";
const GOLDEN_MEMBERSHIP: &str = "010101010401010101010b68747470733a2f2f613a3109090909090909090909090909090909";
