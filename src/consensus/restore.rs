//! The two ends of a restore: a region's state at one moment, and a region that begins with a state instead of a log.

use std::collections::{BTreeMap, BTreeSet};

use claviger_storage::{StateImport, StateSnapshot, Storage};

use crate::machine::{applied_in_view, meta_to_begin_with};
use crate::raft_types::{LogId, Member, StoredMembership};
use crate::{Consensus, ConsensusError, Region};

/// A region's state at one moment. It keeps old data on the disk, so let it go soon.
pub struct StateView {
    /// Everything that was acknowledged anywhere in the region before it was asked for.
    pub tables: StateSnapshot,
    /// The last entry of the log that is in it.
    pub applied_index: u64,
}

impl Consensus {
    /// The region's state at this moment, behind the read gate.
    ///
    /// # Errors
    /// [`ConsensusError::Unavailable`] when this node cannot know it; when the state cannot be read.
    pub async fn view(&self) -> Result<StateView, ConsensusError> {
        self.read().await?;
        let tables = self.tables().snapshot()?;
        let applied = applied_in_view(&tables).map_err(|error| ConsensusError::Raft(error.to_string()))?;
        let applied = applied.ok_or_else(|| ConsensusError::Raft("nothing has been applied".to_owned()))?;
        Ok(StateView { tables, applied_index: applied.index() })
    }
}

/// Makes `import` the first state of a region whose only node has the data directory `storage` and is reached at
/// `endpoint`, as if a snapshot had brought it: the log goes on behind `last_index`, and every other node begins with a
/// snapshot that is not older. After a crash this has happened or not. [`Consensus::start`] comes next.
///
/// # Errors
/// When the data directory has no identity or has taken part in a group, or cannot be written.
pub fn begin_with(storage: &Storage, import: StateImport, last_index: u64, endpoint: &str) -> Result<(), ConsensusError> {
    let identity = storage.local().identity()?.ok_or(ConsensusError::NoIdentity)?;
    let log = storage.log();
    if log.last()?.is_some() || log.last_purged()?.is_some() || log.vote()?.is_some() {
        return Err(ConsensusError::NotEmpty);
    }
    // Term 0, which no election has: every leader of the new region comes after it.
    let last = LogId::new(openraft::impls::leader_id_adv::LeaderId { term: 0, node_id: 0 }, last_index);
    let member = Member { endpoint: endpoint.to_owned(), instance: identity.instance };
    let voters = vec![BTreeSet::from([identity.node_id])];
    let membership = openraft::Membership::new(voters, BTreeMap::from([(identity.node_id, member)]))
        .map_err(|error| ConsensusError::Raft(error.to_string()))?;
    let meta = meta_to_begin_with(last, &StoredMembership::new(Some(last), membership))
        .map_err(|error| ConsensusError::Raft(error.to_string()))?;
    Ok(import.finish(&meta)?)
}
