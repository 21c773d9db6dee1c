//! Deleted is gone: what was destroyed leaves the files of this node too, its tables, its snapshots and its log.
//!
//! A row that is deleted stays in RocksDB's files until they are rewritten, in the snapshots that share them, and in the log until
//! that is purged. So once material was destroyed each node, by itself: rewrites the tables' files that may hold it, has a snapshot
//! built of what they are then and the older ones removed, purges the log up to the destruction, which is in that snapshot, and
//! rewrites the log's files. It waits a while before, for what else is destroyed meanwhile (`Timings::erase_after`), and tries again
//! as often as it takes: a reader of an earlier state, or a node that the log is being sent to, may hold it up. That it is owed is
//! on the disk before the destruction is, and until all is done; a node that is started while it owes rewrites everything.
//!
//! So the bytes are gone some ten minutes after the destruction, and however long such a thing takes; of a node that is down, after its
//! next start. What the disk does with blocks that are free, and what operators have copied (backups), is beyond it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use claviger_state::Table;
use claviger_storage::{LocalStore, LogStore, StateStore, StorageError};
use claviger_types::KeyId;
use openraft::metrics::WaitError;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::applied::AppliedIndex;
use crate::raft_types::Raft;

/// With more keys than these everything is rewritten.
const KEYS_MAX: usize = 256;
/// How long the engine may take to build a snapshot, and to purge the log, before all is tried again.
const WITHIN: Duration = Duration::from_secs(10 * 60);
/// How often it is asked.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// What one node owes.
pub(crate) struct Erasure {
    local: Arc<LocalStore>,
    ledger: Mutex<Ledger>,
    /// Something is owed.
    wake: Notify,
    /// How many snapshots were begun.
    begun: AtomicU64,
    /// The newest of them that is complete, by number.
    built: watch::Sender<u64>,
}

#[derive(Default)]
struct Ledger {
    owed: Option<Owed>,
    /// As on the disk.
    is_recorded: bool,
}

/// What is to be erased.
#[derive(Debug)]
struct Owed {
    /// Of these keys; `None` is whatever there is.
    keys: Option<BTreeSet<KeyId>>,
    /// The last log entry that destroyed some of it.
    upto: u64,
}

/// Where it is.
pub(crate) struct Files {
    pub(crate) raft: Raft,
    pub(crate) state: Arc<StateStore>,
    pub(crate) log: Arc<LogStore>,
    pub(crate) applied: AppliedIndex,
}

/// Why it is still owed.
#[derive(Debug, thiserror::Error)]
enum NotErased {
    #[error("somebody still reads an earlier state")]
    Read,
    #[error("an older snapshot is still being sent")]
    Sent,
    #[error("the engine takes too long to {0}")]
    Slow(&'static str),
    #[error("the engine has stopped")]
    Stopped,
    #[error("a blocking task did not end")]
    Blocking(#[source] std::io::Error),
    #[error("the disk cannot be written")]
    Storage(#[from] StorageError),
}

impl Erasure {
    /// What `local` says is owed, whatever it was; it was destroyed up to `applied`.
    pub(crate) fn new(local: Arc<LocalStore>, applied: Option<u64>) -> Result<Arc<Self>, StorageError> {
        let is_recorded = local.owes_erasure()?;
        let owed = is_recorded.then_some(Owed { keys: None, upto: applied.unwrap_or(0) });
        let wake = Notify::new();
        if is_recorded {
            wake.notify_one();
        }
        let (begun, built) = (AtomicU64::new(0), watch::Sender::new(0));
        Ok(Arc::new(Self { local, ledger: Mutex::new(Ledger { owed, is_recorded }), wake, begun, built }))
    }

    /// The log entry `index`, which is about to be applied, destroys material of these keys.
    pub(crate) fn owe(&self, keys: &[KeyId], index: u64) -> Result<(), StorageError> {
        self.enter(Owed { keys: Some(keys.iter().copied().collect()), upto: index })
    }

    /// All files are about to be replaced by those of a snapshot that ends at `index`.
    pub(crate) fn owe_everything(&self, index: u64) -> Result<(), StorageError> {
        self.enter(Owed { keys: None, upto: index })
    }

    fn enter(&self, more: Owed) -> Result<(), StorageError> {
        let mut ledger = self.ledger.lock();
        if !ledger.is_recorded {
            self.local.write_owes_erasure(true)?;
            ledger.is_recorded = true;
        }
        ledger.add(more);
        self.wake.notify_one();
        Ok(())
    }

    /// Nothing is left to do of what was taken from the ledger; what was entered since is still owed.
    fn settle(&self) -> Result<(), StorageError> {
        let mut ledger = self.ledger.lock();
        if ledger.owed.is_none() && ledger.is_recorded {
            self.local.write_owes_erasure(false)?;
            ledger.is_recorded = false;
        }
        Ok(())
    }

    /// A snapshot is begun: its number.
    pub(crate) fn begin_snapshot(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn snapshot_is_built(&self, number: u64) {
        self.built.send_modify(|built| *built = (*built).max(number));
    }

    /// Erases what is owed, `after` it came to be.
    pub(crate) async fn tend(self: Arc<Self>, files: Files, after: Duration) {
        loop {
            self.wake.notified().await;
            sleep(after).await;
            let Some(owed) = self.ledger.lock().owed.take() else { continue };
            let erased = match self.erase(&files, &owed).await {
                Ok(()) => self.settle().map_err(NotErased::Storage),
                Err(error) => Err(error),
            };
            match erased {
                Ok(()) => info!(upto = owed.upto, "what was destroyed is erased"),
                Err(NotErased::Stopped) => return,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "what was destroyed is not erased yet");
                    self.ledger.lock().add(owed);
                    self.wake.notify_one();
                }
            }
        }
    }

    async fn erase(&self, files: &Files, owed: &Owed) -> Result<(), NotErased> {
        files.applied.wait(owed.upto).await;
        let (state, prefixes) = (Arc::clone(&files.state), owed.prefixes());
        if !blocking(move || state.erase(prefixes.as_deref())).await? {
            return Err(NotErased::Read);
        }
        self.new_snapshot(files).await?;
        let state = Arc::clone(&files.state);
        if !blocking(move || state.prune_snapshots()).await? {
            return Err(NotErased::Sent);
        }
        purge(files, owed.upto).await?;
        let log = Arc::clone(&files.log);
        blocking(move || log.erase()).await
    }

    /// Until a snapshot is there that was begun after this call.
    async fn new_snapshot(&self, files: &Files) -> Result<(), NotErased> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut built = self.built.subscribe();
        let asked = async {
            loop {
                // It does nothing while another is being built.
                files.raft.trigger().snapshot().await.map_err(|_| NotErased::Stopped)?;
                if timeout(ASKED_EVERY, built.wait_for(|built| *built > before)).await.is_ok() {
                    return Ok(());
                }
            }
        };
        timeout(WITHIN, asked).await.unwrap_or(Err(NotErased::Slow("build a snapshot")))
    }
}

/// Until the log has no entry up to `upto`.
async fn purge(files: &Files, upto: u64) -> Result<(), NotErased> {
    let asked = async {
        loop {
            files.raft.trigger().purge_log(upto).await.map_err(|_| NotErased::Stopped)?;
            let purged = files.raft.wait(Some(ASKED_EVERY));
            let purged = purged.metrics(|now| now.purged.is_some_and(|purged| purged.index() >= upto), "the log is purged");
            match purged.await {
                Ok(_) => return Ok(()),
                Err(WaitError::Timeout(..)) => {}
                Err(WaitError::ShuttingDown) => return Err(NotErased::Stopped),
            }
        }
    };
    timeout(WITHIN, asked).await.unwrap_or(Err(NotErased::Slow("purge the log")))
}

impl Ledger {
    fn add(&mut self, more: Owed) {
        let owed = match self.owed.take() {
            None => more,
            Some(owed) => Owed {
                keys: owed.keys.zip(more.keys).map(|(mut keys, more)| {
                    keys.extend(more);
                    keys
                }),
                upto: owed.upto.max(more.upto),
            },
        };
        self.owed = Some(Owed { keys: owed.keys.filter(|keys| keys.len() <= KEYS_MAX), ..owed });
    }
}

impl Owed {
    /// The rows that have held sealed bytes of the keys.
    fn prefixes(&self) -> Option<Vec<(Table, Vec<u8>)>> {
        let keys = self.keys.as_ref()?;
        Some(keys.iter().flat_map(|key| [Table::Keys, Table::Materials].map(|table| (table, key.to_row().to_vec()))).collect())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StorageError> + Send + 'static) -> Result<T, NotErased> {
    crate::blocking(work).await.map_err(NotErased::Blocking)?.map_err(NotErased::Storage)
}
