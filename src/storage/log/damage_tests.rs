//! A write-ahead log that was damaged on the disk: what was synced is never dropped in silence.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use super::tests::{entry, wait};
use crate::{Storage, StorageError, StorageOptions};

const ENTRIES: u64 = 20;

/// Writes each entry by itself, synced, and gives the file that holds them all.
fn written(dir: &Path) -> PathBuf {
    let storage = Storage::open(dir, StorageOptions::default()).unwrap();
    let log = storage.log();
    for index in 0..ENTRIES {
        wait(|done| log.append(vec![entry(index, 5)], done)).unwrap();
    }
    drop((log, storage));
    let file = |path: PathBuf| path.extension().is_some_and(|extension| extension == "log").then_some(path);
    let files = fs::read_dir(dir.join("log")).unwrap().filter_map(|found| file(found.unwrap().path()));
    let mut filled: Vec<_> = files.filter(|path| fs::metadata(path).unwrap().len() > 0).collect();
    assert_eq!(filled.len(), 1, "{filled:?}");
    filled.pop().unwrap()
}

/// Where the bytes of an entry begin in the file.
fn offset_of(bytes: &[u8], index: u64) -> usize {
    let (_, wanted) = entry(index, 5);
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap()
}

#[test]
fn damage_between_synced_writes_is_refused() {
    for index in [0, ENTRIES / 2, ENTRIES - 2] {
        let dir = tempfile::tempdir().unwrap();
        let file = written(dir.path());
        let mut bytes = fs::read(&file).unwrap();
        let damaged = offset_of(&bytes, index) + 7;
        bytes[damaged] ^= 1;
        fs::write(&file, &bytes).unwrap();
        // Also when it is tried again: nothing was dropped by the first attempt.
        for _ in 0..2 {
            let error = Storage::open(dir.path(), StorageOptions::default()).err().unwrap();
            let StorageError::Damaged { path, reason } = &error else { panic!("{error}") };
            assert_eq!(*path, dir.path().join("log"));
            assert!(reason.contains("checksum mismatch"), "{reason}");
            assert!(error.to_string().contains("restore the directory"), "{error}");
        }
    }
}

#[test]
fn an_unfinished_write_at_the_end_is_dropped_alone() {
    let whole = tempfile::tempdir().unwrap();
    let bytes = fs::read(written(whole.path())).unwrap();
    let begin = offset_of(&bytes, ENTRIES - 1);
    // In its bytes, at their begin, and in the header of its record.
    for length in [bytes.len() - 1, begin + 3, begin - 20] {
        let dir = tempfile::tempdir().unwrap();
        let file = written(dir.path());
        OpenOptions::new().write(true).open(&file).unwrap().set_len(length as u64).unwrap();
        let storage = Storage::open(dir.path(), StorageOptions::default()).unwrap();
        let log = storage.log();
        let expected: Vec<_> = (0..ENTRIES - 1).map(|index| entry(index, 5)).collect();
        assert_eq!(log.read_range(0..ENTRIES, usize::MAX).unwrap(), expected, "cut to {length}");
        wait(|done| log.append(vec![entry(ENTRIES - 1, 6)], done)).unwrap();
        assert_eq!(log.last().unwrap().unwrap(), entry(ENTRIES - 1, 6));
    }
}
