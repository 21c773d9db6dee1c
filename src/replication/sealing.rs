//! Between the barrier and the wire: a region's own secrets, opened from where the tables keep them and sealed for there.
//!
//! Everything here is CPU work on secrets; callers run it on the blocking pool.

use std::sync::Arc;

use claviger_barrier::{Barrier, BarrierError, RecordPlace};
use claviger_crypto::wrap::{RegionPrivateKeys, RegionPublicKeys};
use claviger_crypto::{CryptoError, Secret32, SecretBytes};
use claviger_state::{Tables, read};
use claviger_types::{KeyId, MaterialId, Sealed};
use parking_lot::Mutex;

use crate::ReplicationError;

/// The form in which crypto uses a region's public keys.
///
/// # Errors
/// When a key has a wrong length or is none.
pub fn crypto_keys(stored: &claviger_state::RegionPublicKeys) -> Result<RegionPublicKeys, CryptoError> {
    RegionPublicKeys::new(stored.kem.clone(), stored.ed25519.clone(), stored.ml_dsa_65.clone())
}

/// The form in which the tables keep a region's public keys.
pub fn stored_keys(version: u32, keys: &RegionPublicKeys) -> claviger_state::RegionPublicKeys {
    claviger_state::RegionPublicKeys {
        version,
        kem: keys.kem().to_vec(),
        ed25519: keys.ed25519().to_vec(),
        ml_dsa_65: keys.ml_dsa_65().to_vec(),
    }
}

/// Opens and seals for the rows that replication reads and writes.
pub(crate) struct Sealing {
    barrier: Arc<Barrier>,
    /// The region's private keys, opened once for each version of them.
    own_keys: Mutex<Option<(u32, Arc<RegionPrivateKeys>)>>,
}

impl Sealing {
    pub(crate) const fn new(barrier: Arc<Barrier>) -> Self {
        Self { barrier, own_keys: Mutex::new(None) }
    }

    /// This region's private keys and their version.
    pub(crate) fn own_keys(&self, tables: &impl Tables) -> Result<(u32, Arc<RegionPrivateKeys>), ReplicationError> {
        let record = read::region_keys(tables)?.ok_or(ReplicationError::NotFounded)?;
        let version = record.public.version;
        let mut cached = self.own_keys.lock();
        if let Some((found, keys)) = &*cached
            && *found == version
        {
            return Ok((version, Arc::clone(keys)));
        }
        let bytes = self.barrier.unseal(RecordPlace::region_keys().context(), &record.private)?;
        let keys = Arc::new(RegionPrivateKeys::from_secret_bytes(&bytes)?);
        *cached = Some((version, Arc::clone(&keys)));
        Ok((version, keys))
    }

    pub(crate) fn open_id_secret(&self, key_id: &KeyId, sealed: &Sealed) -> Result<Secret32, BarrierError> {
        self.barrier.unseal32(RecordPlace::id_secret(key_id).context(), sealed)
    }

    pub(crate) fn seal_id_secret(&self, key_id: &KeyId, secret: &Secret32) -> Result<Sealed, BarrierError> {
        self.barrier.seal(RecordPlace::id_secret(key_id).context(), secret.expose())
    }

    pub(crate) fn open_material(&self, key_id: &KeyId, id: &MaterialId, sealed: &Sealed) -> Result<SecretBytes, BarrierError> {
        self.barrier.unseal_secret(RecordPlace::material(key_id, id).context(), sealed)
    }

    pub(crate) fn seal_material(&self, key_id: &KeyId, id: &MaterialId, material: &SecretBytes) -> Result<Sealed, BarrierError> {
        self.barrier.seal(RecordPlace::material(key_id, id).context(), material.expose())
    }
}
