//! What the layers above need of a region: linearizable reads, proposals, and word of what changed.

use std::future::Future;

use claviger_state::{CommandBody, CrlRecord, Outcome, StateError, Tables};
use claviger_types::{AccountId, AliasId, KeyId, Timestamp};

use crate::{DuePermit, NoDueWork};

/// A region's replicated state, as one of its nodes serves it.
pub trait Region: Send + Sync + 'static {
    /// A handle to the tables; cheap to make.
    type Tables: Tables + Send + Sync;

    /// The read gate: once this returns, [`Region::tables`] shows everything that was acknowledged anywhere in the region
    /// before the call. Concurrent calls share one round (DESIGN.md section 4).
    ///
    /// # Errors
    /// When the node cannot know, so it must not answer.
    fn read(&self) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Proposes a command and waits until it has been applied by the leader. Any node takes proposals.
    ///
    /// # Errors
    /// When it was not, or may not have been, applied. A refusal by the state machine is not an error here: it is the
    /// outcome.
    fn propose(&self, body: CommandBody) -> impl Future<Output = Result<Outcome, ProposeError>> + Send;

    /// The tables as this node has applied them so far.
    fn tables(&self) -> Self::Tables;

    /// The region's log time as far as this node can tell, which is at least what its tables show: it goes on between
    /// commands. On a node that does not lead it is what the leader last said, carried on, and may be a little off.
    ///
    /// # Errors
    /// When the tables cannot be read.
    fn log_time(&self) -> Result<Timestamp, StateError>;

    /// Whether this node may propose work that falls due by time.
    ///
    /// # Errors
    /// Why it may not.
    fn due_permit(&self) -> Result<DuePermit, NoDueWork>;

    /// Proposes such work, here, once.
    ///
    /// # Errors
    /// As [`Region::propose`]; when the permit is not good any more, nothing was proposed.
    fn propose_due(&self, permit: &DuePermit, body: CommandBody) -> impl Future<Output = Result<Outcome, ProposeError>> + Send;
}

/// The node cannot answer now: there is no leader, or it is cut off from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the region has no leader that this node can reach")]
pub struct Unavailable;

/// Why a proposal has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// It was not applied; there is no leader that this node can reach.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// It was not applied; too many proposals are waiting.
    #[error("too many proposals are waiting")]
    Overloaded,
    /// It may or may not be applied: the leader was lost, or did not answer in time.
    #[error("it is not known whether the proposal was applied")]
    Unknown,
    /// It cannot be proposed at all.
    #[error("the command is larger than a log entry may be")]
    TooLarge,
}

/// Why an observer cannot do what a change asks of it.
pub type ObserverError = Box<dyn std::error::Error + Send + Sync>;

/// Told of every change, after its writes are committed and before any read can rely on its index.
pub trait Observer: Send + Sync + 'static {
    /// These keys' records have changed: whatever is cached of them is void.
    fn keys_changed(&self, keys: &[KeyId]);
    /// These aliases were created, associated with another key, or deleted: whatever is cached of them is void.
    fn aliases_changed(&self, aliases: &[AliasId]);
    /// These accounts' identities have changed, or who is denied in them: whatever is cached of their principals is void.
    fn accounts_changed(&self, accounts: &[AccountId]);
    /// Everything may have changed (a snapshot was installed): whatever is cached is void.
    fn everything_changed(&self);
    /// The dirty set has gained entries.
    fn dirty_grew(&self);
    /// These are the region's revocation lists from now on.
    ///
    /// # Errors
    /// When they cannot be enforced: the node stops, since it would honour certificates that are revoked.
    fn crls_changed(&self, crls: &[CrlRecord]) -> Result<(), ObserverError>;
}

/// Nobody to tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn keys_changed(&self, _keys: &[KeyId]) {}
    fn aliases_changed(&self, _aliases: &[AliasId]) {}
    fn accounts_changed(&self, _accounts: &[AccountId]) {}
    fn everything_changed(&self) {}
    fn dirty_grew(&self) {}
    fn crls_changed(&self, _crls: &[CrlRecord]) -> Result<(), ObserverError> {
        Ok(())
    }
}
