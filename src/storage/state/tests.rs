//! What holds of the state store apart from crashes: bounds of scans, durability, views, fail-stop at the door.

use std::ops::ControlFlow;
use std::path::Path;

use claviger_state::{MemoryTables, Overlay, Table, Tables, WriteSet};
use proptest::prelude::*;

use crate::{LocalIdentity, StateStore, Storage, StorageError, StorageOptions};

pub(crate) fn open(dir: &Path) -> Storage {
    Storage::open(dir, StorageOptions::default()).unwrap()
}

/// A row to put (`Some`) or to delete.
type Row<'a> = (Table, &'a [u8], Option<&'a [u8]>);

pub(crate) fn writes(rows: &[Row<'_>]) -> WriteSet {
    let nothing = MemoryTables::default();
    let mut overlay = Overlay::new(&nothing);
    for (table, row, record) in rows {
        match record {
            Some(record) => overlay.put_bytes(*table, row, record.to_vec()),
            None => overlay.delete(*table, row),
        }
    }
    overlay.into_writes()
}

pub(crate) fn rows(tables: &dyn Tables, table: Table, from: &[u8], most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    tables
        .scan(table, from, &mut |row, record| {
            found.push((row.to_vec(), record.to_vec()));
            if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    found
}

fn put(state: &StateStore, row: &[u8], record: &[u8], applied: u8) {
    state.commit(writes(&[(Table::Keys, row, Some(record))]), &[("applied", vec![applied])]).unwrap();
}

#[test]
fn metadata_is_durable_only_after_a_flush() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    assert_eq!((state.raft_meta("applied").unwrap(), state.durable_meta("applied")), (None, None));
    put(&state, b"a", b"1", 1);
    assert_eq!((state.raft_meta("applied").unwrap(), state.durable_meta("applied")), (Some(vec![1]), None));
    state.flush().unwrap();
    assert_eq!(state.durable_meta("applied"), Some(vec![1]));
    put(&state, b"a", b"2", 2);
    assert_eq!((state.raft_meta("applied").unwrap(), state.durable_meta("applied")), (Some(vec![2]), Some(vec![1])));
    state.build_snapshot("s").unwrap();
    assert_eq!(state.durable_meta("applied"), Some(vec![2]));
}

#[test]
fn an_orderly_end_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    put(&storage.state(), b"a", b"1", 1);
    drop(storage);
    let state = open(dir.path()).state();
    assert_eq!(state.get(Table::Keys, b"a").unwrap().unwrap(), b"1");
    assert_eq!(state.durable_meta("applied"), Some(vec![1]));
}

#[test]
fn a_view_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    put(&state, b"a", b"1", 1);
    let view = state.snapshot().unwrap();
    put(&state, b"a", b"2", 2);
    put(&state, b"b", b"2", 2);
    assert_eq!(view.get(Table::Keys, b"a").unwrap().unwrap(), b"1");
    assert_eq!(rows(&view, Table::Keys, b"", 9), [(b"a".to_vec(), b"1".to_vec())]);
    assert_eq!(rows(&*state, Table::Keys, b"", 9).len(), 2);
    // It keeps its database alive.
    drop((state, storage));
    assert_eq!(view.get(Table::Keys, b"a").unwrap().unwrap(), b"1");
}

#[test]
fn tables_do_not_run_into_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let state = storage.state();
    for table in Table::ALL {
        state.commit(writes(&[(*table, b"row", Some(table.name().as_bytes()))]), &[]).unwrap();
    }
    for table in Table::ALL {
        assert_eq!(rows(&*state, *table, b"", 9), [(b"row".to_vec(), table.name().as_bytes().to_vec())]);
        assert!(rows(&*state, *table, b"row\0", 9).is_empty());
    }
}

#[test]
fn the_directory_is_one_processs_and_one_nodes() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    assert!(matches!(Storage::open(dir.path(), StorageOptions::default()), Err(StorageError::Locked(_))));
    let local = storage.local();
    assert!(local.identity().unwrap().is_none());
    let mut identity = LocalIdentity {
        region: "dc-north-1".parse().unwrap(),
        cluster_id: None,
        node_id: 3,
        instance: claviger_types::NodeInstance::from_bytes([7; 16]),
    };
    local.write_identity(&identity).unwrap();
    identity.cluster_id = Some(claviger_types::ClusterId::from_bytes([1; 16]));
    local.write_identity(&identity).unwrap();
    local.write_identity(&identity).unwrap();
    assert!(matches!(local.write_identity(&LocalIdentity { node_id: 4, ..identity.clone() }), Err(StorageError::IdentityTaken)));
    assert!(matches!(local.write_identity(&LocalIdentity { cluster_id: None, ..identity.clone() }), Err(StorageError::IdentityTaken)));
    drop((storage, local));
    assert_eq!(open(dir.path()).local().identity().unwrap(), Some(identity));
}

#[test]
fn a_lost_database_is_not_made_anew() {
    for lost in ["log", "state/CURRENT", "state/state-1"] {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        let lost = dir.path().join(lost);
        if lost.is_dir() {
            std::fs::remove_dir_all(&lost).unwrap();
        } else {
            std::fs::remove_file(&lost).unwrap();
        }
        let error = Storage::open(dir.path(), StorageOptions::default()).err().unwrap();
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
    }
}

#[test]
fn damage_names_the_table_and_the_row() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    put(&storage.state(), b"row", &[b'x'; 1000], 1);
    drop(storage);
    let flipped = std::fs::read_dir(dir.path().join("state/state-1")).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).ok().filter(|_| path.extension().is_some_and(|ext| ext == "sst"))?;
        let at = bytes.windows(9).position(|window| window == b"xxxxxxxxx")?;
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).ok()
    });
    assert_eq!(flipped.count(), 1);
    let storage = open(dir.path());
    let named = format!("in table keys at row {}", hex::encode(b"row"));
    let error = storage.state().get(Table::Keys, b"row").unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(&named), "{source}");
    let error = storage.state().scan(Table::Keys, b"row", &mut |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("in table keys at row"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Scans have the bounds, the order and the early end that the tables in memory have.
    #[test]
    fn scans_as_memory_does(
        batches in prop::collection::vec(prop::collection::vec((0_u8..3, prop::collection::vec(prop_oneof![Just(0), Just(1), Just(255)], 0..4), any::<Option<u8>>()), 0..20), 1..5),
        from in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4),
        most in 1_usize..10,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(dir.path());
        let state = storage.state();
        let mut memory = MemoryTables::default();
        for (at, batch) in batches.iter().enumerate() {
            let records: Vec<_> = batch.iter().map(|(table, row, record)| (Table::ALL[usize::from(*table)], row.clone(), record.map(|byte| vec![byte]))).collect();
            let set: Vec<_> = records.iter().map(|(table, row, record)| (*table, row.as_slice(), record.as_deref())).collect();
            state.commit(writes(&set), &[]).unwrap();
            memory.commit(writes(&set));
            if at % 2 == 0 {
                state.flush().unwrap();
            }
        }
        for table in &Table::ALL[..3] {
            prop_assert_eq!(rows(&*state, *table, &from, most), rows(&memory, *table, &from, most));
            prop_assert_eq!(rows(&state.snapshot().unwrap(), *table, &from, most), rows(&memory, *table, &from, most));
            prop_assert_eq!(state.get(*table, &from).unwrap(), memory.get(*table, &from).unwrap());
        }
    }
}
