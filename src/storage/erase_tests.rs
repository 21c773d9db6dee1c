//! What an erasure leaves: no deleted bytes in any file, and everything else.

use std::fs;
use std::path::Path;

use claviger_state::{Table, Tables};

use crate::log::tests::wait;
use crate::state::tests::{open, writes};

/// Bytes that are nowhere by chance.
fn marker(number: u8) -> Vec<u8> {
    (0..48).map(|at: u8| at.wrapping_mul(29) ^ number).collect()
}

fn is_in_files(path: &Path, bytes: &[u8]) -> bool {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().any(|entry| is_in_files(&entry.unwrap().path(), bytes));
    }
    fs::read(path).unwrap().windows(bytes.len()).any(|part| part == bytes)
}

#[test]
fn deleted_rows_leave_the_tables_files_and_their_neighbours_stay() {
    for prefixes in [Some(vec![(Table::Materials, b"b".to_vec())]), None] {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(dir.path());
        let state = storage.state();
        for (row, number) in [(b"a1", 1), (b"b1", 2), (b"c1", 3)] {
            state.commit(writes(&[(Table::Materials, row, Some(&marker(number)))]), &[]).unwrap();
            state.flush().unwrap();
        }
        // Down to the last level, where nothing lies above it.
        assert!(state.erase(None).unwrap());
        state.commit(writes(&[(Table::Materials, b"b1", None)]), &[]).unwrap();
        state.flush().unwrap();
        assert!(is_in_files(dir.path(), &marker(2)), "a deletion alone leaves the bytes");
        assert!(state.erase(prefixes.as_deref()).unwrap());
        assert!(!is_in_files(dir.path(), &marker(2)));
        for (row, number) in [(b"a1", 1), (b"c1", 3)] {
            assert_eq!(state.get(Table::Materials, row).unwrap().unwrap(), marker(number));
        }
        assert_eq!(state.get(Table::Materials, b"b1").unwrap(), None);
    }
}

#[test]
fn a_reader_of_an_earlier_state_holds_up_an_erasure() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    state.commit(writes(&[(Table::Materials, b"a", Some(&marker(1)))]), &[]).unwrap();
    let view = state.snapshot().unwrap();
    state.commit(writes(&[(Table::Materials, b"a", None)]), &[]).unwrap();
    assert!(!state.erase(None).unwrap());
    assert_eq!(view.get(Table::Materials, b"a").unwrap().unwrap(), marker(1));
    drop(view);
    assert!(state.erase(None).unwrap());
    assert!(!is_in_files(dir.path(), &marker(1)));
}

#[test]
fn a_reader_of_a_replaced_state_holds_up_an_erasure() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    let empty = state.build_snapshot("empty").unwrap();
    state.commit(writes(&[(Table::Materials, b"a", Some(&marker(1)))]), &[]).unwrap();
    let view = state.snapshot().unwrap();
    state.install(&empty).unwrap();
    assert!(!state.erase(None).unwrap());
    drop(view);
    assert!(state.erase(None).unwrap());
    assert!(!is_in_files(dir.path(), &marker(1)));
}

#[test]
fn a_snapshot_built_after_an_erasure_is_without_what_was_erased() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    state.commit(writes(&[(Table::Materials, b"a", Some(&marker(1)))]), &[]).unwrap();
    let old = state.build_snapshot("old").unwrap();
    state.commit(writes(&[(Table::Materials, b"a", None)]), &[]).unwrap();
    assert!(state.erase(None).unwrap());
    state.build_snapshot("new").unwrap();
    assert!(!state.prune_snapshots().unwrap(), "the old one is held");
    assert!(is_in_files(dir.path(), &marker(1)));
    drop(old);
    assert!(state.prune_snapshots().unwrap());
    assert!(!is_in_files(dir.path(), &marker(1)));
}

#[test]
fn purged_and_truncated_entries_leave_the_logs_files_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let log = storage.log();
    let entries = (1..=5).map(|index| (u64::from(index), marker(index))).collect();
    wait(|done| log.append(entries, done)).unwrap();
    wait(|done| log.save_vote(marker(9), done)).unwrap();
    wait(|done| log.purge_upto(2, b"two".to_vec(), done)).unwrap();
    wait(|done| log.truncate_from(5, done)).unwrap();
    for number in [1, 2, 5] {
        assert!(is_in_files(dir.path(), &marker(number)), "a deletion alone leaves the bytes of {number}");
    }
    log.erase().unwrap();
    for number in [1, 2, 5] {
        assert!(!is_in_files(dir.path(), &marker(number)), "{number}");
    }
    drop((log, storage));
    let log = open(dir.path()).log();
    assert_eq!(log.read_range(3..9, usize::MAX).unwrap(), [(3, marker(3)), (4, marker(4))]);
    assert_eq!((log.vote().unwrap(), log.last_purged().unwrap()), (Some(marker(9)), Some(b"two".to_vec())));
}

#[test]
fn what_is_owed_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    for owes in [false, true, false] {
        let local = open(dir.path()).local();
        local.write_owes_erasure(owes).unwrap();
        drop(local);
        assert_eq!(open(dir.path()).local().owes_erasure().unwrap(), owes);
    }
}
