//! A process that is killed while it writes: what it was called back for is there.

use std::io::Write as _;
use std::path::Path;

use super::tests::entry;
use crate::child_process::kill_after;
use crate::{Storage, StorageOptions};

const DIR_VARIABLE: &str = "CLAVIGER_TEST_LOG_DIR";

/// The child: appends until it is killed, and says what was called back.
#[test]
fn child_that_appends() {
    let Ok(dir) = std::env::var(DIR_VARIABLE) else { return };
    let log = Storage::open(Path::new(&dir), StorageOptions::default()).unwrap().log();
    let mut next = log.last().unwrap().map_or(0, |(index, _)| index + 1);
    loop {
        let last = next + next % 7;
        let say = move |result: Result<(), _>| {
            result.unwrap();
            // The parent may be gone already.
            let _ = writeln!(std::io::stdout(), "\nacked {last}");
        };
        log.append((next..=last).map(|index| entry(index, 9)).collect(), Box::new(say));
        next = last + 1;
    }
}

#[test]
fn what_was_called_back_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4_u64 {
        let acked = kill_after("log::crash_tests::child_that_appends", (DIR_VARIABLE, dir.path()), "acked ", 50 + round * 37);
        let storage = Storage::open(dir.path(), StorageOptions::default()).unwrap();
        let entries = storage.log().read_range(0..u64::MAX, usize::MAX).unwrap();
        assert!(entries.len() as u64 > acked, "{} entries, {acked} was acknowledged", entries.len());
        assert!(entries.iter().enumerate().all(|(index, found)| *found == entry(index as u64, 9)));
    }
}
