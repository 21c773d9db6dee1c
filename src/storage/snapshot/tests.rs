//! Snapshots from one node to another: whole, or refused; the state replaced, or as it was.

use claviger_state::{Table, Tables};

use crate::state::tests::{open, rows, writes};
use crate::{SNAPSHOT_CHUNK_BYTES_MAX, SnapshotDir, SnapshotReceiver, StateStore, StorageError};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn fill(state: &StateStore, salt: u8) {
    for table in Table::ALL {
        let records: Vec<_> = (0..50_u8).map(|row| ([row, salt], vec![salt; usize::from(row) * 40])).collect();
        let rows: Vec<_> = records.iter().map(|(row, record)| (*table, &row[..], Some(record.as_slice()))).collect();
        state.commit(writes(&rows), &[("applied", vec![salt]), ("membership", vec![salt, salt])]).unwrap();
    }
}

fn all(state: &dyn Tables) -> Vec<(Table, Rows)> {
    Table::ALL.iter().map(|table| (*table, rows(state, *table, b"", usize::MAX))).collect()
}

fn send(snapshot: &SnapshotDir, to: &StateStore, chunk: usize) -> Result<SnapshotDir, StorageError> {
    let mut receiver = SnapshotReceiver::begin(to, snapshot.name(), snapshot.manifest())?;
    for file in snapshot.files() {
        let mut offset = 0;
        while offset < file.size {
            let bytes = snapshot.open_chunk(&file.name, offset, chunk)?;
            receiver.write_chunk(&file.name, offset, &bytes)?;
            offset += bytes.len() as u64;
        }
        assert!(snapshot.open_chunk(&file.name, offset, chunk)?.is_empty());
    }
    receiver.finish()
}

#[test]
fn built_sent_installed_and_still_there_after_a_restart() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, target) = (open(here.path()), open(there.path()));
    fill(&source.state(), 1);
    let snapshot = source.state().build_snapshot("3-17.a").unwrap();
    let expected = all(&*source.state());
    // The snapshot is of its moment.
    fill(&source.state(), 2);
    assert_eq!(source.state().current_snapshot().unwrap().unwrap().name(), "3-17.a");
    assert_eq!(snapshot.raft_meta("applied"), Some(&[1][..]));
    assert_eq!(snapshot.total_bytes(), snapshot.files().iter().map(|file| file.size).sum());

    let state = target.state();
    fill(&state, 9);
    let old_view = state.snapshot().unwrap();
    let old = all(&*state);
    let received = send(&snapshot, &state, 1000).unwrap();
    assert!(state.current_snapshot().unwrap().is_none(), "received is not installed");
    assert_eq!(all(&*state), old);
    state.install(&received).unwrap();
    assert_eq!(all(&*state), expected);
    assert_eq!(state.raft_meta("applied").unwrap(), Some(vec![1]));
    assert_eq!(state.durable_meta("membership"), Some(vec![1, 1]));
    assert_eq!(state.current_snapshot().unwrap().unwrap().name(), "3-17.a");
    // Who still reads the old state reads all of it; then its directory goes.
    assert_eq!(all(&old_view), old);
    assert!(there.path().join("state/state-1").exists());
    drop(old_view);
    assert!(!there.path().join("state/state-1").exists());
    // Life goes on, and the snapshot does not change with it.
    fill(&state, 3);
    state.flush().unwrap();
    let newest = all(&*state);
    state.install(&received).unwrap();
    assert_eq!(all(&*state), expected);
    fill(&state, 3);
    assert_eq!(all(&*state), newest);
    drop((state, received, target));
    let target = open(there.path());
    assert_eq!(all(&*target.state()), newest);
    assert_eq!(target.state().current_snapshot().unwrap().unwrap().files(), snapshot.files());
}

#[test]
fn a_wrong_byte_a_missing_one_and_one_too_many_are_refused() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, target) = (open(here.path()), open(there.path()));
    let state = target.state();
    fill(&source.state(), 1);
    let snapshot = source.state().build_snapshot("s").unwrap();
    let begin = || SnapshotReceiver::begin(&state, "s", snapshot.manifest()).unwrap();
    for file in snapshot.files().iter().filter(|file| file.size > 0) {
        let mut receiver = begin();
        let mut bytes = snapshot.open_chunk(&file.name, 0, SNAPSHOT_CHUNK_BYTES_MAX).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(receiver.write_chunk(&file.name, 0, &bytes).is_err(), "{}", file.name);
        assert!(receiver.finish().is_err());
    }
    let file = snapshot.files().iter().find(|file| file.size > 100).unwrap();
    let bytes = snapshot.open_chunk(&file.name, 0, SNAPSHOT_CHUNK_BYTES_MAX).unwrap();
    assert!(begin().write_chunk(&file.name, 1, &bytes[1..]).is_err());
    assert!(begin().write_chunk(&file.name, 0, &[&bytes[..], b"x"].concat()).is_err());
    assert!(begin().write_chunk("../x", 0, &bytes).is_err());
    assert!(begin().write_chunk("claviger-manifest", 0, &bytes).is_err());
    assert!(begin().write_chunk(&file.name, 0, &vec![0; SNAPSHOT_CHUNK_BYTES_MAX + 1]).is_err());
    let mut twice = begin();
    twice.write_chunk(&file.name, 0, &bytes[..50]).unwrap();
    assert!(twice.write_chunk(&file.name, 0, &bytes[..50]).is_err());
    assert!(begin().finish().is_err());
    assert!(SnapshotReceiver::begin(&state, "other", snapshot.manifest()).is_err());
    assert!(SnapshotReceiver::begin(&state, "../s", snapshot.manifest()).is_err());
    assert!(snapshot.open_chunk("../CURRENT", 0, 10).is_err());
    drop(twice);
    assert!(std::fs::read_dir(there.path().join("partial")).unwrap().next().is_none(), "a refused snapshot leaves something");
}

#[test]
fn what_cannot_be_opened_is_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    fill(&state, 1);
    let snapshot = state.build_snapshot("s").unwrap();
    fill(&state, 2);
    let before = all(&*state);
    let manifest = snapshot.files().iter().find(|file| file.name.starts_with("MANIFEST")).unwrap();
    std::fs::write(snapshot.path().join(&manifest.name), b"rubbish").unwrap();
    assert!(state.install(&snapshot).is_err());
    assert_eq!(all(&*state), before);
    fill(&state, 3);
    assert_eq!(std::fs::read_dir(dir.path().join("state")).unwrap().count(), 2, "the failed generation is left behind");
}

#[test]
fn a_crash_between_the_steps_leaves_the_old_state_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    fill(&storage.state(), 1);
    let old = all(&*storage.state());
    let snapshot = storage.state().build_snapshot("s").unwrap();
    fill(&storage.state(), 2);
    let new = all(&*storage.state());
    let newer = storage.state().build_snapshot("t").unwrap();
    storage.state().install(&snapshot).unwrap();
    drop(storage);
    let names = || crate::fsync::names(&dir.path().join("state")).unwrap();
    assert_eq!(names(), ["CURRENT", "state-2"]);
    // Killed with the snapshot made current, and the new state's pointer written but not renamed: the snapshot is ahead of
    // the state, never behind it.
    point_at_snapshot(dir.path(), &newer);
    crate::state::install_files(&newer, &dir.path().join("state/state-3")).unwrap();
    std::fs::remove_file(dir.path().join("state/state-3/CURRENT")).unwrap();
    std::fs::write(dir.path().join("state/CURRENT.new"), b"state-3").unwrap();
    let storage = open(dir.path());
    assert_eq!(all(&*storage.state()), old);
    assert_eq!(storage.state().current_snapshot().unwrap().unwrap().name(), "t");
    drop(storage);
    assert!(!names().contains(&"state-3".to_owned()));
    // Killed right after the rename: the new one, and the old directory goes.
    crate::state::install_files(&newer, &dir.path().join("state/state-3")).unwrap();
    std::fs::write(dir.path().join("state/CURRENT.new"), b"state-3").unwrap();
    std::fs::rename(dir.path().join("state/CURRENT.new"), dir.path().join("state/CURRENT")).unwrap();
    let storage = open(dir.path());
    assert_eq!(all(&*storage.state()), new);
    assert_eq!(names(), ["CURRENT", "state-3"]);
    // Killed while a snapshot was being built or received.
    drop(storage);
    std::fs::create_dir(dir.path().join("partial/snapshot-99.tmp")).unwrap();
    let storage = open(dir.path());
    assert!(!dir.path().join("partial/snapshot-99.tmp").exists());
    assert_eq!(storage.state().current_snapshot().unwrap().unwrap().name(), "t");
}

fn point_at_snapshot(dir: &std::path::Path, snapshot: &SnapshotDir) {
    let name = snapshot.path().file_name().unwrap().to_string_lossy().into_owned();
    std::fs::write(dir.join("snapshots/CURRENT"), name).unwrap();
}

#[test]
fn old_snapshots_go_but_not_what_is_being_sent() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    let first = state.build_snapshot("first").unwrap();
    fill(&state, 1);
    let second = state.build_snapshot("second").unwrap();
    drop(state.build_snapshot("third").unwrap());
    let first_path = first.path().to_owned();
    drop(first);
    state.prune_snapshots().unwrap();
    assert!(!first_path.exists());
    let file = &second.files()[0];
    assert_eq!(second.open_chunk(&file.name, 0, 10).unwrap().len() as u64, file.size.min(10));
    drop(second);
    state.prune_snapshots().unwrap();
    assert_eq!(crate::fsync::names(&dir.path().join("snapshots")).unwrap().len(), 2);
    assert_eq!(state.current_snapshot().unwrap().unwrap().name(), "third");
    assert!(state.build_snapshot("a/b").is_err());
}
