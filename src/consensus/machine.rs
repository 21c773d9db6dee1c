//! The state machine as openraft sees it: commands decoded and applied in runs, each run one commit.
//!
//! The order is fixed: commit (writes, what was applied, membership, in one batch), then the observer, then the applied
//! index, then the proposers. So nobody can rely on an index whose changes a cache has not been told of. Commits are not
//! synced: after a crash the log makes them again. An entry that does not decode, or a state that does not read, stops the
//! node: it is never skipped, since the other nodes would apply it.

use std::io;
use std::sync::Arc;

use claviger_state::{Command, Effects, Overlay, Response, apply, read};
use claviger_storage::{SnapshotDir, StateSnapshot, StateStore, StorageError};
use claviger_types::encoding;
use futures::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Observer;
use crate::applied::AppliedIndex;
use crate::erasure::Erasure;
use crate::fault::fault;
use crate::log::DurableState;
use crate::raft_types::{Applied, LogId, Proposed, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};

/// Schema version of what is kept beside the tables.
const SCHEMA: u8 = 1;
/// The last applied log id.
const APPLIED: &str = "applied";
/// The last applied membership.
const MEMBERSHIP: &str = "membership";
/// Entries that are applied in one commit.
const RUN_ENTRIES_MAX: usize = 64;

/// What `state` has applied.
pub(crate) fn applied_in(state: &StateStore) -> io::Result<Option<LogId>> {
    state.raft_meta(APPLIED).map_err(|e| fault("read what was applied", &e))?.map(|bytes| decode(&bytes)).transpose()
}

/// What `view` shows.
pub(crate) fn applied_in_view(view: &StateSnapshot) -> io::Result<Option<LogId>> {
    view.raft_meta(APPLIED).map(decode).transpose()
}

/// What is kept beside the tables of a state that comes before any log.
pub(crate) fn meta_to_begin_with(last: LogId, membership: &StoredMembership) -> io::Result<[(&'static str, Vec<u8>); 2]> {
    Ok([(APPLIED, encode(&last)?), (MEMBERSHIP, encode(membership)?)])
}

/// Whether `state` has applied anything, or was restored.
pub(crate) fn has_applied(state: &StateStore) -> Result<bool, StorageError> {
    Ok(state.raft_meta(APPLIED)?.is_some())
}

/// What a snapshot holds, by its own word.
pub(crate) fn meta_of(snapshot: &SnapshotDir) -> io::Result<SnapshotMeta> {
    Ok(SnapshotMeta {
        last_log_id: snapshot.raft_meta(APPLIED).map(decode).transpose()?,
        last_membership: snapshot.raft_meta(MEMBERSHIP).map(decode).transpose()?.unwrap_or_default(),
    })
}

fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    encoding::encode(SCHEMA, value).map_err(|e| fault("encode for the state", &e))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    encoding::decode(SCHEMA, bytes).map_err(|e| fault("decode from the state", &e))
}

/// See the module.
pub(crate) struct StateMachine {
    state: Arc<StateStore>,
    observer: Arc<dyn Observer>,
    applied: AppliedIndex,
    erasure: Arc<Erasure>,
    /// Snapshots are built and installed one at a time, so that the current one is the newest.
    snapshots: Arc<Mutex<()>>,
    /// openraft's conformance suite applies logs with holes.
    #[cfg(test)]
    pub(crate) holes_allowed: bool,
}

/// The entries of one commit, and who waits for them.
type Run = Vec<EntryResponder<TypeConfig>>;

impl StateMachine {
    pub(crate) fn new(state: Arc<StateStore>, observer: Arc<dyn Observer>, applied: AppliedIndex, erasure: Arc<Erasure>) -> Self {
        Self {
            state,
            observer,
            applied,
            erasure,
            snapshots: Arc::default(),
            #[cfg(test)]
            holes_allowed: false,
        }
    }

    /// Whether an entry is the next one: were one passed over, this node's state would differ from the others'.
    fn follows(&self, last: Option<&LogId>, next: &LogId) -> bool {
        #[cfg(test)]
        if self.holes_allowed {
            return true;
        }
        last.map_or(0, |last| last.index() + 1) == next.index() && last.is_none_or(|last| last < next)
    }

    fn apply_run(&self, run: Run) -> io::Result<()> {
        let mut overlay = Overlay::new(&*self.state);
        let mut last = applied_in(&self.state)?;
        let mut membership = None;
        let mut effects = Effects::default();
        let mut answers = Vec::with_capacity(run.len());
        for (entry, responder) in run {
            let log_id = entry.log_id;
            if !self.follows(last.as_ref(), &log_id) {
                return Err(fault("apply", &OutOfOrder { last: last.map(|id| id.index()), found: log_id.index() }));
            }
            last = Some(log_id);
            let outcome = match entry.payload {
                EntryPayload::Blank => Ok(Response::Done),
                EntryPayload::Normal(Proposed(bytes)) => {
                    let command = Command::decode(&bytes).map_err(|e| fault("decode a committed command", &e))?;
                    let applied = apply(&mut overlay, log_id.index(), &command).map_err(|e| fault("apply a committed command", &e))?;
                    effects.extend(applied.effects);
                    applied.outcome
                }
                EntryPayload::Membership(changed) => {
                    membership = Some(StoredMembership::new(Some(log_id), changed));
                    Ok(Response::Done)
                }
            };
            answers.extend(responder.map(|responder| (responder, outcome)));
        }
        let Some(last) = last else { return Ok(()) };
        let mut meta = vec![(APPLIED, encode(&last)?)];
        if let Some(membership) = membership {
            meta.push((MEMBERSHIP, encode(&membership)?));
        }
        if !effects.destroyed.is_empty() {
            // Before, so that no crash forgets it.
            self.erasure.owe(&effects.destroyed, last.index()).map_err(|e| fault("record what is to be erased", &e))?;
        }
        self.state.commit(overlay.into_writes(), &meta).map_err(|e| fault("commit", &e))?;
        self.tell(&effects)?;
        self.applied.publish(last.index());
        for (responder, outcome) in answers {
            responder.send(Applied(outcome));
        }
        Ok(())
    }

    /// After the commit, and before any read can rely on it.
    fn tell(&self, effects: &Effects) -> io::Result<()> {
        if !effects.keys.is_empty() {
            self.observer.keys_changed(&effects.keys);
        }
        if !effects.aliases.is_empty() {
            self.observer.aliases_changed(&effects.aliases);
        }
        if !effects.accounts.is_empty() {
            self.observer.accounts_changed(&effects.accounts);
        }
        if effects.dirty {
            self.observer.dirty_grew();
        }
        if effects.crls {
            self.tell_crls()?;
        }
        Ok(())
    }

    fn tell_crls(&self) -> io::Result<()> {
        let crls = read::crls(&*self.state).map_err(|e| fault("read the revocation lists", &e))?;
        self.observer.crls_changed(&crls).map_err(|e| fault("enforce the revocation lists", &*e))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("entry {found} comes after entry {last:?}")]
struct OutOfOrder {
    last: Option<u64>,
    found: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("the log was to be purged up to entry {wanted}, and the state on the disk ends at {durable:?}")]
struct NotDurable {
    wanted: u64,
    durable: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
#[error("the snapshot's files are of another point of the log than its announcement")]
struct OtherSnapshot;

impl DurableState for StateStore {
    fn make_durable(&self, index: u64) -> io::Result<()> {
        let durable = || -> io::Result<Option<u64>> {
            let id: Option<LogId> = self.durable_meta(APPLIED).map(|bytes| decode(&bytes)).transpose()?;
            Ok(id.map(|id| id.index()))
        };
        if durable()? >= Some(index) {
            return Ok(());
        }
        self.flush().map_err(|e| fault("flush the state", &e))?;
        match durable()? {
            durable if durable >= Some(index) => Ok(()),
            durable => Err(fault("purge the log", &NotDurable { wanted: index, durable })),
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotDir;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let membership = self.state.raft_meta(MEMBERSHIP).map_err(|e| fault("read the membership", &e))?;
        Ok((applied_in(&self.state)?, membership.map(|bytes| decode(&bytes)).transpose()?.unwrap_or_default()))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut runs = entries.ready_chunks(RUN_ENTRIES_MAX);
        while let Some(run) = runs.next().await {
            self.apply_run(run.into_iter().collect::<io::Result<Run>>()?)?;
            // A long catch-up must not keep its thread from heartbeats.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let (state, snapshots, erasure) = (Arc::clone(&self.state), Arc::clone(&self.snapshots), Arc::clone(&self.erasure));
        Builder { state, snapshots, erasure }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotDir) -> io::Result<()> {
        if meta_of(&snapshot)? != *meta {
            return Err(fault("install a snapshot", &OtherSnapshot));
        }
        let (state, one_at_a_time) = (Arc::clone(&self.state), Arc::clone(&self.snapshots));
        // Its files may hold what their node has not erased yet, and the log here what was destroyed since.
        let last_index = meta.last_log_id.map_or(0, |last| last.index());
        self.erasure.owe_everything(last_index).map_err(|e| fault("record what is to be erased", &e))?;
        // Before, so that nothing cached is served beside the new tables; after, so that nothing read from the old ones
        // meanwhile stays in a cache.
        self.observer.everything_changed();
        let installed = blocking("install a snapshot", move || {
            let _one_at_a_time = one_at_a_time.lock();
            state.install(&snapshot)?;
            drop(snapshot);
            prune(&state);
            Ok(())
        });
        installed.await?;
        self.observer.everything_changed();
        self.observer.dirty_grew();
        self.tell_crls()?;
        if let Some(last) = meta.last_log_id {
            self.applied.publish(last.index());
        }
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let current = self.state.current_snapshot().map_err(|e| fault("read the current snapshot", &e))?;
        current.map(|snapshot| Ok(Snapshot { meta: meta_of(&snapshot)?, snapshot })).transpose()
    }
}

/// Builds snapshots of the state as it is when they are built.
pub(crate) struct Builder {
    state: Arc<StateStore>,
    snapshots: Arc<Mutex<()>>,
    erasure: Arc<Erasure>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotDir;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (state, one_at_a_time) = (Arc::clone(&self.state), Arc::clone(&self.snapshots));
        let name =
            applied_in(&state)?.map_or_else(|| "empty".to_owned(), |id| format!("t{}-i{}", id.committed_leader_id().term, id.index()));
        let number = self.erasure.begin_snapshot();
        let built = blocking("build a snapshot", move || {
            let _one_at_a_time = one_at_a_time.lock();
            let snapshot = state.build_snapshot(&name)?;
            prune(&state);
            Ok(snapshot)
        });
        let snapshot = built.await?;
        self.erasure.snapshot_is_built(number);
        Ok(Snapshot { meta: meta_of(&snapshot)?, snapshot })
    }
}

/// What is left is removed by the next.
fn prune(state: &StateStore) {
    if let Err(error) = state.prune_snapshots() {
        tracing::warn!(%error, "an old snapshot is left behind");
    }
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> io::Result<T> {
    crate::blocking(work).await?.map_err(|e| fault(doing, &e))
}
