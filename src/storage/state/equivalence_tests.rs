//! The state machine over RocksDB is the state machine over maps in memory: the same random commands, every row compared.

use claviger_state::{MemoryTables, Overlay, Table, apply};
use proptest::prelude::*;

use super::tests::{open, rows};
use random_commands::{Step, steps};

#[path = "../../state/random_commands.rs"]
mod random_commands;

/// What happens after a batch of commands.
#[derive(Clone, Debug)]
enum Between {
    Nothing,
    Flush,
    Reopen,
    Reinstall,
}

fn batches() -> impl Strategy<Value = Vec<(Vec<Step>, Between)>> {
    let between =
        prop_oneof![4 => Just(Between::Nothing), 2 => Just(Between::Flush), 2 => Just(Between::Reopen), 1 => Just(Between::Reinstall)];
    prop::collection::vec((steps(25), between), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn rocksdb_is_as_memory(batches in batches()) {
        let dir = tempfile::tempdir().unwrap();
        let mut storage = open(dir.path());
        let mut memory = MemoryTables::default();
        let mut index = 0_u64;
        for (steps, between) in &batches {
            let state = storage.state();
            for step in steps {
                index += 1;
                let command = step.command(&memory);
                prop_assert_eq!(&step.command(&*state), &command);
                let (mut in_memory, mut on_disk) = (Overlay::new(&memory), Overlay::new(&*state));
                let applied = apply(&mut in_memory, index, &command).unwrap();
                prop_assert_eq!(apply(&mut on_disk, index, &command).unwrap(), applied);
                let (in_memory, on_disk) = (in_memory.into_writes(), on_disk.into_writes());
                prop_assert_eq!(&on_disk, &in_memory);
                memory.commit(in_memory);
                state.commit(on_disk, &[("applied", index.to_be_bytes().to_vec())]).unwrap();
            }
            match between {
                Between::Nothing => {}
                Between::Flush => state.flush().unwrap(),
                Between::Reopen => {
                    drop((state, storage));
                    storage = open(dir.path());
                }
                Between::Reinstall => {
                    let snapshot = state.build_snapshot("s").unwrap();
                    state.install(&snapshot).unwrap();
                    state.prune_snapshots().unwrap();
                }
            }
            let state = storage.state();
            let expected: Vec<_> = memory.rows().map(|(table, row, record)| (table, row.to_vec(), record.to_vec())).collect();
            let mut found = Vec::new();
            for table in Table::ALL {
                found.extend(rows(&*state, *table, &[], usize::MAX).into_iter().map(|(row, record)| (*table, row, record)));
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(state.raft_meta("applied").unwrap(), Some(index.to_be_bytes().to_vec()));
        }
    }
}
