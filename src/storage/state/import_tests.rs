//! A state from outside: whole in place of the old one, or nothing of it.

use claviger_state::{Table, Tables};

use super::tests::{open, rows, writes};
use crate::StateImport;

fn names(dir: &std::path::Path) -> Vec<String> {
    crate::fsync::names(&dir.join("state")).unwrap()
}

#[test]
fn an_import_replaces_the_state_when_it_is_finished_and_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    state.commit(writes(&[(Table::Keys, b"old", Some(b"1"))]), &[("applied", vec![1])]).unwrap();
    let mut import = StateImport::begin(&state).unwrap();
    // More than is written at once.
    for number in 0..600_u32 {
        import.put(Table::Keys, &number.to_be_bytes(), &[7; 10_000]).unwrap();
    }
    import.commit(writes(&[(Table::Keys, &5_u32.to_be_bytes(), None), (Table::Peers, b"peer", Some(b"2"))])).unwrap();
    assert_eq!(import.get(Table::Peers, b"peer").unwrap().unwrap(), b"2");
    assert_eq!(rows(&import, Table::Keys, b"", usize::MAX).len(), 599);
    assert_eq!(rows(&*state, Table::Keys, b"", 9), [(b"old".to_vec(), b"1".to_vec())], "nobody sees it yet");
    import.finish(&[("applied", vec![9])]).unwrap();
    let check = |state: &crate::StateStore| {
        assert_eq!(rows(state, Table::Keys, b"", usize::MAX).len(), 599);
        assert_eq!(state.get(Table::Peers, b"peer").unwrap().unwrap(), b"2");
        assert_eq!((state.raft_meta("applied").unwrap(), state.durable_meta("applied")), (Some(vec![9]), Some(vec![9])));
    };
    check(&state);
    assert_eq!(names(dir.path()), ["CURRENT", "state-2"]);
    drop((state, storage));
    check(&open(dir.path()).state());
}

#[test]
fn an_import_that_is_given_up_or_interrupted_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    let mut import = StateImport::begin(&state).unwrap();
    import.put(Table::Keys, b"row", b"record").unwrap();
    import.commit(writes(&[])).unwrap();
    assert_eq!(names(dir.path()), ["CURRENT", "state-1", "state-2"]);
    drop(import);
    assert_eq!(names(dir.path()), ["CURRENT", "state-1"]);
    // Killed before it was finished: as if the process had ended without running a destructor.
    let mut import = StateImport::begin(&state).unwrap();
    import.commit(writes(&[(Table::Keys, b"row", Some(b"record"))])).unwrap();
    let left_behind = dir.path().join("state/state-2");
    let copy = dir.path().join("copy");
    std::fs::rename(&left_behind, &copy).unwrap();
    drop((import, state, storage));
    std::fs::rename(&copy, &left_behind).unwrap();
    let storage = open(dir.path());
    assert!(rows(&*storage.state(), Table::Keys, b"", 9).is_empty());
    assert_eq!(names(dir.path()), ["CURRENT", "state-1"]);
}

/// A backup is of one moment, and says of which.
#[test]
fn a_view_has_the_metadata_of_its_moment() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    let commit = |applied| state.commit(writes(&[(Table::Keys, b"a", Some(&[applied]))]), &[("applied", vec![applied])]).unwrap();
    commit(1);
    let view = state.snapshot().unwrap();
    commit(2);
    assert_eq!((view.raft_meta("applied"), view.get(Table::Keys, b"a").unwrap()), (Some(&[1][..]), Some(vec![1])));
    assert_eq!(view.raft_meta("absent"), None);
}
