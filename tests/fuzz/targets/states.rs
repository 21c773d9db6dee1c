//! Commands of the log and rows of the tables, as a node reads them from another's message, or from its disk.

use std::sync::LazyLock;

use claviger_state::{Command, MemoryTables, Overlay, Table, Tables, WriteSet, apply, check_row};

use crate::corpus;
use crate::first_line;

/// A region in the middle of its life, on whose tables commands are tried, and the index of its last command: the log in
/// `region.log`, applied. Without what it remembers of invocations, or what is tried would be taken for a repetition.
///
/// # Panics
/// When the log is damaged.
pub fn region() -> &'static (MemoryTables, u64) {
    static REGION: LazyLock<(MemoryTables, u64)> = LazyLock::new(|| {
        let log = std::fs::read(corpus::directory().join("region.log")).expect("the log is there");
        replay(&log)
    });
    &REGION
}

/// Applies a log: before each command its length, u32, big-endian.
fn replay(log: &[u8]) -> (MemoryTables, u64) {
    let (mut tables, mut index, mut rest) = (MemoryTables::default(), 0, log);
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (command, behind) = behind.split_at(usize::try_from(u32::from_be_bytes(*length)).expect("a length"));
        index += 1;
        let command = Command::decode(command).expect("the log's schema is today's: make it anew (docs/testing.md)");
        let mut overlay = Overlay::new(&tables);
        apply(&mut overlay, index, &command).expect("the log applies");
        let writes = overlay.into_writes();
        tables.commit(writes);
        rest = behind;
    }
    (without_invocations(&tables), index)
}

fn without_invocations(tables: &MemoryTables) -> MemoryTables {
    let mut kept = WriteSet::default();
    for (table, row, record) in tables.rows() {
        if !matches!(table, Table::Invocations | Table::InvocationsByTime) {
            kept.put(table, row, record.to_vec());
        }
    }
    let mut copy = MemoryTables::default();
    copy.commit(kept);
    copy
}

/// A command. It says the same when it is written and read again; applied to a region it is carried out or refused, and never finds
/// the tables damaged; and whatever it writes can be read.
pub fn command(input: &[u8]) -> bool {
    let Ok(command) = Command::decode(input) else { return false };
    let again = command.encode().expect("what was read can be written");
    assert_eq!(Command::decode(&again).expect("what was written can be read"), command);
    let (tables, index) = region();
    let mut overlay = Overlay::new(tables);
    if let Err(error) = apply(&mut overlay, index + 1, &command) {
        panic!("a node would stop: {error}");
    }
    for (table, row, record) in overlay.into_writes().rows() {
        if let Some(record) = record
            && let Err(error) = check_row(table, row, record)
        {
            panic!("what was written to {} cannot be read: {error}", table.name());
        }
        // An index is of as few bytes as its row.
        assert!(row.len() <= 4096 + input.len(), "a row of {} bytes in {}", row.len(), table.name());
    }
    true
}

/// A row: the table's name, a line feed, the row's length (u16, big-endian), row and record, as a backup's are checked.
pub fn record(input: &[u8]) -> bool {
    let Some((name, rest)) = first_line(input) else { return false };
    let Some(table) = Table::ALL.iter().find(|table| table.name() == name) else { return false };
    let Some((length, rest)) = rest.split_first_chunk() else { return false };
    let Some((row, record)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { return false };
    check_row(*table, row, record).is_ok()
}

/// The row of a table and its record, in the form that [`record`] reads.
///
/// # Panics
/// When the row is too long.
pub fn row_seed(table: Table, row: &[u8], record: &[u8]) -> Vec<u8> {
    let length = u16::try_from(row.len()).expect("a short row").to_be_bytes();
    [table.name().as_bytes(), b"\n", &length, row, record].concat()
}

/// Every row of the region.
pub fn region_rows() -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let (tables, _) = region();
    let mut rows = Vec::new();
    for table in Table::ALL {
        let visited = tables.scan(*table, &[], &mut |row, record| {
            rows.push((*table, row.to_vec(), record.to_vec()));
            std::ops::ControlFlow::Continue(())
        });
        visited.expect("tables in memory can be read");
    }
    rows
}
