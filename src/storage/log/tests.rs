//! What holds of the log: order, durability before the callback, reads that see what is queued, and the full stop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use rocksdb::statistics::Ticker;
use rocksdb::{DB, Options};

use super::rocks::{RocksLog, Write, open_database, to_disk};
use super::{Done, ENTRIES_FAMILY, LogStore};
use crate::database::{Resources, family};
use crate::directory::DataDir;
use crate::{Storage, StorageError, StorageOptions};

const LONG: Duration = Duration::from_secs(60);

pub(super) fn entry(index: u64, salt: u8) -> (u64, Vec<u8>) {
    let length = usize::try_from(index * 37 % 300).unwrap();
    (index, [&index.to_be_bytes()[..], &vec![salt; length]].concat())
}

/// Makes a write and waits for its callback.
pub(crate) fn wait(write: impl FnOnce(Done)) -> Result<(), StorageError> {
    let (sender, receiver) = mpsc::channel();
    write(Box::new(move |result| sender.send(result).unwrap()));
    receiver.recv_timeout(LONG).unwrap()
}

fn append(log: &LogStore, indices: std::ops::Range<u64>, salt: u8) -> Result<(), StorageError> {
    wait(|done| log.append(indices.map(|index| entry(index, salt)).collect(), done))
}

fn open(dir: &Path) -> Storage {
    Storage::open(dir, StorageOptions::default()).unwrap()
}

/// A log whose writes go where the test wants, and its database's statistics.
fn with_writes(dir: &Path, options: &StorageOptions, write: Write) -> (LogStore, Options) {
    let (dir, is_new) = DataDir::open(dir).unwrap();
    let resources = Resources::new(options);
    let mut database = resources.log_options();
    database.enable_statistics();
    let db = open_database(&dir, &resources, database.clone(), is_new).unwrap();
    (LogStore::start(Arc::new(dir), Arc::new(RocksLog::new(Arc::new(db), write)), options).unwrap(), database)
}

/// A disk that waits for a permit before each write, and how many writes have come to it.
fn gated() -> (Write, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (permit, permits) = mpsc::channel();
    let (disk, permits) = (to_disk(), Mutex::new(permits));
    let arrived = Arc::new(AtomicUsize::new(0));
    let for_write = Arc::clone(&arrived);
    let write: Write = Box::new(move |db, batch, sync| {
        for_write.fetch_add(1, Ordering::SeqCst);
        // A test that has ended lets everything through.
        let _ = permits.lock().recv_timeout(LONG);
        disk(db, batch, sync)
    });
    (write, permit, arrived)
}

#[test]
fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let log = storage.log();
    assert!(log.last().unwrap().is_none() && log.vote().unwrap().is_none() && log.committed().unwrap().is_none());
    append(&log, 0..10, 1).unwrap();
    wait(|done| log.save_vote(b"vote".to_vec(), done)).unwrap();
    log.save_committed(b"committed".to_vec()).unwrap();
    wait(|done| log.truncate_from(8, done)).unwrap();
    append(&log, 8..12, 2).unwrap();
    wait(|done| log.purge_upto(3, b"three".to_vec(), done)).unwrap();
    drop((log, storage));

    let storage = open(dir.path());
    let log = storage.log();
    assert_eq!(log.vote().unwrap().unwrap(), b"vote");
    assert_eq!(log.committed().unwrap().unwrap(), b"committed");
    assert_eq!(log.last_purged().unwrap().unwrap(), b"three");
    let expected: Vec<_> = (4..8).map(|index| entry(index, 1)).chain((8..12).map(|index| entry(index, 2))).collect();
    assert_eq!(log.read_range(0..100, usize::MAX).unwrap(), expected);
    assert_eq!(log.last().unwrap().unwrap(), entry(11, 2));
    // A purge beyond the end empties the log, and it goes on after it.
    wait(|done| log.purge_upto(20, b"twenty".to_vec(), done)).unwrap();
    assert!(log.last().unwrap().is_none());
    append(&log, 21..22, 3).unwrap();
    assert_eq!(log.read_range(0..100, usize::MAX).unwrap(), [entry(21, 3)]);
}

#[test]
fn a_callback_comes_after_the_sync_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (log, statistics) = with_writes(dir.path(), &StorageOptions::default(), to_disk());
    let seen = Arc::new(Mutex::new(Vec::new()));
    for round in 0..50_u64 {
        let (sender, receiver) = mpsc::channel();
        let synced_before = statistics.get_ticker_count(Ticker::WalFileSynced);
        let (for_done, statistics) = (Arc::clone(&seen), statistics.clone());
        let done: Done = Box::new(move |result| {
            result.unwrap();
            // The write-ahead log has been synced since the write was queued: before this very call.
            assert!(statistics.get_ticker_count(Ticker::WalFileSynced) > synced_before, "called back before the sync");
            for_done.lock().push(round);
            sender.send(()).unwrap();
        });
        match round % 4 {
            0 | 1 => log.append(vec![entry(round / 4 * 2 + round % 4, 1)], done),
            2 => log.save_vote(vec![1], done),
            _ => log.truncate_from(round / 4 * 2 + 1, Box::new(done)),
        }
        receiver.recv_timeout(LONG).unwrap();
        if round % 4 == 3 {
            append(&log, round / 4 * 2 + 1..round / 4 * 2 + 2, 1).unwrap();
        }
    }
    assert_eq!(*seen.lock(), (0..50).collect::<Vec<_>>());
}

#[test]
fn what_is_queued_is_read_but_not_called_back() {
    let dir = tempfile::tempdir().unwrap();
    let (write, permit, arrived) = gated();
    let (log, _) = with_writes(dir.path(), &StorageOptions::default(), write);
    let (sender, called) = mpsc::channel();
    let done = |number: usize| -> Done {
        let sender = sender.clone();
        Box::new(move |result| sender.send((number, result.is_ok())).unwrap())
    };
    log.append((0..5).map(|index| entry(index, 1)).collect(), done(0));
    log.append(vec![entry(5, 1)], done(1));
    log.truncate_from(3, done(2));
    log.append(vec![entry(3, 2)], done(3));
    log.save_vote(vec![7], done(4));
    log.purge_upto(0, vec![0], done(5));
    assert_eq!(log.read_range(0..9, usize::MAX).unwrap(), [entry(1, 1), entry(2, 1), entry(3, 2)]);
    assert_eq!(log.last().unwrap().unwrap(), entry(3, 2));
    assert_eq!((log.vote().unwrap(), log.last_purged().unwrap()), (Some(vec![7]), Some(vec![0])));
    // The writer has taken the first operation and waits for the disk.
    while arrived.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    assert!(called.try_recv().is_err(), "called back before the write");
    // The first write may have taken one operation or more; the second takes all the rest.
    permit.send(()).unwrap();
    permit.send(()).unwrap();
    let order: Vec<_> = (0..6).map(|_| called.recv_timeout(LONG).unwrap()).collect();
    assert_eq!(order, (0..6).map(|number| (number, true)).collect::<Vec<_>>());
    assert_eq!(log.read_range(0..9, usize::MAX).unwrap(), [entry(1, 1), entry(2, 1), entry(3, 2)]);
}

#[test]
fn what_gathers_is_one_write_and_only_a_committed_position_goes_unsynced() {
    let dir = tempfile::tempdir().unwrap();
    let (permit, permits) = mpsc::channel();
    let writes = Arc::new(Mutex::new(Vec::new()));
    let (disk, permits, for_write) = (to_disk(), Mutex::new(permits), Arc::clone(&writes));
    let write: Write = Box::new(move |db, batch, sync| {
        for_write.lock().push((batch.len(), sync));
        let _: Result<(), _> = permits.lock().recv_timeout(LONG);
        disk(db, batch, sync)
    });
    let (log, _) = with_writes(dir.path(), &StorageOptions::default(), write);
    log.save_committed(vec![1]).unwrap();
    while writes.lock().is_empty() {
        std::thread::yield_now();
    }
    for index in 0..100 {
        log.append(vec![entry(index, 1)], Box::new(|result| result.unwrap()));
    }
    permit.send(()).unwrap();
    permit.send(()).unwrap();
    permit.send(()).unwrap();
    append(&log, 100..101, 1).unwrap();
    let writes = writes.lock().clone();
    assert_eq!(writes[0], (1, false));
    assert!(writes[1..].iter().all(|(_, sync)| *sync), "{writes:?}");
    assert!(writes.len() <= 3 && writes[1].0 >= 100, "{writes:?}");
}

#[test]
fn a_full_queue_makes_the_caller_wait() {
    let dir = tempfile::tempdir().unwrap();
    let (write, permit, _) = gated();
    let options = StorageOptions { log_queue_ops_max: 2, ..StorageOptions::default() };
    let (log, _) = with_writes(dir.path(), &options, write);
    let queued = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for index in 0..10 {
                log.append(vec![entry(index, 1)], Box::new(|_| {}));
                queued.fetch_add(1, Ordering::SeqCst);
            }
        });
        // One or two are being written and two wait; without a bound all ten would get in.
        while queued.load(Ordering::SeqCst) < 3 {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(50));
        assert!(queued.load(Ordering::SeqCst) <= 4, "the queue has no bound");
        for _ in 0..10 {
            permit.send(()).unwrap();
        }
    });
    drop(permit);
    append(&log, 10..11, 1).unwrap();
    assert_eq!(log.read_range(0..100, usize::MAX).unwrap().len(), 11);
}

#[test]
fn a_failed_write_stops_the_log_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let disk = to_disk();
    let written = AtomicUsize::new(0);
    let write: Write = Box::new(move |db: &DB, batch, sync| {
        if written.fetch_add(1, Ordering::SeqCst) == 2 {
            // Any error of RocksDB; the disk would take the write after it.
            return Err(DB::open_for_read_only(&Options::default(), "/nowhere", true).unwrap_err());
        }
        disk(db, batch, sync)
    });
    let (log, _) = with_writes(dir.path(), &StorageOptions::default(), write);
    append(&log, 0..2, 1).unwrap();
    append(&log, 2..4, 1).unwrap();
    let first = append(&log, 4..6, 1).unwrap_err().to_string();
    for error in [
        append(&log, 4..6, 1).unwrap_err(),
        wait(|done| log.save_vote(vec![], done)).unwrap_err(),
        wait(|done| log.truncate_from(0, done)).unwrap_err(),
        wait(|done| log.purge_upto(1, vec![], done)).unwrap_err(),
        log.save_committed(vec![]).unwrap_err(),
        log.read_range(0..9, 9).unwrap_err(),
        log.last().unwrap_err(),
        log.vote().unwrap_err(),
    ] {
        assert!(matches!(error, StorageError::Database { .. }));
        assert_eq!(error.to_string(), first);
    }
    drop(log);
    let (log, _) = with_writes_again(dir.path());
    assert_eq!(log.read_range(0..9, usize::MAX).unwrap(), (0..4).map(|index| entry(index, 1)).collect::<Vec<_>>());
}

/// Opens the log of a directory whose storage was never finished as a whole.
fn with_writes_again(dir: &Path) -> (LogStore, Options) {
    std::fs::rename(dir.join("NEW"), dir.join("FORMAT")).unwrap();
    with_writes(dir, &StorageOptions::default(), to_disk())
}

#[test]
fn a_gap_or_an_overwrite_is_refused_and_stops_the_log() {
    for wrong in [2, 4, 0] {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(dir.path());
        let log = storage.log();
        append(&log, 0..3, 1).unwrap();
        let error = append(&log, wrong..wrong + 1, 2).unwrap_err();
        assert!(matches!(error, StorageError::NotContiguous { expected: 3, found } if found == wrong), "{error}");
        assert!(append(&log, 3..4, 1).is_err());
        drop((log, storage));
        assert_eq!(open(dir.path()).log().read_range(0..9, usize::MAX).unwrap().len(), 3);
    }
}

#[test]
fn a_hole_is_corruption_and_never_a_shorter_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, is_new) = DataDir::open(dir.path()).unwrap();
    let resources = Resources::new(&StorageOptions::default());
    let db = Arc::new(open_database(&dir, &resources, resources.log_options(), is_new).unwrap());
    let log = LogStore::start(Arc::new(dir), Arc::new(RocksLog::new(Arc::clone(&db), to_disk())), &resources.options).unwrap();
    append(&log, 1..10, 1).unwrap();
    db.delete_cf(family(&db, ENTRIES_FAMILY).unwrap(), 5_u64.to_be_bytes()).unwrap();
    let error = log.read_range(0..100, usize::MAX).unwrap_err();
    assert!(matches!(error, StorageError::LogHole { index: 5, first: 1, last: 9 }), "{error}");
    assert!(matches!(log.read_range(5..7, usize::MAX), Err(StorageError::LogHole { index: 5, .. })));
    assert_eq!(log.read_range(6..100, usize::MAX).unwrap().len(), 4);
    db.delete_cf(family(&db, ENTRIES_FAMILY).unwrap(), 9_u64.to_be_bytes()).unwrap();
    assert!(matches!(log.last(), Err(StorageError::LogHole { index: 9, .. })));
}

#[test]
fn a_read_is_bounded_but_never_empty() {
    let dir = tempfile::tempdir().unwrap();
    let (write, permit, _) = gated();
    let (log, _) = with_writes(dir.path(), &StorageOptions::default(), write);
    let sized = |index| (index, vec![0; 100]);
    permit.send(()).unwrap();
    wait(|done| log.append((0..5).map(sized).collect(), done)).unwrap();
    // Half of it on the disk, half of it on its way.
    log.append((5..10).map(sized).collect(), Box::new(|_| {}));
    for (bytes_max, expected) in [(0, 1), (99, 1), (100, 1), (299, 2), (500, 5), (650, 6), (usize::MAX, 10)] {
        assert_eq!(log.read_range(0..10, bytes_max).unwrap().len(), expected, "{bytes_max}");
    }
    assert_eq!(log.read_range(4..6, 100).unwrap().len(), 1);
    assert_eq!(log.read_range(3..3, 100).unwrap().len(), 0);
    drop(permit);
}

#[test]
fn reads_during_cuts_never_mix_two_logs() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let log = storage.log();
    append(&log, 0..50, 0).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let entries = log.read_range(0..100, usize::MAX).unwrap();
                    // Each generation of the log overwrites its second half: the salts in it are equal.
                    let salts: Vec<u8> =
                        entries.iter().filter(|(index, _)| *index >= 25 && index * 37 % 300 > 0).map(|(_, e)| e[8]).collect();
                    assert!(salts.windows(2).all(|pair| pair[0] == pair[1]), "{salts:?}");
                }
            });
        }
        for salt in 1..60 {
            log.truncate_from(25, Box::new(|result| result.unwrap()));
            append(&log, 25..50, salt).unwrap();
        }
        over.store(true, Ordering::SeqCst);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64, u8),
    Truncate(u64),
    Purge(u64),
    Vote(u8),
    Committed(u8),
    Wait,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_u64..6, any::<u8>()).prop_map(|(count, salt)| Step::Append(count, salt)),
        1 => (0_u64..40).prop_map(Step::Truncate),
        1 => (0_u64..40).prop_map(Step::Purge),
        1 => any::<u8>().prop_map(Step::Vote),
        1 => any::<u8>().prop_map(Step::Committed),
        1 => Just(Step::Wait),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<u64, Vec<u8>>,
    next: u64,
    purged: Option<u64>,
    vote: Option<Vec<u8>>,
    committed: Option<Vec<u8>>,
}

fn compare(log: &LogStore, model: &Model) {
    let expected: Vec<_> = model.entries.clone().into_iter().collect();
    assert_eq!(log.read_range(0..1000, usize::MAX).unwrap(), expected);
    assert_eq!(log.last().unwrap(), expected.last().cloned());
    assert_eq!(log.last_purged().unwrap(), model.purged.map(|index| index.to_be_bytes().to_vec()));
    assert_eq!(log.vote().unwrap(), model.vote);
    assert_eq!(log.committed().unwrap(), model.committed);
}

fn carry_out(log: &LogStore, model: &mut Model, step: &Step, pending: &mut Vec<Receiver<Result<(), StorageError>>>) {
    let (sender, receiver) = mpsc::channel();
    let done: Done = Box::new(move |result| sender.send(result).unwrap());
    match step {
        Step::Append(count, salt) => {
            let entries: Vec<_> = (model.next..model.next + count).map(|index| entry(index, *salt)).collect();
            model.entries.extend(entries.clone());
            model.next += count;
            log.append(entries, done);
        }
        Step::Truncate(index) => {
            // Raft never cuts off what it has purged.
            let index = (*index).max(model.purged.map_or(0, |purged| purged + 1));
            model.entries.retain(|held, _| *held < index);
            model.next = model.next.min(index);
            log.truncate_from(index, done);
        }
        Step::Purge(index) => {
            if model.purged.is_none_or(|purged| purged < *index) {
                model.entries.retain(|held, _| held > index);
                model.next = model.next.max(index + 1);
                model.purged = Some(*index);
            }
            log.purge_upto(*index, index.to_be_bytes().to_vec(), done);
        }
        Step::Vote(vote) => {
            model.vote = Some(vec![*vote]);
            log.save_vote(vec![*vote], done);
        }
        Step::Committed(committed) => {
            model.committed = Some(vec![*committed]);
            log.save_committed(vec![*committed]).unwrap();
            return;
        }
        Step::Wait | Step::Reopen => return,
    }
    pending.push(receiver);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// The log is what a map would be, at every moment and after every restart.
    #[test]
    fn behaves_as_a_map(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut storage = open(dir.path());
        let mut model = Model::default();
        let mut pending = Vec::new();
        for step in &steps {
            let log = storage.log();
            carry_out(&log, &mut model, step, &mut pending);
            compare(&log, &model);
            if matches!(step, Step::Wait) {
                pending.drain(..).for_each(|done| done.recv_timeout(LONG).unwrap().unwrap());
                compare(&log, &model);
            }
            drop(log);
            if matches!(step, Step::Reopen) {
                drop(storage);
                storage = open(dir.path());
                pending.drain(..).for_each(|done| done.recv_timeout(LONG).unwrap().unwrap());
                compare(&storage.log(), &model);
            }
        }
    }
}
