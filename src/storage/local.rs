//! Who this node is, and what its disk owes: kept beside the log, outside the replicated state, so that no snapshot brings another
//! node's.

use std::sync::Arc;

use claviger_types::encoding;
use claviger_types::{ClusterId, NodeId, NodeInstance, Region};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::directory::DataDir;
use crate::log::LogDisk;
use crate::{DiskUse, StorageError, disk};

pub(crate) const LOCAL_FAMILY: &str = "local";
pub(crate) const IDENTITY_ROW: &[u8] = b"identity";
/// There while files may hold what was destroyed.
pub(crate) const ERASURE_ROW: &[u8] = b"owes-erasure";

/// The node that a data directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalIdentity {
    /// Its region.
    pub region: Region,
    /// Its cluster; `None` until the node has founded or joined one.
    pub cluster_id: Option<ClusterId>,
    /// Its Raft id.
    pub node_id: NodeId,
    /// Names this data directory, so that the id cannot come back on an empty disk.
    pub instance: NodeInstance,
}

impl LocalIdentity {
    /// Schema version of its encoding.
    pub const SCHEMA: u8 = 1;
}

/// The node-local records, and the directory as a whole.
pub struct LocalStore {
    disk: Arc<dyn LogDisk>,
    writing: Mutex<()>,
    dir: Arc<DataDir>,
}

impl LocalStore {
    pub(crate) fn new(disk: Arc<dyn LogDisk>, dir: Arc<DataDir>) -> Self {
        Self { disk, writing: Mutex::new(()), dir }
    }

    /// Who this node is; `None` in a new directory.
    ///
    /// # Errors
    /// When the record cannot be read or does not decode.
    pub fn identity(&self) -> Result<Option<LocalIdentity>, StorageError> {
        let Some(bytes) = self.disk.identity()? else { return Ok(None) };
        encoding::decode(LocalIdentity::SCHEMA, &bytes).map(Some).map_err(|error| StorageError::Corrupt {
            table: LOCAL_FAMILY,
            row: hex::encode(IDENTITY_ROW),
            reason: error.to_string(),
        })
    }

    /// Whether files of this directory may hold what was destroyed: what was last written of it, `false` at first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn owes_erasure(&self) -> Result<bool, StorageError> {
        self.disk.owes_erasure()
    }

    /// Writes that, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_owes_erasure(&self, owes: bool) -> Result<(), StorageError> {
        self.disk.write_owes_erasure(owes)
    }

    /// How much the whole data directory takes of its disk. It looks at every file: not to be called often.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn disk_use(&self) -> Result<DiskUse, StorageError> {
        disk::disk_use(self.dir.path())
    }

    /// Writes who this node is, durably. Once written, only an unknown cluster may become known.
    ///
    /// # Errors
    /// [`StorageError::IdentityTaken`] when the directory belongs to another node, or when it cannot be written.
    pub fn write_identity(&self, identity: &LocalIdentity) -> Result<(), StorageError> {
        let _one_at_a_time = self.writing.lock();
        if let Some(held) = self.identity()? {
            let cluster_id = held.cluster_id.or(identity.cluster_id);
            if (LocalIdentity { cluster_id, ..held }) != *identity {
                return Err(StorageError::IdentityTaken);
            }
        }
        let bytes = encoding::encode(LocalIdentity::SCHEMA, identity)
            .map_err(|source| StorageError::Encode { what: "node identity", source: Arc::new(source) })?;
        self.disk.write_identity(bytes)
    }
}
