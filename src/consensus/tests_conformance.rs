//! openraft's own conformance suite over this crate's log and state machine on RocksDB, and what it does not cover.

use std::io;
use std::sync::Arc;

use claviger_state::CommandBody;
use claviger_storage::{Storage, StorageOptions};
use openraft::storage::RaftStateMachine;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, StorageError};

use crate::NoObserver;
use crate::applied::AppliedIndex;
use crate::log::{DurableState, Log};
use crate::machine::StateMachine;
use crate::raft_types::{Entry, LogId, Proposed, TypeConfig};

/// The suite purges what was never applied, which our own state does not allow.
struct AnythingGoes;

impl DurableState for AnythingGoes {
    fn make_durable(&self, _index: u64) -> io::Result<()> {
        Ok(())
    }
}

struct OnDisk;

impl StoreBuilder<TypeConfig, Log, StateMachine, tempfile::TempDir> for OnDisk {
    async fn build(&self) -> Result<(tempfile::TempDir, Log, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path(), StorageOptions::default()).unwrap();
        let machine = StateMachine::new(storage.state(), Arc::new(NoObserver), AppliedIndex::new(None));
        Ok((dir, Log::new(storage.log(), Arc::new(AnythingGoes)), machine))
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

fn tick() -> Vec<u8> {
    claviger_state::Command { time: claviger_types::Timestamp::from_millis(1), body: CommandBody::Tick }.encode().unwrap()
}

async fn apply(machine: &mut StateMachine, entries: Vec<Entry>) -> io::Result<()> {
    machine.apply(futures::stream::iter(entries.into_iter().map(|entry| Ok((entry, None))))).await
}

#[tokio::test]
async fn an_entry_that_does_not_decode_stops_the_node_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), StorageOptions::default()).unwrap();
    let applied = AppliedIndex::new(None);
    let mut machine = StateMachine::new(storage.state(), Arc::new(NoObserver), applied.clone());
    apply(&mut machine, vec![entry(0, tick())]).await.unwrap();
    assert_eq!(applied.get(), Some(0));
    // The good entry is of the same run: it is not applied either.
    apply(&mut machine, vec![entry(1, tick()), entry(2, vec![250, 1, 2])]).await.unwrap_err();
    assert_eq!(applied.get(), Some(0));
    assert_eq!(machine.applied_state().await.unwrap().0, Some(log_id(0)));
    // Nor is a gap passed over.
    apply(&mut machine, vec![entry(3, tick())]).await.unwrap_err();
}

#[tokio::test]
async fn the_log_is_purged_only_below_what_the_state_has_on_the_disk() {
    use openraft::storage::{IOFlushed, RaftLogStorage};
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(dir.path(), StorageOptions::default()).unwrap();
    let mut machine = StateMachine::new(storage.state(), Arc::new(NoObserver), AppliedIndex::new(None));
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

/// What the log and the state hold beside commands; a change is a new schema version.
#[test]
fn encodings_are_held_fast() {
    use crate::raft_types::{Member, StoredMembership, Vote};
    let member = Member { endpoint: "https://a:1".to_owned(), instance: claviger_types::NodeInstance::from_bytes([9; 16]) };
    let membership = openraft::Membership::new(vec![[1].into()], [(1, member)].into_iter().collect::<std::collections::BTreeMap<_, _>>());
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let encode = |bytes: Result<Vec<u8>, _>| hex(bytes.map_err(|e: claviger_types::encoding::EncodingError| e).unwrap());
    assert_eq!(encode(claviger_types::encoding::encode(1, &entry(300, vec![1, 2]))), GOLDEN_ENTRY);
    assert_eq!(encode(claviger_types::encoding::encode(1, &Vote::new_committed(5, 2))), GOLDEN_VOTE);
    let stored = StoredMembership::new(Some(log_id(4)), membership.unwrap());
    assert_eq!(encode(claviger_types::encoding::encode(1, &stored)), GOLDEN_MEMBERSHIP);
}

const GOLDEN_ENTRY: &str = "";
const GOLDEN_VOTE: &str = "";
const GOLDEN_MEMBERSHIP: &str = "";
