//! A process that is killed while it commits: what is left is the state at one point of the log, in every table, and not
//! before what was called durable.

use std::io::Write as _;
use std::path::Path;

use claviger_state::{Table, Tables};

use super::tests::writes;
use crate::child_process::kill_after;
use crate::{StateStore, Storage, StorageOptions};

const DIR_VARIABLE: &str = "CLAVIGER_TEST_STATE_DIR";
const TABLES: [Table; 4] = [Table::Keys, Table::Materials, Table::Dirty, Table::DirtyByAge];
const ROWS: u64 = 40;

/// Small buffers, so that RocksDB flushes by itself, often and in the middle of everything.
fn options() -> StorageOptions {
    StorageOptions { write_buffer_bytes: 256 << 10, ..StorageOptions::default() }
}

/// Commit `index` writes one row; the tables take turns in having it large, so that they fill at different times.
fn commit(state: &StateStore, index: u64) {
    let row = (index % ROWS).to_be_bytes();
    let large = usize::try_from(index / 50 % 4).unwrap();
    let records: Vec<Vec<u8>> =
        (0..TABLES.len()).map(|table| [&index.to_be_bytes()[..], &vec![7; if table == large { 3000 } else { 0 }]].concat()).collect();
    let rows: Vec<_> = TABLES.iter().zip(&records).map(|(table, record)| (*table, &row[..], Some(record.as_slice()))).collect();
    state.commit(writes(&rows), &[("applied", index.to_be_bytes().to_vec())]).unwrap();
}

fn applied(state: &StateStore) -> u64 {
    state.raft_meta("applied").unwrap().map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

/// The child: commits until it is killed, and says what it was told is durable.
#[test]
fn child_that_commits() {
    let Ok(dir) = std::env::var(DIR_VARIABLE) else { return };
    let state = Storage::open(Path::new(&dir), options()).unwrap().state();
    for index in applied(&state) + 1.. {
        commit(&state, index);
        if index % 1000 == 0 {
            state.flush().unwrap();
        }
        if index % 100 == 0 {
            let durable = state.durable_meta("applied").map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
            // The parent may be gone already.
            let _ = writeln!(std::io::stdout(), "\ndurable {durable}");
        }
    }
}

#[test]
fn a_kill_leaves_one_point_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    drop(Storage::open(dir.path(), options()).unwrap());
    let mut durable = 0;
    let mut lost_something = false;
    for round in 0..6_u64 {
        durable = kill_after("state::crash_tests::child_that_commits", (DIR_VARIABLE, dir.path()), "durable ", 15 + round * 7);
        let state = Storage::open(dir.path(), options()).unwrap().state();
        let applied = applied(&state);
        assert!(applied >= durable, "{applied} is left, {durable} was durable");
        assert_eq!(state.durable_meta("applied"), state.raft_meta("applied").unwrap());
        lost_something |= !applied.is_multiple_of(100);
        for table in TABLES {
            for row in 0..ROWS {
                let newest = (applied.saturating_sub(ROWS - 1)..=applied).find(|index| *index > 0 && index % ROWS == row);
                let found = state.get(table, &row.to_be_bytes()).unwrap().map(|record| u64::from_be_bytes(*record.first_chunk().unwrap()));
                assert_eq!(found, newest, "table {} row {row} after {applied}", table.name());
            }
        }
    }
    assert!(durable > 0 && lost_something, "nothing was in the middle of anything");
}
