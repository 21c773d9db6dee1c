//! What the shipper, the receiver and the operator's calls share.

use std::sync::Arc;

use claviger_consensus::Region;
use claviger_state::{CommandBody, PeerRecord, RegionRecord, Response, Tables, read};
use claviger_types::Region as RegionName;

use crate::caller::Caller;
use crate::sealing::Sealing;
use crate::{ReplicationConfig, ReplicationError};

pub(crate) struct Core<R> {
    pub(crate) config: ReplicationConfig,
    pub(crate) region: Arc<R>,
    pub(crate) sealing: Sealing,
    pub(crate) caller: Caller,
}

impl<R: Region> Core<R> {
    /// The tables behind the read gate.
    pub(crate) async fn fresh_tables(&self) -> Result<R::Tables, ReplicationError> {
        self.region.read().await?;
        Ok(self.region.tables())
    }

    /// Proposes a command that must be answered, not refused.
    pub(crate) async fn propose(&self, body: CommandBody) -> Result<Response, ReplicationError> {
        self.region.propose(body).await?.map_err(ReplicationError::Refused)
    }

    /// Runs CPU work, or many reads, where it holds up nobody.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, ReplicationError> {
        let core = Arc::clone(self);
        claviger_consensus::blocking(move || work(&core)).await.map_err(|_| ReplicationError::Interrupted)
    }
}

pub(crate) fn own_region(tables: &impl Tables) -> Result<RegionRecord, ReplicationError> {
    read::region(tables)?.ok_or(ReplicationError::NotFounded)
}

pub(crate) fn known_peer(tables: &impl Tables, region: &RegionName) -> Result<PeerRecord, ReplicationError> {
    read::peer(tables, region)?.ok_or_else(|| ReplicationError::UnknownPeer(region.clone()))
}
