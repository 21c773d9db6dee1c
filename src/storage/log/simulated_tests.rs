//! A simulated node: what was called back survives a crash, what was not written is lost, and a snapshot is a snapshot.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use claviger_state::{Table, Tables};

use super::tests::entry;
use super::{SimulatedDisk, SimulatedWriter};
use crate::state::tests::writes;
use crate::{SnapshotReceiver, Storage, StorageOptions};

fn open(dir: &Path, disk: &Arc<SimulatedDisk>) -> (Storage, SimulatedWriter) {
    Storage::simulated(dir, StorageOptions::default(), Arc::clone(disk), || {}).unwrap()
}

#[test]
fn a_crash_takes_what_was_not_synced_and_nothing_else() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Arc::<SimulatedDisk>::default());
    let called = Arc::new(AtomicUsize::new(0));
    let done = || -> super::Done {
        let called = Arc::clone(&called);
        Box::new(move |result| {
            result.unwrap();
            called.fetch_add(1, Ordering::SeqCst);
        })
    };
    let (storage, mut writer) = open(dir.path(), &disk);
    let log = storage.log();
    log.append((0..3).map(|index| entry(index, 1)).collect(), done());
    log.save_vote(b"vote".to_vec(), done());
    assert_eq!(called.load(Ordering::SeqCst), 0, "called back before the write");
    let batch = writer.take().unwrap();
    assert_eq!(called.load(Ordering::SeqCst), 0, "called back before the write");
    writer.carry_out(batch);
    assert_eq!(called.load(Ordering::SeqCst), 2);
    log.save_committed(b"late".to_vec()).unwrap();
    let batch = writer.take().unwrap();
    writer.carry_out(batch);
    log.append(vec![entry(3, 1)], Box::new(|_| {}));
    log.save_vote(b"later".to_vec(), Box::new(|_| {}));
    let batch = writer.take();
    assert_eq!(log.read_range(0..9, usize::MAX).unwrap().len(), 4);
    drop((log, storage, writer, batch));
    disk.crash();

    let (storage, _writer) = open(dir.path(), &disk);
    let log = storage.log();
    assert_eq!(log.read_range(0..9, usize::MAX).unwrap(), (0..3).map(|index| entry(index, 1)).collect::<Vec<_>>());
    assert_eq!((log.vote().unwrap(), log.committed().unwrap()), (Some(b"vote".to_vec()), None));
}

#[test]
fn a_writer_that_is_gone_leaves_nobody_waiting() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Arc::<SimulatedDisk>::default());
    let (storage, writer) = open(dir.path(), &disk);
    drop(writer);
    let (sender, receiver) = std::sync::mpsc::channel();
    storage.log().append(vec![entry(0, 1)], Box::new(move |result| sender.send(result).unwrap()));
    receiver.recv().unwrap().unwrap_err();
}

#[test]
fn flushed_tables_survive_and_snapshots_travel() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let disks = [(); 2].map(|()| Arc::<SimulatedDisk>::default());
    let (storage, writer) = open(dirs[0].path(), &disks[0]);
    let state = storage.state();
    state.commit(writes(&[(Table::Keys, b"a", Some(b"1"))]), &[("applied", vec![1])]).unwrap();
    let snapshot = state.build_snapshot("s").unwrap();
    state.commit(writes(&[(Table::Keys, b"a", Some(b"2"))]), &[("applied", vec![2])]).unwrap();
    assert_eq!((state.raft_meta("applied").unwrap(), state.durable_meta("applied")), (Some(vec![2]), Some(vec![1])));

    let (other, _other_writer) = open(dirs[1].path(), &disks[1]);
    let mut receiver = SnapshotReceiver::begin(&other.state(), "s", snapshot.manifest()).unwrap();
    for file in snapshot.files() {
        receiver.write_chunk(&file.name, 0, &snapshot.open_chunk(&file.name, 0, usize::MAX).unwrap()).unwrap();
    }
    other.state().install(&receiver.finish().unwrap()).unwrap();
    assert_eq!(other.state().get(Table::Keys, b"a").unwrap().unwrap(), b"1");
    assert_eq!(other.state().durable_meta("applied"), Some(vec![1]));

    drop((state, storage, snapshot, writer));
    let (storage, _writer) = open(dirs[0].path(), &disks[0]);
    assert_eq!(storage.state().get(Table::Keys, b"a").unwrap().unwrap(), b"1");
    assert_eq!(storage.state().raft_meta("applied").unwrap(), Some(vec![1]));
}
